package policy

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"
)

// MaxTargeted is how many targeted fields a route may name.
const MaxTargeted = 8

// defaultTargeted is what Rules.Targeted stands for when it is nil.
var defaultTargeted = []string{"Cdn-Cache-Control"}

// targeted lists the fields that are asked before Cache-Control.
func (r *Rules) targeted() []string {
	if r.Targeted == nil {
		return defaultTargeted
	}
	return r.Targeted
}

// Hidden lists, by their canonical names, the fields that are for us alone and
// are not delivered: tags, and those that say how long a cache keeps an answer.
// Cache-Groups is for caches of all kinds and stays.
func (r *Rules) Hidden() []string {
	hidden := []string{"Surrogate-Key", "Cache-Tag", "Surrogate-Control"}
	for _, list := range [][]string{r.targeted(), r.TagHeaders} {
		for _, name := range list {
			if name = http.CanonicalHeaderKey(name); name != "Cache-Groups" && !slices.Contains(hidden, name) {
				hidden = append(hidden, name)
			}
		}
	}
	return hidden
}

// MayTarget says whether a field, by its canonical name, can be a targeted one.
// It is hidden from clients, so it must be none that an answer needs or that
// has a meaning and a syntax of its own.
func MayTarget(name string) bool {
	switch name {
	case "Cache-Groups", "Cache-Tag", "Etag", "Last-Modified", "Location", "Pragma",
		"Set-Cookie", "Set-Cookie2", "Surrogate-Key", "Warning", "Www-Authenticate":
		return false
	}
	return isToken(name) && !essential(name) && !IsHopByHop(name)
}

// source says where the directives of an answer are from.
type source uint8

const (
	fromCacheControl source = iota
	fromSurrogate           // Surrogate-Control
	fromTargeted            // a field of Rules.Targeted
)

// directives reads what an origin says about caching, from the first that says
// something: the route's targeted fields in their order (RFC 9213, 2.2),
// Surrogate-Control, Cache-Control.
func (r *Rules) directives(h http.Header) (source, Directives) {
	for _, name := range r.targeted() {
		if d, ok := TargetedDirectives(h[name]); ok {
			return fromTargeted, d
		}
	}
	if d, ok := SurrogateDirectives(h["Surrogate-Control"]); ok {
		return fromSurrogate, d
	}
	return fromCacheControl, ReadDirectives(h["Cache-Control"])
}

// TargetedDirectives reads a targeted field, like CDN-Cache-Control (RFC 9213), as a
// dictionary of structured fields (RFC 9651). It is false, and the field as if
// it were absent, when that is empty, malformed, or has a directive of the
// wrong type.
func TargetedDirectives(lines []string) (d Directives, ok bool) {
	if len(lines) == 0 {
		return d, false
	}
	return readTargeted(lines)
}

// readTargeted is TargetedDirectives of a field that is there.
func readTargeted(lines []string) (d Directives, ok bool) {
	dict, err := httpsfv.UnmarshalDictionary(lines)
	if err != nil || len(dict.Names()) == 0 {
		return Directives{}, false
	}
	for _, name := range dict.Names() {
		member, _ := dict.Get(name)
		if !d.set(name, member) {
			return Directives{}, false
		}
	}
	d.tidy()
	return d, true
}

// set takes one member of a dictionary in, and is false when its type is not
// that of the directive. Names that we do not know may have any type.
func (d *Directives) set(name string, m httpsfv.Member) bool {
	switch name {
	case "max-age":
		return d.MaxAge.member(m)
	case "s-maxage":
		return d.SMaxAge.member(m)
	case "stale-while-revalidate":
		return d.StaleWhileRevalidate.member(m)
	case "stale-if-error":
		return d.StaleIfError.member(m)
	case "no-cache":
		return listMember(m, &d.NoCache, &d.NoCacheFields)
	case "private":
		return listMember(m, &d.Private, &d.PrivateFields)
	}
	flags := map[string]*bool{
		"no-store": &d.NoStore, "public": &d.Public, "must-revalidate": &d.MustRevalidate,
		"proxy-revalidate": &d.ProxyRevalidate, "must-understand": &d.MustUnderstand,
		"no-transform": &d.NoTransform, "immutable": &d.Immutable,
	}
	flag := flags[name]
	return flag == nil || flagMember(m, flag)
}

// maxDelta is what larger spans count as (RFC 9111, 1.2.2).
const maxDelta = 1<<31 - 1

func (d *Delta) member(m httpsfv.Member) bool {
	item, _ := m.(httpsfv.Item)
	n, ok := item.Value.(int64)
	*d = Delta{Set: ok, Span: time.Duration(min(max(n, 0), maxDelta)) * time.Second}
	return ok
}

func flagMember(m httpsfv.Member, flag *bool) (ok bool) {
	item, _ := m.(httpsfv.Item)
	*flag, ok = item.Value.(bool)
	return ok
}

// listMember reads no-cache and private: a boolean, or names as one string, a
// token or an inner list of these.
func listMember(m httpsfv.Member, all *bool, fields *[]string) bool {
	if flagMember(m, all) {
		return true
	}
	items := []httpsfv.Item{}
	switch m := m.(type) {
	case httpsfv.Item:
		items = append(items, m)
	case httpsfv.InnerList:
		items = m.Items
	}
	for _, item := range items {
		var text string
		switch v := item.Value.(type) {
		case string:
			text = v
		case httpsfv.Token:
			text = string(v)
		default:
			return false
		}
		for name := range strings.SplitSeq(text, ",") {
			if name = strings.TrimSpace(name); isToken(name) {
				*fields = append(*fields, name)
			} else {
				*all = true
			}
		}
	}
	*all = *all || len(items) == 0
	return true
}
