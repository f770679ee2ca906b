package casetest

import (
	"testing"

	"edgecache/edge"
	"edgecache/edge/edgetest"
)

// shelfSizes are the two ways in which a body comes from disk.
func shelfSizes(t *testing.T, test func(t *testing.T, size int)) {
	t.Helper()
	t.Run("small", func(t *testing.T) { test(t, smallBody) })
	t.Run("large", func(t *testing.T) { test(t, largeBody) })
}

const stales = "Cache-Control: max-age=10, stale-while-revalidate=600, stale-if-error=600"

var confirmed = edgetest.Answer{Status: 304, Header: edgetest.Header(stales, tagged)}

// TestStaleFromDisk: a body on disk is served while its refresh runs, and in the
// place of an error.
func TestStaleFromDisk(t *testing.T) {
	shelfSizes(t, func(t *testing.T, size int) {
		s := shelve(t, edgetest.Config{})
		old, renewed := noise(1, size), noise(2, size)
		s.origin.On("/swr", edgetest.Text(200, old, stales, tagged), edgetest.Text(200, renewed, stales, `ETag: "v2"`))
		s.origin.On("/sie", edgetest.Text(200, old, "Cache-Control: max-age=10, stale-if-error=600", tagged), edgetest.Text(503, "down"))
		s.miss(old, "/swr")
		s.miss(old, "/sie")
		s.reshelve()
		s.Records.Drop()
		s.advance(20)
		r := s.fromDisk(old, "/swr")
		if got := s.Record(r.ID()); got.Cache != edge.CacheStale {
			t.Errorf("beyond its life: %+v", got)
		}
		s.refreshed(1)
		s.hit(renewed, "/swr")
		s.tier(edge.TierDisk, s.want(old, "/sie"))
		s.reshelve()
		s.fromDisk(renewed, "/swr")
		s.tier(edge.TierDisk, s.want(old, "/sie"))
		s.asked(2, "/swr")
		s.checkDisk(2)
	})
}

// TestConfirmedOnDisk: a 304 makes what is on disk fresh again, without its body
// being read for that, and stays over the next restart.
func TestConfirmedOnDisk(t *testing.T) {
	shelfSizes(t, func(t *testing.T, size int) {
		s := shelve(t, edgetest.Config{})
		body := noise(1, size)
		control := "Cache-Control: max-age=10"
		s.origin.On("/x", edgetest.Text(200, body, control, tagged), edgetest.Answer{Status: 304, Header: edgetest.Header(control, tagged, "X-New: 1")})
		s.miss(body, "/x")
		s.reshelve()
		s.advance(20)
		r := s.want(body, "/x")
		s.tier(edge.TierDisk, r)
		if s.last().Header.Get("If-None-Match") != `"v1"` || r.Header.Get("X-New") != "1" {
			t.Errorf("the origin got %v, the client %s", s.last().Header, show(r))
		}
		s.reshelve()
		if r := s.fromDisk(body, "/x"); r.Header.Get("X-New") != "1" {
			t.Errorf("after the restart: %s", show(r))
		}
		s.reshelve()
		s.advance(20)
		r = s.status(304, "/x", `If-None-Match: "v1"`)
		if reads := s.Store.Stats().Disk.Reads; reads != 0 {
			t.Errorf("%d chunks were read for two 304", reads)
		}
		s.tier(edge.TierDisk, r)
		s.asked(3, "/x")
		s.checkDisk(1)
	})
}

// TestDamageOnDisk: whatever the disk has made of a body, the client gets the
// right one from the origin, or an answer that is visibly broken.
func TestDamageOnDisk(t *testing.T) {
	shelfSizes(t, func(t *testing.T, size int) {
		for _, c := range []struct {
			name    string
			control string
			second  edgetest.Answer // what the origin says to a validation
			advance int
			status  int
			asked   int
		}{
			{"fresh", fresh, edgetest.Answer{}, 0, 200, 2},
			{"confirmed by the origin", "Cache-Control: max-age=10", confirmed, 20, 200, 3},
			{"stale while it is refreshed", stales, confirmed, 20, 200, -1},
			{"stale in the place of an error", "Cache-Control: max-age=10, stale-if-error=600", edgetest.Text(503, "down"), 20, 503, -1},
		} {
			t.Run(c.name, func(t *testing.T) {
				s := shelve(t, edgetest.Config{})
				body := noise(1, size)
				s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
					if r.Header.Get("If-None-Match") != "" || c.second.Status == 503 && s.clock.Ahead() > 0 {
						return c.second
					}
					return edgetest.Text(200, body, c.control, tagged)
				})
				s.miss(body, "/x")
				s.reshelve(func() { damage(t, s.dir(), body[100:164]) })
				s.advance(c.advance)
				r := s.Get("/x")
				if r.Err != nil || r.Status != c.status || c.status == 200 && r.Body != body {
					t.Errorf("%s, %d bytes, want %d with the origin's body", show(r), len(r.Body), c.status)
				}
				if n := s.origin.Asked("/x"); c.asked >= 0 && n != c.asked {
					t.Errorf("the origin was asked %d times, want %d", n, c.asked)
				}
				if s.Store.Stats().Disk.Evicted[broken] != 1 {
					t.Errorf("the damage was not noticed: %+v", s.Store.Stats().Disk.Evicted)
				}
			})
		}
	})
}

// TestDamageBehindTheHead: a chunk that turns out bad when the head is out breaks
// the answer visibly, and the next request gets the right one.
func TestDamageBehindTheHead(t *testing.T) {
	s := shelve(t, edgetest.Config{})
	body := noise(1, largeBody)
	s.origin.On("/x", edgetest.Text(200, body, fresh, tagged))
	s.miss(body, "/x")
	s.reshelve(func() { damage(t, s.dir(), body[20*diskGrid+100:20*diskGrid+164]) })
	if r := s.Get("/x"); r.Err == nil || len(r.Body) > 20*diskGrid || r.Body != body[:len(r.Body)] {
		t.Errorf("%d bytes with error %v, want the right ones up to the damage and a broken end", len(r.Body), r.Err)
	}
	s.miss(body, "/x")
	s.asked(2, "/x")
	s.Settle()
	s.checkDisk(1)
}
