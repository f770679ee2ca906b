package cachestore

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// How long the origin is left alone after it has failed to renew a variant: the
// first time, and at most.
const (
	FirstRest = time.Second
	MostRest  = 30 * time.Second
)

// setback remembers that the origin has failed to renew a variant.
type setback struct {
	until  atomic.Int64  // Unix nanoseconds; 0: it has not failed
	faults atomic.Uint32 // one after another
	dead   atomic.Bool   // the last time no answer came
}

// SetBack notes that the origin has failed to renew v: with an error, or, dead,
// with no answer. Each failure doubles the time in which it is not asked again for
// the sake of those who may have the stale answer, from FirstRest to MostRest, a
// fifth more or less, so that many objects do not ask at once.
func (v *Variant) SetBack(now int64, dead bool) {
	n := v.back.faults.Add(1)
	rest := MostRest
	if n <= 5 {
		rest = min(FirstRest<<(n-1), MostRest)
	}
	rest += time.Duration((rand.Float64() - 0.5) * 0.4 * float64(rest))
	v.back.dead.Store(dead)
	v.back.until.Store(now + int64(rest))
}

// Recover notes that the origin has answered.
func (v *Variant) Recover() {
	if v.back.until.Load() != 0 {
		v.back.faults.Store(0)
		v.back.until.Store(0)
	}
}

// Rests says whether the origin is left alone after a failure, and whether that
// was no answer at all. A clock that was put back makes it no longer than
// the most.
func (v *Variant) Rests(now int64) (rests, dead bool) {
	until := v.back.until.Load()
	return now < until && until-now <= int64(MostRest+MostRest/5), v.back.dead.Load()
}

// take copies the setback of another form of the same variant.
func (b *setback) take(o *setback) {
	b.faults.Store(o.faults.Load())
	b.dead.Store(o.dead.Load())
	b.until.Store(o.until.Load())
}
