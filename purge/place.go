package purge

import (
	"bytes"
	"hash/maphash"
	"math/bits"
	"strings"

	"edgecache/policy"
)

// A kind is a scope as a lookup meets it: a purge with a host and one without
// are found by different hashes, and so is each depth of a path prefix.
type kind uint8

// MaxPrefixSegments is how deep a path prefix may be; it bounds what a lookup
// of a path of thousands of slashes costs.
const MaxPrefixSegments = 64

const (
	kindAll kind = iota
	kindHost
	kindURL       // one host
	kindURLAny    // all hosts
	kindTag       // all hosts; groups too, whose hash has the origin in it
	kindTagHost   // one host
	kindPrefix    // one host, depth 0; then the other depths
	kindPrefixAny = kindPrefix + MaxPrefixSegments + 1
	kinds         = kindPrefixAny + MaxPrefixSegments + 1
)

// A place is a spot in the index: what a purge writes to and a lookup reads.
type place struct {
	kind kind
	hash uint64
}

// The index lives in memory only, so its hashes may differ in every process.
var (
	seed = maphash.MakeSeed()
	salt = maphash.String(seed, "purge")
)

// fold mixes two hashes into one; the order matters.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^salt, bits.RotateLeft64(b, 31)^0x9e3779b97f4a7c15)
	return hi ^ lo
}

// key is the place's hash in the table, never 0.
func (p place) key() uint64 { return max(1, fold(p.hash, uint64(p.kind))) }

// hashURL hashes path and query. "/x" and "/x?" differ, as they do in the key.
func hashURL(u policy.URL) uint64 {
	h := maphash.Bytes(seed, u.Path)
	if !u.HasQuery {
		return fold(h, 1)
	}
	return fold(h, maphash.Bytes(seed, u.Query))
}

// nextSegment hashes one more segment of a path; rest begins with a slash or
// is empty.
func nextSegment(h uint64, rest []byte) (uint64, []byte) {
	rest = rest[1:]
	end := bytes.IndexByte(rest, '/')
	if end < 0 {
		end = len(rest)
	}
	return fold(h, maphash.Bytes(seed, rest[:end])), rest[end:]
}

// places are the spots that an entry writes to.
func (e *Entry) places() []place {
	switch e.Scope {
	case ScopeURL:
		return perHost(e.Host, kindURL, kindURLAny, hashURL(splitQuery(e.Value)))
	case ScopePrefix:
		h, depth := hashPrefix(e.Value)
		return perHost(e.Host, kindPrefix+depth, kindPrefixAny+depth, h)
	case ScopeTag:
		return perHost(e.Host, kindTagHost, kindTag, policy.HashTag(e.Value))
	case ScopeGroup:
		return groupPlaces(e.Host, e.Value)
	case ScopeHost:
		return perHost(e.Value, kindHost, kindHost, 0)
	default:
		return []place{{kindAll, 0}}
	}
}

// perHost is a place of kind one for each name that the host has in keys, or
// one of kind any when no host is named.
func perHost(host string, one, any kind, h uint64) []place {
	if host == "" {
		return []place{{any, h}}
	}
	places := []place{{one, fold(h, maphash.String(seed, host))}}
	if bare, found := withoutDefaultPort(host); found {
		places = append(places, place{one, fold(h, maphash.String(seed, bare))})
	}
	return places
}

// withoutDefaultPort is the other name of h:80 and h:443: which of the two is
// in a key depends on the key's scheme, and a purge covers both.
func withoutDefaultPort(host string) (bare string, found bool) {
	if bare, found = strings.CutSuffix(host, ":80"); found {
		return bare, true
	}
	return strings.CutSuffix(host, ":443")
}

// groupPlaces are the places of a cache group (RFC 9875), which belongs to one
// origin; a host without a scheme means both.
func groupPlaces(origin, group string) []place {
	if scheme, host, found := strings.Cut(origin, "://"); found {
		return []place{{kindTag, policy.HashGroup(scheme, host, group)}}
	}
	return []place{
		{kindTag, policy.HashGroup("http", origin, group)},
		{kindTag, policy.HashGroup("https", origin, group)},
	}
}

// hashPrefix hashes a normalised prefix ("" or "/a/b") and counts its segments.
func hashPrefix(prefix string) (h uint64, depth kind) {
	for rest := []byte(prefix); len(rest) > 0; depth++ {
		h, rest = nextSegment(h, rest)
	}
	return h, depth
}

// splitQuery reads a normalised "/p?q" back.
func splitQuery(s string) policy.URL {
	path, query, found := strings.Cut(s, "?")
	return policy.URL{Path: []byte(path), Query: []byte(query), HasQuery: found}
}
