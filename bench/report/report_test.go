package report_test

import (
	"math"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"edgecache/bench/report"
)

func example() report.Report {
	curve := func(policy string, points ...report.Point) report.Curve {
		return report.Curve{Policy: policy, Points: points}
	}
	return report.Report{
		Title: "Misses of <b>the day</b> & more",
		Notes: []string{"Capacities are of the unique bytes; see http://example.com/<script>alert(1)</script>."},
		Sections: []report.Section{{
			Title: "web.log",
			Curves: []report.Curve{
				curve("lru", report.Point{Bytes: 64 << 20, ObjectMiss: .5, ByteMiss: .625}, report.Point{Bytes: 1 << 20, ObjectMiss: .75, ByteMiss: .875}),
				curve(`edge "<i>1</i>"`, report.Point{Bytes: 1 << 20, ObjectMiss: .6875, ByteMiss: .8125}),
			},
		}, {
			Title:  "one size",
			Curves: []report.Curve{curve("all hits", report.Point{Bytes: 1})},
		}},
	}
}

func written(t *testing.T, r report.Report) string {
	t.Helper()
	var out strings.Builder
	if err := r.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// nodes returns the elements of that name.
func nodes(root *html.Node, name string) (found []*html.Node) {
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && n.Data == name {
			found = append(found, n)
		}
	}
	return found
}

func textOf(n *html.Node) string {
	var text strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			text.WriteString(d.Data)
		}
	}
	return text.String()
}

func TestPageHasCurvesAndTables(t *testing.T) {
	root, err := html.Parse(strings.NewReader(written(t, example())))
	if err != nil {
		t.Fatal(err)
	}
	if got := textOf(nodes(root, "h1")[0]); got != "Misses of <b>the day</b> & more" {
		t.Errorf("the heading is %q", got)
	}
	charts := nodes(root, "svg")
	if len(charts) != 4 {
		t.Fatalf("%d charts, want two a section", len(charts))
	}
	for _, want := range []string{"lru", `edge "<i>1</i>"`, "object miss ratio", "1 MiB", "64 MiB"} {
		if !strings.Contains(textOf(charts[0]), want) {
			t.Errorf("the first chart has no %q in %q", want, textOf(charts[0]))
		}
	}
	if lines := len(nodes(charts[0], "path")); lines < 4 {
		t.Errorf("the first chart has %d paths", lines)
	}
	var rows []string
	for _, tr := range nodes(nodes(root, "tbody")[0], "tr") {
		rows = append(rows, textOf(tr))
	}
	want := "1 MiB0.7500 / 0.87500.6875 / 0.8125\n64 MiB0.5000 / 0.6250–"
	if got := strings.Join(rows, "\n"); got != want {
		t.Errorf("rows %q, want %q", got, want)
	}
}

// The page asks nobody for anything: whoever opens it is not seen by anyone.
func TestPageLoadsNothing(t *testing.T) {
	text := written(t, example())
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.Data == "script" || n.Data == "link" || n.Data == "img" || n.Data == "iframe" || n.Data == "i" || n.Data == "b" {
			t.Errorf("there is a %s", n.Data)
		}
		for _, a := range n.Attr {
			if a.Key == "src" || a.Key == "href" || strings.HasPrefix(a.Key, "on") || strings.Contains(a.Val, "http") || regexp.MustCompile(`url\(`).MatchString(a.Val) {
				t.Errorf("%s has %s=%q", n.Data, a.Key, a.Val)
			}
		}
		if n.Data == "style" && regexp.MustCompile(`@import|url\(`).MatchString(textOf(n)) {
			t.Errorf("style %q", textOf(n))
		}
	}
	if got := len(regexp.MustCompile(`https?:`).FindAllString(text, -1)); got != 1 {
		t.Errorf("%d addresses in the page, want the note's alone", got)
	}
}

func TestReportRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		curves []report.Curve
		want   string
	}{
		{"no curves", nil, "no curves"},
		{"no points", []report.Curve{{Policy: "lru"}}, "lru has no points"},
		{"no size", []report.Curve{{Policy: "lru", Points: []report.Point{{Bytes: 0}}}}, "1 byte"},
		{"no ratio", []report.Curve{{Policy: "lru", Points: []report.Point{{Bytes: 1, ObjectMiss: math.NaN()}}}}, "from 0 to 1"},
		{"more than all", []report.Curve{{Policy: "lru", Points: []report.Point{{Bytes: 1, ByteMiss: 1.5}}}}, "from 0 to 1"},
	} {
		err := report.Report{Sections: []report.Section{{Title: "web.log", Curves: c.curves}}}.Write(&strings.Builder{})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "web.log") {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}
