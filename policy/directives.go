package policy

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pquerna/cachecontrol/cacheobject"
)

// Delta is a directive's span: RFC 9111, 1.2.2. Set says that the directive
// was there; one that was malformed is Set, Bad and 0, because it must not make
// an answer fresh.
type Delta struct {
	Set, Bad bool
	Span     time.Duration
}

// Directives are the cache directives of an answer (RFC 9111, 5.2.2; RFC 5861;
// RFC 8246), from Cache-Control or from what stands in its
// place.
type Directives struct {
	NoStore, NoCache, Private, Public bool // NoCache and Private: without field names
	MustRevalidate, ProxyRevalidate   bool
	MustUnderstand, NoTransform       bool
	Immutable                         bool

	MaxAge, SMaxAge, StaleWhileRevalidate, StaleIfError Delta

	// Field names of no-cache="…" and private="…", canonical, sorted.
	NoCacheFields, PrivateFields []string
}

// ReadDirectives reads all lines of Cache-Control. Each directive stands alone,
// so a bad one takes no other with it; the first of two spans holds (RFC 9111,
// 4.2.1); what forbids holds even when it is malformed.
func ReadDirectives(lines []string) Directives {
	var d Directives
	for _, line := range lines {
		for _, one := range splitDirectives(line) {
			d.add(one)
		}
	}
	d.tidy()
	return d
}

// directive is one member of Cache-Control: its text, and its name in lower
// case.
type directive struct {
	name, text string
	// bad says that the library must not read it: it stands behind a quotation mark that
	// is never closed, goes on behind one that is, or has a number that goes on as none.
	bad bool
}

// token is the name up to what no name has: "no-store" of "no-store;".
func (d directive) token() string {
	for i := range len(d.name) {
		if !isTokenByte(d.name[i]) {
			return d.name[:i]
		}
	}
	return d.name
}

// bare says that there is no argument, not even the empty one that the library
// lets through.
func (d directive) bare() bool { return len(d.text) == len(d.name) }

// splitDirectives cuts a line at commas and blanks outside quoted strings. A
// quotation mark opens a string only behind "="; one that never closes opens
// none, but what follows it is torn.
func splitDirectives(line string) []directive {
	var all []directive
	torn := false
	for i := 0; i < len(line); {
		if line[i] == ',' || isBlank(line[i]) {
			i++
			continue
		}
		start, junk := i, false
		for i < len(line) && line[i] != ',' && !isBlank(line[i]) {
			if line[i] != '"' || i == start || line[i-1] != '=' || torn {
				i++
				continue
			}
			end := quotedEnd(line, i)
			if torn = end < 0; !torn {
				i = end
				junk = i < len(line) && line[i] != ',' && !isBlank(line[i])
			}
		}
		text := line[start:i]
		name, _, _ := strings.Cut(text, "=")
		all = append(all, directive{strings.ToLower(name), text, torn || junk || oddNumber(text)})
	}
	return all
}

// oddNumber says whether an argument begins as a number and goes on as none. When
// it is too large the library sees only that, and takes it for a large one.
func oddNumber(text string) bool {
	_, value, _ := strings.Cut(text, "=")
	value = strings.Trim(value, `"`)
	rest := strings.TrimLeft(value, "0123456789")
	return rest != "" && len(rest) < len(value)
}

// quotedEnd returns the index behind the quoted string that opens at i (RFC
// 9110, 5.6.4), or -1.
func quotedEnd(s string, i int) int {
	for i++; i < len(s); i++ {
		switch s[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return -1
}

// add takes one directive in. The library reads it; what it refuses, and what
// has junk behind its name, is read by its name alone: 0 for a span, in force for
// what forbids, not there else.
func (d *Directives) add(one directive) {
	got, err := cacheobject.ParseResponseCacheControl(one.text)
	if err != nil || one.bad || !isToken(one.name) {
		got = refused(one.token())
	}
	d.NoStore = d.NoStore || got.NoStore
	d.MustRevalidate = d.MustRevalidate || got.MustRevalidate
	d.ProxyRevalidate = d.ProxyRevalidate || got.ProxyRevalidate
	d.Public = d.Public || got.Public && one.bare()
	d.NoTransform = d.NoTransform || got.NoTransform
	d.Immutable = d.Immutable || got.Immutable && one.bare()
	d.MustUnderstand = d.MustUnderstand || !one.bad && strings.EqualFold(one.text, "must-understand")
	d.NoCache, d.NoCacheFields = restrict(d.NoCache, d.NoCacheFields, got.NoCachePresent, got.NoCache)
	d.Private, d.PrivateFields = restrict(d.Private, d.PrivateFields, got.PrivatePresent, got.Private)
	switch one.name {
	case "max-age":
		d.MaxAge.first(got.MaxAge)
	case "s-maxage":
		d.SMaxAge.first(got.SMaxAge)
	case "stale-while-revalidate":
		d.StaleWhileRevalidate.first(got.StaleWhileRevalidate)
	case "stale-if-error":
		d.StaleIfError.first(got.StaleIfError)
	}
}

// refused is what remains of a directive that the library would not take.
func refused(name string) *cacheobject.ResponseCacheDirectives {
	got := &cacheobject.ResponseCacheDirectives{
		MaxAge: -1, SMaxAge: -1, StaleWhileRevalidate: -1, StaleIfError: -1,
	}
	switch name {
	case "no-store":
		got.NoStore = true
	case "no-cache":
		got.NoCachePresent = true
	case "private":
		got.PrivatePresent = true
	case "must-revalidate":
		got.MustRevalidate = true
	case "proxy-revalidate":
		got.ProxyRevalidate = true
	}
	return got
}

// first sets the span unless an earlier directive did.
func (d *Delta) first(n cacheobject.DeltaSeconds) {
	if !d.Set {
		*d = Delta{Set: true, Bad: n < 0, Span: seconds(n)}
	}
}

// restrict unites what stood so far with one more no-cache or private. A list
// with a name that is no field name is no list, so it forbids all.
func restrict(all bool, fields []string, present bool, names cacheobject.FieldNames) (bool, []string) {
	if !present {
		return all, fields
	}
	if len(names) == 0 {
		return true, fields
	}
	for name := range names {
		if !isToken(name) {
			all = true
			continue
		}
		fields = append(fields, name)
	}
	return all, fields
}

func (d *Directives) tidy() {
	for _, list := range []*[]string{&d.NoCacheFields, &d.PrivateFields} {
		for i, name := range *list {
			(*list)[i] = http.CanonicalHeaderKey(name)
		}
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
}
