package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const sample = `package edge

func (e *Engine) filterRequest(s *Session) {
	s.trace.mark(PhaseRequestFilter)
	for _, h := range e.hooks.request {
		result, err := h.RequestFilter(s)
		use(result, err, h.Other(s))
	}
	s.trace.mark(other)
	e.hooks.proxy.UpstreamPeer(s)
	RequestFilter(s)
}
`

func TestSitesOf(t *testing.T) {
	sites, err := sitesOf("admit.go", []byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	want := []struct{ text, instead string }{
		{"admit.go:4 filterRequest: s.trace.mark(PhaseRequestFilter)", "\tfunc() { _ = s.trace; _ = PhaseRequestFilter;  }()\n"},
		{"admit.go:6 filterRequest: h.RequestFilter(s)", "result, err := func() (FilterResult, error) { _ = h; _ = s; ; return FilterResult{}, nil }()\n"},
		{"admit.go:10 filterRequest: e.hooks.proxy.UpstreamPeer(s)", "\te.UpstreamPeer(s)\n"},
	}
	if len(sites) != len(want) {
		t.Fatalf("%d sites %v, want %d", len(sites), sites, len(want))
	}
	for i, s := range sites {
		if s.String() != want[i].text {
			t.Errorf("site %q, want %q", s, want[i].text)
		}
		text, err := s.without()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\t"+s.call) || !strings.Contains(string(text), want[i].instead) {
			t.Errorf("without %s:\n%s", s.call, text)
		}
		if _, err := parser.ParseFile(token.NewFileSet(), "admit.go", text, 0); err != nil {
			t.Errorf("without %s: %v", s.call, err)
		}
	}
}

// Every hook and every phase of the engine is called somewhere, and some test
// is about it; a name that nothing calls any more is an old one.
func TestEveryCutHasItsPlace(t *testing.T) {
	sites, err := findSites("..")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, s := range sites {
		if len(s.tests()) == 0 {
			t.Errorf("%s: no test is about it", s)
		}
		if _, err := s.without(); err != nil {
			t.Errorf("%s: %v", s, err)
		}
		found[s.callee], found["mark "+s.phase], found[s.function+" "+s.callee] = true, true, true
		found[s.function+" "+s.call] = true
	}
	for name := range hookCuts {
		if !found[name] {
			t.Errorf("hook %s is called nowhere", name)
		}
	}
	for phase := range markCuts {
		if !found["mark "+phase] {
			t.Errorf("phase %s is marked nowhere", phase)
		}
	}
	for place := range otherCuts {
		if !found[place] {
			t.Errorf("%s: no such call", place)
		}
	}
	for place := range placeTests {
		if !found[place] {
			t.Errorf("%s: no such call", place)
		}
	}
}

// The lines of the checklist that a cut names have tests.
func TestEveryLineHasATest(t *testing.T) {
	files, err := filepath.Glob("../seedtest/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var tested []string
	for _, name := range files {
		tested = append(tested, linesIn(t, name)...)
	}
	for n := 1; n <= 34; n++ {
		if id := fmt.Sprintf("S%02d", n); !slices.Contains(tested, id) {
			t.Errorf("no test for %s", id)
		}
	}
	for _, cuts := range []map[string]cut{hookCuts, markCuts, otherCuts} {
		for name, c := range cuts {
			for _, id := range c.about {
				if !slices.Contains(tested, id) {
					t.Errorf("%s: there is no test for %s", name, id)
				}
			}
		}
	}
}

// linesIn lists the lines of the checklist that a file has tests for.
func linesIn(t *testing.T, name string) (ids []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || !strings.HasPrefix(f.Name.Name, "TestS") {
			continue
		}
		if id, _, ok := strings.Cut(f.Name.Name[len("Test"):], "_"); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		failed, missed, want string
	}{
		{"S01 S02", "", "killed "},
		{"S01", "S02", "SURVIVED "},
		{"", "S02", "SURVIVED "},
	} {
		v := verdict{failed: ids(c.failed), missed: ids(c.missed)}
		if got := v.String(); !strings.HasPrefix(got, c.want) {
			t.Errorf("noticed by %q, not by %q: %s", c.failed, c.missed, got)
		}
	}
}
