package program

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A result is kept under its heading, unless it was cut short; what was found is printed anyhow.
func TestResult(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
		kept string
	}{{nil, 0, "when\nfound\n"}, {errors.New("cut"), 1, ""}} {
		var stdout, stderr strings.Builder
		out := filepath.Join(t.TempDir(), "result.txt")
		if code := Result("it", out, "when\n", "found\n", c.err, &stdout, &stderr); code != c.code {
			t.Errorf("%v: code %d, want %d", c.err, code, c.code)
		}
		if kept, _ := os.ReadFile(out); string(kept) != c.kept || stdout.String() != "found\n" {
			t.Errorf("%v: printed %q, kept %q, want %q", c.err, stdout.String(), kept, c.kept)
		}
		if (stderr.String() == "it: cut\n") != (c.err != nil) {
			t.Errorf("%v: said %q", c.err, stderr.String())
		}
	}
	var stderr strings.Builder
	if code := Result("it", filepath.Join(t.TempDir(), "none", "file"), "", "", nil, &stderr, &stderr); code != 1 || stderr.Len() == 0 {
		t.Errorf("nowhere to keep it: code %d, said %q", code, stderr.String())
	}
}
