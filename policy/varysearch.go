package policy

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/dunglas/httpsfv"
)

// SearchRule says which parts of a query an answer does not depend on:
// No-Vary-Search (draft-ietf-httpbis-no-vary-search). It is immutable. nil is the
// default: all of the query counts, as it was sent.
type SearchRule struct {
	anyOrder bool     // key-order: parameters of different names may change places
	all      bool     // params=?1: no parameter counts but names
	names    []string // sorted: those that do not count, or, with all, those that do
	text     string   // canonical: two rules mean the same if and only if it is equal
}

// maxSearchNames is how many names a rule may have; one with more is no rule.
const maxSearchNames = 64

// ReadSearchRule reads all lines of the field. What is absent, malformed or says
// nothing is the default.
func ReadSearchRule(lines []string) *SearchRule {
	if len(lines) == 0 {
		return nil
	}
	dict, err := httpsfv.UnmarshalDictionary(lines)
	if err != nil {
		return nil
	}
	r := &SearchRule{}
	listed, ok := r.readParams(dict)
	if !ok || !readFlag(dict, "key-order", &r.anyOrder) {
		return nil
	}
	if m, there := dict.Get("except"); there {
		if !r.all || listed || !r.readNames(m) {
			return nil
		}
	}
	if !r.anyOrder && !r.all && len(r.names) == 0 {
		return nil
	}
	slices.Sort(r.names)
	r.names = slices.Compact(r.names)
	r.text = string(r.appendText(nil))
	return r
}

// readParams reads params: a boolean, or a list of names.
func (r *SearchRule) readParams(dict *httpsfv.Dictionary) (listed, ok bool) {
	m, there := dict.Get("params")
	if !there {
		return false, true
	}
	if _, listed = m.(httpsfv.InnerList); listed {
		return true, r.readNames(m)
	}
	return false, readFlag(dict, "params", &r.all)
}

func readFlag(dict *httpsfv.Dictionary, name string, flag *bool) bool {
	m, there := dict.Get(name)
	return !there || flagMember(m, flag)
}

// readNames reads a list of strings, which are names as they are in a query.
func (r *SearchRule) readNames(m httpsfv.Member) bool {
	list, ok := m.(httpsfv.InnerList)
	if !ok || len(list.Items) > maxSearchNames {
		return false
	}
	for _, item := range list.Items {
		name, ok := item.Value.(string)
		if !ok {
			return false
		}
		r.names = append(r.names, string(appendDecoded(nil, []byte(name))))
	}
	return true
}

func (r *SearchRule) appendText(b []byte) []byte {
	var flags byte
	if r.anyOrder {
		flags |= 1
	}
	if r.all {
		flags |= 2
	}
	b = append(b, flags)
	for _, name := range r.names {
		b = binary.AppendUvarint(b, uint64(len(name)))
		b = append(b, name...)
	}
	return b
}

// Equal says whether two rules mean the same; nil is the default.
func (r *SearchRule) Equal(o *SearchRule) bool {
	return r == o || r != nil && o != nil && r.text == o.text
}

// counts says whether an answer depends on a parameter.
func (r *SearchRule) counts(name []byte) bool {
	return slices.Contains(r.names, string(name)) == r.all
}

// AppendKey appends the rule and what it leaves of a query, so that the bytes are
// equal if and only if the rule is the same and holds the queries for equal. Names
// and values are compared as forms are read: a blank may be "+" or "%20". It
// allocates only when dst lacks room or where the order does not count.
func (r *SearchRule) AppendKey(dst, query []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(r.text)))
	dst = append(dst, r.text...)
	if r.anyOrder {
		return r.appendSorted(dst, query)
	}
	for len(query) > 0 {
		var p []byte
		if p, query = cutParam(query); len(p) > 0 {
			dst = r.appendParam(dst, p)
		}
	}
	return dst
}

// appendSorted appends the parameters by name; those of one name keep their order.
func (r *SearchRule) appendSorted(dst, query []byte) []byte {
	type param struct{ name, form string }
	var all []param
	for len(query) > 0 {
		var p []byte
		if p, query = cutParam(query); len(p) == 0 {
			continue
		}
		if form := r.appendParam(nil, p); len(form) > 0 {
			all = append(all, param{string(appendDecoded(nil, paramName(p))), string(form)})
		}
	}
	slices.SortStableFunc(all, func(a, b param) int { return strings.Compare(a.name, b.name) })
	for _, p := range all {
		dst = append(dst, p.form...)
	}
	return dst
}

func cutParam(query []byte) (p, rest []byte) {
	for i, c := range query {
		if c == '&' {
			return query[:i], query[i+1:]
		}
	}
	return query, nil
}

// appendParam appends a parameter that counts: name and value decoded, each behind
// its length.
func (r *SearchRule) appendParam(dst, p []byte) []byte {
	name, start := paramName(p), len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = appendDecoded(dst, name)
	if !r.counts(dst[start+4:]) {
		return dst[:start]
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	value := p[len(name):]
	if len(value) > 0 {
		value = value[1:] // "="
	}
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = appendDecoded(dst, value)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

// appendDecoded decodes as application/x-www-form-urlencoded is read (WHATWG URL,
// 5.1): "+" is a blank, "%" without two digits stands for itself.
func appendDecoded(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			dst = append(dst, ' ')
		default:
			v, ok := byte(0), false
			if c == '%' {
				v, ok = unescape(s[i:])
			}
			if !ok {
				dst = append(dst, c)
				continue
			}
			dst = append(dst, v)
			i += 2
		}
	}
	return dst
}
