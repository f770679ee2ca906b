package casetest

import (
	"testing"
	"time"

	"edgecache/edge/edgetest"
	"edgecache/policy"
)

var _ = register(map[string]func(*testing.T){
	"wcd-account_x.css":            deceive("/account/x.css"),
	"wcd-account;x.css":            deceive("/account;x.css"),
	"wcd-account%3Bx.css":          deceive("/account%3Bx.css"),
	"wcd-account%2Fx.css":          deceive("/account%2Fx.css"),
	"wcd-account%0Ax.css":          deceive("/account%0Ax.css"),
	"wcd-account?x.css":            deceive("/account?x.css"),
	"wcd-account_..%2fstatic_x.js": deceive("/account/..%2fstatic/x.js"),
	"wcd-static_..%2faccount":      deceive("/static/..%2faccount"),
})

// deceive: a victim with a cookie is lured to a path that looks static. What
// the origin says there without a word about caching is stored under no rules
// that guess a lifetime, and the attacker gets a page of their own.
func deceive(target string) func(*testing.T) {
	return func(t *testing.T) {
		for name, rules := range map[string]policy.Rules{
			"defaults":   {Heuristic: true},
			"a ttl":      {Heuristic: true, TTL: time.Hour},
			"by status":  {TTLStatus: map[int]time.Duration{200: time.Hour}},
			"an old one": {Heuristic: true, HeuristicMax: 24 * time.Hour},
		} {
			for _, lines := range [][]string{{"Content-Type: text/html"}, {"Content-Type: text/css", old}, {"Content-Type: text/html", "Vary: X-None", old}} {
				s := open(t, edgetest.Config{Rules: rules})
				s.origin.OnFunc("*", func(r edgetest.Seen) edgetest.Answer {
					return edgetest.Text(200, "secrets of "+r.Header.Get("Cookie"), lines...)
				})
				victim := s.line(target, "Cookie: session=victim")
				if victim.Status != 200 || victim.Body != "secrets of session=victim" {
					t.Fatalf("%s: the victim gets %s", name, show(victim))
				}
				for _, r := range []edgetest.Reply{s.line(target), s.line(target, "Cookie: session=other")} {
					if isHit(r) && r.Body != "secrets of " || r.Body == victim.Body {
						t.Errorf("%s, %q: the attacker gets %s", name, lines, show(r))
					}
				}
				if got := s.line(target, "Cookie: session=victim"); isHit(got) && got.Body == victim.Body {
					t.Errorf("%s, %q: the victim's page was stored: %s", name, lines, show(got))
				}
			}
		}
	}
}
