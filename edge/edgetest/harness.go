package edgetest

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"edgecache/cachestore"
	"edgecache/edge"
	"edgecache/edge/origin"
	"edgecache/policy"
	"edgecache/purge"
)

// Wire serves connections through an engine; h1.Server is one.
type Wire interface {
	Serve(net.Listener, *tls.Config) error
	Shutdown(context.Context) error
}

// Config says what a Harness runs. Only Wire must be set, because this package
// knows no wire.
type Config struct {
	Wire func(*edge.Engine) Wire
	// Peers are the peers of the upstream "main", to which everything goes
	// when Edge has no upstreams; Pool says the rest of it.
	Peers []string
	Pool  origin.Config
	// Rules are those of the only route, when Edge has no routes.
	Rules policy.Rules
	// Recorder is asked in every phase, first of all parts.
	Recorder *Recorder
	// Clock is the engine's clock. Without one edge.Config.Now stays nil, as
	// it is outside tests.
	Clock *Clock
	// MemoryBytes is the size of the memory tier; 64 MiB.
	MemoryBytes int64
	// Disk is the directory of a disk tier under it; empty is none. The purge
	// log lies there, too, so that both outlive a Restart.
	Disk string
	// Admission says what the disk tier takes; everything.
	Admission cachestore.Admission
	// DiskBytes is the quota of the disk tier; 64 MiB.
	DiskBytes int64
	// Protocols are those of Harness.Client; nil is HTTP/1.1.
	Protocols *http.Protocols
	// Edge is what the engine is made of; what is empty in it is filled in.
	Edge edge.Config
}

// Harness is a running edge.
type Harness struct {
	Addr    string // 127.0.0.1:PORT
	URL     string // http://127.0.0.1:PORT
	Client  *http.Client
	Engine  *edge.Engine
	Store   cachestore.Store
	Disk    *cachestore.Disk // nil without a disk tier
	Purges  *purge.Log
	Records *Records
	Log     *Log

	t      testing.TB
	config Config
	purges string // the purge log's file
	wire   Wire
	served chan error
	pools  map[string]*origin.Pool
	client *http.Transport
	closed bool
}

// New starts an edge that ends with the test.
func New(t testing.TB, c Config) *Harness {
	t.Helper()
	h := &Harness{t: t, config: c, Records: &Records{}, Log: &Log{}}
	h.purges = filepath.Join(cmp.Or(c.Disk, t.TempDir()), "purge.db")
	h.start()
	t.Cleanup(h.Close)
	return h
}

// Restart ends the edge and starts it anew, on another port, with what is on
// its disk. Each change is made while it does not run. The upstreams must be
// the Harness's own.
func (h *Harness) Restart(changes ...func()) {
	h.t.Helper()
	h.Close()
	for _, change := range changes {
		change()
	}
	h.start()
}

// start opens the store and the purge log, and serves.
func (h *Harness) start() {
	h.t.Helper()
	c := h.config
	log := purge.Config{Path: h.purges}
	if c.Clock != nil {
		c.Edge.Now = c.Clock.Now
		log.Clock = func() int64 { return c.Clock.Now().UnixNano() }
	}
	var err error
	if h.Purges, err = purge.Open(log); err != nil {
		h.t.Fatal(err)
	}
	h.openStore(&c)
	if h.Engine, err = edge.New(h.fill(c)); err != nil {
		h.t.Fatal(err)
	}
	if c.Recorder != nil {
		c.Recorder.engine = h.Engine
	}
	h.wire = c.Wire(h.Engine)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	h.Addr = l.Addr().String()
	h.URL = "http://" + h.Addr
	h.served, h.closed = make(chan error, 1), false
	go func(wire Wire, served chan<- error) { served <- wire.Serve(l, nil) }(h.wire, h.served)
	h.client = &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64, Protocols: c.Protocols}
	h.Client = &http.Client{
		Transport:     h.client,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// openStore makes the memory tier, and puts it over a disk when there is one.
func (h *Harness) openStore(c *Config) {
	h.t.Helper()
	size := cmp.Or(c.MemoryBytes, 64<<20)
	mem, err := cachestore.NewMemory(cachestore.MemoryConfig{Size: size})
	if err != nil {
		h.t.Fatal(err)
	}
	h.Store = mem
	if c.Disk == "" {
		return
	}
	d := cachestore.DiskConfig{
		Dir: c.Disk, Size: cmp.Or(c.DiskBytes, 64<<20), Queue: size / 16, Seed: 1, Admission: c.Admission,
		PurgeEpoch: h.Purges.Epoch(), PurgeSeq: h.Purges.Index().Now, LastPurge: h.Purges.LastPurge,
		Log: slog.New(h.Log),
	}
	if c.Clock != nil {
		d.Now = func() int64 { return c.Clock.Now().UnixNano() }
	}
	if h.Disk, err = cachestore.OpenDisk(d); err != nil {
		h.t.Fatal(err)
	}
	if h.Store, err = cachestore.NewTiers(mem, h.Disk); err != nil {
		h.t.Fatal(err)
	}
}

// Settle waits until the disk's index is complete and what was stored is
// written.
func (h *Harness) Settle() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, err := range []error{h.Disk.Loaded(ctx), h.Disk.Sync(ctx)} {
		if err != nil {
			h.t.Fatal(err)
		}
	}
}

// fill completes the engine's configuration.
func (h *Harness) fill(c Config) edge.Config {
	e := c.Edge
	e.Store, e.Purges = h.Store, h.Purges
	if e.AccessLog == nil {
		e.AccessLog = h.Records
	}
	if e.Seed == 0 {
		e.Seed = 1
	}
	if e.Log == nil {
		e.Log = slog.New(h.Log)
	}
	if e.Upstreams == nil {
		c.Pool.Name, c.Pool.Peers = "main", c.Peers
		e.Upstreams = map[string]*origin.Pool{"main": Pool(h.t, c.Pool)}
	}
	if e.Routes == nil {
		e.Routes = []edge.Route{{Upstream: "main", Rules: c.Rules}}
	}
	if c.Recorder != nil {
		e.Proxy = c.Recorder
	}
	h.pools = e.Upstreams
	return e
}

// Pool makes an upstream, or fails the test.
func Pool(t testing.TB, c origin.Config) *origin.Pool {
	t.Helper()
	p, err := origin.NewPool(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Peers are the peers of an upstream in the order of its configuration.
func (h *Harness) Peers(upstream string) []*origin.Peer { return h.pools[upstream].Peers() }

// Close ends everything in order: clients, wire, engine, pools, store, log. It
// may be called twice.
func (h *Harness) Close() {
	if h.closed {
		return
	}
	h.closed = true
	h.client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.wire.Shutdown(ctx); err != nil {
		h.t.Errorf("shut the wire down: %v", err)
	}
	for _, err := range []error{<-h.served, h.Engine.Close()} {
		if err != nil {
			h.t.Errorf("close: %v", err)
		}
	}
	for _, p := range h.pools {
		p.Close()
	}
	for _, err := range []error{h.Purges.Close(), h.Store.Close()} {
		if err != nil {
			h.t.Errorf("close: %v", err)
		}
	}
}

// Record waits until a request has been logged and returns its record.
func (h *Harness) Record(id string) edge.Record {
	h.t.Helper()
	h.Records.Wait(h.t, "the log record of "+id, func([]edge.Record) bool { return len(h.Records.Of(id)) > 0 })
	return h.Records.Of(id)[0]
}

// Explain waits until a request is over and tells what is remembered of it.
func (h *Harness) Explain(id string) edge.Explanation {
	h.t.Helper()
	h.Record(id)
	e, ok := h.Engine.Explain().Find(id)
	if !ok {
		h.t.Fatalf("explain knows no request %s", id)
	}
	return e
}

// Phases are the seed's phases that a request went through; delivery, which is
// ours, is left out.
func (h *Harness) Phases(id string) []string {
	h.t.Helper()
	var names []string
	for _, name := range h.Explain(id).Phases {
		if name != edge.PhaseDelivery.String() {
			names = append(names, name)
		}
	}
	return names
}

// Dial opens a connection of its own to the edge, closed with the test.
func (h *Harness) Dial() net.Conn {
	h.t.Helper()
	c, err := net.Dial("tcp", h.Addr)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		h.t.Fatal(err)
	}
	return c
}

// Send writes to a connection, or fails the test.
func (h *Harness) Send(c net.Conn, format string, args ...any) {
	h.t.Helper()
	if _, err := fmt.Fprintf(c, format, args...); err != nil {
		h.t.Fatal(err)
	}
}
