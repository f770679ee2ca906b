package modeltest

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"edgecache/cachestore"
	"edgecache/edge"
	"edgecache/edge/origin"
	"edgecache/policy"
	"edgecache/purge"
)

var operations = flag.Int("operations", 100_000, "random operations of the model test")

const (
	workers    = 8
	softWindow = 6 * time.Second
)

// TestModel: whatever happens, no answer is older than a purge that was
// answered before its request, none from the store is over its life, and no
// body is anything but its object's.
func TestModel(t *testing.T) {
	m := newModel(t)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() { m.work(rand.New(rand.NewPCG(uint64(i), 7)), *operations/workers) })
	}
	wg.Wait()
	m.open()
	hits, all := m.hits.Load(), m.answers.Load()
	t.Logf("%d answers, %d from the store, %d broken visibly, %d purges, %d questions to the origin, %d evictions",
		all, hits, m.broken.Load(), m.purges.Load(), m.world.asked.Load(), m.evictions())
	if hits*10 < all || m.purges.Load() == 0 || m.broken.Load() == 0 || m.evictions() == 0 {
		t.Error("the run did not exercise what it is about")
	}
}

func (m *model) evictions() (n uint64) {
	for _, e := range m.store.Stats().Evicted {
		n += e
	}
	return n
}

// model is the engine under test and what surrounds it.
type model struct {
	t      *testing.T
	world  *world
	engine *edge.Engine
	store  *cachestore.Memory
	log    *purge.Log

	clockMu                       sync.RWMutex // held for reading while a soft purge is applied
	failed                        atomic.Int32
	hits, answers, broken, purges atomic.Int64
}

func newModel(t *testing.T) *model {
	w := newWorld()
	server := httptest.NewServer(w)
	store, err := cachestore.NewMemory(cachestore.MemoryConfig{Size: 3 << 20})
	if err != nil {
		t.Fatal(err)
	}
	log, err := purge.Open(purge.Config{Path: filepath.Join(t.TempDir(), "purge.db"), Clock: w.now.Load})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := origin.NewPool(origin.Config{Name: "main", Peers: []string{server.URL}})
	if err != nil {
		t.Fatal(err)
	}
	e, err := edge.New(edge.Config{
		Seed: 1, Store: store, Purges: log, Now: w.clock, PurgeSoftWindow: softWindow,
		Upstreams: map[string]*origin.Pool{"main": pool},
		Routes:    []edge.Route{{Upstream: "main", Rules: policy.Rules{TagHeaders: []string{"Surrogate-Key"}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	m := &model{t: t, world: w, engine: e, store: store, log: log}
	t.Cleanup(func() {
		m.open()
		for _, err := range []error{e.Close(), log.Close(), store.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
		pool.Close()
		server.Close()
	})
	return m
}

// work is one worker's share of the operations.
func (m *model) work(r *rand.Rand, n int) {
	l := &lane{}
	s := m.engine.NewSession(l)
	for range n {
		if m.failed.Load() > 5 {
			return
		}
		switch p := r.IntN(1000); {
		case p < 20:
			m.purge(r)
		case p < 45:
			m.world.objects[r.IntN(objects)].version.Add(1)
		case p < 60:
			m.clockMu.Lock()
			m.world.now.Add(r.Int64N(int64(2 * time.Second)))
			m.clockMu.Unlock()
		case p < 65:
			m.world.health.Store(int32([]int{0, 0, 5, 60}[r.IntN(4)]))
		case p < 70:
			m.toggleGate()
		case p < 71:
			m.evict(r)
		default:
			m.request(r, s, l)
		}
	}
}

// toggleGate makes the origin slow, or lets everybody go who waits in it.
func (m *model) toggleGate() {
	fresh := make(chan struct{})
	if !m.world.gate.CompareAndSwap(nil, &fresh) {
		m.open()
	}
}

func (m *model) open() {
	if g := m.world.gate.Swap(nil); g != nil {
		close(*g)
	}
}

func (m *model) evict(r *rand.Rand) {
	skip := r.IntN(20)
	m.store.Each(func(res *cachestore.Resource) bool {
		if skip--; skip < 0 {
			m.store.Delete(res.Key)
		}
		return skip >= 0
	})
}

// request sends one random request and checks its answer.
func (m *model) request(r *rand.Rand, s *edge.Session, l *lane) {
	o := m.world.objects[min(r.IntN(objects), r.IntN(objects))] // the first are asked for more often
	if r.IntN(50) == 0 {
		defer m.open() // nobody may wait for ever: a gate opens after a while
	}
	leave := -1
	if r.IntN(100) == 0 {
		leave = r.IntN(5000)
	}
	l.reset(leave)
	q := &s.Request
	q.Method, q.HasHost, q.Host, q.Path = http.MethodGet, true, []byte(o.host()), []byte(o.path())
	q.Remote = netip.MustParseAddrPort("127.0.0.1:1")
	if r.IntN(20) == 0 {
		q.Method = http.MethodHead
	}
	selected := ""
	if o.kind() == varied {
		selected = []string{"", "red", "green"}[r.IntN(3)]
		if selected != "" {
			q.Add("X-Kind", selected)
		}
	}
	condition := ""
	if r.IntN(6) == 0 {
		condition = o.etag(max(1, o.version.Load()-r.Int64N(2)), selected)
		q.Add("If-None-Match", condition)
	}
	from, to := -1, -1
	if r.IntN(6) == 0 {
		from = r.IntN(2500)
		to = from + r.IntN(3000)
		q.Add("Range", fmt.Sprintf("bytes=%d-%d", from, to))
	}
	head := q.Method == http.MethodHead
	now := m.world.now.Load()
	floor := o.floor(now)
	timer := time.AfterFunc(50*time.Millisecond, m.open) // a gate that everybody waits at opens
	if !m.engine.Begin(s) {
		m.engine.Finish(s)
	}
	timer.Stop()
	m.answers.Add(1)
	c := check{m: m, o: o, l: l, now: now, floor: floor, selected: selected, condition: condition, from: from, to: to, head: head}
	if err := c.run(); err != nil {
		m.failed.Add(1)
		m.t.Errorf("object %d (kind %d, range %d-%d, condition %q): %v\nstatus %d whole %v broken %v %v", o.id, o.kind(), from, to, condition, err, l.status, l.whole, l.broken, l.seen())
	}
	m.engine.Release(s)
}

// check holds one answer against the model.
type check struct {
	m                   *model
	o                   *object
	l                   *lane
	now, floor          int64
	selected, condition string
	from, to            int
	head                bool
}

func (c *check) run() error {
	l := c.l
	if l.broken || !l.whole {
		c.m.broken.Add(1)
		return nil // the client sees that it has nothing
	}
	switch l.status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return nil
	case http.StatusOK, http.StatusPartialContent, http.StatusNotModified, http.StatusRequestedRangeNotSatisfiable:
	default:
		return errors.New("a status that no origin and no rule gives")
	}
	version, err := strconv.ParseInt(l.header.Get("X-Version"), 10, 64)
	if err != nil {
		return fmt.Errorf("no version: %w", err)
	}
	if version < c.floor {
		return fmt.Errorf("version %d is purged, the floor is %d", version, c.floor)
	}
	if err := c.age(); err != nil {
		return err
	}
	if l.status == http.StatusNotModified {
		if c.condition == "" || c.condition != c.o.etag(version, c.selected) {
			return fmt.Errorf("304 to another validator, version %d", version)
		}
		return nil
	}
	return c.body(version)
}

// age checks answers from the store against the life that they announce.
func (c *check) age() error {
	if !strings.Contains(c.l.header.Get("Cache-Status"), "; hit") {
		return nil
	}
	c.m.hits.Add(1)
	born, err := strconv.ParseInt(c.l.header.Get("X-Born"), 10, 64)
	if err != nil {
		return err
	}
	span, err := strconv.ParseInt(c.l.header.Get("X-Span"), 10, 64)
	if err != nil {
		return err
	}
	if age := c.now - born; age > span+int64(time.Second) { // Date has whole seconds
		return fmt.Errorf("served %v old, it lives %v", time.Duration(age), time.Duration(span))
	}
	if c.o.kind() == private {
		return errors.New("a private answer came from the store")
	}
	return nil
}

func (c *check) body(version int64) error {
	l := c.l
	if l.header.Get("X-Selected") != c.selected {
		return fmt.Errorf("variant %q, asked for %q", l.header.Get("X-Selected"), c.selected)
	}
	want := c.o.body(version, c.selected)
	if l.status == http.StatusRequestedRangeNotSatisfiable {
		if c.from < len(want) {
			return fmt.Errorf("416 for a range inside %d bytes", len(want))
		}
		return nil
	}
	if l.status == http.StatusPartialContent {
		if c.from < 0 || c.from >= len(want) {
			return errors.New("a 206 that nobody asked for")
		}
		total := len(want)
		want = want[c.from:min(c.to+1, total)]
		if got, expect := l.header.Get("Content-Range"), fmt.Sprintf("bytes %d-%d/%d", c.from, c.from+len(want)-1, total); got != expect {
			return fmt.Errorf("Content-Range %q, want %q", got, expect)
		}
	}
	if n := l.header.Get("Content-Length"); n != "" && n != strconv.Itoa(len(want)) {
		return fmt.Errorf("Content-Length %s, want %d", n, len(want))
	}
	if c.head {
		return nil
	}
	if !bytes.Equal(l.body, want) {
		return fmt.Errorf("the body is wrong: %d bytes, want %d; it begins %.60q", len(l.body), len(want), l.body)
	}
	return nil
}

// purge purges something after the origin has changed it, and remembers what
// may not be served any more once the purge was answered.
func (m *model) purge(r *rand.Rand) {
	o := m.world.objects[r.IntN(objects)]
	scope, selector, host, covers := m.target(r, o)
	strength := []purge.Strength{purge.Hard, purge.Revalidate, purge.Soft}[r.IntN(3)]
	entry, err := purge.ParseEntry(scope, selector, host, strength)
	if err != nil {
		m.t.Error(err)
		return
	}
	covered := map[*object]int64{}
	for _, x := range m.world.objects {
		if covers(x) {
			if r.IntN(2) == 0 {
				x.version.Add(1)
			}
			covered[x] = x.version.Load()
		}
	}
	m.clockMu.RLock() // the soft window runs from one known moment
	at := m.world.now.Load()
	_, err = m.log.Purge(context.Background(), []purge.Entry{entry})
	m.clockMu.RUnlock()
	if err != nil {
		m.t.Error(err)
		return
	}
	m.purges.Add(1)
	for x, version := range covered {
		x.mu.Lock()
		if strength == purge.Soft {
			x.soft = append(x.soft, softPurge{version, at + int64(softWindow)})
			if len(x.soft) > 64 {
				x.soft = x.soft[1:]
			}
		} else {
			x.gone = max(x.gone, version)
		}
		x.mu.Unlock()
	}
}

// target chooses what to purge, around an object.
func (m *model) target(r *rand.Rand, o *object) (purge.Scope, string, string, func(*object) bool) {
	same := func(x *object) bool { return x == o }
	switch p := r.IntN(100); {
	case p < 50:
		return purge.ScopeURL, "http://" + o.host() + o.path(), "", same
	case p < 70:
		tag := o.tags()[r.IntN(2)]
		return purge.ScopeTag, tag, "", func(x *object) bool { return x.tags()[0] == tag || x.tags()[1] == tag }
	case p < 85:
		return purge.ScopePrefix, "http://" + o.host() + o.prefix(), "", func(x *object) bool {
			return x.host() == o.host() && x.prefix() == o.prefix()
		}
	case p < 92:
		return purge.ScopePrefix, o.prefix(), "", func(x *object) bool { return x.prefix() == o.prefix() }
	case p < 97:
		return purge.ScopeHost, o.host(), "", func(x *object) bool { return x.host() == o.host() }
	}
	return purge.ScopeAll, "", "", func(*object) bool { return true }
}
