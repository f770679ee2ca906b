package main

import "strings"

// cut says what stands in the place of a call that was taken out, and which
// lines of the checklist are about the call: their tests must fail.
type cut struct {
	instead string // USES, RECEIVER and ARGS are the call's
	about   []string
}

// nothing is in the place of a call without a result.
const nothing = "func() { USES }()"

// A filter that is not asked goes on.
const goesOn = "func() (FilterResult, error) { USES; return FilterResult{}, nil }()"

// hookCuts are the calls of the hooks, wherever they stand.
var hookCuts = map[string]cut{
	"RequestFilter":         {goesOn, ids("S02 S03 S11 S15 S16 S17 S18 S25 S26 S28")},
	"CacheKey":              {"func() ([]byte, error) { USES; return nil, nil }()", ids("S03 S04 S11 S24")},
	"UpstreamPeer":          {"e.UpstreamPeer(ARGS)", ids("S05 S11 S21 S24")},
	"UpstreamRequestFilter": {goesOn, ids("S06 S11 S15 S16 S17 S18 S22 S24")},
	"ConnectedToUpstream":   {"func() error { USES; return nil }()", ids("S07 S11 S24")},
	"ResponseFilter":        {goesOn, ids("S08 S09 S11 S13 S15 S16 S17 S18 S26")},
	"CacheStore":            {"func() error { USES; return nil }()", ids("S09 S10 S11 S24")},
	"DeliveryFilter":        {goesOn, ids("S04 S11 S15 S16 S17 S18 S25")},
	"FailToConnect":         {"func() bool { USES; return false }()", ids("S19 S22")},
	"ErrorWhileProxying":    {"func() int { USES; return 0 }()", ids("S21")},
	"Logging":               {nothing, ids("S04 S11 S24 S34")},
}

// markCuts are the lines of the trace, by the phase that they mark.
var markCuts = map[string]cut{
	"RequestFilter":         {nothing, ids("S01 S12 S31")},
	"CacheLookup":           {nothing, ids("S03 S31")},
	"UpstreamPeer":          {nothing, ids("S05 S31")},
	"UpstreamRequestFilter": {nothing, ids("S03 S19 S31")},
	"ConnectedToUpstream":   {nothing, ids("S03 S31")},
	"ResponseFilter":        {nothing, ids("S03 S31")},
	"CacheStore":            {nothing, ids("S31")},
	"Delivery":              {nothing, ids("S31")},
	"Logging":               {nothing, ids("S01 S11 S12 S31")},
}

// otherCuts are calls by "function callee" that the checklist is about, too:
// what writes requests down, what a failed connect does, what is taken over
// from a fetch, and what is given back.
var otherCuts = map[string]cut{
	"conclude observe":            {nothing, ids("S27 S34")},
	"conclude add":                {nothing, ids("S02 S24")},
	"conclude Write":              {nothing, ids("S11 S30")},
	"failToConnect Warn":          {nothing, ids("S19")},
	"failToConnect MarkUnhealthy": {nothing, ids("S19")},
	"brief splice":                {nothing, ids("S12 S31")},
	"debrief takeUpstream":        {nothing, ids("S24 S27")},
	"brief takeUpstream":          {nothing, ids("S24")},
	"fork Fork":                   {"RECEIVER", ids("S28")},
	"Release reset":               {nothing, ids("S28 S33")},
	"panicked refuse":             {nothing, ids("S11")},
	"apply answer":                {nothing, ids("S15")},
}

// ids splits a list of checklist lines.
func ids(list string) []string { return strings.Fields(list) }

// cut finds what to put in a call's place.
func (s site) cut() (cut, bool) {
	if s.callee == "mark" {
		c, ok := markCuts[s.phase]
		return c, ok
	}
	if c, ok := hookCuts[s.callee]; ok {
		return c, true
	}
	c, ok := otherCuts[s.function+" "+s.callee]
	return c, ok
}

// tests lists the lines of the checklist that are about a call. Where a call
// stands more than once, each place may have tests of its own.
func (s site) tests() []string {
	if own, ok := placeTests[s.function+" "+s.call]; ok {
		return own
	}
	c, _ := s.cut()
	return c.about
}

// placeTests are the tests of single places, by "function call".
var placeTests = map[string][]string{
	"apply e.answer(s, validStatus(r.status, http.StatusOK), r.header, r.body)": ids("S16"),
	"arrive s.trace.mark(PhaseCacheStore)":                                      ids("S03 S10 S31"),
}
