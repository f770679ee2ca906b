package policy

import (
	"strings"
	"time"

	"github.com/dunglas/httpsfv"
)

// TargetedDirectives reads a targeted field, CDN-Cache-Control (RFC 9213), as a
// dictionary of structured fields (RFC 9651). It is false, and the field as if
// it were absent, when that is empty, malformed, or has a directive of the
// wrong type.
func TargetedDirectives(lines []string) (d Directives, ok bool) {
	if len(lines) == 0 {
		return Directives{}, false
	}
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
	*d = Delta{ok, time.Duration(min(max(n, 0), maxDelta)) * time.Second}
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
