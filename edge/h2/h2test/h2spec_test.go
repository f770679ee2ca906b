package h2test

import (
	"context"
	"encoding/xml"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"edgecache/edge/edgetest"
)

const (
	h2specCases = 146 // of v2.2.1, strict; a run of fewer has not run them all
	h2specTime  = 5 * time.Minute
)

// invalidPreface is the case that a port which speaks HTTP/1.1, too, cannot pass: what it is
// sent is then a malformed request of that (docs/conformance.md).
const invalidPreface = "Sends invalid connection preface"

// buildH2Spec builds it from a module of its own; where that is impossible the test skips.
func buildH2Spec(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "h2spec")
	c := exec.Command("go", "build", "-C", "../../../conformance/h2spec", "-buildvcs=false", "-o", binary,
		"github.com/summerwind/h2spec/cmd/h2spec")
	if out, err := c.CombinedOutput(); err != nil {
		t.Skipf("h2spec cannot be built here, so its cases are not run: %v\n%s", err, out)
	}
	return binary
}

// h2spec's report, of which a failed case says what was wanted and what came.
type h2specReport struct {
	Suites []struct {
		Package string `xml:"package,attr"`
		Name    string `xml:"name,attr"`
		Cases   []struct {
			Package string    `xml:"package,attr"`
			Name    string    `xml:"classname,attr"`
			Skipped *struct{} `xml:"skipped"`
			Failure *struct {
				Text string `xml:",innerxml"`
			} `xml:"failure"`
			Error *struct {
				Text string `xml:",innerxml"`
			} `xml:"error"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

// TestH2Spec runs every case of h2spec, the strict ones too. What it looks for is RFC 7540's
// and 7541's; where RFC 9113 says otherwise docs/conformance.md has it.
func TestH2Spec(t *testing.T) {
	binary := buildH2Spec(t)
	both(t, edgetest.Config{}, wireOptions{}, func(t *testing.T, r *room) {
		t.Parallel()
		r.origin.On("/", edgetest.Text(200, "a body of some bytes", fresh))
		report := filepath.Join(t.TempDir(), "report.xml")
		_, port, _ := net.SplitHostPort(r.Addr)
		args := []string{"-S", "-p", port, "-j", report}
		if !r.clear {
			args = append(args, "-t", "-k")
		}
		ctx, cancel := context.WithTimeout(t.Context(), h2specTime)
		defer cancel()
		out, err := exec.CommandContext(ctx, binary, args...).CombinedOutput()
		text, readErr := os.ReadFile(report)
		if readErr != nil {
			t.Fatalf("h2spec: %v\n%s", err, out)
		}
		var got h2specReport
		if err := xml.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		cases := 0
		for _, suite := range got.Suites {
			for _, c := range suite.Cases {
				cases++
				switch {
				case r.clear && c.Name == invalidPreface:
				case c.Failure != nil:
					t.Errorf("%s %s: %s", suite.Name, c.Name, strings.TrimSpace(c.Failure.Text))
				case c.Error != nil:
					t.Errorf("%s %s: %s", suite.Name, c.Name, strings.TrimSpace(c.Error.Text))
				case c.Skipped != nil:
					t.Errorf("%s %s: skipped", suite.Name, c.Name)
				}
			}
		}
		if cases != h2specCases {
			t.Errorf("%d cases were run, want %d", cases, h2specCases)
		}
		if err != nil && !t.Failed() && !r.clear {
			t.Errorf("h2spec: %v\n%s", err, out)
		}
	})
}
