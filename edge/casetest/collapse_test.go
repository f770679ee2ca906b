package casetest

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"edgecache/cachestore"
	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/policy"
)

// gate is where an answer of the origin stops until the test goes on.
type gate struct {
	reached, pass chan struct{}
	once          *sync.Once
}

// newGate is a gate that opens at the end of a test that has failed.
func newGate(t *testing.T) gate {
	g := gate{make(chan struct{}), make(chan struct{}), new(sync.Once)}
	t.Cleanup(g.open)
	return g
}

// steps tells that the answer has come here, and waits.
func (g gate) steps(then ...edgetest.Step) []edgetest.Step {
	return append([]edgetest.Step{edgetest.Tell(g.reached), edgetest.Gate(g.pass)}, then...)
}

func (g gate) open() { g.once.Do(func() { close(g.pass) }) }

// late is an answer that stops before its head.
func (g gate) late(a edgetest.Answer) edgetest.Answer {
	return edgetest.Script(g.steps(edgetest.Whole(a))...)
}

// split is an answer that stops behind the first half of its body.
func (g gate) split(body string, lines ...string) edgetest.Answer {
	head := "HTTP/1.1 200 OK\r\n" + strings.Join(lines, "\r\n") + fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n", len(body))
	half := len(body) / 2
	return edgetest.Script(append([]edgetest.Step{edgetest.Bytes(head + body[:half])}, g.steps(edgetest.Bytes(body[half:]))...)...)
}

func (s *site) reached(g gate) {
	s.t.Helper()
	edgetest.Receive(s.t, "a request at the origin's gate", g.reached)
}

// reasons counts the clients' log records of a path by reason.
func (s *site) reasons(path string, n int) map[string]int {
	s.t.Helper()
	by := map[string]int{}
	s.Records.Wait(s.t, "log records", func(all []edge.Record) bool {
		clear(by)
		sum := 0
		for _, r := range all {
			if string(r.Path) == path && r.Kind == edge.KindClient {
				by[r.Reason.String()]++
				sum++
			}
		}
		return sum >= n
	})
	return by
}

const crowd = 30

func (s *site) crowd(n int, target string, lines ...string) (list []*client) {
	s.t.Helper()
	for range n {
		list = append(list, s.join("GET", target, lines...))
	}
	return list
}

// TestOneFetchForACrowd: whoever comes before the head, in the middle of the
// body, over a socket or by HEAD, one request goes up and all get the body.
func TestOneFetchForACrowd(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 20_000)
	s := open(t, edgetest.Config{})
	before, inside := newGate(t), newGate(t)
	a := inside.split(body, fresh)
	a.Steps = append(before.steps(), a.Steps...)
	s.origin.On("/x", a)
	early := s.crowd(crowd, "/x", "Range-Not: 1")
	head := s.join("HEAD", "/x")
	conditional := s.join("GET", "/x", `If-None-Match: "other"`, "If-Modified-Since: Mon, 06 Nov 2000 08:49:37 GMT")
	s.reached(before)
	before.open()
	s.reached(inside)
	late := s.crowd(crowd, "/x")
	socket := s.start("/x", "Host: a.test")
	inside.open()
	for _, c := range append(early, late...) {
		c.gets(body)
	}
	conditional.gets(body)
	if r := head.answer(); r.Err != nil || r.Status != 200 || r.Body != "" || r.Header.Get("Content-Length") != fmt.Sprint(len(body)) {
		t.Errorf("HEAD: %s", show(r))
	}
	if r := socket(); r.Body != body {
		t.Errorf("over a socket: %s", show(r))
	}
	s.asked(1, "/x")
	if seen := s.last(); seen.Header.Get("If-None-Match") != "" || seen.Header.Get("If-Modified-Since") != "" {
		t.Errorf("a client's condition went up: %v", seen.Header)
	}
	by := s.reasons("/x", 2*crowd+3)
	if by["uri_miss"] != 1 || by["uri_miss"]+by["collapsed"]+by["fresh"] != 2*crowd+3 || by["collapsed"] < 2*crowd+1 {
		t.Errorf("reasons %v, want one that leads and the rest collapsed", by)
	}
	s.hit(body, "/x", "Host: a.test")
}

// TestUnstorableReleasesAllAtTheHead: those who waited ask for themselves as
// soon as the head says so, and while its marker stands nobody waits.
func TestUnstorableReleasesAllAtTheHead(t *testing.T) {
	for _, control := range []string{"no-store", "private, max-age=600"} {
		s := open(t, edgetest.Config{})
		before, inside := newGate(t), newGate(t)
		a := inside.split("the first", "Cache-Control: "+control)
		a.Steps = append(before.steps(), a.Steps...)
		s.origin.On("/x", a, edgetest.Text(200, "another", "Cache-Control: "+control))
		first := s.join("GET", "/x")
		s.reached(before)
		others := s.crowd(crowd, "/x")
		before.open()
		for _, c := range others { // while the first one's body hangs
			c.gets("another")
		}
		inside.open()
		first.gets("the first")
		s.asked(crowd+1, "/x")

		one, two := newGate(t), newGate(t)
		s.origin.On("/x", one.late(edgetest.Text(200, "one", "Cache-Control: "+control)), two.late(edgetest.Text(200, "two", "Cache-Control: "+control)))
		a1 := s.join("GET", "/x")
		s.reached(one)
		a2 := s.join("GET", "/x")
		s.reached(two) // it has not waited for the one before it
		two.open()
		a2.gets("two")
		one.open()
		a1.gets("one")
		if by := s.reasons("/x", crowd+3); by["hit_for_miss"] < 2 {
			t.Errorf("reasons %v, want two by the marker", by)
		}
		s.markerEnds()
	}
}

// markerEnds: after its time, or a purge, or a storable answer, requests
// collapse again.
func (s *site) markerEnds() {
	s.t.Helper()
	collapses := func(why string) {
		s.t.Helper()
		g := newGate(s.t)
		s.origin.On("/x", g.late(edgetest.Text(200, "shared", "Cache-Control: max-age=5")), edgetest.Text(200, "own", "Cache-Control: no-store"))
		before := s.origin.Asked("/x")
		one := s.join("GET", "/x")
		s.reached(g)
		two := s.join("GET", "/x")
		g.open()
		one.gets("shared")
		two.gets("shared")
		if n := s.origin.Asked("/x") - before; n != 1 {
			s.t.Errorf("after %s: %d requests for two clients", why, n)
		}
		s.evict()
		s.want("own", "/x", "Host: a.test") // leaves a marker again
	}
	s.advance(11)
	collapses("ten seconds")
	s.purge("http://a.test/x")
	collapses("a purge")
	s.origin.On("/x", edgetest.Text(200, "storable", "Cache-Control: max-age=5"))
	s.want("storable", "/x", "Host: a.test") // passed on, and ends the marker
	s.want("storable", "/x", "Host: a.test") // stored
	s.hit("storable", "/x", "Host: a.test")
	s.evict()
	collapses("a storable answer")
}

// evict takes everything out of the store.
func (s *site) evict() {
	s.Store.Each(func(r *cachestore.Resource) bool {
		s.Store.Delete(r.Key)
		return true
	})
}

// TestMarkerBehindAPurge: what a hard purge has left in the store until the
// sweep is gone; it does not keep a marker from being seen.
func TestMarkerBehindAPurge(t *testing.T) {
	s := open(t, edgetest.Config{})
	one, two := newGate(t), newGate(t)
	s.origin.On("/x", edgetest.Text(200, "stored", fresh), edgetest.Text(200, "own", "Cache-Control: no-store"),
		one.late(edgetest.Text(200, "one", "Cache-Control: no-store")), two.late(edgetest.Text(200, "two", "Cache-Control: no-store")))
	s.miss("stored", "/x", "Host: a.test")
	s.purge("http://a.test/x")
	s.miss("own", "/x", "Host: a.test")
	first := s.join("GET", "/x")
	s.reached(one)
	second := s.join("GET", "/x")
	s.reached(two)
	two.open()
	second.gets("two")
	one.open()
	first.gets("one")
}

// TestVaryReleasesTheOthers: at the head those whose values differ ask for
// themselves, together.
func TestVaryReleasesTheOthers(t *testing.T) {
	s := open(t, edgetest.Config{})
	g := newGate(t)
	answer := func(kind string) edgetest.Answer { return edgetest.Text(200, kind, fresh, "Vary: X-Kind") }
	first := true
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		if first {
			first = false
			return g.late(answer(r.Header.Get("X-Kind")))
		}
		return answer(r.Header.Get("X-Kind"))
	})
	same := s.crowd(5, "/x", "X-Kind: a")
	s.reached(g)
	same = append(same, s.crowd(5, "/x", "X-Kind: a")...)
	other := s.crowd(5, "/x", "X-Kind: b")
	none := s.crowd(5, "/x")
	g.open()
	for _, c := range same {
		c.gets("a")
	}
	for _, c := range other {
		c.gets("b")
	}
	for _, c := range none {
		c.gets("")
	}
	if n := s.origin.Asked("/x"); n < 3 || n > 11 {
		t.Errorf("the origin was asked %d times for three variants", n)
	}
	s.hit("a", "/x", "Host: a.test", "X-Kind: a")
	s.hit("b", "/x", "Host: a.test", "X-Kind: b")
}

// TestAuthorizationIsNotShared: who has credentials gets no answer that is not
// for all, nor does anybody get theirs.
func TestAuthorizationIsNotShared(t *testing.T) {
	for _, c := range []struct {
		control, leader, follower string
		shared                    bool
	}{
		{"max-age=600", "", "Basic eA==", false},
		{"max-age=600", "Basic eA==", "", false},
		{"max-age=600", "Basic eA==", "Basic eA==", false},
		{"public, max-age=600", "", "Basic eA==", true},
		{"public, max-age=600", "Basic eA==", "", true},
		{"s-maxage=600", "Basic eA==", "Basic eQ==", true},
		{"max-age=600, must-revalidate", "Basic eA==", "", true},
	} {
		s := open(t, edgetest.Config{})
		g := newGate(t)
		s.origin.On("/x", g.late(edgetest.Text(200, "the leader's", "Cache-Control: "+c.control)), edgetest.Text(200, "its own", "Cache-Control: "+c.control))
		credentials := func(value string) []string {
			if value == "" {
				return nil
			}
			return []string{"Authorization: " + value}
		}
		leader := s.join("GET", "/x", credentials(c.leader)...)
		s.reached(g)
		follower := s.join("GET", "/x", credentials(c.follower)...)
		g.open()
		leader.gets("the leader's")
		want := map[bool]string{true: "the leader's", false: "its own"}[c.shared]
		if r := follower.answer(); r.Body != want {
			t.Errorf("%s, %q after %q: %s, want %s", c.control, c.follower, c.leader, show(r), want)
		}
	}
}

// TestHeadAndGet: HEAD follows GET (above), GET never HEAD.
func TestHeadAndGet(t *testing.T) {
	s := open(t, edgetest.Config{})
	g := newGate(t)
	s.origin.On("/x", g.late(edgetest.Text(200, "page", fresh)), edgetest.Text(200, "page", fresh))
	head := s.join("HEAD", "/x")
	s.reached(g)
	s.join("GET", "/x").gets("page")
	s.asked(2, "/x")
	g.open()
	if r := head.answer(); r.Err != nil || r.Status != 200 || r.Body != "" || r.Header.Get("Content-Length") != "4" {
		t.Errorf("HEAD: %s", show(r))
	}
	s.hit("page", "/x", "Host: a.test")
}

// TestRangeDuringAFill: a part that is near what is there is read from the
// fill; one far behind is a bounded request of its own.
func TestRangeDuringAFill(t *testing.T) {
	const ahead = 64 << 10
	body := strings.Repeat("0123456789abcdef", 40_000)
	s := open(t, edgetest.Config{Edge: edge.Config{Limits: edge.Limits{Ahead: ahead}}})
	g := newGate(t)
	half := len(body) / 2
	first := true
	s.origin.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		if first {
			first = false
			return g.split(body, fresh, tagged)
		}
		var from, to int
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); err != nil {
			return edgetest.Text(500, "no range")
		}
		return edgetest.Text(206, body[from:to+1], tagged, fmt.Sprintf("Content-Range: bytes %d-%d/%d", from, to, len(body)))
	})
	leader := s.join("GET", "/x")
	s.reached(g)
	leader.has(half)
	part := func(from, to int) *client { return s.join("GET", "/x", fmt.Sprintf("Range: bytes=%d-%d", from, to)) }
	check := func(c *client, from, to int) {
		t.Helper()
		r := c.answer()
		if r.Err != nil || r.Status != 206 || r.Body != body[from:to+1] || r.Header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/%d", from, to, len(body)) {
			t.Errorf("%d-%d: %s with %d bytes", from, to, show(r), len(r.Body))
		}
	}
	check(part(10, 99_999), 10, 99_999) // all of it is there
	s.asked(1, "/x")
	near := part(half+100, half+30_000)
	s.asked(1, "/x")
	check(part(len(body)-100, len(body)-1), len(body)-100, len(body)-1) // while the fill hangs
	s.asked(2, "/x")
	if got := s.last().Header.Get("Range"); got != fmt.Sprintf("bytes=%d-%d", len(body)-100, len(body)-1) {
		t.Errorf("the far one asked for %q", got)
	}
	g.open()
	check(near, half+100, half+30_000)
	leader.gets(body)
	s.asked(2, "/x")
}

// TestLeaderLeaves: a fetch belongs to nobody's connection.
func TestLeaderLeaves(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 40_000)
	for _, when := range []string{"before the head", "in the body"} {
		s := open(t, edgetest.Config{})
		before, inside := newGate(t), newGate(t)
		a := inside.split(body, fresh)
		a.Steps = append(before.steps(), a.Steps...)
		s.origin.On("/x", a)
		leader := s.join("GET", "/x")
		s.reached(before)
		followers := s.crowd(5, "/x")
		if when == "before the head" {
			leader.leave()
			leader.breaks()
		}
		before.open()
		s.reached(inside)
		if when == "in the body" {
			leader.has(1)
			leader.leave()
		}
		inside.open()
		leader.breaks()
		for _, c := range followers {
			c.gets(body)
		}
		s.hit(body, "/x", "Host: a.test")
		s.asked(1, "/x")
		if by := s.reasons("/x", 7); by["collapsed"] != 5 {
			t.Errorf("%s: reasons %v", when, by)
		}
	}
}

// TestAllLeave: a fetch that may be stored goes on for the next client.
func TestAllLeave(t *testing.T) {
	s := open(t, edgetest.Config{})
	g := newGate(t)
	s.origin.On("/x", g.late(edgetest.Text(200, "page", fresh)))
	for _, c := range s.crowd(3, "/x") {
		c.leave()
		c.breaks()
	}
	g.open()
	edgetest.Wait(t, "the object to be stored", func() bool { return s.Store.Stats().Variants == 1 })
	s.hit("page", "/x", "Host: a.test")
	s.asked(1, "/x")
}

// TestOneFollowerTakesTheLead when the leader's fetch fails before its head.
func TestOneFollowerTakesTheLead(t *testing.T) {
	s := open(t, edgetest.Config{})
	g, second := newGate(t), newGate(t)
	s.origin.On("/x",
		edgetest.Script(g.steps(edgetest.Reset())...),
		second.late(edgetest.Text(200, "page", fresh)),
		edgetest.Text(200, "one too many", fresh))
	leader := s.join("GET", "/x")
	s.reached(g)
	followers := s.crowd(crowd, "/x")
	g.open()
	if r := leader.answer(); r.Status != 502 {
		t.Errorf("the leader gets %s", show(r))
	}
	s.reached(second)
	second.open()
	for _, c := range followers {
		c.gets("page")
	}
	s.asked(2, "/x")
}

// TestDeadOriginIsAskedAFewTimes: a crowd does not ask an origin that fails
// once for each of it.
func TestDeadOriginIsAskedAFewTimes(t *testing.T) {
	s := open(t, edgetest.Config{})
	g := newGate(t)
	s.origin.On("/x", edgetest.Script(g.steps(edgetest.Reset())...), edgetest.Script(edgetest.Reset()))
	all := s.crowd(crowd, "/x")
	s.reached(g)
	g.open()
	for _, c := range all {
		if r := c.answer(); r.Status != 502 {
			t.Errorf("got %s, want 502", show(r))
		}
	}
	if n := s.origin.Asked("/x"); n > 10 {
		t.Errorf("the origin was asked %d times for %d clients", n, crowd)
	}
}

// TestNoCacheJoinsNothingOlder: a request that wants to know what holds now
// does not take what was asked before it came.
func TestNoCacheJoinsNothingOlder(t *testing.T) {
	s := open(t, edgetest.Config{Rules: policy.Rules{HonorClient: true}})
	g := newGate(t)
	s.origin.On("/x", g.late(edgetest.Text(200, "old", fresh)), edgetest.Text(200, "new", fresh))
	leader := s.join("GET", "/x")
	s.reached(g)
	s.join("GET", "/x", "Cache-Control: no-cache").gets("new")
	g.open()
	leader.gets("old")
	s.asked(2, "/x")
}
