package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// wire is what requests go over.
type wire int

const (
	overPlain wire = iota
	overTLS
	overH2
)

func (w wire) String() string {
	return [...]string{"HTTP/1.1", "HTTP/1.1 over TLS", "HTTP/2 over TLS"}[w]
}

// trial is one case.
type trial struct {
	name, says string
	on         setUp
	run        func(context.Context, *stand, trial, *result) error
	wire       wire
	size       int    // of bodies
	kind       string // of paths at the origin
	many       int    // clients that ask at once, of cold objects
	goals      []goal
}

// cpuGoals are what edge's CPU is to be at most of nginx's.
var cpuGoals = map[string]float64{
	"h1-1k": 0.75, "h1-32k": 1.05, "h1-1m": 1.05, "tls-1k": 0.90, "tls-32k": 0.85, "h2-1k": 0.30, "h2-32k": 0.80,
	"miss-1k": 1.0, "pass-1k": 1.6,
}

// trials are all cases, in the order in which they run: those of one stand stand
// together.
func trials(o options) []trial {
	var all []trial
	for _, w := range []struct {
		name string
		wire wire
	}{{"h1", overPlain}, {"tls", overTLS}, {"h2", overH2}} {
		for _, size := range []int{1 << 10, 32 << 10, 1 << 20} {
			all = append(all, trial{name: w.name + "-" + sizeName(size), says: fmt.Sprintf("memory hits of %s over %v", sizeText(size), w.wire),
				on: inMemory, run: hits, wire: w.wire, size: size, kind: kept})
		}
	}
	for _, size := range []int{1 << 10, 32 << 10} {
		all = append(all, trial{name: "h3-" + sizeName(size), says: fmt.Sprintf("memory hits of %s over HTTP/3", sizeText(size)),
			on: inMemory, run: hits3, size: size, kind: kept})
	}
	for _, c := range []struct {
		name string
		wire wire
	}{{"cores-h1-1k", overPlain}, {"cores-h2-1k", overH2}} {
		all = append(all, trial{name: c.name, says: fmt.Sprintf("memory hits of 1 KiB over %v on two cores and on one", c.wire),
			on: inMemory, run: twoToOne, wire: c.wire, size: 1 << 10, kind: kept, goals: []goal{{"two÷one", "", 1.1}}})
	}
	for _, size := range []int{1 << 10, 1 << 20} {
		all = append(all,
			trial{name: "miss-" + sizeName(size), says: fmt.Sprintf("misses of %s, each url new, stored", sizeText(size)),
				on: inMemory, run: misses, size: size, kind: kept},
			trial{name: "pass-" + sizeName(size), says: fmt.Sprintf("what is not stored, %s, %d urls in turn", sizeText(size), passURLs),
				on: inMemory, run: misses, size: size, kind: passed})
	}
	slowMS, tenth := slowTime.Seconds()*1e3, slowTime.Seconds()*1e2
	for _, many := range []int{20, 200} {
		all = append(all,
			trial{name: fmt.Sprintf("cold-%d", many), says: fmt.Sprintf("%d clients at once for one new object, origin %v; released: from its first request to its last", many, slowTime),
				on: inMemory, run: cold, many: many, size: 1 << 10, kind: slowKept, goals: []goal{{"slowest", "", slowMS + tenth}}},
			// Released at the first head they all ask after one answer's time, and else after two or more.
			trial{name: fmt.Sprintf("coldpass-%d", many), says: fmt.Sprintf("the same, and it must not be stored, %d clients", many),
				on: inMemory, run: cold, many: many, size: 1 << 10, kind: slowPass, goals: []goal{{"released", "", slowMS * 1.5}}})
	}
	all = append(all,
		trial{name: "disk-32k", says: fmt.Sprintf("disk hits, %d objects of 32 KiB at random", diskObjects),
			on: onDisk, run: diskHits, size: 32 << 10, kind: kept},
		trial{name: "idle", says: fmt.Sprintf("resident memory of each of %d connections, of which one in a hundred asks each second; stack: goroutines' part of it; nginx has its table of them from its start", o.idle),
			on: fresh, run: idle, size: 1 << 10, kind: kept},
	)
	for i := range all {
		if most := cpuGoals[all[i].name]; most > 0 {
			all[i].goals = append(all[i].goals, goal{cpuName, "nginx", most})
		}
	}
	return all
}

// chosen are the trials with these names; none is all.
func chosen(all []trial, names string) (some []trial, err error) {
	if names == "" {
		return all, nil
	}
	wanted := strings.Split(names, ",")
	for _, t := range all {
		if slices.Contains(wanted, t.name) {
			some = append(some, t)
		}
	}
	for _, n := range wanted {
		if !slices.ContainsFunc(all, func(t trial) bool { return t.name == n }) {
			return nil, fmt.Errorf("there is no case %q", n)
		}
	}
	return some, nil
}

func sizeName(n int) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%dm", n>>20)
	}
	return fmt.Sprintf("%dk", n>>10)
}

func sizeText(n int) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
