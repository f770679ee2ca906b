package cachestore

import (
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
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
		Body: 10_000, Meta: 400, Expires: uint32(r.Uint64() % 1_000_000),
	}
}

func filledIndex(n int) *index {
	x := new(index)
	for i := range n {
		x.add(indexObject(i))
	}
	return x
}

// nothingAnswers checks that every method takes r for nobody.
func nothingAnswers(t *testing.T, x *index, r ref) {
	t.Helper()
	if o, ok := x.get(r); ok {
		t.Errorf("get %x: %v", r, o)
	}
	if x.used(r) != nil || x.wasUsed(r) {
		t.Errorf("used %x: there is a mark", r)
	}
	if x.hide(r) || x.free(r) || x.remove(r) || x.move(r, 99) || x.revise(r, 1, 1) {
		t.Errorf("%x can still be changed", r)
	}
	if next := x.younger(r); next != 0 {
		t.Errorf("younger %x: %x", r, next)
	}
}

func TestIndexZeroValueHoldsNothing(t *testing.T) {
	var x index
	for _, r := range []ref{0, 1, 1 << 32, math.MaxUint64} {
		nothingAnswers(t, &x, r)
	}
	if k, ok := x.expired(never); ok || x.oldest() != 0 || x.has(policy.Hash{}) || len(x.of(policy.Hash{}, nil)) > 0 {
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
	if x.oldest() != other || x.younger(other) != again {
		t.Errorf("order %x, %x, want %x, %x", x.oldest(), x.younger(other), other, again)
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
	x.used(r).Store(1)
	x.hide(r)
	if got, ok := x.get(r); !ok || got != o || !x.wasUsed(r) {
		t.Errorf("get %v %v, used %v, want all as before", got, ok, x.wasUsed(r))
	}
	if x.has(o.Hash) || x.oldest() != 0 || x.len() != 0 || x.bodyBytes() != 0 || x.metaBytes() != 0 || x.hidden() != 1 {
		t.Error("a hidden object is found or counted")
	}
	if _, ok := x.expired(never); ok {
		t.Error("a hidden object expires")
	}
	if x.hide(r) || x.remove(r) || x.move(r, 9) || x.revise(r, 1, 1) {
		t.Error("a hidden object can be changed")
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
	if r, old := x.add(indexObject(3)), x.addBehind(0, indexObject(3)); r != 0 || old != 0 {
		t.Errorf("add %x, addBehind %x over the most, want 0", r, old)
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

// orderOf is a walk from the oldest to the youngest, as ids.
func orderOf(x *index) (ids []uint64) {
	for r := x.oldest(); r != 0; r = x.younger(r) {
		o, _ := x.get(r)
		ids = append(ids, o.ID)
	}
	return ids
}

func TestIndexOrder(t *testing.T) {
	var x index
	refs := map[uint64]ref{}
	for _, id := range []uint64{11, 12} {
		refs[id] = x.add(indexed{ID: id, Expires: never})
	}
	last := ref(0)
	for _, id := range []uint64{3, 4, 5} { // read back while 13 is new
		last = x.addBehind(last, indexed{ID: id, Expires: never})
		refs[id] = last
	}
	x.add(indexed{ID: 13, Expires: never})
	want := func(ids ...uint64) {
		t.Helper()
		if got := orderOf(&x); !slices.Equal(got, ids) {
			t.Errorf("order %d, want %d", got, ids)
		}
	}
	want(3, 4, 5, 11, 12, 13)
	x.used(refs[3]).Store(1)
	x.move(refs[3], 14) // the oldest
	if x.wasUsed(refs[3]) {
		t.Error("an object that was moved has its use behind it")
	}
	x.move(refs[12], 15) // from the middle
	want(4, 5, 11, 13, 14, 15)
	x.move(refs[12], 16) // the youngest
	x.remove(refs[5])
	x.remove(refs[4])
	want(11, 13, 14, 16)
	x.remove(refs[3])
	reused := x.addBehind(refs[3], indexed{ID: 2, Expires: never}) // behind one that is gone
	want(2, 11, 13, 16)
	x.remove(reused)
	want(11, 13, 16)
	x.addBehind(refs[12], indexed{ID: 17, Expires: never}) // behind the youngest
	want(11, 13, 16, 17)
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

// Marks are set while the index is changed, also of slots that were freed.
func TestIndexMarksNeedNoMutex(t *testing.T) {
	x := filledIndex(100)
	mark := x.used(x.oldest())
	var readers sync.WaitGroup
	readers.Go(func() {
		for range 10_000 {
			mark.Store(1)
		}
	})
	for i := range 10_000 {
		r := x.oldest()
		x.wasUsed(r)
		x.unuse(r)
		x.remove(r)
		x.add(indexObject(100 + i))
	}
	readers.Wait()
	if x.len() != 100 {
		t.Errorf("%d objects, want 100", x.len())
	}
}

func TestIndexSlotIsALineWithoutPointers(t *testing.T) {
	if size := unsafe.Sizeof(slot{}); size != 64 {
		t.Errorf("a slot has %d bytes, want 64", size)
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
		x.remove(x.oldest())
	}
	if table := x.chains.heads.memory() + x.due.heap.memory(); table > 128<<10 {
		t.Errorf("table and heap of one object keep %d bytes", table)
	}
	for i := range objects {
		x.add(indexObject(i))
	}
	if again := x.memory(); again > own+own/100 {
		t.Errorf("%d bytes when filled again, %d before", again, own)
	}
	runtime.KeepAlive(x)
}
