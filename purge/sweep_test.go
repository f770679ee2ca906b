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
	end.End()
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

func TestASweepComesByItself(t *testing.T) {
	l, store := openLog(t, Config{}), openStore(t)
	s := StartSweeper(l, store, SweepConfig{Every: time.Millisecond})
	t.Cleanup(func() { s.Close() })
	mustPurge(t, l, entryOf(t, ScopeURL, "/x", "", Hard))
	eventually(t, "it is swept", func() bool { return l.Stats().Purges == 0 })
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
				end.End()
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
