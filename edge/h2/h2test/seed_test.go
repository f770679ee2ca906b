package h2test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// seedTests is how many there are at least.
const seedTests = 50

// The seed's checklist holds over HTTP/2 as it does over HTTP/1.1: edge/seedtest with clients
// that speak HTTP/2.
func TestSeedChecklist(t *testing.T) {
	t.Parallel()
	c := exec.Command("go", "test", "-count=1", "-v", ".")
	c.Dir = "../../seedtest"
	c.Env = append(os.Environ(), "EDGE_SEED_HTTP2=1")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if n := strings.Count(string(out), "--- PASS: TestS"); n < seedTests {
		t.Errorf("%d tests of the checklist passed, want at least %d", n, seedTests)
	}
}
