package cachestore

import (
	"bytes"
	"slices"
	"sync/atomic"

	"edgecache/policy"
)

// MaxVariants is how many variants a resource may have unless configured
// otherwise.
const MaxVariants = 32

// Resource is all that is stored under one key. It is immutable: a change is a
// new Resource that takes the old one's place.
type Resource struct {
	Key      policy.Key // owned
	Variants []*Variant // newest first

	one [1]*Variant // where the first of a key lies
}

// NewResource makes a resource of variants, newest first. The key is copied.
func NewResource(k policy.Key, newestFirst ...*Variant) *Resource {
	return &Resource{Key: k.Clone(), Variants: newestFirst}
}

// Select returns the newest variant whose request values are those of a, nil
// when none is. The newest variant's Vary decides which values count: a variant
// with another list cannot be selected (RFC 9111, 4.1). When there is none it is
// the newest that the origin chose although it was offered more codings, if a
// takes that one. buf is scratch space; it is returned, maybe grown, so that a
// caller can use it again.
func (r *Resource) Select(a *policy.Ask, buf []byte) (v *Variant, scratch []byte) {
	if r == nil || len(r.Variants) == 0 {
		return nil, buf
	}
	vary := r.Variants[0].Vary
	buf = policy.AppendSelector(buf[:0], vary, a)
	for _, v := range r.Variants {
		if bytes.Equal(v.Selector, buf) && slices.Equal(v.Vary, vary) {
			return v, buf
		}
	}
	return r.choice(a, buf), buf
}

// choice returns the newest variant that differs from the selector of a in
// Accept-Encoding alone and that a request with fewer codings would have got,
// too. So an origin that knows one coding, or none, has one variant.
func (r *Resource) choice(a *policy.Ask, selector []byte) *Variant {
	const name = "accept-encoding"
	vary := r.Variants[0].Vary
	before, taken, behind, ok := policy.CutSelector(selector, vary, name)
	if !ok {
		return nil
	}
	for _, v := range r.Variants {
		b, chosenFor, e, ok := policy.CutSelector(v.Selector, vary, name)
		if !ok || !bytes.Equal(b, before) || !bytes.Equal(e, behind) || !slices.Equal(v.Vary, vary) {
			continue
		}
		if coding, single := v.Head.coding(); single && a.TakesChoice(chosenFor, taken, coding) {
			return v
		}
	}
	return nil
}

// With returns a resource with v as its newest variant, in the place of the one
// that is selected by the same values.
func (r *Resource) With(v *Variant) *Resource {
	n := &Resource{Key: r.Key, Variants: make([]*Variant, 0, len(r.Variants)+1)}
	n.Variants = append(n.Variants, v)
	for _, o := range r.Variants {
		if o != v && !o.sameSelection(v) {
			n.Variants = append(n.Variants, o)
		}
	}
	return n
}

// Without returns a resource without v; it may be left with no variants.
func (r *Resource) Without(v *Variant) *Resource {
	return r.filter(func(o *Variant) bool { return o != v })
}

// IndexOf is where the variant with this body is, -1 when there is none.
func (r *Resource) IndexOf(b *Body) int {
	for i, v := range r.Variants {
		if v.Body.Same(b) {
			return i
		}
	}
	return -1
}

// hasBody says whether one of the variants has this body.
func (r *Resource) hasBody(id BodyID) bool {
	if r == nil {
		return false
	}
	for _, v := range r.Variants {
		if v.Body != nil && v.Body.ID == id {
			return true
		}
	}
	return false
}

// hasVariant says whether v itself is one of the variants.
func (r *Resource) hasVariant(v *Variant) bool {
	if r == nil {
		return false
	}
	for _, o := range r.Variants {
		if o == v {
			return true
		}
	}
	return false
}

func (r *Resource) filter(keep func(*Variant) bool) *Resource {
	n := &Resource{Key: r.Key}
	for _, v := range r.Variants {
		if keep(v) {
			n.Variants = append(n.Variants, v)
		}
	}
	return n
}

// Size is how many bytes of memory the resource takes, with its place in the
// index. A body that variants share counts once.
func (r *Resource) Size() int64 {
	if r == nil {
		return 0
	}
	n := resourceBytes + rounded(int64(len(r.Key.Full))) + rounded(int64(cap(r.Variants))*pointerBytes)
	for i, v := range r.Variants {
		n += v.Size()
		if v.Body != nil && slices.ContainsFunc(r.Variants[:i], func(o *Variant) bool { return o.Body == v.Body }) {
			n -= v.Body.held
		}
	}
	return n
}

// Variant is one stored answer. Once it is visible it is immutable but for the
// marks of its use.
type Variant struct {
	Head       *Head
	Body       *Body // nil until it is committed
	Life       policy.Life
	Vary       []string // lower-case, sorted, unique
	Selector   []byte   // what the request had for them: policy.AppendSelector
	Tags       []uint64
	PurgeSeq   uint64 // the purge number read before its request was sent
	SharedAuth bool   // may answer requests with Authorization (RFC 9111, 3.5)
	Validators policy.Validators
	StoredAt   int64 // Unix nanoseconds
	Part       *Part // nil when Body is the whole representation

	checked atomic.Uint64         // purge number up to which no purge covers it
	place   atomic.Pointer[entry] // what the tier knows of it; nil before it is stored
	back    setback               // of its origin; a renewal has none
}

// Renewal is what a validation changes in a variant (RFC 9111, 4.3.4).
type Renewal struct {
	Head       *Head
	Life       policy.Life
	Tags       []uint64
	PurgeSeq   uint64
	SharedAuth bool
	Validators policy.Validators
	StoredAt   int64 // Unix nanoseconds
}

// With returns a new variant with the same body and the same request values. It
// takes over its popularity.
func (v *Variant) With(n Renewal) *Variant {
	c := &Variant{
		Head: n.Head, Life: n.Life, Tags: n.Tags, PurgeSeq: n.PurgeSeq,
		SharedAuth: n.SharedAuth, Validators: n.Validators, StoredAt: n.StoredAt,
		Body: v.Body, Vary: v.Vary, Selector: v.Selector, Part: v.Part,
	}
	c.place.Store(v.place.Load())
	return c
}

// hollow is v without its body's chunks. It has no place in the memory tier.
func (v *Variant) hollow() *Variant {
	return v.over(v.Body.with(nil))
}

// over is v with another form of its body.
func (v *Variant) over(b *Body) *Variant {
	c := &Variant{
		Head: v.Head, Life: v.Life, Tags: v.Tags, PurgeSeq: v.PurgeSeq, SharedAuth: v.SharedAuth,
		Validators: v.Validators, StoredAt: v.StoredAt, Body: b, Vary: v.Vary, Selector: v.Selector,
		Part: v.Part,
	}
	c.SetChecked(v.Checked())
	c.back.take(&v.back)
	return c
}

// Checked is the purge number up to which the variant was found uncovered.
func (v *Variant) Checked() uint64 { return max(v.PurgeSeq, v.checked.Load()) }

// SetChecked raises that number; it never falls.
func (v *Variant) SetChecked(n uint64) {
	for {
		old := v.checked.Load()
		if n <= old || v.checked.CompareAndSwap(old, n) {
			return
		}
	}
}

// Hits is how often the variant was marked as used, all its renewals together.
func (v *Variant) Hits() uint32 {
	e := v.place.Load()
	if e == nil {
		return 0
	}
	return e.hits.Load()
}

// Size is how many bytes of memory the variant takes, with its place in the
// tier, as Go's allocator rounds them.
func (v *Variant) Size() int64 {
	n := variantBytes + entryBytes + stringsBytes(v.Vary) +
		rounded(int64(cap(v.Selector))) + rounded(int64(cap(v.Tags))*wordBytes) +
		rounded(int64(cap(v.Validators.ETag))) + rounded(int64(cap(v.Validators.LastModified)))
	if v.Head != nil {
		n += v.Head.Held()
	}
	if v.Body != nil {
		n += v.Body.held
	}
	if v.Part != nil {
		n += rounded(partBytes)
	}
	return n
}

func (v *Variant) sameSelection(o *Variant) bool {
	return bytes.Equal(v.Selector, o.Selector) && slices.Equal(v.Vary, o.Vary)
}
