package cachestore

import (
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"unsafe"

	"edgecache/policy"
)

// indexObject is the i-th of many: with a hash as random as that of a key, and one of
// a million times to expire.
func indexObject(i int) indexed {
	r := rand.NewPCG(uint64(i), 1)
	return indexed{
		Hash: policy.Hash{Hi: r.Uint64(), Lo: r.Uint64()}, ID: uint64(i) + 1,
		Body: 10_000, Meta: 400, Expires: uint32(r.Uint64() % 1_000_000), Uses: 1,
	}
}

func filledIndex(n int) *index {
	x := new(index)
	for i := range n {
		x.rank(x.add(indexObject(i)))
	}
	return x
}

// leastOf is what an index that was not used meanwhile says at once.
func leastOf(x *index) ref {
	r, _ := x.least(1)
	return r
}

// nothingAnswers checks that every method takes r for nobody.
func nothingAnswers(t *testing.T, x *index, r ref) {
	t.Helper()
	if o, ok := x.get(r); ok {
		t.Errorf("get %x: %v", r, o)
	}
	if x.uses(r) != nil {
		t.Errorf("uses %x: there is a count", r)
	}
	ranked, floor := x.order.heap.heap.len, x.order.floor
	x.rank(r)
	x.unrank(r)
	x.sink(r)
	if x.hide(r) || x.free(r) || x.remove(r) || x.revise(r, 1, 1) || x.order.heap.heap.len != ranked || x.order.floor != floor {
		t.Errorf("%x can still be changed", r)
	}
}

func TestIndexZeroValueHoldsNothing(t *testing.T) {
	var x index
	for _, r := range []ref{0, 1, 1 << 32, math.MaxUint64} {
		nothingAnswers(t, &x, r)
	}
	if k, ok := x.expired(never); ok || leastOf(&x) != 0 || x.has(policy.Hash{}) || len(x.of(policy.Hash{}, nil)) > 0 {
		t.Errorf("an empty index finds %x", k)
	}
}

func TestIndexRefOfAFreedObjectFindsNothing(t *testing.T) {
	var x index
	other := x.add(indexObject(0))
	freed := x.add(indexObject(1))
	x.remove(freed)
	nothingAnswers(t, &x, freed)
	nothingAnswers(t, &x, freed+1<<32) // what the slot's next object will have

	again := x.add(indexObject(2))
	if again.slot() != freed.slot() {
		t.Fatalf("slot %d, want %d again", again.slot(), freed.slot())
	}
	nothingAnswers(t, &x, freed)
	nothingAnswers(t, &x, again|1<<56)
	if o, ok := x.get(again); !ok || o != indexObject(2) || x.len() != 2 {
		t.Errorf("the slot's next object: %v %v of %d", o, ok, x.len())
	}
	x.rank(again)
	if r := leastOf(&x); r != again {
		t.Errorf("%x is worth least, want %x: the other, %x, has no place", r, again, other)
	}
}

func TestIndexGenerationComesRound(t *testing.T) {
	var x index
	first := x.add(indexObject(0))
	x.remove(first)
	x.slots.at(first.slot()).state = math.MaxUint32 &^ stageMask // as after 2²⁴ - 1 reuses
	last := x.add(indexObject(1))
	if want := first | (1<<24-1)<<32; last != want {
		t.Fatalf("ref %x, want %x", last, want)
	}
	nothingAnswers(t, &x, first)
	x.remove(last)
	nothingAnswers(t, &x, last)
	if got := x.add(indexObject(2)); got != first {
		t.Errorf("ref %x after the last generation, want %x", got, first)
	}
}

func TestIndexHiddenObjectOnlyKeepsItsSlot(t *testing.T) {
	var x index
	o := indexObject(0)
	r := x.add(o)
	x.rank(r)
	x.hide(r)
	o.Uses = x.uses(r).Add(1)
	if got, ok := x.get(r); !ok || got != o {
		t.Errorf("get %v %v, want all as before, and one use more", got, ok)
	}
	if x.has(o.Hash) || leastOf(&x) != 0 || x.len() != 0 || x.bodyBytes() != 0 || x.metaBytes() != 0 || x.hidden() != 1 {
		t.Error("a hidden object is found or counted")
	}
	if _, ok := x.expired(never); ok {
		t.Error("a hidden object expires")
	}
	if x.hide(r) || x.remove(r) || x.revise(r, 1, 1) {
		t.Error("a hidden object can be changed")
	}
	if x.rank(r); leastOf(&x) != 0 {
		t.Error("a hidden object can be ranked")
	}
	if next := x.add(o); next.slot() == r.slot() {
		t.Error("the slot of a hidden object is reused")
	}
	if !x.free(r) || x.hidden() != 0 {
		t.Error("a hidden object cannot be freed")
	}
	nothingAnswers(t, &x, r)
}

func TestIndexRefusesOverTheMost(t *testing.T) {
	x := index{slots: slots{most: 3}}
	var refs []ref
	for i := range 3 {
		refs = append(refs, x.add(indexObject(i)))
	}
	x.hide(refs[1])
	if r := x.add(indexObject(3)); r != 0 {
		t.Errorf("add %x over the most, want 0", r)
	}
	if x.len() != 2 || x.bodyBytes() != 20_000 || x.has(indexObject(3).Hash) {
		t.Errorf("what was refused is counted: %d objects, %d bytes", x.len(), x.bodyBytes())
	}
	x.free(refs[1])
	if x.add(indexObject(3)) == 0 || x.add(indexObject(4)) != 0 {
		t.Error("one slot was freed, want one add to succeed")
	}

	full := slots{made: math.MaxUint32}
	if n := full.take(); n != 0 || full.made != math.MaxUint32 || full.taken != 0 {
		t.Errorf("slot %d after the last that 32 bits can number: made %d, taken %d", n, full.made, full.taken)
	}
}

// A clock that goes forward and back finds what is due at the time it says.
func TestIndexExpiryWithAClockThatJumps(t *testing.T) {
	var x index
	at := func(expires uint32) ref { return x.add(indexed{ID: uint64(expires), Expires: expires}) }
	late, soon, mid := at(900), at(100), at(500)
	forEver := at(never)
	want := func(now uint32, want ref) {
		t.Helper()
		if got, ok := x.expired(now); got != want || ok != (want != 0) {
			t.Errorf("at %d: %x %v, want %x", now, got, ok, want)
		}
	}
	want(99, 0)
	want(100, soon)
	want(5_000, soon)
	x.remove(soon)
	want(5_000, mid)
	want(499, 0)
	sooner := at(50) // added when the clock had gone back
	want(50, sooner)
	want(49, 0)
	x.revise(sooner, 1, never)
	want(899, mid)
	x.revise(mid, 1, 2_000)
	want(950, late)
	x.revise(late, 1, never)
	want(1_999, 0)
	x.revise(sooner, 1, 0)
	want(0, sooner)
	x.remove(sooner)
	x.remove(mid)
	x.revise(forEver, 2, never)
	want(never, 0)
}

func TestIndexNumbersKeepOneEmptyBlock(t *testing.T) {
	var a numbers
	for i := range 5 * numberBlock {
		a.push(uint32(i))
	}
	for a.len > 2*numberBlock {
		if v := a.pop(); v != uint32(a.len) {
			t.Fatalf("popped %d, want %d", v, a.len)
		}
	}
	if len(a.blocks) != 3 {
		t.Errorf("%d blocks for two that are full, want 3", len(a.blocks))
	}
	toAndFro := func() {
		a.push(1)
		a.push(2)
		a.pop()
		a.pop()
		a.pop()
		a.push(3)
	}
	if allocs := testing.AllocsPerRun(100, toAndFro); allocs != 0 {
		t.Errorf("%v allocations at the edge of a block", allocs)
	}
}

// Uses are counted while the index is changed, also of slots that were freed.
func TestIndexUsesNeedNoMutex(t *testing.T) {
	x := filledIndex(100)
	uses := x.uses(leastOf(x))
	var readers sync.WaitGroup
	readers.Go(func() {
		for range 10_000 {
			uses.Add(1)
		}
	})
	for i := range 10_000 {
		r, _ := x.least(100)
		for again := r == 0; again; {
			r, again = x.least(100)
		}
		x.sink(r)
		x.remove(r)
		x.rank(x.add(indexObject(100 + i)))
	}
	readers.Wait()
	if x.len() != 100 {
		t.Errorf("%d objects, want 100", x.len())
	}
}

func TestIndexSlotIsALineWithoutPointers(t *testing.T) {
	if size := unsafe.Sizeof(slot{}); size != 72 {
		t.Errorf("a slot has %d bytes, want 72", size)
	}
	if field, found := pointerIn(reflect.TypeFor[slot]()); found {
		t.Errorf("a slot has a pointer: %s", field)
	}
	if _, found := pointerIn(reflect.TypeFor[numbers]()); !found {
		t.Error("pointerIn does not find the blocks of numbers")
	}
}

// pointerIn looks for what the collector would follow.
func pointerIn(t reflect.Type) (name string, found bool) {
	switch k := t.Kind(); {
	case k == reflect.Array:
		return pointerIn(t.Elem())
	case k == reflect.Struct:
		for f := range t.NumField() {
			if name, found := pointerIn(t.Field(f).Type); found {
				return t.Field(f).Name + " " + name, true
			}
		}
		return "", false
	default:
		return t.String(), k < reflect.Bool || k > reflect.Complex128 || k == reflect.Uintptr
	}
}

// A million objects that all expire, by the index's own count and by the runtime's;
// then one, and a million again. The race detector is too slow for so many.
func TestIndexBytesAnObject(t *testing.T) {
	objects := 1_000_000
	if RaceEnabled {
		objects = 100_000
	}
	before := heapBytes()
	x := filledIndex(objects)
	taken := heapBytes() - before
	own := x.memory()
	t.Logf("%.2f bytes an object by memory, %.2f by the runtime", float64(own)/float64(objects), float64(taken)/float64(objects))
	if most := 100 * int64(objects); own > most || taken > most {
		t.Errorf("%d objects take %d bytes, %d by the runtime, want at most 100 each", objects, own, taken)
	}
	if taken > own+own/100 {
		t.Errorf("memory says %d bytes, the runtime %d", own, taken)
	}
	for x.len() > 1 {
		x.remove(leastOf(x))
	}
	if table := x.chains.heads.memory() + x.due.heap.memory() + x.order.heap.heap.memory(); table > 192<<10 {
		t.Errorf("table and heaps of one object keep %d bytes", table)
	}
	for i := range objects {
		x.rank(x.add(indexObject(i)))
	}
	if again := x.memory(); again > own+own/100 {
		t.Errorf("%d bytes when filled again, %d before", again, own)
	}
	runtime.KeepAlive(x)
}

// An object leaves an order that none ever had a place in, though it has one among those
// that expire.
func TestIndexHidesWhatWasNeverRanked(t *testing.T) {
	var x index
	r := x.add(indexed{ID: 1, Expires: 5})
	x.unrank(r)
	if k, ok := x.expired(5); !ok || k != r || !x.remove(r) {
		t.Errorf("expires %x, want %x", k, r)
	}
	if _, ok := x.expired(never); ok || x.len() != 0 {
		t.Error("it is still there")
	}
}

// By recency what is there leaves first in the order in which it came, whatever its size and
// uses so far, then what is new; what is used again goes behind all.
func TestOrderOfRecency(t *testing.T) {
	var x index
	x.order.power = 0.8
	refs := make([]ref, 3000)
	add := func(i int, uses uint32) {
		refs[i] = x.add(indexed{ID: uint64(i + 1), Body: int64(1 + i*i%977), Uses: uses, Expires: never})
		x.rank(refs[i])
	}
	for i := range 1000 {
		add(i, uint32(1+i*31%17))
	}
	x.uses(refs[5]).Add(100) // before: of no use any more
	x.turn(true)
	for i := 1000; i < 2000; i++ {
		add(i, 1)
	}
	x.uses(refs[3]).Add(1)
	x.uses(refs[1500]).Add(1)
	for i := 2000; i < 3000; i++ { // the hand comes by meanwhile
		add(i, 1)
	}
	for _, i := range []int{3, 1500} {
		if s := x.find(refs[i]); s.placed != s.uses.Load() {
			t.Errorf("%d was used, and has not been placed anew by the hand", i)
		}
	}
	want := []int{}
	for i := range 3000 {
		if i != 3 && i != 1500 {
			want = append(want, i)
		}
	}
	for n, i := range want {
		r, _ := x.least(10)
		o, _ := x.get(r)
		if o.ID != uint64(i+1) {
			if used := o.ID == 4 || o.ID == 1501; used && n > 1990 { // behind what was new when it was used
				x.remove(r)
				r, _ = x.least(10)
				o, _ = x.get(r)
			}
		}
		if o.ID != uint64(i+1) {
			t.Fatalf("the %dth to leave is %d, want %d", n, o.ID, i+1)
		}
		x.sink(r)
		x.remove(r)
	}
}
