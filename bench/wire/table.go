package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"edgecache/bench/program"
)

// goal is what edge is to reach in a case.
type goal struct {
	figure string
	rival  string // whose figure edge's is divided by; "" none
	atMost float64
}

// verdict compares; "" when a figure is missing.
func (g goal) verdict(r *result) string {
	own, by := r.find("edge", g.figure), 1.0
	if len(own) == 0 {
		return ""
	}
	if g.rival != "" {
		if by = r.find(g.rival, g.figure).Median(); by == 0 {
			return ""
		}
	}
	said := "reached"
	if own.Median()/by > g.atMost {
		said = "NOT reached"
	}
	return fmt.Sprintf("≤ %.4g %s", g.atMost, said)
}

// table is the medians of all cases, edge's divided by the rivals', and what
// was to be reached.
func table(all []*result) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "case\tfigure\tedge\tnginx\tvarnish\tedge÷nginx\tedge÷varnish\tgoal\tunit")
	for _, r := range all {
		names, units := r.names()
		for i, name := range names {
			fmt.Fprintf(w, "%s\t%s", r.trial.name, name)
			for _, server := range []string{"edge", "nginx", "varnish"} {
				fmt.Fprintf(w, "\t%s", r.cell(server, name))
			}
			for _, rival := range []string{"nginx", "varnish"} {
				fmt.Fprintf(w, "\t%s", r.ratio(rival, name))
			}
			fmt.Fprintf(w, "\t%s\t%s\n", r.verdicts(name), units[i])
		}
		if len(names) == 0 {
			fmt.Fprintf(w, "%s\tnothing\t%s\t-\t-\t-\t-\t\t%s\n", r.trial.name, r.cell("edge", ""), strings.Join(r.notes, "; "))
		}
	}
	w.Flush() // a strings.Builder takes all
	return out.String()
}

// cell is a median, or why there is none.
func (r *result) cell(server, name string) string {
	if s := r.find(server, name); s != nil {
		return program.Short(s.Median())
	}
	for _, row := range r.rows {
		if row.server == server && row.absent != "" {
			return row.absent
		}
	}
	return "-"
}

func (r *result) ratio(rival, name string) string {
	own, other := r.find("edge", name), r.find(rival, name)
	if len(own) == 0 || other.Median() == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", own.Median()/other.Median())
}

func (r *result) verdicts(name string) string {
	for _, g := range r.trial.goals {
		if v := g.verdict(r); g.figure == name && v != "" {
			return v
		}
	}
	return ""
}
