package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"edgecache/policy"
)

// reasonsVerb is edge reasons.
type reasonsVerb struct {
	Name string `arg:"" optional:"" help:"Reason, as a log prints it; none lists all of them."`
}

// Run explains one reason, or lists all. It asks no running edge.
func (v *reasonsVerb) Run(t terminal) error {
	if v.Name == "" {
		return listReasons(t.stdout)
	}
	var names []string
	var found []policy.Explained
	for _, e := range explained() {
		names = append(names, e.Name)
		if e.Name == v.Name {
			found = append(found, e)
		}
	}
	if len(found) > 0 {
		return explainReasons(t.stdout, found)
	}
	what := fmt.Sprintf("no reason is called %q", shorten(v.Name))
	if near := nearest(v.Name, names); near != "" {
		what += "; did you mean " + near + "?"
	}
	return &usageError{what}
}

// explained are all reasons, in their order.
func explained() (all []policy.Explained) {
	for r := range policy.Reasons {
		all = append(all, policy.Reason(r).Explain())
	}
	return all
}

// listReasons writes a line a reason.
func listReasons(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, e := range explained() {
		if len(e.Groups.Names()) > 0 {
			fmt.Fprintf(table, "%s\t%s\t%s\n", e.Name, strings.Join(e.Groups.Names(), ", "), e.What)
		}
	}
	return table.Flush()
}

// explainReasons writes all that is known of reasons; two may have one name.
func explainReasons(w io.Writer, list []policy.Explained) error {
	for i, e := range list {
		if i > 0 {
			fmt.Fprintln(w)
		}
		where := strings.Join(e.Groups.Names(), ", ")
		if where != "" {
			where = " (" + where + ")"
		}
		if _, err := fmt.Fprintf(w, "%s%s\n  %s\n  What to do: %s\n  Rule: %s\n", e.Name, where, e.What, e.Do, e.Rule); err != nil {
			return err
		}
	}
	return nil
}
