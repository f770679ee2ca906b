package conformance_test

import (
	"regexp"
	"slices"
	"strings"

	"edgecache/policy"
)

// deviation is a rule by which policy and http-cache-semantics differ.
type deviation struct {
	name    string
	section string // that decides it
	why     string
	aspects []string
	when    func(*difference) bool
}

// difference is a case in which the two differ.
type difference struct {
	c            *exchangeCase
	cc           policy.Directives
	ours, theirs *verdict
}

func directives(lines []string) policy.Directives {
	return policy.ReadDirectives(headerOf(lines)["Cache-Control"])
}

// has says whether a response has a field.
func (d *difference) has(name string) bool { return headerOf(d.c.Response).Get(name) != "" }

// control is all of the response's Cache-Control, as node joins it.
func (d *difference) control() string { return nodeHeaders(d.c.Response)["cache-control"] }

// asked is the Cache-Control of the second request.
func (d *difference) asked() string { return nodeHeaders(d.c.Again)["cache-control"] }

// freshness are the directives that name a lifetime, as they stand.
var (
	freshness   = regexp.MustCompile(`(?i)(?:^|[, ])((?:s-maxage|max-age|stale-while-revalidate|stale-if-error) *(?:= *[^,]*)?)`)
	wellFormed  = regexp.MustCompile(`^[a-z-]+="?[0-9]+"?$`)
	anyUpper    = regexp.MustCompile(`[A-Z]`)
	listedNames = regexp.MustCompile(`(no-cache|private)="`)
)

// oddSpan says whether a lifetime is written in a way that RFC 9111, 1.2.2, has not.
func (d *difference) oddSpan() bool {
	for _, m := range freshness.FindAllStringSubmatch(d.control(), -1) {
		if !wellFormed.MatchString(strings.ToLower(strings.Trim(m[1], " "))) {
			return true
		}
	}
	return false
}

// twice says whether a lifetime is given more than once.
func (d *difference) twice() bool {
	seen := map[string]bool{}
	for _, m := range freshness.FindAllStringSubmatch(d.control(), -1) {
		name, _, _ := strings.Cut(strings.ToLower(m[1]), "=")
		if name = strings.TrimSpace(name); seen[name] {
			return true
		}
		seen[name] = true
	}
	return false
}

// badDate says whether a field is there and no date to us, or to them.
func (d *difference) badDate(name string) bool {
	value := headerOf(d.c.Response).Get(name)
	if len(headerOf(d.c.Response)[name]) == 0 {
		return false
	}
	_, ok := policy.ParseDate(value)
	return !ok
}

// understood are the statuses that the other side stores at all.
var understood = []int{200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501}

var deviations = slices.Concat(storing, lasting, reusing, updating)
