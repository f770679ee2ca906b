package conformance_test

import (
	"slices"
	"strings"

	"edgecache/policy"
)

// both are aspects in which one cause shows.
var both = []string{"storable", "lifetime", "reuse"}

// storing are the deviations about what is stored.
var storing = []deviation{
	{
		"directive names have any case", "RFC 9111, 5.2", "edge reads NO-STORE and Private as what they say; the library looks for lower case only.",
		both, func(d *difference) bool { return anyUpper.MatchString(strings.ReplaceAll(d.control(), "X-A", "")) },
	},
	{
		"a comma in a quoted string ends no directive", "RFC 9110, 5.6.4", "edge splits outside quotation marks; the library takes what stands inside for a directive.",
		both, func(d *difference) bool { return strings.Contains(d.control(), `foo="a, max-age=7"`) },
	},
	{
		"the answer to a HEAD is not stored", "RFC 9110, 9.3.2", "A HEAD may be stored; edge answers it from the stored GET and stores only those.",
		[]string{"storable"}, func(d *difference) bool { return d.c.Method == "HEAD" },
	},
	{
		"a POST is stored only for its own url", "RFC 9110, 9.3.3", "Besides a lifetime it needs a Content-Location that is the url; the library does not ask for it.",
		[]string{"storable"}, func(d *difference) bool { return d.c.Method == "POST" && d.ours.Why == policy.Method },
	},
	{
		"any final status with a lifetime is stored", "RFC 9111, 3", "A cache need not understand a status that has explicit freshness, unless must-understand asks for it.",
		[]string{"storable"}, func(d *difference) bool { return d.ours.Storable && !slices.Contains(understood, d.c.Status) },
	},
	{
		"must-understand overrides no-store", "RFC 9111, 5.2.2.3", "The library does not know the directive.",
		both, func(d *difference) bool { return d.cc.MustUnderstand },
	},
	{
		"Vary: * is not stored", "RFC 9111, 4.1", "No request ever matches it; the library stores it and gives it a lifetime of 0.",
		both, func(d *difference) bool { return d.ours.Why == policy.VaryStar },
	},
	{
		"private and no-cache may name fields", "RFC 9111, 5.2.2.4 and 5.2.2.7", "edge leaves the named fields out and keeps the rest; the library reads both as without names.",
		both, func(d *difference) bool { return listedNames.MatchString(d.control()) },
	},
	{
		"what can never be used is not stored", "RFC 9111, 3", "Without a lifetime and without a validator there is no use for it.",
		[]string{"storable"}, func(d *difference) bool {
			return slices.Contains([]policy.Reason{policy.NoFreshness, policy.NoCache, policy.BadFreshness, policy.StaleOnArrival}, d.ours.Why)
		},
	},
}

// lasting are the deviations about how long an answer is fresh and how old it is.
var lasting = []deviation{
	{
		"the first of two lifetimes holds", "RFC 9111, 4.2.1", "The library takes the last.",
		[]string{"lifetime", "reuse"}, func(d *difference) bool { return d.twice() },
	},
	{
		"a malformed lifetime is 0", "RFC 9111, 1.2.2 and 4.2.1", "edge reads digits, in quotation marks or not; the library reads 5x and 1.5 as 5 and 1, and -1 as below 0.",
		[]string{"lifetime", "reuse", "storable"}, func(d *difference) bool { return d.oddSpan() },
	},
	{
		"Set-Cookie does not end freshness", "RFC 9111, 7.3", "edge does not store such an answer unless told to; then its lifetime is what it says. The library says 0.",
		[]string{"lifetime"}, func(d *difference) bool { return d.has("Set-Cookie") && d.theirs.Lifetime == 0 },
	},
	{
		"proxy-revalidate is about stale answers", "RFC 9111, 5.2.2.8", "The library gives such an answer no lifetime at all.",
		[]string{"lifetime"}, func(d *difference) bool { return d.cc.ProxyRevalidate && d.theirs.Lifetime == 0 },
	},
	{
		"Pragma means nothing in an answer", "RFC 9111, 5.4", "The library reads it as no-cache where there is no Cache-Control.",
		[]string{"lifetime", "reuse"}, func(d *difference) bool { return d.has("Pragma") && d.control() == "" },
	},
	{
		"a date that is none is in the past", "RFC 9111, 5.3; RFC 9110, 5.6.7", "edge knows the three forms and no more; JavaScript's Date.parse takes many others.",
		both, func(d *difference) bool { return d.badDate("Expires") },
	},
	{
		"two Expires are stale", "RFC 9111, 4.2.1", "node hands on the first line alone.",
		[]string{"lifetime", "reuse"}, func(d *difference) bool { return len(headerOf(d.c.Response)["Expires"]) > 1 },
	},
	{
		"a Last-Modified that is none is not there", "RFC 9110, 5.6.7", "As with Expires: no lifetime is guessed from it.",
		[]string{"lifetime", "reuse"}, func(d *difference) bool { return d.badDate("Last-Modified") },
	},
	{
		"no lifetime is guessed for a request with Authorization", "RFC 9111, 3.5", "The origin has allowed to share the answer, not said for how long: edge asks again.",
		[]string{"lifetime", "reuse"}, func(d *difference) bool { return slices.Contains(d.c.Request, "authorization: Basic x") },
	},
	{
		"the apparent age counts", "RFC 9111, 4.2.3", "An answer whose Date lies back is that old, whatever Age says; the library counts Age alone.",
		[]string{"age", "reuse"}, func(d *difference) bool { return d.has("Date") && d.ours.Age > d.theirs.Age },
	},
	{
		"an Age that is none is ignored", "RFC 9111, 5.1", "edge takes the first member if it is a number; the library takes -5 and 1.5 for one.",
		[]string{"age", "reuse"}, func(d *difference) bool { return d.has("Age") },
	},
}

// reusing are the deviations about whether a stored answer may be served.
var reusing = []deviation{
	{
		"must-revalidate is about stale answers", "RFC 9111, 5.2.2.2", "The library asks the origin for a fresh one, too.",
		[]string{"reuse"}, func(d *difference) bool { return d.cc.MustRevalidate && d.ours.Reuse == "serve" },
	},
	{
		"proxy-revalidate forbids stale answers", "RFC 9111, 5.2.2.8", "Also where the client or a window would allow them; the library does not look at it there.",
		[]string{"reuse"}, func(d *difference) bool { return d.cc.ProxyRevalidate && d.ours.Reuse == "validate" },
	},
	{
		"s-maxage forbids stale answers", "RFC 9111, 5.2.2.10", "A client's max-stale does not help: s-maxage has proxy-revalidate in it.",
		[]string{"reuse"}, func(d *difference) bool { return d.cc.SMaxAge.Set && d.ours.Reuse == "validate" },
	},
	{
		"no-cache is never served unvalidated", "RFC 9111, 5.2.2.4", "max-stale and windows change nothing about it; for the library it is merely stale.",
		[]string{"reuse"}, func(d *difference) bool { return d.cc.NoCache },
	},
	{
		"Pragma counts only without Cache-Control", "RFC 9111, 5.4", "The library obeys a request's Pragma beside a Cache-Control, too.",
		[]string{"reuse"}, func(d *difference) bool { return d.asked() != "" && slices.Contains(d.c.Again, "pragma: no-cache") },
	},
	{
		"directive names of a request have any case", "RFC 9111, 5.2", "The library looks for lower case only.",
		[]string{"reuse"}, func(d *difference) bool { return anyUpper.MatchString(d.asked()) },
	},
	{
		"a reload does not question what is immutable", "RFC 8246, 2.1", "While it is fresh a client's max-age changes nothing, only its no-cache does; the library asks the origin.",
		[]string{"reuse"}, func(d *difference) bool { return d.cc.Immutable && d.ours.Reuse == "serve" },
	},
	{
		"a window comes before max-stale", "RFC 5861, 3", "Where both allow it edge serves and refreshes; the library serves and leaves it as it is.",
		[]string{"reuse"}, func(d *difference) bool { return d.ours.Reuse == "refresh" && d.theirs.Reuse == "serve" },
	},
	{
		"max-age without max-stale wants nothing stale", "RFC 9111, 5.2.1.1", "However young it is, and window or not; the library serves it in the window.",
		[]string{"reuse"}, func(d *difference) bool {
			return strings.Contains(d.asked(), "max-age=") && !strings.Contains(d.asked(), "max-stale") && d.ours.Reuse == "validate" && d.theirs.Reuse == "refresh"
		},
	},
	{
		"max-stale includes its last second", "RFC 9111, 5.2.1.2", "No more than the number given: edge takes the very number, the library does not.",
		[]string{"reuse"}, func(d *difference) bool { return strings.HasPrefix(d.asked(), "max-stale=") && d.ours.Reuse == "serve" },
	},
}

// updating are the deviations about a 304.
var updating = []deviation{
	{
		"a 304 without validators confirms what was asked about", "RFC 9111, 4.3.4", "edge sends the validators of one stored answer, so a bare 304 can mean no other; the library lets it match only what has none.",
		[]string{"matches"}, func(d *difference) bool {
			h := headerOf(d.c.Confirm)
			return d.ours.Matches && h.Get("Etag") == "" && h.Get("Last-Modified") == ""
		},
	},
	{
		"an equal date is equal in any form", "RFC 9110, 8.8.2", "edge compares the times, the library the texts; and one that is no date is no validator.",
		[]string{"matches"}, func(d *difference) bool {
			return headerOf(d.c.Confirm).Get("Last-Modified") != "" || d.badDate("Last-Modified")
		},
	},
	{
		"a 304 brings fields that are new", "RFC 9111, 3.2", "The library updates only fields that were there.",
		[]string{"merged"}, func(d *difference) bool { return len(d.ours.Merged) > len(d.theirs.Merged) },
	},
}
