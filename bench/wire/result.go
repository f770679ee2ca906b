package main

import (
	"fmt"
	"strings"

	"edgecache/bench"
)

// figure is a number of each round.
type figure struct {
	name, unit string
	rounds     spread
}

// result is what a trial found of each server.
type result struct {
	trial trial
	rows  []row
	notes []string
}

// row is what is known of one server.
type row struct {
	server  string
	figures []figure
}

// add notes a server's figure of one round.
func (r *result) add(server, name, unit string, v float64) {
	at := -1
	for i := range r.rows {
		if r.rows[i].server == server {
			at = i
		}
	}
	if at < 0 {
		at, r.rows = len(r.rows), append(r.rows, row{server: server})
	}
	for i := range r.rows[at].figures {
		if f := &r.rows[at].figures[i]; f.name == name {
			f.rounds = append(f.rounds, v)
			return
		}
	}
	r.rows[at].figures = append(r.rows[at].figures, figure{name, unit, spread{v}})
}

// note adds a sentence.
func (r *result) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// find gives a figure of a server; nil when there is none.
func (r *result) find(server, name string) spread {
	for _, row := range r.rows {
		for _, f := range row.figures {
			if row.server == server && f.name == name {
				return f.rounds
			}
		}
	}
	return nil
}

// cpuName is the figure that goals are set for.
const cpuName = "cpu"

// String is the result for people, and what is kept.
func (r *result) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s: %s\n", r.trial.name, r.trial.says)
	for _, row := range r.rows {
		for i, f := range row.figures {
			name := row.server
			if i > 0 {
				name = ""
			}
			bench.AppendLine(&out, "  "+name, "%-12s %s %s", f.name, f.rounds, f.unit)
		}
	}
	for _, rival := range r.rows {
		if ratios := r.ratios(rival); ratios != "" {
			bench.AppendLine(&out, "  edge ÷ "+rival.server, "%s", ratios)
		}
	}
	for _, n := range r.notes {
		fmt.Fprintf(&out, "  %s\n", n)
	}
	return out.String()
}

// ratios divides edge's medians by a rival's.
func (r *result) ratios(rival row) string {
	if rival.server == "edge" {
		return ""
	}
	var all []string
	for _, f := range rival.figures {
		own := r.find("edge", f.name)
		if len(own) == 0 || f.rounds.median() == 0 {
			continue
		}
		text := fmt.Sprintf("%s %.2f", f.name, own.median()/f.rounds.median())
		if f.name == cpuName && r.trial.goal > 0 && rival.server == "nginx" {
			text += fmt.Sprintf(" (at most %.2f)", r.trial.goal)
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}
