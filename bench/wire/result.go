package main

import (
	"fmt"
	"strings"

	"edgecache/bench/program"
)

// figure is a number of each round.
type figure struct {
	name, unit string
	rounds     program.Spread
}

// result is what a trial found of each server.
type result struct {
	trial trial
	rows  []*row
	notes []string
}

// row is what is known of one server.
type row struct {
	server       string
	absent       string // why there are no figures
	figures      []*figure
	asked, lines int64 // requests answered, and lines of the log
}

// of is a server's row, which is made when there is none.
func (r *result) of(server string) *row {
	for _, row := range r.rows {
		if row.server == server {
			return row
		}
	}
	r.rows = append(r.rows, &row{server: server})
	return r.rows[len(r.rows)-1]
}

// add notes a server's figure of one round.
func (r *result) add(server, name, unit string, v float64) {
	row := r.of(server)
	for _, f := range row.figures {
		if f.name == name {
			f.rounds = append(f.rounds, v)
			return
		}
	}
	row.figures = append(row.figures, &figure{name, unit, program.Spread{v}})
}

// note adds a sentence.
func (r *result) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// find gives a figure of a server; nil when there is none.
func (r *result) find(server, name string) program.Spread {
	for _, row := range r.rows {
		for _, f := range row.figures {
			if row.server == server && f.name == name {
				return f.rounds
			}
		}
	}
	return nil
}

// cpuName is the figure that most goals are set for.
const cpuName = "cpu"

// String is what each round found, and then min, median and max.
func (r *result) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s: %s\n", r.trial.name, r.trial.says)
	for _, row := range r.rows {
		if row.absent != "" {
			fmt.Fprintf(&out, "  %-8s %s\n", row.server, row.absent)
		}
		for _, f := range row.figures {
			fmt.Fprintf(&out, "  %-8s %-10s %s = %s %s\n", row.server, f.name, f.rounds.Raw(), f.rounds, f.unit)
		}
	}
	for _, row := range r.rows {
		if row.asked == 0 && row.lines == 0 {
			continue
		}
		fmt.Fprintf(&out, "  %-8s %-10s %d of %d requests answered", row.server, "log lines", row.lines, row.asked)
		if row.lines < row.asked {
			fmt.Fprintf(&out, " (%d LOST)", row.asked-row.lines)
		}
		out.WriteByte('\n')
	}
	for _, n := range r.notes {
		fmt.Fprintf(&out, "  %s\n", n)
	}
	return out.String()
}

// names are the figures that the table is to have, in the order in which they
// were first seen.
func (r *result) names() (names, units []string) {
	seen := map[string]bool{}
	for _, row := range r.rows {
		for _, f := range row.figures {
			if !seen[f.name] {
				seen[f.name] = true
				names, units = append(names, f.name), append(units, f.unit)
			}
		}
	}
	return names, units
}
