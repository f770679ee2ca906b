package modeltest

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
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
	m := newModel(t, nil)
	m.run(*operations)
	hits, all := m.hits.Load(), m.answers.Load()
	t.Logf("%d answers, %d from the store, %d broken visibly, %d purges, %d questions to the origin, %d evictions",
		all, hits, m.broken.Load(), m.purges.Load(), m.world.asked.Load(), m.evictions())
	if hits*10 < all || m.purges.Load() == 0 || m.broken.Load() == 0 || m.evictions() == 0 {
		t.Error("the run did not exercise what it is about")
	}
}

// run lets the workers do so many operations together.
func (m *model) run(operations int) {
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() { m.work(rand.New(rand.NewPCG(uint64(i), 7)), operations/workers) })
	}
	wg.Wait()
	m.open()
}

func (m *model) evictions() (n uint64) {
	for _, e := range m.store.Stats().Evicted {
		n += e
	}
	return n
}

// model is the engine under test and what surrounds it.
type model struct {
	t     *testing.T
	world *world
	pool  *origin.Pool
	disk  *disk // nil: memory alone

	life   sync.RWMutex // held for reading by each operation, so that a restart stands alone
	engine *edge.Engine
	store  cachestore.Store
	log    *purge.Log
	starts int

	clockMu                       sync.RWMutex // held for reading while a soft purge is applied
	failed                        atomic.Int32
	hits, answers, broken, purges atomic.Int64
	diskHits                      atomic.Int64
}

// newModel starts an engine over memory, and over a disk if there is one.
func newModel(t *testing.T, d *disk) *model {
	m := &model{t: t, world: newWorld(), disk: d}
	server := httptest.NewServer(m.world)
	var err error
	if m.pool, err = origin.NewPool(origin.Config{Name: "main", Peers: []string{server.URL}}); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if d != nil {
		dir = d.dir
	}
	if err := m.start(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.open()
		if err := m.stop(); err != nil {
			t.Error(err)
		}
		m.pool.Close()
		server.Close()
	})
	return m
}

// start opens everything that ends with a process.
func (m *model) start(dir string) (err error) {
	memory, err := cachestore.NewMemory(cachestore.MemoryConfig{Size: 6 << 20})
	if err != nil {
		return err
	}
	m.store = memory
	if m.log, err = purge.Open(purge.Config{Path: filepath.Join(dir, "purge.db"), Clock: m.world.now.Load}); err != nil {
		return err
	}
	if m.disk != nil {
		if m.store, err = m.disk.under(memory, m); err != nil {
			return err
		}
	}
	m.starts++
	m.engine, err = edge.New(edge.Config{
		Seed: 1, Store: m.store, Purges: m.log, Now: m.world.clock, PurgeSoftWindow: softWindow,
		Upstreams: map[string]*origin.Pool{"main": m.pool},
		Routes:    []edge.Route{{Upstream: "main", Rules: policy.Rules{TagHeaders: []string{"Surrogate-Key"}}}},
	})
	return err
}

// stop closes it again. A disk that was broken on purpose may say so.
func (m *model) stop() error {
	err := m.engine.Close()
	var below error
	if m.disk != nil {
		below = m.disk.away(m)
	}
	below = errors.Join(below, m.store.Close())
	if m.disk != nil && m.disk.scarred.Load() {
		below = nil
	}
	return errors.Join(err, below, m.log.Close())
}

// work is one worker's share of the operations.
func (m *model) work(r *rand.Rand, n int) {
	l := &lane{}
	var s *edge.Session
	start := 0
	for range n {
		if m.failed.Load() > 5 {
			return
		}
		if m.disk != nil && r.IntN(1000) < disturbances {
			disturb(m, r)
		}
		m.life.RLock()
		if start != m.starts {
			s, start = m.engine.NewSession(l), m.starts
		}
		m.operate(r, s, l)
		m.life.RUnlock()
	}
}

// operate does one thing.
func (m *model) operate(r *rand.Rand, s *edge.Session, l *lane) {
	switch p := r.IntN(1000); {
	case p < 20:
		purgeSomething(m, r)
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
	if s.Cache.Tier == edge.TierDisk {
		m.diskHits.Add(1)
	}
	c := check{m: m, o: o, l: l, now: now, floor: floor, selected: selected, condition: condition, from: from, to: to, head: head}
	if err := c.run(); err != nil {
		m.failed.Add(1)
		m.t.Errorf("object %d (kind %d, range %d-%d, condition %q): %v\nstatus %d whole %v broken %v %v", o.id, o.kind(), from, to, condition, err, l.status, l.whole, l.broken, l.seen())
	}
	m.engine.Release(s)
}
