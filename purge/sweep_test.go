package purge

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"edgecache/cachestore"
	"edgecache/policy"
)

const window = 30 * time.Second

func openStore(t testing.TB) *cachestore.Memory {
	t.Helper()
	m, err := cachestore.NewMemory(cachestore.MemoryConfig{Size: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// A parcel is an object to be stored: its name tells it from all others.
type parcel struct {
	url, name string
	tags      []string
	seq       uint64
	life      policy.Life
}

// put stores a parcel; its selector is its name, so each is a variant.
func put(t testing.TB, store cachestore.Store, p parcel) {
	t.Helper()
	v := &cachestore.Variant{
		Head: cachestore.NewHead(200, http.Header{}, nil), Life: p.life, PurgeSeq: p.seq,
		Vary: []string{"x"}, Selector: []byte(p.name), Validators: policy.Validators{ETag: []byte(p.name)},
	}
	for _, tag := range p.tags {
		v.Tags = append(v.Tags, policy.HashTag(tag))
	}
	w := store.Begin(keyOf(t, p.url), cachestore.Meta{Length: 1})
	if err := w.Chunk([]byte("b")); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(v); err != nil {
		t.Fatal(err)
	}
}

// find is what is stored under a url and a name.
func find(t testing.TB, store cachestore.Store, url, name string) *cachestore.Variant {
	r, _ := store.Peek(keyOf(t, url))
	if r == nil {
		return nil
	}
	for _, v := range r.Variants {
		if string(v.Validators.ETag) == name {
			return v
		}
	}
	return nil
}

// sweeper is one that sweeps only when it is told to.
func sweeper(t testing.TB, l *Log, store cachestore.Store) *Sweeper {
	s := StartSweeper(l, store, SweepConfig{SoftWindow: window, Every: time.Hour})
	t.Cleanup(func() { s.Close() })
	return s
}

func TestASweepTakesOutWritesInAndForgets(t *testing.T) {
	clock := atomic.Int64{}
	clock.Store(int64(time.Hour))
	l := openLog(t, Config{Clock: clock.Load})
	store := openStore(t)
	s := sweeper(t, l, store)
	life := policy.Life{Born: int64(time.Hour), Fresh: time.Hour, SWR: time.Hour, SIE: time.Hour, Dead: time.Hour}
	for _, name := range []string{"hard", "revalidate", "soft", "spared"} {
		put(t, store, parcel{url: "http://h/" + name, name: name, tags: []string{name}, seq: l.Index().Now(), life: life})
		put(t, store, parcel{url: "http://h/both", name: name, tags: []string{name}, seq: l.Index().Now(), life: life})
	}
	clock.Add(int64(time.Minute))
	for _, strength := range []Strength{Soft, Revalidate, Hard} {
		mustPurge(t, l, entryOf(t, ScopeTag, strength.String(), "", strength))
	}
	clock.Add(int64(time.Minute))
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := clock.Load()
	for _, path := range []string{"", "both"} {
		for name, want := range map[string]policy.State{"revalidate": policy.Lapsed, "soft": policy.StateOnError, "spared": policy.StateFresh} {
			url := "http://h/" + path
			if path == "" {
				url += name
			}
			v := find(t, store, url, name)
			if v == nil {
				t.Errorf("%s of %s is gone", name, url)
				continue
			}
			if got := v.Life.At(now); got != want {
				t.Errorf("%s of %s is in state %d, want %d", name, url, got, want)
			}
			if c := l.Index().Covers(keyOf(t, url), v.Tags, v.Checked()); c != (Cover{}) {
				t.Errorf("%s of %s is covered by %+v still", name, url, c)
			}
		}
	}
	if v := find(t, store, "http://h/soft", "soft"); v.Life.At(int64(time.Hour+time.Minute)+int64(window)-1) != policy.StateRefresh {
		t.Error("the soft window is not the one from the purge on")
	}
	if r, where := store.Peek(keyOf(t, "http://h/hard")); r != nil || where != cachestore.Absent {
		t.Error("what was purged hard is stored still")
	}
	if n := l.Index().places.Load(); n != 0 {
		t.Errorf("%d places are left", n)
	}
	eventually(t, "the file forgets", func() bool { return l.Stats().Purges+l.Stats().Invalidations == 0 })
	if got, want := s.Stats(), (SweepStats{Sweeps: 1, Removed: 2, Lowered: 4}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if err := s.Sweep(t.Context()); err != nil || s.Stats().Sweeps != 1 {
		t.Errorf("nothing was purged, and it sweeps: %v", err)
	}
}

func TestASweepWaitsForFetchesUnderWay(t *testing.T) {
	l, store := openLog(t, Config{}), openStore(t)
	s := sweeper(t, l, store)
	seq, end := l.Index().Begin()
	mustPurge(t, l, entryOf(t, ScopeTag, "t", "", Hard))
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	put(t, store, parcel{url: "http://h/", name: "late", tags: []string{"t"}, seq: seq})
	end()
	v := find(t, store, "http://h/", "late")
	if c := l.Index().Covers(keyOf(t, "http://h/"), v.Tags, v.Checked()); c.Strength != Hard || c.Seq != seq+1 {
		t.Errorf("%+v, want the hard purge", c)
	}
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if find(t, store, "http://h/", "late") != nil || l.Index().places.Load() != 0 {
		t.Error("the next sweep leaves it")
	}
}

func TestASweepEndsWithItsContext(t *testing.T) {
	l, store := openLog(t, Config{}), openStore(t)
	for i := range 2 * paceEvery {
		put(t, store, parcel{url: fmt.Sprintf("http://h/%d", i), name: "x", seq: l.Index().Now()})
	}
	mustPurge(t, l, entryOf(t, ScopeTag, "t", "", Hard))
	s := StartSweeper(l, store, SweepConfig{PerSecond: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Sweep(ctx); err == nil || s.Stats().Sweeps != 0 {
		t.Errorf("%v, %+v", err, s.Stats())
	}
	if l.Stats().Purges != 1 {
		t.Error("a sweep that did not go through forgot a purge")
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestAHalfFullLogIsSweptAtOnce(t *testing.T) {
	l, store := openLog(t, Config{Limit: 10}), openStore(t)
	s := sweeper(t, l, store)
	for i := range 5 {
		mustPurge(t, l, entryOf(t, ScopeURL, fmt.Sprintf("/%d", i), "", Hard))
	}
	eventually(t, "it is swept", func() bool { return s.Stats().Sweeps > 0 && l.Stats().Purges == 0 })
}

// Whatever is looked up while purges, fetches and sweeps run was not purged
// between its fetch and the number that the lookup loaded.
func TestNothingPurgedIsServedWhileSweeping(t *testing.T) {
	const urls = 60
	l, store := openLog(t, Config{FlushEvery: time.Millisecond}), openStore(t)
	s := sweeper(t, l, store)
	var stop atomic.Bool
	var writing, running sync.WaitGroup
	var purges [urls][]uint64
	var hits atomic.Int64
	writing.Go(func() {
		r := rand.New(rand.NewPCG(5, 6))
		for range 400_000 { // in a few hundred enough has been tried
			if st := s.Stats(); hits.Load() > 20_000 && st.Sweeps > 20 && st.Removed > 20 {
				return
			}
			runtime.Gosched()
			i := r.IntN(urls)
			purges[i] = append(purges[i], l.Invalidate([]Entry{{Scope: ScopeURL, Value: fmt.Sprintf("/%d", i), Strength: Hard}}))
		}
	})
	var claims [2][]claim
	for w := range claims {
		running.Go(func() {
			r := rand.New(rand.NewPCG(7, uint64(w)))
			for n := 0; !stop.Load(); n++ {
				i := r.IntN(urls)
				url := fmt.Sprintf("http://h/%d", i)
				now := l.Index().Now()
				// The name tells under which number the body was fetched.
				if v := find(t, store, url, "v"); v != nil {
					c := l.Index().Covers(keyOf(t, url), v.Tags, v.Checked())
					if c == (Cover{}) {
						v.SetChecked(now)
						hits.Add(1)
						claims[w] = append(claims[w], claim{i, uint64(v.StoredAt), now})
						continue
					}
				}
				if r.IntN(2) == 0 {
					continue // left for the sweep
				}
				seq, end := l.Index().Begin()
				fetched(t, store, url, seq)
				end()
			}
		})
	}
	running.Go(func() {
		for !stop.Load() {
			if err := s.Sweep(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	writing.Wait()
	stop.Store(true)
	running.Wait()
	for _, c := range slices.Concat(claims[:]...) {
		if i, _ := slices.BinarySearch(purges[c.url], c.since+1); i < len(purges[c.url]) && purges[c.url][i] <= c.upTo {
			t.Fatalf("url %d fetched at %d is served at %d, but was purged at %d", c.url, c.since, c.upTo, purges[c.url][i])
		}
	}
	if hits.Load() < 20_000 || s.Stats().Removed == 0 {
		t.Errorf("%d hits, %+v: nothing was tried", hits.Load(), s.Stats())
	}
}

// fetched stores a variant whose StoredAt is the number of its fetch.
func fetched(t testing.TB, store cachestore.Store, url string, seq uint64) {
	w := store.Begin(keyOf(t, url), cachestore.Meta{Length: 1})
	_ = w.Chunk([]byte("b"))
	v := &cachestore.Variant{
		Head: cachestore.NewHead(200, http.Header{}, nil), PurgeSeq: seq, StoredAt: int64(seq),
		Validators: policy.Validators{ETag: []byte("v")},
	}
	if err := w.Commit(v); err != nil {
		t.Error(err)
	}
}

// A model is all purges there ever were, and all that was ever stored.
type model struct {
	t       *rapid.T
	tb      testing.TB
	log     *Log
	store   *cachestore.Memory
	sweeper *Sweeper
	clock   atomic.Int64
	purges  []Entry
	stored  map[string]parcel // by name
	flying  []flyer
	names   int
}

type flyer struct {
	parcel
	end func()
}

var (
	modelURLs = []string{
		"http://a/", "http://a/x", "https://a/x", "http://a/x?", "http://a/x?q", "http://a/x/y", "http://a/xy",
		"http://b/x", "https://b/x/y/z", "http://b:81/x",
	}
	modelTags     = []string{"t", "u", "w"}
	modelEntities = map[Scope][]string{
		ScopeURL:    {"/x", "/x?q", "http://a/x", "http://b/x", "https://a/x?", "http://b:81/x"},
		ScopePrefix: {"/", "/x", "/x/", "http://a/x", "http://b/x/y", "http://b/"},
		ScopeTag:    {"t", "u", "w"},
		ScopeHost:   {"a", "b", "b:81"},
		ScopeAll:    {""},
	}
)

// matches is the naive reading of a selector, by text alone.
func (e Entry) matches(p parcel) bool {
	u, _ := policy.ParseURL(p.url)
	if e.Scope == ScopeHost {
		return string(u.Host) == e.Value
	}
	if e.Host != "" && e.Host != string(u.Host) {
		return false
	}
	switch e.Scope {
	case ScopeURL:
		return joinQuery(u) == e.Value
	case ScopePrefix:
		path := string(u.Path)
		return path == e.Value || len(path) > len(e.Value) && path[:len(e.Value)+1] == e.Value+"/"
	case ScopeTag:
		return slices.Contains(p.tags, e.Value)
	}
	return true
}

func (m *model) entry() Entry {
	scope := rapid.SampledFrom([]Scope{ScopeURL, ScopeURL, ScopePrefix, ScopeTag, ScopeTag, ScopeHost, ScopeAll}).Draw(m.t, "scope")
	host := ""
	if scope == ScopeTag {
		host = rapid.SampledFrom([]string{"", "a", "b"}).Draw(m.t, "host")
	}
	s := rapid.SampledFrom([]Strength{Soft, Revalidate, Hard}).Draw(m.t, "strength")
	return entryOf(m.tb, scope, rapid.SampledFrom(modelEntities[scope]).Draw(m.t, "selector"), host, s)
}

// note records applied entries, whose numbers end at last.
func (m *model) note(es []Entry, last uint64) {
	for i, e := range es {
		e.Seq, e.At = last-uint64(len(es)-1-i), m.clock.Load()
		m.purges = append(m.purges, e)
	}
}

func (m *model) purge(*rapid.T) {
	es := []Entry{m.entry()}
	m.note(es, mustPurge(m.tb, m.log, es...).Seq)
}

func (m *model) invalidate(*rapid.T) {
	es := []Entry{m.entry(), m.entry()}
	m.note(es, m.log.Invalidate(es))
}

func (m *model) begin(*rapid.T) {
	m.names++
	p := parcel{
		url:  rapid.SampledFrom(modelURLs).Draw(m.t, "url"),
		name: fmt.Sprint(m.names),
		tags: rapid.SliceOfNDistinct(rapid.SampledFrom(modelTags), 0, 2, rapid.ID).Draw(m.t, "tags"),
		life: policy.Life{Born: m.clock.Load(), Fresh: 100 * window, SWR: window, SIE: 2 * window, Dead: 3 * window},
	}
	seq, end := m.log.Index().Begin()
	p.seq = seq
	m.flying = append(m.flying, flyer{p, end})
}

func (m *model) land(t *rapid.T) {
	if len(m.flying) == 0 {
		t.Skip("nothing flies")
	}
	i := rapid.IntRange(0, len(m.flying)-1).Draw(t, "flyer")
	f := m.flying[i]
	m.flying = slices.Delete(m.flying, i, i+1)
	put(m.tb, m.store, f.parcel)
	m.stored[f.name] = f.parcel
	f.end()
}

func (m *model) sweep(*rapid.T) {
	if err := m.sweeper.Sweep(context.Background()); err != nil {
		m.t.Fatal(err)
	}
}

func (m *model) pass(t *rapid.T) {
	m.clock.Add(int64(rapid.SampledFrom([]time.Duration{1, time.Second, window, 5 * window}).Draw(t, "span")))
}

// restart closes the log and opens it again over the same store, as a disk
// tier does.
func (m *model) restart(t *rapid.T) {
	if len(m.flying) > 0 {
		t.Skip("fetches do not outlive a process")
	}
	m.sweeper.Close()
	if err := m.log.Close(); err != nil {
		t.Fatal(err)
	}
	m.open()
}

func (m *model) open() {
	l, err := Open(m.log.conf)
	if err != nil {
		m.t.Fatal(err)
	}
	m.log, m.sweeper = l, StartSweeper(l, m.store, SweepConfig{SoftWindow: window, Every: time.Hour})
}

// check looks every object up that was ever stored.
func (m *model) check(*rapid.T) {
	for name, p := range m.stored {
		strength, life := m.truth(p)
		v := find(m.tb, m.store, p.url, name)
		if v == nil {
			if strength != Hard {
				m.t.Fatalf("%+v is gone and was not purged", p)
			}
			delete(m.stored, name)
			continue
		}
		now := m.log.Index().Now()
		c := m.log.Index().Covers(keyOf(m.tb, p.url), v.Tags, v.Checked())
		if c == (Cover{}) && rapid.Bool().Draw(m.t, "note") {
			v.SetChecked(now)
		}
		m.compare(p, strength, life, c, Weaken(v.Life, c, window))
	}
}

// compare holds what the index and the store say against the truth: never
// less, and of another strength never.
func (m *model) compare(p parcel, strength Strength, truth policy.Life, c Cover, got policy.Life) {
	said := c.Strength
	switch {
	case got.NoCache:
		said = max(said, Revalidate)
	case got.Soft:
		said = max(said, Soft)
	}
	if said != strength {
		m.t.Fatalf("%+v: %s with cover %+v, want %s\npurges %+v", p, said, c, strength, m.purges)
	}
	for _, later := range []time.Duration{0, 1, window / 2, window - 1, window, 2 * window, 3 * window, 99 * window, 102 * window} {
		at := m.clock.Load() + int64(later)
		if permits(got.At(at)) > permits(truth.At(at)) {
			m.t.Fatalf("%+v: in %s it is %d, want %d at most\ngot %+v, truth %+v", p, later, got.At(at), truth.At(at), got, truth)
		}
	}
}

// permits orders states by how much they allow.
func permits(s policy.State) int {
	return map[policy.State]int{policy.StateFresh: 4, policy.StateRefresh: 3, policy.StateOnError: 2, policy.StateOnDead: 1}[s]
}

// truth is what all purges after p's fetch make of it.
func (m *model) truth(p parcel) (s Strength, l policy.Life) {
	l = p.life
	for _, e := range m.purges {
		if e.Seq <= p.seq || !e.matches(p) {
			continue
		}
		s = max(s, e.Strength)
		l = Weaken(l, Cover{Strength: e.Strength, SoftAt: e.At}, window)
	}
	return s, l
}

// The index, the log, the sweeper and the store against the list of all
// purges there ever were.
func TestAgainstAllPurgesEver(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{t: rt, tb: t, store: openStore(t), stored: map[string]parcel{}}
		m.clock.Store(int64(time.Hour))
		m.log = &Log{conf: Config{Path: t.TempDir() + fmt.Sprintf("/%d.db", rand.Uint64()), Clock: m.clock.Load}}
		m.open()
		defer func() {
			m.sweeper.Close()
			m.log.Close()
			m.store.Close()
		}()
		// What the fresh log begins with covers nothing that comes later.
		rt.Repeat(map[string]func(*rapid.T){
			"": m.check, "purge": m.purge, "invalidate": m.invalidate, "begin": m.begin, "begin again": m.begin,
			"land": m.land, "land again": m.land, "sweep": m.sweep, "pass": m.pass, "restart": m.restart,
		})
	})
}
