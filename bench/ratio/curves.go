package ratio

import (
	"context"
	"fmt"
	"io"

	"edgecache/bench"
	"edgecache/bench/policies"
	"edgecache/bench/report"
)

// curveSizes are the sizes of a curve, as parts of the sizes that were asked for.
var curveSizes = []float64{1. / 16, 1. / 8, 1. / 4, 1. / 2, 1, 2, 4, 8}

// Curves is how miss ratios change with the size of the tiers around the one of
// each row, memory and disk together. They are made of a sample. A row whose memory is too
// small for that has no section.
func Curves(ctx context.Context, in *Input, rows []Row, c Config) ([]report.Section, error) {
	small := in.sampled(curveObjects)
	var sections []report.Section
	for i := range rows {
		s, err := small.curve(ctx, &rows[i], c)
		if err != nil {
			return nil, err
		}
		if small.Rate < 1 {
			s.Notes = append(s.Notes, fmt.Sprintf("Of a sample of %.3g %% of the objects. With LRU the error of such a sample was at most 0.02 on the traces that it was tried with.", 100*small.Rate))
		}
		if s.Curves != nil { // else all sizes around it are too small to say anything
			sections = append(sections, s)
		}
	}
	return sections, nil
}

// CurveSteps is how often Curves calls Step for so many rows.
func (c *Config) CurveSteps(rows int) int { return rows * len(curveSizes) * (3 + len(c.Policies)) }

func (in *Input) curve(ctx context.Context, r *Row, c Config) (report.Section, error) {
	s := report.Section{
		Title: fmt.Sprintf("%s, around memory %s and %s", in.Name, bench.ByteText(r.Memory), diskText(r.Disk)),
		Notes: []string{"A size is memory and disk together, in their proportion above; each policy stands over itself, with write-through."},
	}
	c.Runs = 1
	names := append([]string{"lru"}, c.Policies...)
	curves := make([]report.Curve, len(names)+2)
	curves[0].Policy, curves[len(curves)-1].Policy = "edge", "optimum"
	for i, name := range names {
		curves[i+1].Policy = name
	}
	for _, part := range curveSizes {
		c.Memory = []Size{{Bytes: int64(part * float64(r.Memory))}}
		c.Disk = []Size{{Bytes: int64(part * float64(r.Disk))}}
		if in.scaled(c.Memory[0].Bytes) < leastCurve {
			c.skip(len(curves))
			continue
		}
		rows, err := Run(ctx, in, c)
		if err != nil {
			return s, err
		}
		size := rows[0].Memory + rows[0].Disk
		add := func(i int, n policies.Counts) {
			curves[i].Points = append(curves[i].Points, report.Point{Bytes: size, ObjectMiss: n.ObjectMissRatio(), ByteMiss: n.ByteMissRatio()})
		}
		add(0, rows[0].Edge)
		for i, name := range names {
			add(i+1, rows[0].Others[name])
		}
		add(len(curves)-1, rows[0].Optimum)
	}
	if len(curves[0].Points) > 0 {
		s.Curves = curves
	}
	return s, nil
}

// leastCurve is the least memory of a sample that says anything, in bytes.
const leastCurve = 8 << 10

func (c *Config) skip(n int) {
	for range n {
		if c.Step != nil {
			c.Step()
		}
	}
}

// WriteReport writes the page.
func WriteReport(w io.Writer, sections []report.Section) error {
	return report.Report{
		Title: "Hit ratios",
		Notes: []string{
			"What edge's own code would keep, on this input, beside other policies and the offline optimum (Belady with sizes), which knows what comes.",
			"Lower is better: the share of the requests, or of their bytes, that go to origins.",
		},
		Sections: sections,
	}.Write(w)
}
