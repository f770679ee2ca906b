package conformance_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated part of docs/conformance.md")

// The page's generated part lies between these lines.
const (
	page      = "../docs/conformance.md"
	pageBegin = "<!-- generated from conformance/semantics_list_test.go -->\n"
	pageEnd   = "<!-- end of the generated part -->\n"
)

// TestDeviationsAreOnThePage: docs/conformance.md lists the deviations as they are.
func TestDeviationsAreOnThePage(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(text), pageBegin)
	_, after, ends := strings.Cut(rest, pageEnd)
	if !begins || !ends {
		t.Fatalf("%s has no generated part", page)
	}
	want := before + pageBegin + deviationTable() + pageEnd + after
	switch {
	case want == string(text):
	case *update:
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is not what the list says: go test ./conformance -run DeviationsAreOnThePage -update", page)
	}
}

func deviationTable() string {
	var b strings.Builder
	b.WriteString("\n| what edge does | decided by | and the library |\n|---|---|---|\n")
	for _, d := range deviations {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", d.name, d.section, d.why)
	}
	b.WriteString("\n")
	return b.String()
}
