// Package purge knows what is no longer valid. A purge is an Entry; the Log
// makes it durable and gives it its place in the order; the Index answers,
// for a stored object, whether a later purge covers it; the Sweeper gives
// space back behind them; the API is the HTTP face.
//
// One rule decides every doubt: purging too much is allowed when something
// was lost, too little never. And no wall clock decides what is covered, only
// the order in which purges were applied on this node.
package purge

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"edgecache/policy"
)

// A Scope is what kind of thing a purge names.
type Scope uint8

// The scopes.
const (
	ScopeURL    Scope = iota // one url, all its variants, either scheme
	ScopeTag                 // all that carries a tag
	ScopePrefix              // a path and all below it, segment by segment
	ScopeHost                // all of one host
	ScopeAll                 // everything
	ScopeGroup               // one origin's cache group (RFC 9875)
	scopes                   // how many there are
)

var scopeNames = [scopes]string{"url", "tag", "prefix", "host", "all", "group"}

// String is the scope's name in metrics and in the API's records.
func (s Scope) String() string {
	if s < scopes {
		return scopeNames[s]
	}
	return "unknown"
}

// A Strength is what a purge leaves of what it covers. The strongest wins.
type Strength uint8

// The strengths. The zero value is no purge at all.
const (
	None       Strength = iota
	Soft                // expired when it was applied; may be served within its stale window
	Revalidate          // never served unvalidated
	Hard                // gone: not even a validator may be taken from it
	strengths
)

var strengthNames = [strengths]string{"none", "soft", "revalidate", "hard"}

// String is the strength's name in metrics and in the API's records.
func (s Strength) String() string {
	if s < strengths {
		return strengthNames[s]
	}
	return "unknown"
}

// An Entry is one purge of one thing. Value and Host are in the form that
// ParseEntry gives them, which is that of the cache key.
type Entry struct {
	ID       string // of the purge call it came with; "" for an invalidation
	Seq      uint64 // its number in the order of this node, once applied
	Scope    Scope
	Value    string // "/p?q", a tag, a path prefix without its last slash, a host, a group
	Host     string // "" is every host; for a group the origin, or its host for both schemes
	Strength Strength
	At       int64 // when it was applied, Unix nanoseconds
}

// A Keyer gives the urls under which the routes' key rules may keep one, so that a
// purge of it names what the cache keeps. Host is empty for all hosts.
type Keyer func(policy.URL) []policy.URL

// The longest selectors that are taken; nothing longer can be in the cache.
const (
	MaxSelectorBytes = 8 << 10
	MaxTagBytes      = 256
)

// ParseEntry reads what a person or a program wants purged: a url
// ("http://h/p?q", or "/p?q" for all hosts), a prefix ("http://h/a" or "/a"),
// a host with its port if that is not the default one, a tag or a group. Host
// narrows a selector that names none; a group needs it. The result is
// normalised as the cache key is.
func ParseEntry(scope Scope, selector, host string, s Strength) (Entry, error) {
	e := Entry{Scope: scope, Strength: s}
	if s == None || s >= strengths {
		return Entry{}, fmt.Errorf("purge %s: no such strength: %d", scope, s)
	}
	if len(selector) > MaxSelectorBytes || len(host) > MaxSelectorBytes {
		return Entry{}, fmt.Errorf("purge %s: the selector is longer than %d bytes", scope, MaxSelectorBytes)
	}
	if err := e.read(selector, host); err != nil {
		return Entry{}, fmt.Errorf("purge %s %q: %w", scope, selector, err)
	}
	return e, nil
}

// URLEntry is the purge of a url that is already as it is in the key.
func URLEntry(u policy.URL, s Strength) Entry {
	return Entry{Scope: ScopeURL, Value: joinQuery(u), Host: string(u.Host), Strength: s}
}

// read fills in Value and Host.
func (e *Entry) read(selector, host string) error {
	switch e.Scope {
	case ScopeURL, ScopePrefix:
		return e.readURL(selector, host)
	case ScopeTag:
		return e.readTag(selector, host)
	case ScopeGroup:
		return e.readGroup(selector, host)
	case ScopeHost:
		return e.readHost(selector, host)
	case ScopeAll:
		return e.readAll(selector, host)
	}
	return errors.New("no such scope")
}

func (e *Entry) readURL(selector, host string) error {
	u, err := policy.ParseURL(selector)
	if err != nil {
		return err
	}
	if e.Host, err = narrow(string(u.Host), host); err != nil {
		return err
	}
	if e.Scope == ScopeURL {
		e.Value = joinQuery(u)
		return nil
	}
	if u.HasQuery {
		return errors.New("a prefix has no query")
	}
	e.Value = strings.TrimSuffix(string(u.Path), "/")
	_, err = prefixDepth(e.Value)
	return err
}

// prefixDepth counts the segments of a normalised prefix.
func prefixDepth(prefix string) (int, error) {
	if prefix != "" && prefix[0] != '/' {
		return 0, errors.New("a prefix begins with a slash")
	}
	n := strings.Count(prefix, "/")
	if n > MaxPrefixSegments {
		return 0, fmt.Errorf("a prefix has at most %d segments", MaxPrefixSegments)
	}
	return n, nil
}

// narrow unites the host in a selector with the one beside it.
func narrow(inside, beside string) (string, error) {
	if beside == "" {
		return inside, nil
	}
	h, err := normalHost(beside)
	if err != nil {
		return "", err
	}
	if inside != "" && inside != h {
		return "", fmt.Errorf("it names host %q, the request %q", inside, h)
	}
	return h, nil
}

func (e *Entry) readTag(selector, host string) (err error) {
	if e.Value, err = label(selector); err != nil || host == "" {
		return err
	}
	e.Host, err = normalHost(host)
	return err
}

func (e *Entry) readGroup(selector, host string) (err error) {
	if host == "" {
		return errors.New("a group belongs to an origin: give host")
	}
	if e.Value, err = label(selector); err != nil {
		return err
	}
	e.Host, err = normalOrigin(host)
	return err
}

func (e *Entry) readHost(selector, host string) (err error) {
	if host != "" && host != selector {
		return fmt.Errorf("it is not the host %q beside it", host)
	}
	e.Value, err = normalHost(selector)
	return err
}

func (e *Entry) readAll(selector, host string) error {
	if selector != "" && selector != "*" || host != "" {
		return errors.New("everything takes no selector and no host")
	}
	return nil
}

// label checks a tag or group.
func label(s string) (string, error) {
	s = strings.Trim(s, " \t")
	switch {
	case s == "":
		return "", errors.New("it is empty")
	case len(s) > MaxTagBytes:
		return "", fmt.Errorf("it is longer than %d bytes", MaxTagBytes)
	case !utf8.ValidString(s), strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "", errors.New("it has control characters or is not UTF-8")
	}
	return s, nil
}

// normalHost is a host as keys of either scheme may have it. A default port
// of one scheme stays, for it is not the default of the other; places covers
// both names.
func normalHost(raw string) (string, error) {
	a, _, err := policy.NormalizeHost(nil, []byte(raw), "http")
	if err != nil {
		return "", err
	}
	b, _, err := policy.NormalizeHost(nil, []byte(raw), "https")
	if err != nil {
		return "", err
	}
	if len(a) == 0 {
		return "", errors.New("the host is empty")
	}
	if len(a) < len(b) {
		return string(b), nil
	}
	return string(a), nil
}

// normalOrigin is "scheme://host", or a host alone.
func normalOrigin(raw string) (string, error) {
	scheme, host, found := strings.Cut(raw, "://")
	if !found {
		return normalHost(raw)
	}
	scheme = strings.ToLower(scheme)
	if scheme != "http" && scheme != "https" {
		return "", fmt.Errorf("the scheme %q is not http or https", scheme)
	}
	h, _, err := policy.NormalizeHost(nil, []byte(strings.TrimSuffix(host, "/")), scheme)
	if err != nil {
		return "", err
	}
	if len(h) == 0 {
		return "", errors.New("the host is empty")
	}
	return scheme + "://" + string(h), nil
}

// hostOf is the host of a normalised origin.
func hostOf(origin string) string {
	if _, host, found := strings.Cut(origin, "://"); found {
		return host
	}
	return origin
}

// joinQuery writes path and query as one string.
func joinQuery(u policy.URL) string {
	if !u.HasQuery {
		return string(u.Path)
	}
	return string(u.Path) + "?" + string(u.Query)
}

// keyed is e after the routes' key rules: one entry, or several.
func (e Entry) keyed(k Keyer) []Entry {
	if k == nil || e.Scope != ScopeURL {
		return []Entry{e}
	}
	u := splitQuery(e.Value)
	u.Host = []byte(e.Host)
	var all []Entry
	for _, one := range k(u) {
		e.Value = joinQuery(one)
		all = append(all, e)
	}
	return all
}
