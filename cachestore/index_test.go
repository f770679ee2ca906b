package cachestore

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"edgecache/policy"
)

// modelIndex does what an index does, with a map and a slice.
type modelIndex struct {
	known  map[ref]*modelObject // the visible and the hidden
	shown  []ref                // the visible
	hidden []ref
	byHash map[policy.Hash][]ref // the visible
	gone   []ref                 // some of those that were freed
	nextID uint64
	floor  float64 // the worth of the last one that left by it, or of one before
}

type modelObject struct {
	indexed
	hidden bool

	ranked bool
	placed uint32 // of its uses, when it was ranked
	worth  float64
}

// indexRun drives an index and its model with the same random operations.
type indexRun struct {
	t     *testing.T
	rand  *rand.Rand
	index index
	model modelIndex
	count int
}

// An index and a model of maps and slices agree after every operation, while the number
// of objects rises over several blocks and falls to few, again and again.
func TestIndexModel(t *testing.T) {
	for o := range objectives {
		t.Run(o.String(), func(t *testing.T) { runIndexModel(t, o.power()) })
	}
}

func runIndexModel(t *testing.T, power float64) {
	r := &indexRun{t: t, rand: rand.New(rand.NewPCG(5, 9))}
	r.index.order.power = power
	r.model.known = map[ref]*modelObject{}
	r.model.byHash = map[policy.Hash][]ref{}
	for r.count = range 80_000 {
		growing := r.count/20_000%2 == 1
		r.step(growing)
		if r.count%5_000 == 0 {
			r.compare()
		}
		if t.Failed() {
			t.Fatalf("at operation %d", r.count)
		}
	}
	r.compare()
	r.drain()
}

// step does one operation: growing more adds than removes, or the other way round.
func (r *indexRun) step(growing bool) {
	coming, going := 5, 45
	if growing {
		coming, going = 45, 5
	}
	switch p := r.rand.IntN(100); {
	case p < coming:
		r.add()
	case p < coming+going/2:
		r.hide(r.pick())
	case p < coming+going:
		r.remove(r.pick())
	case p < 60:
		r.free(r.pickHidden())
	case p < 64:
		r.rank(r.pick())
	case p < 66:
		r.unrank(r.pick())
	case p < 68:
		r.leave()
	case p < 74:
		r.revise(r.pick())
	case p < 84:
		r.use(r.pick())
	case p < 86:
		r.askGone()
	case p < 87:
		r.expire(uint32(r.rand.IntN(1_000)))
	default:
		r.ask(r.pick())
	}
}

// hash is one of 1,500, so that many objects share theirs.
func (r *indexRun) hash() policy.Hash {
	n := uint64(r.rand.IntN(1_500)) + 1
	return policy.Hash{Hi: n * 0x9e3779b97f4a7c15, Lo: n * 0xc2b2ae3d27d4eb4f}
}

func (r *indexRun) expires() uint32 {
	if r.rand.IntN(4) == 0 {
		return never
	}
	return uint32(r.rand.IntN(1_000))
}

// pick returns a visible object, now and then a hidden or freed one, or none.
func (r *indexRun) pick() ref {
	switch p := r.rand.IntN(50); {
	case p == 0:
		return r.pickHidden()
	case p == 1 && len(r.model.gone) > 0:
		return r.model.gone[r.rand.IntN(len(r.model.gone))]
	case len(r.model.shown) == 0:
		return 0
	}
	return r.model.shown[r.rand.IntN(len(r.model.shown))]
}

func (r *indexRun) pickHidden() ref {
	if len(r.model.hidden) == 0 {
		return 0
	}
	return r.model.hidden[r.rand.IntN(len(r.model.hidden))]
}

// visible is the model's find.
func (r *indexRun) visible(k ref) *modelObject {
	if o := r.model.known[k]; o != nil && !o.hidden {
		return o
	}
	return nil
}

func (r *indexRun) same(what string, got, want any) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func (r *indexRun) add() {
	o := indexed{Hash: r.hash(), Body: r.rand.Int64N(1 << 40), Meta: r.rand.Uint32(), Expires: r.expires(), Uses: r.rand.Uint32N(4)}
	r.model.nextID++
	o.ID = r.model.nextID
	k := r.index.add(o)
	if k == 0 || r.model.known[k] != nil {
		r.t.Errorf("add: %x, want a ref that nothing has", k)
	}
	r.model.known[k] = &modelObject{indexed: o}
	r.model.shown = append(r.model.shown, k)
	r.model.byHash[o.Hash] = append(r.model.byHash[o.Hash], k)
}

func (r *indexRun) hide(k ref) {
	o := r.visible(k)
	r.same("hide", r.index.hide(k), o != nil)
	if o != nil {
		o.hidden = true
		r.vanish(k)
		r.model.hidden = append(r.model.hidden, k)
	}
}

func (r *indexRun) free(k ref) {
	o := r.model.known[k]
	want := o != nil && o.hidden
	r.same("free", r.index.free(k), want)
	if want {
		r.model.hidden = without(r.model.hidden, k)
		r.forget(k)
	}
}

func (r *indexRun) remove(k ref) {
	o := r.visible(k)
	r.same("remove", r.index.remove(k), o != nil)
	if o != nil {
		r.vanish(k)
		r.forget(k)
	}
}

func without(list []ref, k ref) []ref {
	i := slices.Index(list, k)
	return slices.Delete(list, i, i+1)
}

func (r *indexRun) vanish(k ref) {
	r.model.shown = without(r.model.shown, k)
	h := r.model.known[k].Hash
	r.model.byHash[h] = without(r.model.byHash[h], k)
}

func (r *indexRun) forget(k ref) {
	delete(r.model.known, k)
	r.model.gone = append(r.model.gone, k)
	if len(r.model.gone) > 200 {
		r.model.gone = slices.Delete(r.model.gone, 0, 100)
	}
}

// worth is by the rule as it is written down: uses over a power of the size.
func (r *indexRun) worth(o *modelObject) float64 {
	return r.model.floor + float64(o.Uses)/math.Pow(float64(o.Body+int64(o.Meta)), r.index.order.power)
}

func (r *indexRun) rank(k ref) {
	r.index.rank(k)
	if o := r.visible(k); o != nil {
		o.ranked, o.placed, o.worth = true, o.Uses, r.worth(o)
		r.placedRight(k, o)
	}
}

// placedRight checks what the index has noted of an object's place. The model keeps the
// index's worth, which may differ in its last bit.
func (r *indexRun) placedRight(k ref, o *modelObject) {
	s := r.index.find(k)
	r.same("has a place", s.ranked != 0, o.ranked)
	if !o.ranked {
		return
	}
	r.same("placed", s.placed, o.placed)
	if math.Abs(s.worth-o.worth) > 1e-12*o.worth {
		r.t.Errorf("worth %v, want %v", s.worth, o.worth)
	}
	o.worth = s.worth
}

func (r *indexRun) unrank(k ref) {
	r.index.unrank(k)
	if o := r.visible(k); o != nil {
		o.ranked = false
		r.placedRight(k, o)
	}
}

// leave asks for what is worth least, and removes it. Whatever was worth less when it was
// placed, and was used since, has its place anew.
func (r *indexRun) leave() {
	ranked := 0
	for _, k := range r.model.shown {
		if r.model.known[k].ranked {
			ranked++
		}
	}
	tries := 1 + r.rand.IntN(40)
	k, again := r.index.least(tries)
	r.same("nothing is left, or nobody knows yet", k == 0, again || ranked == 0)
	anew := 0
	least := r.visible(k)
	for _, other := range r.model.shown {
		o := r.visible(other)
		if s := r.index.find(other); o.ranked && s.placed != o.placed {
			o.placed, o.worth = o.Uses, r.worth(o)
			anew++
			r.placedRight(other, o)
		}
	}
	if again {
		r.same("tries", anew, tries)
		return
	}
	if least == nil {
		return
	}
	r.same("uses when it leaves", least.Uses, least.placed)
	for _, other := range r.model.shown {
		if o := r.visible(other); o.ranked && o.worth < least.worth {
			r.t.Errorf("%v leaves, %v is worth less", least, o)
			return
		}
	}
	before := r.index.order.floor
	r.index.sink(k)
	r.model.floor = max(r.model.floor, least.worth)
	r.same("floor", r.index.order.floor, r.model.floor)
	if r.index.order.floor < before {
		r.t.Errorf("the floor fell from %v to %v", before, r.index.order.floor)
	}
	r.remove(k)
}

func (r *indexRun) revise(k ref) {
	o := r.visible(k)
	meta, expires := r.rand.Uint32(), r.expires()
	r.same("revise", r.index.revise(k, meta, expires), o != nil)
	if o != nil {
		o.Meta, o.Expires = meta, expires
	}
}

func (r *indexRun) use(k ref) {
	o, uses := r.model.known[k], r.index.uses(k)
	r.same("uses", uses != nil, o != nil)
	if o != nil {
		o.Uses = uses.Add(1)
	}
}

// ask puts every question to one object.
func (r *indexRun) ask(k ref) {
	o := r.model.known[k]
	got, ok := r.index.get(k)
	r.same("get finds", ok, o != nil)
	if o == nil {
		r.same("get of nothing", got, indexed{})
		return
	}
	r.same("get", got, o.indexed)
	all := r.index.of(o.Hash, nil)
	want := r.model.byHash[o.Hash]
	slices.Sort(all)
	slices.Sort(want)
	if !slices.Equal(all, want) {
		r.t.Errorf("of: %x, want %x", all, want)
	}
	r.same("has", r.index.has(o.Hash), len(want) > 0)
	r.same("has of another hash", r.index.has(policy.Hash{Hi: o.Hash.Hi, Lo: ^o.Hash.Lo}), false)
}

// askGone asks for what was freed; its slot often has another object now.
func (r *indexRun) askGone() {
	for _, k := range r.model.gone {
		if _, ok := r.index.get(k); ok {
			r.t.Errorf("get finds %x, which was freed", k)
		}
	}
}

// expire asks for what expires first, and removes it: at any time of the clock.
func (r *indexRun) expire(now uint32) {
	first := uint32(never)
	for _, k := range r.model.shown {
		first = min(first, r.model.known[k].Expires)
	}
	k, ok := r.index.expired(now)
	r.same("expired", ok, first <= now)
	if !ok {
		r.same("expired finds none, its ref", k, ref(0))
		return
	}
	o := r.visible(k)
	if o == nil {
		r.t.Errorf("expired: %x, which is not visible", k)
		return
	}
	r.same("expired first", o.Expires, first)
	r.remove(k)
}

// compare puts every question to all objects.
func (r *indexRun) compare() {
	var body, meta int64
	ranked, dated := 0, 0
	for i, k := range r.model.shown {
		o := r.model.known[k]
		body += o.Body
		meta += int64(o.Meta)
		r.placedRight(k, o)
		if o.ranked {
			ranked++
		}
		if o.Expires != never {
			dated++
		}
		if i%16 == 0 {
			r.ask(k)
		}
	}
	each := 0
	r.index.each(func(k ref) (more bool) {
		each++
		return r.visible(k) != nil && r.visible(k).ranked
	})
	r.same("each", each, ranked)
	r.heap(&r.index.order.heap, ranked)
	r.heap(&r.index.due, dated)
	r.same("len", r.index.len(), len(r.model.shown))
	r.same("hidden", r.index.hidden(), len(r.model.known)-len(r.model.shown))
	r.same("bodyBytes", r.index.bodyBytes(), body)
	r.same("metaBytes", r.index.metaBytes(), meta)
	for k, o := range r.model.known {
		if got, ok := r.index.get(k); !ok || got != o.indexed {
			r.t.Errorf("get %x: %v %v, want %v", k, got, ok, o.indexed)
		}
	}
}

// heap checks that nothing is over what it should be under, and that each knows its place.
func (r *indexRun) heap(h *ranking, want int) {
	r.same("in the heap", h.heap.len, want)
	for p := 1; p <= h.heap.len; p++ {
		s := r.index.slots.at(*h.heap.at(p - 1))
		r.same("place", *h.by.place(s), uint32(p))
		if over := r.index.slots.at(*h.heap.at(max(p/2, 1) - 1)); h.by.of(over) > h.by.of(s) {
			r.t.Errorf("place %d has %v under %v", p, h.by.of(s), h.by.of(over))
		}
	}
}

// drain empties the index, first what expires, in its order.
func (r *indexRun) drain() {
	var deadlines []uint32
	for _, k := range r.model.shown {
		if at := r.model.known[k].Expires; at != never {
			deadlines = append(deadlines, at)
		}
	}
	slices.Sort(deadlines)
	for _, at := range deadlines {
		k, _ := r.index.expired(never)
		o, _ := r.index.get(k)
		r.same("expires next", o.Expires, at)
		r.remove(k)
		if r.t.Failed() {
			return
		}
	}
	for len(r.model.shown) > 0 && !r.t.Failed() {
		r.same("expires", r.model.known[r.model.shown[0]].Expires, uint32(never))
		r.remove(r.model.shown[0])
	}
	for k := r.pickHidden(); k != 0 && !r.t.Failed(); k = r.pickHidden() {
		r.free(k)
	}
	r.compare()
	r.same("buckets of an empty index", r.index.chains.heads.len, 0)
	r.same("heap of an empty index", r.index.due.heap.len, 0)
	r.same("order of an empty index", r.index.order.heap.heap.len, 0)
}
