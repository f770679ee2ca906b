package cachestore

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
)

func TestClassOf(t *testing.T) {
	for size, want := range map[int64]uint8{0: 0, 4 << 10: 0, 4<<10 + 1: 1, 16 << 10: 1, 64 << 10: 2, 256 << 10: 3, 1 << 20: 4, 1<<20 + 1: 5, 1 << 40: 5} {
		if got := classOf(size); got != want {
			t.Errorf("class of %d is %d, want %d", size, got, want)
		}
	}
}

// TestSharesOfTheRequests by hand: of the first 2,048 requests three quarters are of class
// 0, one of class 3; a fifth of that counts at once.
func TestSharesOfTheRequests(t *testing.T) {
	var s shares
	if parts := s.divide(600); parts != [classes]int64{100, 100, 100, 100, 100, 100} {
		t.Errorf("before anything was asked for: %v, want equal parts", parts)
	}
	if s.look(&[classes]uint64{2047}) {
		t.Error("a look before its time")
	}
	if !s.look(&[classes]uint64{0: 1536, 3: 512}) || math.Abs(s.average[0]-0.15) > 1e-9 || math.Abs(s.average[3]-0.05) > 1e-9 {
		t.Errorf("averages %v, want 0.15 and 0.05", s.average)
	}
	a, b := math.Pow(0.75, 0.7), math.Pow(0.25, 0.7)
	parts := s.divide(1_000_000)
	if want := int64(1_000_000 * a / (a + b)); parts[0] < want-1 || parts[0] > want+1 || parts[0]+parts[3] < 999_998 {
		t.Errorf("parts %v, want %d and the rest", parts, want)
	}
	if s.look(&[classes]uint64{0: 1536, 3: 512 + 2047}) {
		t.Error("a look too soon after one")
	}
	s.look(&[classes]uint64{0: 1536, 3: 512 + 2048}) // 0.8 × 0.15, 0.8 × 0.05 + 0.2
	if math.Abs(s.average[0]-0.12) > 1e-9 || math.Abs(s.average[3]-0.24) > 1e-9 {
		t.Errorf("averages %v, want 0.12 and 0.24", s.average)
	}
}

func TestCountersOfAClass(t *testing.T) {
	for class, want := range map[int]int64{0: 40 << 30 / (2 << 10), 3: 40 << 30 / (128 << 10), 5: 40 << 30 / (2 << 20)} {
		if got := countersOf(class, 1<<30); got != want {
			t.Errorf("class %d has %d counters in 1 GiB, want %d", class, got, want)
		}
	}
	if got := countersOf(5, MinMemory); got != minCounters {
		t.Errorf("%d counters, want the least", got)
	}
}

// One of eight hits counts, for eight.
func TestAskedCountsOneOfEight(t *testing.T) {
	var c class
	e := &entry{id: 5}
	for n := range uint32(80) {
		c.asked(e, n+1)
	}
	if got := c.requests.Load(); got != 80 {
		t.Errorf("%d requests, want 80", got)
	}
}

// What the tier below needs is taken from what the classes may hold.
func TestBurdenIsSharedAnew(t *testing.T) {
	m := openInside(t, 64<<20)
	before := m.mainBytes()
	m.burden(8 << 20)
	sum := int64(0)
	for i := range m.main {
		if b, most := m.main[i].budget.Load(), m.main[i].cache.MaxCost(); b != most {
			t.Errorf("class %d may hold %d, its Ristretto %d", i, b, most)
		}
		sum += m.main[i].budget.Load()
	}
	if want := m.mainBytes(); sum > want || sum < want-classes || before-want < 6<<20 {
		t.Errorf("the classes may hold %d, want %d, much less than %d", sum, want, before)
	}
}

// TestHandTakesFromTheClassMostOver in the order in which its entries came, but what was
// used goes round.
func TestHandTakesFromTheClassMostOver(t *testing.T) {
	m := openInside(t, 64<<20)
	var small, large []*Variant
	for i := range 40 {
		small = append(small, putInside(t, m, insideKey(i), 1000))
		large = append(large, putInside(t, m, insideKey(100+i), 100_000))
	}
	m.eviction.Lock()
	defer m.eviction.Unlock()
	for _, e := range m.window.shrink(0, nil) {
		m.main[e.class].offer(e)
	}
	m.settle() // what waits would be refused for want of a budget
	m.main[large[0].place.Load().class].setBudget(0)
	m.Hit(nil, large[0])
	if !m.handLocked(m.bytes.used.Load() - 1) {
		t.Fatal("no room was made")
	}
	for i, v := range large {
		if gone := v.place.Load().at() == placeGone; gone != (i == 1) {
			t.Errorf("large %d: gone %v, want the second alone: the first was used", i, gone)
		}
	}
	for i, v := range small {
		if v.place.Load().at() == placeGone {
			t.Errorf("small %d went: its class is within what it may hold", i)
		}
	}
}

// TestMemoryLosesNoEntry: with puts, hits, renewals and deletions at once, at rest every
// byte is of what is stored, and every entry in the part of the tier that it says.
func TestMemoryLosesNoEntry(t *testing.T) {
	m := openInside(t, 16<<20)
	var all sync.WaitGroup
	for g := range uint64(6) {
		all.Go(func() {
			random := rand.New(rand.NewPCG(g, 8))
			for range 1500 {
				k := insideKey(random.IntN(400))
				switch r, _ := m.Peek(k); {
				case r == nil || random.IntN(6) == 0:
					putInside(t, m, k, 1+random.IntN(1<<random.IntN(19)))
				case random.IntN(8) == 0:
					m.Delete(k)
				case random.IntN(4) == 0: // a renewal with another head is of another size
					v := r.Variants[0]
					m.Replace(k, r, r.With(v.With(Renewal{Head: NewHead(200, headOf(random.IntN(20_000)), nil)})))
				default:
					m.Hit(r, r.Variants[0])
				}
			}
		})
	}
	all.Wait()
	m.makeRoom(m.bytes.ease)
	m.Close()
	want, held := m.Stats().Fixed, [classes]int64{}
	window := int64(0)
	m.Each(func(r *Resource) bool {
		want += r.Size()
		for _, v := range r.Variants {
			e := v.place.Load()
			if size := newEntry(r.Key, v).size; e.size != size || e.class != classOf(size) {
				t.Errorf("an entry of %d bytes in class %d, the variant has %d", e.size, e.class, size)
			}
			switch e.at() {
			case placeWindow:
				window += e.size
			case placeMain, placeLoose, placeLeaving:
				held[e.class] += e.size
			default:
				t.Errorf("what is stored is at %d", e.at())
			}
		}
		return true
	})
	if got := m.Stats(); got.Bytes != want || got.Window != window {
		t.Errorf("%d bytes, %d of the window, want %d, %d", got.Bytes, got.Window, want, window)
	}
	for i := range m.main {
		if got := m.main[i].held.Load(); got != held[i] {
			t.Errorf("class %d holds %d, its entries have %d", i, got, held[i])
		}
	}
}

// A renewal that changes how many bytes a variant has gives it a place of that size, with
// the hits that it had; one that does not leaves it where it is.
func TestRenewalOfAnotherSize(t *testing.T) {
	m := openInside(t, 16<<20)
	k := insideKey(1)
	v := putInside(t, m, k, 3000)
	r, _ := m.Peek(k)
	m.Hit(r, v)
	m.Hit(r, v)
	was := v.place.Load()
	for _, c := range []struct {
		name  string
		bytes int
		class uint8
	}{{"grows", 30_000, 2}, {"shrinks", 10, 0}} {
		r, _ := m.Peek(k)
		next := r.Variants[0].With(Renewal{Head: NewHead(200, headOf(c.bytes), nil)})
		if !m.Replace(k, r, r.With(next)) {
			t.Fatal("not replaced")
		}
		e := next.place.Load()
		if e == was || was.at() != placeGone || e.at() != placeWindow || e.class != c.class || e.hits.Load() != 2 || e.seen != 2 {
			t.Errorf("%s: at %d in class %d with %d hits, the former at %d", c.name, e.at(), e.class, e.hits.Load(), was.at())
		}
		now, _ := m.Peek(k)
		if want := m.Stats().Fixed + now.Size(); m.Stats().Bytes != want || m.Stats().Window != e.size {
			t.Errorf("%s: %d bytes, window %d, want %d, %d", c.name, m.Stats().Bytes, m.Stats().Window, want, e.size)
		}
		was = e
	}
	r, _ = m.Peek(k)
	same := r.Variants[0].With(Renewal{Head: NewHead(200, headOf(10), nil)})
	if m.Replace(k, r, r.With(same)); same.place.Load() != was || was.at() != placeWindow {
		t.Error("a renewal of the same size lost its place")
	}
}

// TestBudgetsFollowTheRequests: what the classes may hold goes by what was asked for of
// late, a part of the way at each look, and not all of the way after one.
func TestBudgetsFollowTheRequests(t *testing.T) {
	m := idleMemory(t, 64<<20)
	small, large := putInside(t, m, insideKey(0), 1000), putInside(t, m, insideKey(1), 100_000)
	lesser, greater := small.place.Load().class, large.place.Load().class
	look := func(v *Variant) (a, b int64) {
		for range shareSpan + 2*askStride {
			m.Hit(nil, v)
		}
		m.rebalance(false)
		return m.main[lesser].budget.Load(), m.main[greater].budget.Load()
	}
	for range 20 {
		look(small)
	}
	a, b := look(small)
	if a < 3*b {
		t.Fatalf("only what is small is asked for, and its class may hold %d, the other %d", a, b)
	}
	after := 0
	for turned := false; !turned; after++ {
		nextA, nextB := look(large)
		if nextA >= a || nextB <= b {
			t.Fatalf("%d looks after the change: from %d and %d to %d and %d", after, a, b, nextA, nextB)
		}
		a, b, turned = nextA, nextB, nextB > nextA
	}
	// Of 1 each look leaves 0.8: after four of them there is less than a half.
	if after < 3 || after > 5 {
		t.Errorf("%d looks until the other class may hold more, want four", after)
	}
	for range 20 {
		a, b = look(large)
	}
	if b < 3*a {
		t.Errorf("only what is large is asked for, and its class may hold %d, the other %d", b, a)
	}
}
