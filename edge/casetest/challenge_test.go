package casetest

import (
	"testing"

	"edgecache/edge"
	"edgecache/edge/edgetest"
)

// TestChallenge: an authority finds the proof that was ordered, whatever hosts
// and hooks say, and it is not stored; everything else goes its way.
func TestChallenge(t *testing.T) {
	const path = "/.well-known/acme-challenge/token"
	known := true
	refusing := &edgetest.Recorder{Request: func(s *edge.Session) (edge.FilterResult, error) {
		if string(s.Request.Path) == path {
			return edge.Reject(403, "no"), nil
		}
		return edge.Continue, nil
	}}
	s := open(t, edgetest.Config{Recorder: refusing, Edge: edge.Config{
		Hosts: []string{"a.test"},
		Challenge: func(host, asked []byte) []byte {
			if known && string(host) == "b.test" && string(asked) == path {
				return []byte("token.proof")
			}
			return nil
		},
	}})
	s.origin.On("*", edgetest.Text(200, "origin", "Cache-Control: max-age=60"))
	for range 2 {
		got := s.Get(path, "Host: b.test")
		if got.Status != 200 || string(got.Body) != "token.proof" || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("the proof: %d %q %v", got.Status, got.Body, got.Header)
		}
	}
	for _, c := range []struct {
		name   string
		reply  edgetest.Reply
		status int
	}{
		{"another path of its host", s.Get("/.well-known/acme-challenge/other", "Host: b.test"), 421},
		{"the path of another host", s.Get(path, "Host: a.test"), 403},
		{"another method", s.Do("POST", path, "", "Host: b.test"), 421},
		{"a token that is none, of a host that is served", s.Get("/.well-known/acme-challenge/other", "Host: a.test"), 200},
	} {
		if c.reply.Status != c.status {
			t.Errorf("%s: %d, want %d", c.name, c.reply.Status, c.status)
		}
	}
	known = false
	if got := s.Get(path, "Host: b.test"); got.Status != 421 {
		t.Errorf("when the order is done: %d, want 421", got.Status)
	}
}
