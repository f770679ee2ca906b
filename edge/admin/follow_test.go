package admin_test

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"edgecache/cachestore"
	"edgecache/edge"
	"edgecache/edge/admin"
	"edgecache/edge/origin"
	"edgecache/purge"
)

// pipes is a listener in memory.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p pipes) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	p <- server
	return client, nil
}

// inMemory serves an admin port on pipes, so that time can be the bubble's.
func inMemory(t *testing.T, disk admin.Disk) (*edge.Engine, *http.Transport) {
	t.Helper()
	store, err := cachestore.NewMemory(cachestore.MemoryConfig{Size: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	purges, err := purge.Open(purge.Config{Path: filepath.Join(t.TempDir(), "purge.db")})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := origin.NewPool(origin.Config{Name: "main"})
	if err != nil {
		t.Fatal(err)
	}
	e, err := edge.New(edge.Config{Store: store, Purges: purges, Upstreams: map[string]*origin.Pool{"main": pool}})
	if err != nil {
		t.Fatal(err)
	}
	h, err := admin.New(admin.Config{Engine: e, Purges: purge.NewAPI(purges, nil), Token: token, Listen: "127.0.0.1:1", Disk: disk, Ready: func() error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	server, listener := admin.NewServer(h, slog.New(slog.DiscardHandler)), make(pipes)
	go server.Serve(listener)
	transport := &http.Transport{DialContext: listener.dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		close(listener)
		server.Close()
		e.Close()
		store.Close()
		purges.Close()
	})
	return e, transport
}

func follow(t *testing.T, client *http.Transport) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:1/v1/log", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := client.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// TestLogOutlivesTheTimeouts: a quiet hour does not end a follower.
func TestLogOutlivesTheTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine, client := inMemory(t, nil)
		res := follow(t, client)
		defer res.Body.Close()
		lines := bufio.NewScanner(res.Body)
		got := make(chan string)
		go func() {
			defer close(got)
			for lines.Scan() {
				if lines.Text() != "" {
					got <- lines.Text()
					return
				}
			}
		}()
		time.Sleep(time.Hour)
		engine.Refuse(edge.Refusal{At: 1, Status: 400, Detail: "after an hour"})
		if line := <-got; !strings.Contains(line, "after an hour") {
			t.Errorf("after an hour came %q (%v)", line, lines.Err())
		}
	})
}

// TestLogLetsGoOfTheStuck: a follower that takes nothing is given up.
func TestLogLetsGoOfTheStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine, client := inMemory(t, nil)
		res := follow(t, client)
		defer res.Body.Close()
		for range 10_000 { // more than pipe, buffers and channel hold
			engine.Refuse(edge.Refusal{At: 1, Status: 400, Detail: strings.Repeat("x", 500)})
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		var others []*edge.Follower
		for {
			f, err := engine.Explain().Follow(edge.Want{}, 1)
			if errors.Is(err, edge.ErrFollowers) {
				break
			}
			others = append(others, f)
		}
		for _, f := range others {
			f.Close()
		}
		if len(others) != 16 {
			t.Errorf("%d could follow, want 16: the stuck one still does", len(others))
		}
	})
}
