package conformance_test

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestConformanceThrice runs the suite EDGE_CONFORMANCE_RUNS times, one after
// another, each against an edge of its own: every test of every kind must come out
// the same. The last table goes to the file EDGE_CONFORMANCE_OUT.
func TestConformanceThrice(t *testing.T) {
	runs, err := strconv.Atoi(os.Getenv("EDGE_CONFORMANCE_RUNS"))
	if err != nil || runs < 2 {
		t.Skip("EDGE_CONFORMANCE_RUNS does not say how often; make conformance-thrice does")
	}
	install(t)
	var first report
	var table string
	for i := range runs {
		t.Run(fmt.Sprint("run ", i+1), func(t *testing.T) {
			addrs := freeAddrs(t)
			startEdge(t, addrs, nil)
			var got report
			got, table = run(t, "--target", "http://"+addrs.data, "--origin-port", port(t, addrs.origin))
			t.Logf("\n%s", table)
			if i == 0 {
				first = got
			}
			sameOutcomes(t, first, got)
		})
	}
	if out := os.Getenv("EDGE_CONFORMANCE_OUT"); out != "" {
		text := fmt.Sprintf("the HTTP cache tests, %d runs, %s, %s %s/%s: make conformance-thrice\n\n%s\n%s",
			runs, time.Now().UTC().Format(time.DateOnly), runtime.Version(), runtime.GOOS, runtime.GOARCH, table, checks(first))
		if t.Failed() {
			text += "\nTHE RUNS DIFFER, or one failed\n"
		} else {
			text += fmt.Sprintf("\nall %d runs came out the same in all %d tests\n", runs, len(first.Tests))
		}
		if err := os.WriteFile(out, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// sameOutcomes demands that two runs say the same of every test.
func sameOutcomes(t *testing.T, want, got report) {
	t.Helper()
	if len(want.Tests) != len(got.Tests) {
		t.Errorf("%d tests, the first run had %d", len(got.Tests), len(want.Tests))
	}
	for id, first := range want.Tests {
		if now := got.Tests[id]; now.Outcome != first.Outcome {
			t.Errorf("%s: %s (%s), in the first run %s", id, now.Outcome, now.Message, first.Outcome)
		}
	}
}

// checks lists what the checks, which only inform, say of edge.
func checks(r report) string {
	var b strings.Builder
	b.WriteString("checks, which inform:\n")
	for _, id := range slices.Sorted(maps.Keys(r.Tests)) {
		if one := r.Tests[id]; one.Kind == "check" {
			fmt.Fprintf(&b, "  %-8s %s\n", one.Outcome, id)
		}
	}
	return b.String()
}
