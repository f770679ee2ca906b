package policy

import (
	"net/http"
	"slices"
	"time"
)

// Decision says whether an answer may be stored, for how long, and how it is
// found again. The zero value stores nothing.
type Decision struct {
	Store    bool
	Why      Reason   // Stored, or why not
	Life     Life     // only Born where nothing is stored: a miss has an age, too
	Vary     []string // names that select the variant: lower case, sorted, unique; stored or not
	Tags     []uint64 // HashTag of each tag, HashGroup of each Cache-Group
	TagNames []string // the same as texts, for people to read
	Strip    []string // canonical names of fields that must not be stored
	// SharedAuth says that the answer names itself fit for more than one user,
	// so that it may answer requests with Authorization that wait for the same
	// fetch (RFC 9111, 3.5).
	SharedAuth bool
	Explicit   bool // the origin named the lifetime
}

// oversizedHead is the head of a request, in bytes, from which on an error may
// be about the head rather than about the resource.
const oversizedHead = 8 << 10

// Judge decides about an answer to a request for the place at (RFC 9111, 3).
func Judge(a *Ask, r *Rules, res *Response, at URL, t Times) Decision {
	j := judge{a: a, r: r, res: res, at: at, t: t}
	j.source, j.cc = r.directives(res.Header)
	d := Decision{SharedAuth: j.cc.Public || j.cc.SMaxAge.Set || j.cc.MustRevalidate}
	d.Life = j.life()
	d.Explicit = d.Life.Explicit
	vary := j.vary(&d)
	for _, test := range [...]func(*Decision) Reason{
		j.request, j.status, j.directives, j.cookies, func(*Decision) Reason { return vary },
		j.tags, j.freshness,
	} {
		if d.Why = test(&d); d.Why != None {
			return Decision{Why: d.Why, Life: Life{Born: d.Life.Born}, Vary: d.Vary,
				SharedAuth: d.SharedAuth, Explicit: d.Explicit}
		}
	}
	d.Store, d.Why = true, Stored
	return d
}

// judge holds what the tests of one answer share. Each test returns None, or
// why the answer is not stored.
type judge struct {
	a      *Ask
	r      *Rules
	res    *Response
	at     URL
	t      Times
	cc     Directives
	source source // of cc

	malformed bool // the lifetime that the origin named
}

// request tests what was asked.
func (j *judge) request(d *Decision) Reason {
	a := j.a
	switch {
	case j.r.Bypass, j.r.Cookies == CookiesBypass && a.Has&HasCookie != 0:
		return BypassRule
	case a.Method == "POST":
		// RFC 9110, 9.3.3: the answer to a POST may stand for a later GET only
		// if it says that it is what is at that place, and for how long.
		if !d.Explicit || !j.isOwnLocation() || j.res.Status != http.StatusOK {
			return Method
		}
	case a.Method != "GET":
		return Method
	case a.Body:
		return FatGet
	}
	if a.Control.NoStore {
		return ClientNoStore
	}
	return None
}

func (j *judge) isOwnLocation() bool {
	lines := j.res.Header["Content-Location"]
	if len(lines) != 1 {
		return false
	}
	u, ok := j.at.Resolve(lines[0])
	return ok && u.Equal(j.at)
}

// status tests what kind of answer it is.
func (j *judge) status(d *Decision) Reason {
	s := j.res.Status
	switch {
	case s < 200, s == http.StatusNotModified:
		return Status
	case s == http.StatusPartialContent:
		return PartialAnswer
	case s >= 400 && j.a.Has&HasRange != 0:
		return ErrorToRange
	case s >= 400 && j.a.HeadBytes > oversizedHead:
		return ErrorToLongHead
	case j.cc.MustUnderstand && !understood(s):
		return MustUnderstand
	case j.res.CloseDelimited && !j.r.CloseDelimited:
		return CloseDelimited
	}
	return None
}

// directives tests what the origin forbids (RFC 9111, 3 and 3.5), and collects
// the fields that it forbids.
func (j *judge) directives(d *Decision) Reason {
	cc := &j.cc
	switch {
	case cc.NoStore && !cc.MustUnderstand: // 5.2.2.3: understood, else we were not here
		return NoStore
	case cc.Private:
		return Private
	case j.a.Has&HasAuthorization != 0 && !d.SharedAuth:
		return Authorization
	}
	for _, name := range slices.Concat(cc.PrivateFields, cc.NoCacheFields) {
		switch {
		case !j.essential(name):
			d.Strip = append(d.Strip, name)
		case slices.Contains(cc.PrivateFields, name):
			return Private
		}
	}
	return None
}

// essential says whether an answer without this field would be another answer,
// or one that lives longer.
func (j *judge) essential(name string) bool {
	return essential(name) || slices.Contains(j.r.targeted(), name)
}

func essential(name string) bool {
	switch name {
	case "Age", "Cache-Control", "Content-Encoding", "Content-Length", "Content-Range", "Content-Type",
		"Date", "Expires", "Surrogate-Control", "Transfer-Encoding", "Vary":
		return true
	}
	return false
}

// cookies tests the state that an answer carries or may have been made from.
func (j *judge) cookies(d *Decision) Reason {
	if j.a.sendsCookie(j.r) && !d.Explicit {
		return CookieRequest
	}
	if len(j.res.Header["Set-Cookie"])+len(j.res.Header["Set-Cookie2"]) == 0 {
		return None
	}
	switch {
	case j.r.SetCookie == SetCookieStrip:
		d.Strip = append(d.Strip, "Set-Cookie", "Set-Cookie2")
	case j.r.SetCookie == SetCookieBypass && !j.cc.SMaxAge.Set && !(j.source == fromTargeted && d.Explicit):
		if !slices.Contains(d.Strip, "Set-Cookie") {
			return SetCookieAnswer
		}
	}
	return None
}

// vary tests and collects what variants are selected by.
func (j *judge) vary(d *Decision) (why Reason) {
	most := j.r.MaxVary
	if most <= 0 {
		most = defaultMaxVary
	}
	d.Vary, why = readVary(j.res.Header["Vary"], most)
	return why
}

// defaultMaxVary is limits.vary_names.
const defaultMaxVary = 16

// freshness tests whether there is a use for it (RFC 9111, 3): a lifetime that
// is not over, a window behind it, or a validator to ask the origin with.
func (j *judge) freshness(d *Decision) Reason {
	l := &d.Life
	if !l.Explicit && l.Fresh == 0 && !cacheableByDefault(j.res.Status) && !j.cc.Public {
		return Status
	}
	if l.UsableOnError(j.t.ResponseAt) || l.At(j.t.ResponseAt) == StateRefresh || j.hasValidator() {
		return None
	}
	switch {
	case l.NoCache:
		return NoCache
	case l.Explicit && j.malformed:
		return BadFreshness
	case l.Fresh > 0 || l.Explicit:
		return StaleOnArrival
	}
	return NoFreshness
}

func (j *judge) hasValidator() bool {
	if len(j.res.Header["Etag"]) == 1 && j.res.Header["Etag"][0] != "" {
		return true
	}
	_, ok := j.date("Last-Modified")
	return ok
}

// date reads a field that has exactly one line, as Unix seconds.
func (j *judge) date(name string) (at int64, ok bool) {
	lines := j.res.Header[name]
	if len(lines) != 1 {
		return 0, false
	}
	t, ok := ParseDate(lines[0])
	return t.Unix(), ok
}

// cacheableByDefault are the statuses that may be stored without a word from
// the origin (RFC 9110, 15.1).
func cacheableByDefault(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

// understood says whether we do what the definition of a status asks of a cache
// (RFC 9111, 5.2.2.3): those of RFC 9110 that may be stored.
func understood(status int) bool {
	switch status {
	case 302, 303, 307:
		return true
	}
	return cacheableByDefault(status) || status >= 400 && status <= 417 ||
		status == 421 || status == 422 || status == 426 || status >= 500 && status <= 505
}

const second = int64(time.Second)
