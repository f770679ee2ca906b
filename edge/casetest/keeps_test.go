package casetest

import (
	"fmt"
	"strings"
	"testing"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/policy"
)

// TestRefusalOfOneClientLeavesTheObject: a 403 or 429 is about who asked; a
// 404 is about the object.
func TestRefusalOfOneClientLeavesTheObject(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		stays  bool
	}{
		{"403", 403, true}, {"429", 429, true}, {"401", 401, true}, {"404", 404, false}, {"410", 410, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, edgetest.Config{})
			s.origin.On("/x", edgetest.Text(200, "old", "Cache-Control: max-age=10", tagged),
				edgetest.Text(c.status, "no", "Cache-Control: no-store"), edgetest.Text(200, "new", fresh))
			s.miss("old", "/x")
			s.advance(11)
			s.Get("/x")
			s.Get("/x")
			asked := s.last().Header.Get("If-None-Match") != ""
			if asked != c.stays {
				t.Errorf("the third question had the stored validator: %v, want %v", asked, c.stays)
			}
		})
	}
}

// TestRefreshThatStoresNoError: a 5xx that could be stored does not replace
// what may be used in its place.
func TestRefreshThatStoresNoError(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.On("/x", edgetest.Text(200, "old", "Cache-Control: max-age=10, stale-while-revalidate=60, stale-if-error=600", lone),
		edgetest.Text(503, "down", fresh, lone))
	s.miss("old", "/x")
	s.advance(11)
	s.hit("old", "/x")
	s.refreshed(1)
	s.advance(2) // the origin is not asked again at once
	s.hit("old", "/x")
	s.refreshed(2)
}

// TestOneClientsCookieMarksNobody: that an answer to a Cookie is not stored by
// heuristic says nothing about requests without one.
func TestOneClientsCookieMarksNobody(t *testing.T) {
	s := open(t, edgetest.Config{Rules: policy.Rules{Heuristic: true}})
	s.origin.On("/x", edgetest.Text(200, "hello", "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT"))
	if r := s.Record(s.Get("/x", "Cookie: a=1").ID()); r.Unstored != policy.CookieRequest {
		t.Errorf("with a cookie not stored because of %v", r.Unstored)
	}
	if r := s.Record(s.Get("/x").ID()); r.Reason != policy.URIMiss {
		t.Errorf("the next client's reason is %v, want %v", r.Reason, policy.URIMiss)
	}
	s.hit("hello", "/x")
}

// TestRefusalsWereNotForwarded: Cache-Status says fwd only of what went on.
func TestRefusalsWereNotForwarded(t *testing.T) {
	s := open(t, edgetest.Config{Edge: edge.Config{Hosts: []string{"a.test"}}})
	r := s.Get("/x", "Host: b.test")
	if got := r.Header.Get("Cache-Status"); r.Status != 421 || got != "edge" {
		t.Errorf("%d, Cache-Status %q", r.Status, got)
	}
}

// TestEmptyChunkedAnswerIsStored: a body may end where its first chunk, or a
// chunk of the store's, would begin.
func TestEmptyChunkedAnswerIsStored(t *testing.T) {
	const grid = 64<<10 - 64
	for _, size := range []int{0, 1, grid - 1, grid, grid + 1, 2 * grid} {
		s := open(t, edgetest.Config{})
		body := strings.Repeat("x", size)
		chunks := "0\r\n\r\n"
		if size > 0 {
			chunks = fmt.Sprintf("%x\r\n%s\r\n%s", size, body, chunks)
		}
		s.origin.On("/x", edgetest.Script(edgetest.Bytes("HTTP/1.1 200 OK\r\n"+fresh+"\r\nTransfer-Encoding: chunked\r\n\r\n"+chunks)))
		s.miss(body, "/x")
		s.hit(body, "/x")
	}
}
