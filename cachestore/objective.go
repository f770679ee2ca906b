package cachestore

import "fmt"

// Objective is what the disk tier's choice is to make small.
type Objective uint8

// Objectives: the requests that go to origins, their bytes, or something between.
const (
	ObjectiveObjects Objective = iota
	ObjectiveBalanced
	ObjectiveBytes

	objectives
)

// String gives the objective as settings name it.
func (o Objective) String() string { return [...]string{"objects", "balanced", "bytes"}[o] }

// ParseObjective reads what String gives.
func ParseObjective(text string) (Objective, error) {
	for o := range objectives {
		if o.String() == text {
			return o, nil
		}
	}
	return 0, fmt.Errorf("objective %q is none of objects, balanced, bytes", text)
}

// power is that of an object's size in what the object is worth.
func (o Objective) power() float64 { return [...]float64{0.8, 0.75, 0}[o] }

// Admission says what the disk tier takes.
type Admission uint8

// Admissions: all that comes, or what size, ghosts and the like of an object speak for.
const (
	AdmitAlways Admission = iota
	AdmitSZ2
)

// String gives the admission as settings name it.
func (a Admission) String() string { return [...]string{"always", "sz2"}[a] }

// ParseAdmission reads what String gives.
func ParseAdmission(text string) (Admission, error) {
	for _, a := range []Admission{AdmitAlways, AdmitSZ2} {
		if a.String() == text {
			return a, nil
		}
	}
	return 0, fmt.Errorf("admission %q is none of always, sz2", text)
}

// ShardsFor is how many shards a disk of that size has unless told: a small one is not
// divided, so that what is large finds room in it; a large one is, for bbolt looks through
// all free pages of a file for the first that fit.
func ShardsFor(size int64) int {
	if size < undivided {
		return 1
	}
	return int(min(max(size/divided, defaultShards), maxShards))
}

// Bounds of what ShardsFor says, in bytes.
const (
	undivided = 8 << 30
	divided   = 4 << 30
)

// largestIn is the largest body that a shard takes: all of it but what a body needs beside.
func largestIn(quota int64) int64 { return quota - quota/128 }

// ghostLimit is how many ghosts a shard may have: they take at most a sixteenth of the
// memory, and there may always be some.
func ghostLimit(memory int64, shards int) int {
	return int(max(memory/16/ghostBytes, leastGhosts)) / shards
}

const leastGhosts = 1 << 16
