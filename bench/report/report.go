// Package report writes miss-ratio curves as one HTML file that needs nothing
// beside itself: the curves are SVG within it, and it loads nothing.
package report

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"slices"
)

// Report is what a page shows: a section an input.
type Report struct {
	Title    string
	Notes    []string // paragraphs on how it was measured
	Sections []Section
}

// Section is the curves of one input.
type Section struct {
	Title  string
	Notes  []string
	Curves []Curve // in the order of the legend
}

// Curve is what one policy misses at several sizes of its cache.
type Curve struct {
	Policy string
	Points []Point // one a size
}

// Point is what a policy misses with a cache of one size.
type Point struct {
	Bytes      int64   // of the cache, at least 1
	ObjectMiss float64 // share of the requests, 0 to 1
	ByteMiss   float64 // share of the bytes, 0 to 1
}

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Funcs(template.FuncMap{"size": sizeText}).Parse(pageText))

// table is a section as the page shows it.
type table struct {
	Section
	Objects, Bytes template.HTML // the two charts
	Rows           []row
}

// row is all policies at one size.
type row struct {
	Bytes int64
	Cells []string
}

// Write writes the page. A section has a curve at least, and a curve a point.
func (r Report) Write(w io.Writer) error {
	var tables []table
	for _, s := range r.Sections {
		t, err := s.table()
		if err != nil {
			return fmt.Errorf("report on %s: %w", s.Title, err)
		}
		tables = append(tables, t)
	}
	return page.Execute(w, struct {
		Report
		Tables []table
	}{r, tables})
}

func (s Section) table() (t table, err error) {
	if err := s.check(); err != nil {
		return t, err
	}
	t.Section = s
	if t.Objects, err = chart("object miss ratio", s.Curves, func(p Point) float64 { return p.ObjectMiss }); err != nil {
		return t, err
	}
	if t.Bytes, err = chart("byte miss ratio", s.Curves, func(p Point) float64 { return p.ByteMiss }); err != nil {
		return t, err
	}
	t.Rows = s.rows()
	return t, nil
}

func (s Section) check() error {
	if len(s.Curves) == 0 {
		return errors.New("no curves")
	}
	for _, c := range s.Curves {
		if len(c.Points) == 0 {
			return fmt.Errorf("%s has no points", c.Policy)
		}
		for _, p := range c.Points {
			if p.Bytes < 1 || !isShare(p.ObjectMiss) || !isShare(p.ByteMiss) {
				return fmt.Errorf("%s has %+v: want a size of 1 byte at least and ratios from 0 to 1", c.Policy, p)
			}
		}
	}
	return nil
}

func isShare(x float64) bool { return x >= 0 && x <= 1 } // not NaN

// rows has each size once; a policy that was not tried with it has a dash.
func (s Section) rows() []row {
	var rows []row
	for i, c := range s.Curves {
		for _, p := range c.Points {
			at, found := slices.BinarySearchFunc(rows, p.Bytes, func(r row, bytes int64) int { return cmp.Compare(r.Bytes, bytes) })
			if !found {
				dashes := slices.Repeat([]string{"–"}, len(s.Curves))
				rows = slices.Insert(rows, at, row{p.Bytes, dashes})
			}
			rows[at].Cells[i] = fmt.Sprintf("%.4f / %.4f", p.ObjectMiss, p.ByteMiss)
		}
	}
	return rows
}

// sizeText writes a size with three digits, as 1.5 GiB.
func sizeText(bytes int64) string {
	unit, size := 0, float64(bytes)
	for size >= 999.5 && unit < len(units)-1 {
		size /= 1024
		unit++
	}
	return fmt.Sprintf("%.3g %s", size, units[unit])
}

var units = []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
