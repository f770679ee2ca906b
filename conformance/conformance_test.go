// Package conformance_test runs the HTTP cache tests against edge. README.md says
// what they are; runner.mjs does the talking.
package conformance_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// What edge has to pass, of how many: a run with other totals has read the suite wrongly.
const (
	minRequired, allRequired = 139, 139
	minOptimal, allOptimal   = 87, 89

	runLimit  = 4 * time.Minute
	openLimit = 20 * time.Second
	stopLimit = 40 * time.Second // over the default drain of 30 s
)

// report is what runner.mjs writes with --json.
type report struct {
	Totals map[string]struct{ Passed, Total int }
	Tests  map[string]struct{ Kind, Outcome, Message string }
}

func TestConformance(t *testing.T) {
	t.Parallel()
	install(t)
	got := map[string]*report{"HTTP/1.1": {}}
	for wire := range wires {
		got[wire] = &report{}
	}
	t.Run("runs", func(t *testing.T) {
		t.Run("HTTP/1.1", func(t *testing.T) {
			t.Parallel()
			addrs := freeAddrs(t)
			startEdge(t, addrs, nil)
			*got["HTTP/1.1"] = suite(t, addrs, "http://"+addrs.data)
		})
		for wire := range wires {
			t.Run(wire, func(t *testing.T) {
				t.Parallel()
				addrs := freeAddrs(t)
				s, changes := overTLS(t)
				startEdge(t, addrs, changes)
				*got[wire] = suite(t, addrs, front(t, wire, s))
			})
		}
		t.Run("disk", func(t *testing.T) {
			t.Parallel()
			addrs := freeAddrs(t)
			startEdge(t, addrs, smallOverDisk(t))
			defer flood(t, addrs)()
			suite(t, addrs, "http://"+addrs.data)
			if n := diskHits(t, addrs); n < leastFromDisk {
				t.Errorf("%d answers came from disk, want at least %d: else this is the memory's test again", n, leastFromDisk)
			}
		})
	})
	for wire := range wires {
		t.Run(wire+" comes out like HTTP/1.1", func(t *testing.T) { comesOutAlike(t, wire, *got["HTTP/1.1"], *got[wire]) })
	}
}

// late says whether a required test has not even begun, because what it sets up took
// seconds: the suite's times are whole ones. What fails is not looked at.
func late(r report) bool {
	for _, test := range r.Tests {
		if test.Kind == "required" && test.Outcome == "setup" {
			return true
		}
	}
	return false
}

// suite runs the tests through an edge, which is asked at target, and wants of them what
// edge has to pass.
func suite(t *testing.T, addrs addresses, target string) report {
	t.Helper()
	got, table := run(t, "--target", target, "--origin-port", port(t, addrs.origin))
	if late(got) {
		t.Logf("the machine was too slow for a test's set-up; once more\n%s", table)
		got, table = run(t, "--target", target, "--origin-port", port(t, addrs.origin))
	}
	t.Logf("\n%s", table)
	for _, want := range []struct {
		kind       string
		least, all int
	}{
		{"required", minRequired, allRequired},
		{"optimal", minOptimal, allOptimal},
	} {
		sum := got.Totals[want.kind]
		if sum.Total != want.all {
			t.Errorf("%s: %d tests were read, want %d", want.kind, sum.Total, want.all)
		}
		if sum.Passed < want.least {
			t.Errorf("%s: %d of %d pass, want at least %d", want.kind, sum.Passed, sum.Total, want.least)
		}
	}
	return got
}

// A proxy that stores nothing must not look like a cache: what fails because of it
// fails, and what depends on that does not count.
func TestRunnerTellsACacheFromAPipe(t *testing.T) {
	t.Parallel()
	install(t)
	origin := freeAddrs(t).origin
	pipe := httptest.NewServer(httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: origin}))
	defer pipe.Close()

	for _, c := range []struct {
		id   string
		want map[string]string
	}{
		{"freshness-none", map[string]string{"freshness-none": "pass"}},
		{"freshness-max-age-age", map[string]string{
			"freshness-none": "pass", "freshness-max-age": "fail", "freshness-max-age-age": "dependency"}},
	} {
		got, out := run(t, "--target", pipe.URL, "--origin-port", port(t, origin), "--id", c.id)
		if len(got.Tests) != len(c.want) {
			t.Errorf("--id %s ran %d tests, want %d", c.id, len(got.Tests), len(c.want))
		}
		for id, want := range c.want {
			if outcome := got.Tests[id].Outcome; outcome != want {
				t.Errorf("%s behind a pipe: %q, want %q\n%s", id, outcome, want, out)
			}
		}
	}
}

// A runner that cannot run says so and fails; it never reports on another server.
func TestRunnerRefusesWhatIsNotOurOrigin(t *testing.T) {
	t.Parallel()
	install(t)
	stranger := httptest.NewServer(http.NotFoundHandler())
	defer stranger.Close()

	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "runner.mjs", "--target", stranger.URL, "--origin-port", port(t, freeAddrs(t).origin))
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "does not lead to our origin") {
		t.Errorf("runner against a stranger: %v, want an error that says so\n%s", err, out)
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	if out, err := exec.Command(tool(t, "node"), "--test", "verdict.test.mjs").CombinedOutput(); err != nil {
		t.Errorf("node --test verdict.test.mjs: %v\n%s", err, out)
	}
}

// installed is the outcome of install.sh, which runs once a test binary.
var installed = sync.OnceValues(func() ([]byte, error) {
	return exec.Command("sh", "install.sh").CombinedOutput()
})

func install(t *testing.T) {
	t.Helper()
	tool(t, "node")
	tool(t, "npm")
	if out, err := installed(); err != nil {
		t.Fatalf("install the HTTP cache tests: %v\n%s", err, out)
	}
}

// tool returns the path of a program that these tests cannot do without.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: the HTTP cache tests need node 20 with npm; they are not skipped", err)
	}
	return path
}

// run runs runner.mjs to its end and returns its report and what it printed.
func run(t *testing.T, args ...string) (report, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	file := filepath.Join(t.TempDir(), "report.json")
	cmd := exec.CommandContext(ctx, "node", append([]string{"runner.mjs", "--json", file}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("runner.mjs %s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	var r report
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatalf("report of runner.mjs: %v", err)
	}
	return r, stdout.String()
}

// startEdge builds edge, without the race detector whatever this test has, starts it
// under edge.yaml with other ports and other changes, and stops it at the test's end.
func startEdge(t *testing.T, addrs addresses, changes map[string]string) {
	t.Helper()
	dir := t.TempDir()
	binary, config := filepath.Join(dir, "edge"), filepath.Join(dir, "edge.yaml")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "../cmd/edge").CombinedOutput(); err != nil {
		t.Fatalf("build cmd/edge: %v\n%s", err, out)
	}
	replace := maps.Clone(changes)
	if replace == nil {
		replace = map[string]string{}
	}
	replace["127.0.0.1:21000"], replace["127.0.0.1:21100"], replace["127.0.0.1:21145"] = addrs.origin, addrs.data, addrs.admin
	writeConfig(t, config, replace)

	log := new(bytes.Buffer)
	cmd := exec.Command(binary, "serve", "--config", config)
	state := filepath.Join(dir, "state")
	cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+state, "XDG_CACHE_HOME="+state, "EDGE_TOKEN=conformance-run-token")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { stopEdge(t, cmd, ended, log) })
	awaitReady(t, "http://"+addrs.admin+"/readyz", ended)
}

// writeConfig writes edge.yaml to path with each key of replace replaced; each must
// be in it exactly once.
func writeConfig(t *testing.T, path string, replace map[string]string) {
	t.Helper()
	text, err := os.ReadFile("edge.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config := string(text)
	for old, addr := range replace {
		if n := strings.Count(string(text), old); n != 1 {
			t.Fatalf("edge.yaml has %s %d times, want once", old, n)
		}
		config = strings.ReplaceAll(config, old, addr)
	}
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
}

// awaitReady returns once url answers 200, and fails when edge ends before.
func awaitReady(t *testing.T, url string, ended chan error) {
	t.Helper()
	limit := time.After(openLimit)
	for {
		if res, err := http.Get(url); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case err := <-ended:
			ended <- err // for stopEdge, which shows the log
			t.Fatalf("edge ended before it was ready: %v", err)
		case <-limit:
			t.Fatalf("%s is not 200 after %v", url, openLimit)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stopEdge asks edge to drain and wants it to end well; its log is shown if the test failed.
func stopEdge(t *testing.T, cmd *exec.Cmd, ended chan error, log *bytes.Buffer) {
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Logf("stop edge: %v", err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("edge ended with %v, want 0 after SIGTERM", err)
		}
	case <-time.After(stopLimit):
		t.Errorf("edge still runs %v after SIGTERM", stopLimit)
		cmd.Process.Kill()
		<-ended
	}
	if t.Failed() {
		t.Logf("edge said:\n%s", log)
	}
}

// addresses are those of an origin and of an edge before it.
type addresses struct{ origin, data, admin string }

// freeAddrs returns three different loopback addresses on which nothing listens.
func freeAddrs(t *testing.T) addresses {
	t.Helper()
	var free [3]string
	for i := range free {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // only when all are found, so that none comes twice
		free[i] = l.Addr().String()
	}
	return addresses{free[0], free[1], free[2]}
}

func port(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}
