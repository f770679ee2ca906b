package policy

import "time"

// Life is how old a stored answer is and how long it may be used (RFC 9111,
// 4.2). It has no pointers and may be compared; its zero value is a life that
// is over. Judge has already taken out of the windows what directives forbid.
type Life struct {
	// Born is the moment at which its age was 0, in Unix nanoseconds: the time
	// of the answer less its corrected initial age (4.2.3).
	Born int64
	// Fresh is the freshness lifetime (4.2.1). The others are windows behind it:
	// SWR to be served while it is refreshed (RFC 5861, 3), SIE when the origin
	// answers with an error (RFC 5861, 4), Dead when no origin answers (4.2.4).
	Fresh, SWR, SIE, Dead time.Duration

	NoCache        bool // never served without validation (5.2.2.4)
	MustRevalidate bool // never served stale: must-revalidate, proxy-revalidate
	SharedMaxAge   bool // s-maxage: stale only within SWR and SIE (5.2.2.10)
	Explicit       bool // the origin named the lifetime
	Soft           bool // a soft purge cut it short
	Immutable      bool // while it is fresh no reload asks for it (RFC 8246)
}

// State is what a life is at a moment.
type State uint8

// The states, from the one that forbids most.
const (
	Lapsed       State = iota // must be validated or replaced
	StateFresh                // may be served
	StateRefresh              // stale: may be served now while it is refreshed
	StateOnError              // stale: only if the origin fails, with an error or no answer
	StateOnDead               // stale: only if no origin answers
)

// Age is the current age (4.2.3), never negative.
func (l *Life) Age(now int64) time.Duration {
	return time.Duration(max(now-l.Born, 0))
}

// stale is how long the lifetime has been over: positive, or 0 at its very
// end, when it is; negative while the answer is fresh.
func (l *Life) stale(now int64) time.Duration { return l.Age(now) - l.Fresh }

// At says what the life is at a moment.
func (l *Life) At(now int64) State {
	stale := l.stale(now)
	switch {
	case l.NoCache:
		return Lapsed
	case stale < 0:
		return StateFresh
	case stale < l.SWR:
		return StateRefresh
	case stale < l.SIE:
		return StateOnError
	case stale < l.Dead:
		return StateOnDead
	}
	return Lapsed
}

// UsableOnError says whether it may be served because the origin answered with
// an error of the server (RFC 5861, 4).
func (l *Life) UsableOnError(now int64) bool {
	return !l.NoCache && l.stale(now) < max(l.SIE, 0)
}

// UsableOnDead says whether it may be served because no origin answered.
func (l *Life) UsableOnDead(now int64) bool {
	return !l.NoCache && l.stale(now) < max(l.SIE, l.Dead, 0)
}

// StandIn says whether a stored answer may be served in the place of a failure of
// the origin, and why: an error, or, dead, no answer. A request may ask for it, too,
// where the route honours clients (RFC 5861, 4): never against what the answer
// forbids.
func StandIn(a *Ask, l *Life, now int64, dead bool) (why Reason, ok bool) {
	c := &a.Control
	switch {
	case l.UsableOnError(now):
		return StaleIfError, true
	case dead && l.UsableOnDead(now):
		return StaleIfDead, true
	case c.HasStaleIfError && !l.NoCache && !l.MustRevalidate && !l.SharedMaxAge && !l.Soft && l.stale(now) <= c.StaleIfError:
		return StaleIfError, true
	}
	return None, false
}

// Fails says whether a status is an error in whose place a stale answer may be
// served (RFC 5861, 4, names 500, 502, 503 and 504; those beyond say the same in
// other words). 501 and 505 say what the origin never does: no failure.
func Fails(status int) bool { return status >= 500 && status != 501 && status != 505 }

// Soften is the life after a soft purge at a moment: over from then on, but for
// a window in which it is served while it is refreshed. Nothing is ever served
// longer than it would have been without the purge, and what must not be
// served stale has no window. The windows for errors run from the new end.
func (l Life) Soften(at int64, window time.Duration) Life {
	age := l.Age(at)
	left := l.Fresh + l.SWR - age // how long it would yet have been served
	l.Fresh = min(l.Fresh, age)
	l.Soft = true
	l.SWR = 0
	if !l.MustRevalidate && !l.NoCache && left > 0 {
		l.SWR = age - l.Fresh + min(left, max(window, 0))
	}
	return l
}

// Distrusted is a life that is never served unvalidated: what a purge with the
// strength to demand it leaves, or the loss of purges.
func (l Life) Distrusted() Life { return Life{Born: l.Born, NoCache: true, MustRevalidate: true} }

// Use says what a stored answer may be used for.
type Use uint8

// The uses.
const (
	UseNot      Use = iota // not at all
	UseServe               // serve it
	UseRefresh             // serve it and refresh it in the background
	UseValidate            // ask the origin first; see UsableOnError, UsableOnDead
)

// Reuse answers whether a stored answer may be served to this request, with the
// client's own directives where the route honours them (RFC 9111, 4 and
// 5.2.1). What only-if-cached means is left to the caller, who also looks after
// Vary and purges.
func Reuse(a *Ask, r *Rules, l *Life, now int64) (Use, Reason) {
	use, why := l.use(&a.Control, now)
	if use == UseServe || use == UseRefresh {
		if refused := a.Control.refuses(l, now); refused != None {
			return UseValidate, refused
		}
	}
	return use, why
}

// refuses says why a client does not want what could be served; None if it
// does.
func (c *Control) refuses(l *Life, now int64) Reason {
	stale := l.stale(now)
	switch {
	case c.NoCache:
		return ClientNoCache
	case c.HasMaxAge && l.Age(now) > c.MaxAge && !(l.Immutable && stale < 0): // RFC 8246, 2.1
		return ClientMaxAge
	case c.HasMaxAge && !c.HasMaxStale && stale >= 0: // 5.2.1.1: nor anything stale, however young
		return ClientMaxAge
	case c.HasMinFresh && stale+c.MinFresh > 0:
		return ClientMinFresh
	}
	return None
}

// use is what the life allows, with the client's max-stale.
func (l *Life) use(c *Control, now int64) (Use, Reason) {
	stale := l.stale(now)
	switch {
	case l.NoCache:
		return UseValidate, NoCache
	case stale < 0:
		return UseServe, Fresh
	case stale < l.SWR && l.Soft:
		return UseRefresh, SoftPurged
	case stale < l.SWR:
		return UseRefresh, StaleWhileRevalidate
	case c.HasMaxStale && !l.MustRevalidate && !l.SharedMaxAge && !l.Soft && (c.AnyStale || stale <= c.MaxStale):
		return UseServe, ClientStale
	}
	return UseValidate, Expired
}
