package main

import (
	"fmt"
	"slices"
	"strings"
)

// fault is one thing that is wrong in a configuration: where, with which key,
// and what would be right.
type fault struct {
	line, column int
	key          string
	what         string
}

// faults is all that is wrong in one configuration.
type faults struct {
	file string
	list []fault
}

// maxFaults bounds how many faults are told; the rest is a number.
const maxFaults = 50

// Error tells each fault on a line of its own, as file:line:column: key: what.
func (f *faults) Error() string {
	var b strings.Builder
	for i, one := range f.list {
		if i == maxFaults {
			fmt.Fprintf(&b, "\n%s: and %d more", f.file, len(f.list)-maxFaults)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(f.file)
		if one.line > 0 {
			fmt.Fprintf(&b, ":%d:%d", one.line, one.column)
		}
		if one.key != "" {
			b.WriteString(": " + one.key)
		}
		b.WriteString(": " + one.what)
	}
	return b.String()
}

// sort brings the faults into the order of the file.
func (f *faults) sort() {
	slices.SortStableFunc(f.list, func(a, b fault) int {
		if a.line != b.line {
			return a.line - b.line
		}
		return a.column - b.column
	})
}

// nearest gives the known name that was most likely meant, "" when none is
// near.
func nearest(name string, known []string) string {
	best, least := "", max(1, len(name)/3)+1
	for _, k := range known {
		if d := distance(strings.ToLower(name), k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is how many letters must be changed, left out, put in, or swapped
// with their neighbour to make a into b.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
