package cachestore

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"edgecache/policy"
)

func insideKey(i int) policy.Key {
	k, _ := policy.NewKey(nil, 1, policy.URL{Scheme: "http", Host: []byte("h"), Path: fmt.Appendf(nil, "/%d", i)}, nil)
	return k
}

func openInside(t *testing.T, size int64) *Memory {
	t.Helper()
	m, err := NewMemory(MemoryConfig{Size: size})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func putInside(t *testing.T, m *Memory, k policy.Key, size int) *Variant {
	t.Helper()
	w := m.Begin(k, Meta{Length: int64(size)})
	for left := size; left > 0; left -= min(left, ChunkSize) {
		if err := w.Chunk(make([]byte, min(left, ChunkSize))); err != nil {
			t.Fatal(err)
		}
	}
	v := &Variant{Head: NewHead(200, http.Header{"Etag": {"x"}}, nil)}
	if err := w.Commit(v); err != nil {
		t.Fatal(err)
	}
	return v
}

// until yields the processor until a condition of another goroutine's is true.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 1_000_000 {
		if ok() {
			return
		}
		runtime.Gosched()
	}
	t.Fatalf("it never came true: %s", what)
}

func TestRoundedIsWhatTheAllocatorDoes(t *testing.T) {
	for n := 1; n < 200_000; n += 1 + n/50 {
		p := append([]byte(nil), make([]byte, n)...)
		if got := rounded(int64(n)); got != int64(cap(p)) {
			t.Errorf("%d bytes: %d, the allocator takes %d", n, got, cap(p))
		}
	}
	if rounded(0) != 0 {
		t.Errorf("nothing takes %d bytes", rounded(0))
	}
}

func TestNewMemoryRefusesWhatCannotBe(t *testing.T) {
	for name, c := range map[string]MemoryConfig{
		"no size":             {},
		"less than the least": {Size: MinMemory - 1},
	} {
		if m, err := NewMemory(c); err == nil {
			m.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

func TestWindowGivesAVisitedEntryAnotherRound(t *testing.T) {
	var w window
	var all []*entry
	for range 4 {
		e := &entry{size: 10}
		all = append(all, e)
		w.push(e)
	}
	all[0].hits.Add(1)
	all[3].place.Store(uint32(placeGone))
	w.push(all[3]) // gone before it came back: not linked twice
	w.remove(all[3])
	out := w.shrink(10, nil)
	if len(out) != 2 || out[0] != all[1] || out[1] != all[2] || all[1].at() != placeMain {
		t.Errorf("out are %v, want the second and the third", out)
	}
	if w.size() != 10 || all[0].at() != placeWindow {
		t.Errorf("%d bytes left, the visited one is at %d", w.size(), all[0].at())
	}
	if out = w.shrink(0, nil); len(out) != 1 || out[0] != all[0] || w.size() != 0 {
		t.Errorf("out are %v, want the first: it was not visited since", out)
	}
}

// All visited must not keep the window from shrinking.
func TestWindowShrinksThoughAllAreVisited(t *testing.T) {
	var w window
	for range 100 {
		e := &entry{size: 10}
		e.hits.Add(1)
		w.push(e)
	}
	if w.shrink(50, nil); w.size() > 50 {
		t.Errorf("%d bytes left, want 50", w.size())
	}
}

// ranked is how many bytes all Ristrettos together hold.
func ranked(m *Memory) (bytes int64) {
	for i := range m.main {
		bytes += m.main[i].cache.MaxCost() - m.main[i].cache.RemainingCost()
	}
	return bytes
}

// Nearly a fifth of the tier is window, the rest is Ristretto's.
func TestMemoryOffersWhatLeavesTheWindow(t *testing.T) {
	m := openInside(t, 8<<20)
	m.main[classOf(10_000)].requests.Add(shareSpan) // all is its class's
	var all []*Variant
	for i := range 300 {
		all = append(all, putInside(t, m, insideKey(i), 10_000))
	}
	m.settle()
	places := map[place]int{}
	for _, v := range all {
		places[v.place.Load().at()]++
	}
	limit := m.windowLimit()
	if size := m.window.size(); size > limit || size < limit/2 {
		t.Errorf("window of %d bytes, its limit is %d", size, limit)
	}
	if places[placeMain] < 100 || places[placeWindow] < 50 || places[placeMain]+places[placeWindow] != 300 {
		t.Errorf("places %v, want main and window only", places)
	}
	if got := int(ranked(m) / all[0].place.Load().size); got != places[placeMain] {
		t.Errorf("Ristretto holds %d, the tier believes %d", got, places[placeMain])
	}
	for i := range 300 {
		m.Delete(insideKey(i))
	}
	for i := range m.main {
		m.main[i].cache.Wait()
	}
	if left := ranked(m); left != 0 {
		t.Errorf("Ristretto still holds %d bytes after all was deleted", left)
	}
}

// Objects with one id (64 bits of their hash) push each other out of Ristretto;
// neither is ever taken for the other.
func TestMemoryWithEqualIDsServesNoWrongBody(t *testing.T) {
	m := openInside(t, 8<<20)
	var keys []policy.Key
	for i := range 200 {
		k := insideKey(i)
		k.Hash.Lo = uint64(i % 5)
		keys = append(keys, k)
		putInside(t, m, k, 10_000+i)
	}
	m.settle()
	m.makeRoom(m.bytes.ease)
	for i, k := range keys {
		if r, _ := m.Peek(k); r != nil && r.Variants[0].Body.Size != int64(10_000+i) {
			t.Errorf("key %d: body of %d bytes", i, r.Variants[0].Body.Size)
		}
		m.Delete(k)
	}
	if st := m.Stats(); st.Bytes != st.Fixed || st.Variants != 0 {
		t.Errorf("after deleting all: %+v", st)
	}
}

// More verdicts than the queue takes are found by a sweep.
func TestMemoryFindsVerdictsThatTheQueueDropped(t *testing.T) {
	m := openInside(t, 64<<20)
	var all []*entry
	for i := range leavingQueue + 500 {
		all = append(all, putInside(t, m, insideKey(i), 100).place.Load())
	}
	m.settle()
	for i := range m.table.shards { // the worker cannot take anything out
		m.table.shards[i].mu.Lock()
	}
	for _, e := range all {
		m.window.mu.Lock()
		if e.move(placeWindow, placeMain) {
			m.window.ring.remove(e)
		}
		m.window.mu.Unlock()
		m.leaves(e, EvictedRefused)
	}
	for i := range m.table.shards {
		m.table.shards[i].mu.Unlock()
	}
	until(t, "all are gone", func() bool { return m.Stats().Resources == 0 })
	st := m.Stats()
	if st.Dropped[DropQueue] == 0 || st.Evicted[EvictedRefused] != leavingQueue+500 {
		t.Errorf("stats %+v, want verdicts dropped from the queue and all counted", st)
	}
}

// A tier that is closed ranks nothing and still keeps its bytes.
func TestMemoryKeepsItsBytesWhenClosed(t *testing.T) {
	m := openInside(t, 8<<20)
	for i := range 100 {
		putInside(t, m, insideKey(i), 20_000)
	}
	m.Close()
	if m.Close() != ErrClosed {
		t.Errorf("second close: no ErrClosed")
	}
	hot := putInside(t, m, insideKey(5000), 20_000)
	for i := range 1000 {
		m.Hit(nil, hot)
		putInside(t, m, insideKey(i), 20_000)
		if st := m.Stats(); st.Bytes > st.Limit+st.Limit/20 {
			t.Fatalf("%d bytes, the limit is %d", st.Bytes, st.Limit)
		}
	}
	if r, _ := m.Peek(insideKey(5000)); r == nil {
		t.Errorf("the hand took what was used all the time")
	}
	if st := m.Stats(); st.Evicted[EvictedHand] == 0 || st.Dropped[DropSet] == 0 {
		t.Errorf("stats %+v, want loose objects and the hand at work", st)
	}
}

// The accounted bytes are those that the heap grows by.
func TestMemoryAccountsWhatTheHeapHolds(t *testing.T) {
	for _, size := range []int{100, 3000, 100_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			m := openInside(t, 256<<20)
			before, heap := m.Stats().Bytes, heapBytes()
			n := 50_000_000 / (size + 1000)
			for i := range n {
				putInside(t, m, insideKey(i), size)
			}
			m.settle()
			accounted, grown := m.Stats().Bytes-before, heapBytes()-heap
			if got := m.Stats().Variants; got != int64(n) {
				t.Fatalf("%d of %d objects are stored", got, n)
			}
			if ratio := float64(accounted) / float64(grown); ratio < 0.9 || ratio > 1.25 {
				t.Errorf("%d bytes accounted, the heap grew by %d: %.2f", accounted, grown, ratio)
			}
		})
	}
}

func heapBytes() int64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// headOf is a header of about so many bytes.
func headOf(bytes int) http.Header {
	return http.Header{"Etag": {"x"}, "X": {strings.Repeat("x", bytes)}}
}
