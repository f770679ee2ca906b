package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// lockedBuffer is written by a process and read meanwhile.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// anywhere are the flags of an edge on free ports.
func anywhere(more ...string) []string {
	return append([]string{"--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--memory", "8MiB"}, more...)
}

func get(t *testing.T, url string) (status int, cacheStatus, body string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("Cache-Status"), string(text)
}

// TestListensBeforeItsOrigin: 502 while no origin answers; the next request
// after it came up succeeds.
func TestListensBeforeItsOrigin(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	p := start(t, []string{"HOME=" + t.TempDir()}, anywhere("--origin", "http://"+address)...)
	if status, _, _ := get(t, "http://"+p.said.Listen[0]+"/x"); status != http.StatusBadGateway {
		t.Errorf("without an origin: %d, want 502", status)
	}
	if status, _, body := get(t, "http://"+p.said.Admin+"/readyz"); status != 200 {
		t.Errorf("ready without an origin: %d %q, want 200", status, body)
	}
	if l, err = net.Listen("tcp", address); err != nil {
		t.Skipf("the port was taken meanwhile: %v", err)
	}
	origin := httptest.NewUnstartedServer(http.HandlerFunc(answerOrigin))
	origin.Listener.Close()
	origin.Listener = l
	origin.Start()
	defer origin.Close()
	if status, _, body := get(t, "http://"+p.said.Listen[0]+"/x"); status != 200 {
		t.Errorf("the first request after the origin came up: %d %q, want 200", status, body)
	}
	if code := p.end(syscall.SIGINT); code != exitWell {
		t.Errorf("SIGINT: exit code %d, want 0", code)
	}
}

// TestDrain: SIGTERM lets a request that runs end, takes no new connection,
// and then exits with 0.
func TestDrain(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		io.WriteString(w, "late")
	}))
	defer origin.Close()
	p := start(t, []string{"HOME=" + t.TempDir()}, anywhere("--origin", origin.URL)...)
	answer := make(chan string, 1)
	go func() {
		res, err := http.Get("http://" + p.said.Listen[0] + "/slow")
		if err != nil {
			answer <- err.Error()
			return
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		answer <- fmt.Sprint(res.StatusCode, string(text), err)
	}()
	<-arrived
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	await(t, "the listener closes", func() bool {
		c, err := net.Dial("tcp", p.said.Listen[0])
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	if status, _, body := get(t, "http://"+p.said.Admin+"/readyz"); status != 503 || body != "not ready: draining\n" {
		t.Errorf("readyz while it drains: %d %q, want 503", status, body)
	}
	close(release)
	if got := <-answer; got != "200late<nil>" {
		t.Errorf("the request that ran got %q, want all of its answer", got)
	}
	if code := p.wait(); code != exitWell {
		t.Errorf("exit code %d, want 0: %s", code, p.err)
	}
}

// TestSecondSignalCuts: a person who presses ^C twice does not wait.
func TestSecondSignalCuts(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
	}))
	defer origin.Close()
	defer close(release)
	p := start(t, []string{"HOME=" + t.TempDir()}, anywhere("--origin", origin.URL)...)
	go http.Get("http://" + p.said.Listen[0] + "/never")
	<-arrived
	p.cmd.Process.Signal(syscall.SIGTERM)
	await(t, "the drain begins", func() bool { return strings.Contains(p.err.String(), "draining") })
	if code := p.end(syscall.SIGTERM); code != exitWell {
		t.Errorf("exit code %d, want 0: %s", code, p.err)
	}
	if !strings.Contains(p.err.String(), "requests were cut") {
		t.Errorf("it is not said that requests were cut: %s", p.err)
	}
}

// TestTwoEdgesOneDisk: the second one serves without disk and says so.
func TestTwoEdgesOneDisk(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(answerOrigin))
	defer origin.Close()
	home, disk := t.TempDir(), filepath.Join(t.TempDir(), "made", "on", "demand")
	env := []string{"HOME=" + home}
	first := start(t, env, anywhere("--origin", origin.URL, "--disk", disk)...)
	second := start(t, env, anywhere("--origin", origin.URL, "--disk", disk)...)
	if strings.Contains(first.err.String(), "no disk: serving") {
		t.Errorf("the first said %s", first.err)
	}
	if !strings.Contains(second.err.String(), "another edge holds it") {
		t.Errorf("the second does not say that the disk is taken: %s", second.err)
	}
	if _, err := os.Stat(filepath.Join(disk, "purge.db")); err != nil {
		t.Error(err)
	}
	_, port, _ := net.SplitHostPort(second.said.Listen[0])
	if _, err := os.Stat(filepath.Join(home, ".local", "state", "edge", port, "purge.db")); err != nil {
		t.Errorf("the second's purge log: %v", err)
	}
	if status, _, _ := get(t, "http://"+second.said.Listen[0]+"/x"); status != 200 {
		t.Errorf("the second answers %d", status)
	}
	first.end(syscall.SIGTERM)
	third := start(t, env, anywhere("--origin", origin.URL, "--disk", disk)...)
	if strings.Contains(third.err.String(), "another edge holds it") {
		t.Errorf("the directory was not given back: %s", third.err)
	}
}

// TestPortTaken: a clear error, exit code 1, and nothing left behind.
func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	home := t.TempDir()
	t.Setenv("HOME", home)
	for _, args := range [][]string{
		{"--listen", l.Addr().String(), "--admin", "127.0.0.1:0"},
		{"--listen", "127.0.0.1:0", "--admin", l.Addr().String()},
	} {
		code, _, said := runEdge(t, append(args, "--origin", "http://127.0.0.1:1")...)
		if code != exitFailed || !strings.Contains(said, l.Addr().String()) || !strings.Contains(said, "taken by another program") {
			t.Errorf("%v: exit code %d and %q", args, code, said)
		}
	}
	if left, _ := os.ReadDir(home); len(left) > 0 {
		t.Errorf("%d things were left in the home directory", len(left))
	}
}

// TestAdminBind is the case admin-bind: the default is loopback, and off
// loopback there must be a configured token.
func TestAdminBind(t *testing.T) {
	if !loopback(defaultSettings().admin.listen) {
		t.Errorf("the default admin address %s is not loopback", defaultSettings().admin.listen)
	}
	for address, want := range map[string]bool{
		"127.0.0.1:1": true, "127.8.9.1:1": true, "[::1]:1": true, "localhost:1": true, "[::ffff:127.0.0.1]:1": true,
		":1": false, "0.0.0.0:1": false, "[::]:1": false, "10.0.0.1:1": false, "example.com:1": false, "localhost.example.com:1": false,
	} {
		if got := loopback(address); got != want {
			t.Errorf("%s is loopback: %t, want %t", address, got, want)
		}
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("EDGE_TOKEN", "")
	code, _, said := runEdge(t, "--origin", "http://127.0.0.1:1", "--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0")
	if code != exitFailed || !strings.Contains(said, "give a token") {
		t.Errorf("off loopback without a token: exit code %d, %q", code, said)
	}
	p := start(t, []string{"HOME=" + t.TempDir(), "EDGE_TOKEN=an-operators-own-token"},
		"--origin", "http://127.0.0.1:1", "--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0", "--memory", "8MiB")
	if p.said.TokenFile != "" {
		t.Errorf("with a configured token one was made: %s", p.said.TokenFile)
	}
	if strings.Contains(p.err.String(), "an-operators-own-token") {
		t.Error("the token was printed")
	}
}

// TestAccessLogIsReopened: SIGHUP lets a rotated log go.
func TestAccessLogIsReopened(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(answerOrigin))
	defer origin.Close()
	dir := t.TempDir()
	path := filepath.Join(dir, "access.log")
	p := start(t, []string{"HOME=" + t.TempDir()}, anywhere("--origin", origin.URL, "--access-log", path)...)
	get(t, "http://"+p.said.Listen[0]+"/before")
	await(t, "the line is written", func() bool { return readFile(path) != "" })
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await(t, "the log is opened again", func() bool { return strings.Contains(p.err.String(), "opened again") })
	get(t, "http://"+p.said.Listen[0]+"/after")
	p.end(syscall.SIGTERM)
	for name, want := range map[string]string{path + ".1": "/before", path: "/after"} {
		text := readFile(name)
		if strings.Count(text, "\n") != 1 || !strings.Contains(text, want) {
			t.Errorf("%s holds %q, want the line of %s alone", filepath.Base(name), text, want)
		}
	}
}

// TestNoSecretIsPrinted: the made token is in its file and nowhere else.
func TestNoSecretIsPrinted(t *testing.T) {
	p := start(t, []string{"HOME=" + t.TempDir()}, anywhere("--origin", "http://127.0.0.1:1")...)
	token, err := readToken(p.said.TokenFile)
	if err != nil {
		t.Fatal(err)
	}
	req, _ := http.NewRequest(http.MethodGet, "http://"+p.said.Admin+"/v1/top", nil)
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("the made token gives %d", res.StatusCode)
	}
	p.end(syscall.SIGTERM)
	for lines := bufio.NewScanner(strings.NewReader(p.err.String())); lines.Scan(); {
		if strings.Contains(lines.Text(), token) {
			t.Errorf("the token is printed: %s", lines.Text())
		}
	}
}
