package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Bounds of the child's life. edge drains for 30 s at most.
const (
	startTime = 15 * time.Second
	stopTime  = 40 * time.Second
	saidBytes = 16 << 10 // of its output, kept for when something is wrong
)

// buildEdge compiles edge from the module that the demo runs in.
func buildEdge(ctx context.Context, dir string) (string, error) {
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

// edgeConfig is what the demo decides about its edge. All lives of it have the
// same addresses, token and directories.
type edgeConfig struct {
	binary, dir, origin, memory string

	disk          string // a directory, or off
	listen, admin string
	token         string
}

// newEdgeConfig finds free ports and writes the token's file.
func newEdgeConfig(binary, dir, origin string) (c edgeConfig, err error) {
	c = edgeConfig{binary: binary, dir: dir, origin: origin, token: rand.Text()}
	if c.listen, c.admin, err = freePorts(); err != nil {
		return c, err
	}
	return c, os.WriteFile(c.tokenFile(), []byte(c.token+"\n"), 0o600)
}

func (c edgeConfig) tokenFile() string { return filepath.Join(c.dir, "token") }

// child is an edge that runs; whoever starts it ends it with stop.
type child struct {
	target, admin string
	cmd           *exec.Cmd
	output        tail
	ended         chan struct{} // closed when it ended with err
	err           error
}

// startEdge runs edge and returns when it is ready.
func startEdge(ctx context.Context, c edgeConfig) (*child, error) {
	e := &child{target: "http://" + c.listen, admin: "http://" + c.admin, ended: make(chan struct{})}
	e.cmd = exec.Command(c.binary, "--origin", c.origin, "--listen", c.listen, "--admin", c.admin,
		"--token-file", c.tokenFile(), "--memory", c.memory, "--disk", c.disk, "--access-log", "off")
	e.cmd.Env = append(os.Environ(),
		"XDG_STATE_HOME="+filepath.Join(c.dir, "state"), "XDG_CACHE_HOME="+filepath.Join(c.dir, "cache"))
	e.cmd.Stdout, e.cmd.Stderr = &e.output, &e.output
	if err := e.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start edge: %w", err)
	}
	go func() {
		e.err = e.cmd.Wait()
		close(e.ended)
	}()
	if err := e.ready(ctx); err != nil {
		return nil, fmt.Errorf("%w\n%s", errors.Join(err, e.stop()), e.said())
	}
	return e, nil
}

// freePorts names two addresses that were free a moment ago. They must stay the
// same over a restart, so edge cannot choose them; if somebody comes between, it
// ends and the demo with it.
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
func (e *child) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
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

func (e *child) askReady(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.admin+"/readyz", nil)
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

// stop ends edge and returns what was wrong with its end.
func (e *child) stop() error {
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

// kill ends edge as a crash would.
func (e *child) kill() error {
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

// said is the end of what edge printed.
func (e *child) said() string { return "edge said:\n" + e.output.String() }

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
