package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	startTime = 30 * time.Second
	stopTime  = 60 * time.Second
)

// edgeConfig is what edge is started with.
type edgeConfig struct{ binary, dir, disk, origin, memory, diskSize string }

// child is an edge that runs.
type child struct {
	url, admin string
	cmd        *exec.Cmd
	said       strings.Builder
	ended      chan struct{}
	err        error
}

// buildEdge compiles edge from the module that this runs in.
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

// startEdge runs edge on ports that were free a moment ago, and waits until it
// is ready.
func startEdge(ctx context.Context, c edgeConfig) (*child, error) {
	ports, err := freePorts()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(c.dir, "edge.yaml")
	if err := os.WriteFile(config, []byte("disk: {size: "+c.diskSize+"}\n"), 0o600); err != nil {
		return nil, err
	}
	e := &child{url: "http://" + ports[0], admin: "http://" + ports[1], ended: make(chan struct{})}
	e.cmd = exec.Command(c.binary, "--config", config, "--origin", c.origin, "--listen", ports[0], "--admin", ports[1],
		"--memory", c.memory, "--disk", c.disk, "--access-log", "off")
	e.cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+filepath.Join(c.dir, "state"))
	e.cmd.Stdout, e.cmd.Stderr = &e.said, &e.said
	if err := e.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start edge: %w", err)
	}
	go func() {
		e.err = e.cmd.Wait()
		close(e.ended)
	}()
	if err := e.ready(ctx); err != nil {
		return nil, errors.Join(err, e.stop())
	}
	return e, nil
}

// freePorts names two addresses that nobody listens on.
func freePorts() (ports [2]string, err error) {
	for i := range ports {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return ports, err
		}
		defer ln.Close() // only at the end, so that the two differ
		ports[i] = ln.Addr().String()
	}
	return ports, nil
}

func (e *child) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case <-e.ended:
			return errors.New("edge ended before it was ready")
		case <-ctx.Done():
			return fmt.Errorf("edge is not ready: %w", ctx.Err())
		case <-again.C:
			if e.isReady(ctx) {
				return nil
			}
		}
	}
}

func (e *child) isReady(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.admin+"/readyz", nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// stop ends edge and returns what was wrong with its end, with what it said.
func (e *child) stop() error {
	_ = e.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-e.ended:
	case <-time.After(stopTime):
		_ = e.cmd.Process.Kill()
		<-e.ended
		return fmt.Errorf("edge did not end within %v of SIGTERM\n%s", stopTime, e.said.String())
	}
	if e.err != nil {
		return fmt.Errorf("edge ended badly: %w\n%s", e.err, e.said.String())
	}
	return nil
}
