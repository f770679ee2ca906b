package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"edge": func() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs the command as its users do. Each script has an origin at
// $ORIGIN and a home of its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			origin := httptest.NewServer(http.HandlerFunc(answerOrigin))
			e.Defer(origin.Close)
			e.Setenv("ORIGIN", origin.URL)
			e.Setenv("HOME", filepath.Join(e.WorkDir, "home"))
			e.Setenv("XDG_STATE_HOME", "")
			e.Setenv("XDG_CACHE_HOME", "")
			e.Setenv("EDGE_TOKEN", "")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serving": waitServing,
			"exits":   checkExit,
			"mode":    checkMode,
			"fetch":   fetch,
		},
	})
}

// answerOrigin is an origin whose answers may be kept for an hour, and whose
// body says how often it was asked for all.
func answerOrigin(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "max-age=3600")
	w.Header().Set("Cache-Tag", "all-of-it")
	fmt.Fprintf(w, "%s at %d\n", r.URL.Path, time.Now().UnixNano())
}

// waitServing (serving FILE PREFIX) waits until the edge whose stderr goes to
// FILE says that it serves, and sets PREFIX_LISTEN and PREFIX_ADMIN.
func waitServing(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: serving FILE PREFIX")
	}
	said, err := awaitServing(func() string { return readFile(ts.MkAbs(args[0])) })
	ts.Check(err)
	ts.Setenv(args[1]+"_LISTEN", said.Listen[0])
	ts.Setenv(args[1]+"_ADMIN", said.Admin)
	_, port, _ := net.SplitHostPort(said.Admin)
	ts.Setenv(args[1]+"_PORT", port)
}

func readFile(path string) string {
	text, _ := os.ReadFile(path)
	return string(text)
}

// serving is the log line of an edge that serves.
type serving struct {
	Msg       string
	Listen    []string
	Admin     string
	TLSListen []string `json:"tls_listen"`
	HTTP3     []string `json:"http3_listen"`
	TokenFile string   `json:"token_file"`
}

// awaitServing waits for the line in what edge wrote.
func awaitServing(read func() string) (said serving, err error) {
	ok := holds(func() bool {
		for line := range strings.Lines(read()) {
			if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "serving" {
				return true
			}
		}
		return false
	})
	if !ok {
		err = fmt.Errorf("edge does not serve; it said: %s", read())
	}
	return said, err
}

// holds waits until a condition holds, half a minute at most.
func holds(condition func() bool) bool {
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline.C:
			return false
		}
	}
	return true
}

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	if !holds(condition) {
		t.Fatalf("waited in vain until %s", what)
	}
}

// checkExit (exits CODE COMMAND ARG...) runs a command to its end and compares
// its exit code; its output is in the files out and err.
func checkExit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARG...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// checkMode (mode OCTAL FILE) compares a file's permissions.
func checkMode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode OCTAL FILE")
	}
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

// fetch (fetch URL FILE CACHE_STATUS) gets a url, writes the body to FILE, and
// wants the text in Cache-Status.
func fetch(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: fetch URL FILE CACHE_STATUS")
	}
	res, err := http.Get(args[0])
	ts.Check(err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), body, 0o600))
	if status := res.Header.Get("Cache-Status"); res.StatusCode != 200 || !strings.Contains(status, args[2]) {
		ts.Fatalf("%s: %d with Cache-Status %q, want %q in it", args[0], res.StatusCode, status, args[2])
	}
}

// process is an edge that runs as a process of its own.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	err  *lockedBuffer
	said serving
}

// start runs this test binary as edge, with a home of its own unless env says
// where.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	return startWith(t, env, func(*exec.Cmd) {}, args...)
}

func startWith(t *testing.T, env []string, change func(*exec.Cmd), args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command("edge", args...), err: &lockedBuffer{}}
	p.cmd.Env = append(append(os.Environ(), "EDGE_TOKEN=", "XDG_STATE_HOME=", "XDG_CACHE_HOME="), env...)
	p.cmd.Stderr = p.err
	change(p.cmd)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.cmd.Process.Kill()
			p.cmd.Wait()
		}
	})
	var err error
	if p.said, err = awaitServing(p.err.String); err != nil {
		t.Fatal(err)
	}
	return p
}

// end sends a signal and waits for the exit code.
func (p *process) end(s syscall.Signal) int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
	return p.wait()
}

func (p *process) wait() int {
	var exit *exec.ExitError
	if err := p.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return p.cmd.ProcessState.ExitCode()
}

// runEdge runs the command in this process.
func runEdge(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}
