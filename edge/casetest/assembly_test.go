package casetest

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"edgecache/cachestore"
	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/edge/h1"
	"edgecache/edge/origin"
	"edgecache/purge"
)

// assembly is an edge whose parts a test brings itself: a store that outlives
// it, a purge log with bounds, an access log as it is written to disk.
type assembly struct {
	Store  *cachestore.Memory
	Purge  purge.Config
	Origin string
	Log    edge.AccessLog
	Clock  *edgetest.Clock
}

// assembled is one that runs.
type assembled struct {
	t      *testing.T
	Addr   string
	Engine *edge.Engine
	Purges *purge.Log
	end    func()
}

func newStore(t *testing.T) *cachestore.Memory {
	t.Helper()
	store, err := cachestore.NewMemory(cachestore.MemoryConfig{Size: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func (a assembly) run(t *testing.T) *assembled {
	t.Helper()
	r := &assembled{t: t}
	var err error
	if r.Purges, err = purge.Open(a.Purge); err != nil {
		t.Fatal(err)
	}
	pool, err := origin.NewPool(origin.Config{Name: "main", Peers: []string{a.Origin}})
	if err != nil {
		t.Fatal(err)
	}
	c := edge.Config{Seed: 1, Store: a.Store, Purges: r.Purges, Upstreams: map[string]*origin.Pool{"main": pool}, AccessLog: a.Log}
	if a.Clock != nil {
		c.Now = a.Clock.Now
	}
	if r.Engine, err = edge.New(c); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.Addr = l.Addr().String()
	wire := h1.New(r.Engine, h1.Config{})
	served := make(chan error, 1)
	go func() { served <- wire.Serve(l, nil) }()
	ended := false
	r.end = func() {
		if ended {
			return
		}
		ended = true
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		for _, err := range []error{wire.Shutdown(ctx), <-served, r.Engine.Close(), r.Purges.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
		pool.Close()
	}
	t.Cleanup(r.end)
	return r
}

// ask sends one request as it stands and reads one answer.
func (r *assembled) ask(request string) edgetest.Reply {
	r.t.Helper()
	return askAt(r.t, r.Addr, request)
}

func askAt(t *testing.T, addr, request string) edgetest.Reply {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte(request)); err != nil {
		t.Fatal(err)
	}
	method := http.MethodGet
	if len(request) > 4 && request[:4] == "HEAD" {
		method = http.MethodHead
	}
	return edgetest.Read(bufio.NewReader(c), method)
}

func (r *assembled) get(path string) edgetest.Reply {
	r.t.Helper()
	return r.ask("GET " + path + " HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
}
