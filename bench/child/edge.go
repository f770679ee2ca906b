// Package child runs the real binary for programs that look at it from outside.
package child

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Bounds of an edge's life. edge drains for 30 s at most.
const (
	startTime = 15 * time.Second
	stopTime  = 40 * time.Second
	askEvery  = 2 * time.Millisecond
	saidBytes = 16 << 10 // of its output, kept for when something is wrong
)

// Build compiles edge from the module that the caller runs in, into dir.
func Build(ctx context.Context, dir string) (string, error) {
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	binary := filepath.Join(dir, "edge")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/edge")
	build.Dir = filepath.Dir(strings.TrimSpace(string(mod)))
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build edge: %w\n%s", err, out)
	}
	return binary, nil
}

// Config is what the caller decides about its edge.
type Config struct {
	Binary string
	Dir    string // for what edge keeps
	Origin string // URL
	Memory string
	File   string // configuration file; "" is none
	Disk   string // directory of the disk tier, or off; "" is Dir/disk
	Log    string // file of the access log; "" is none

	Under []string // command that edge is run by, like taskset and its arguments
	Env   []string // added to the caller's environment

	// Addresses and token, the same for all lives of an edge; "" are made by
	// Start, for one life.
	Listen, Admin, Token string
}

// Settled is c with the addresses and the token that Start would make, for an
// edge that is started more than once.
func (c Config) Settled() (Config, error) {
	var err error
	if c.Listen == "" {
		c.Listen, c.Admin, err = freePorts()
	}
	if c.Token == "" {
		c.Token = rand.Text()
	}
	return c, err
}

// DiskDir is the directory of the disk tier, or off.
func (c Config) DiskDir() string {
	if c.Disk == "" {
		return filepath.Join(c.Dir, "disk")
	}
	return c.Disk
}

// Edge is an edge that runs; whoever starts it ends it with Stop or Kill.
type Edge struct {
	Target, Admin string // URLs
	Token         string // that the admin port wants
	Began         time.Time
	cmd           *exec.Cmd
	output        tail
	ended         chan struct{} // closed when it ended with err
	err           error
}

// Start runs edge and returns when it is ready.
func Start(ctx context.Context, c Config) (*Edge, error) {
	c, err := c.Settled()
	if err != nil {
		return nil, err
	}
	e := &Edge{Target: "http://" + c.Listen, Admin: "http://" + c.Admin, Token: c.Token, ended: make(chan struct{})}
	tokenFile := filepath.Join(c.Dir, "token")
	if err := os.WriteFile(tokenFile, []byte(e.Token+"\n"), 0o600); err != nil {
		return nil, err
	}
	args := []string{"--origin", c.Origin, "--listen", c.Listen, "--admin", c.Admin,
		"--token-file", tokenFile, "--memory", c.Memory, "--disk", c.DiskDir(), "--access-log", cmp.Or(c.Log, "off")}
	if c.File != "" {
		args = append(args, "--config", c.File)
	}
	line := slices.Concat(c.Under, []string{c.Binary}, args)
	e.cmd = exec.Command(line[0], line[1:]...)
	e.cmd.Env = append(slices.Concat(os.Environ(), c.Env),
		"XDG_STATE_HOME="+filepath.Join(c.Dir, "state"), "XDG_CACHE_HOME="+filepath.Join(c.Dir, "cache"))
	e.cmd.Stdout, e.cmd.Stderr = &e.output, &e.output
	e.Began = time.Now()
	if err := e.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start edge: %w", err)
	}
	go func() {
		e.err = e.cmd.Wait()
		close(e.ended)
	}()
	if err := e.ready(ctx); err != nil {
		return nil, fmt.Errorf("%w\n%s", errors.Join(err, e.Stop()), e.Said())
	}
	return e, nil
}

// freePorts names two addresses that were free a moment ago. They must stay the
// same over a restart, so edge cannot choose them; if somebody comes between, it
// ends and the caller with it.
func freePorts() (listen, admin string, err error) {
	var addresses [2]string
	for i := range addresses {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", "", fmt.Errorf("find a free port: %w", err)
		}
		defer ln.Close() // only at the end, so that the two differ
		addresses[i] = ln.Addr().String()
	}
	return addresses[0], addresses[1], nil
}

// ready waits until edge says that it is.
func (e *Edge) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	again := time.NewTicker(askEvery)
	defer again.Stop()
	last := errors.New("not asked yet")
	for {
		select {
		case <-e.ended:
			return errors.New("edge ended before it was ready")
		case <-ctx.Done():
			return fmt.Errorf("edge is not ready (%w): %w", last, ctx.Err())
		case <-again.C:
			if last = e.askReady(ctx); last == nil {
				return nil
			}
		}
	}
}

func (e *Edge) askReady(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.Admin+"/readyz", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz answers %d", res.StatusCode)
	}
	return nil
}

// Loaded waits until the disk tier knows all that it has: until then a start
// fetches what it has not come to yet.
func (e *Edge) Loaded(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	again := time.NewTicker(askEvery)
	defer again.Stop()
	for {
		loaded, err := e.askLoaded(ctx)
		if loaded || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the disk is not loaded: %w", ctx.Err())
		case <-again.C:
		}
	}
}

func (e *Edge) askLoaded(ctx context.Context) (loaded bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.Admin+"/v1/disk", nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Authorization", "Bearer "+e.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err
	}
	defer res.Body.Close()
	var disk struct {
		Shards []struct{ Loaded bool }
	}
	if err := json.NewDecoder(res.Body).Decode(&disk); err != nil {
		return false, fmt.Errorf("/v1/disk answers %d: %w", res.StatusCode, err)
	}
	for _, s := range disk.Shards {
		if !s.Loaded {
			return false, nil
		}
	}
	return true, nil
}

// PID is the process.
func (e *Edge) PID() int { return e.cmd.Process.Pid }

// Kill ends edge with SIGKILL and waits for its end.
func (e *Edge) Kill() error {
	select {
	case <-e.ended:
		return fmt.Errorf("edge ended by itself: %v", e.err)
	default:
	}
	if err := e.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill edge: %w", err)
	}
	<-e.ended
	return nil
}

// Stop ends edge and returns what was wrong with its end.
func (e *Edge) Stop() error {
	select {
	case <-e.ended:
		return fmt.Errorf("edge ended by itself: %v", e.err)
	default:
	}
	if err := e.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("end edge: %w", err)
	}
	select {
	case <-e.ended:
	case <-time.After(stopTime):
		e.cmd.Process.Kill()
		<-e.ended
		return fmt.Errorf("edge did not end within %v of SIGTERM", stopTime)
	}
	if e.err != nil {
		return fmt.Errorf("edge ended badly: %w", e.err)
	}
	return nil
}

// Said is the end of what edge printed.
func (e *Edge) Said() string { return "edge said:\n" + e.output.String() }

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	kept []byte
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - saidBytes; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}
