package seedtest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/edge/origin"
	"edgecache/policy"
)

// dead makes so many peers that nobody listens at, and puts live ones behind.
func dead(t testing.TB, n int, live ...string) []string {
	var list []string
	for range n {
		list = append(list, edgetest.DeadURL(t))
	}
	return append(list, live...)
}

func TestS19_FailToConnectRetries(t *testing.T) {
	live := edgetest.NewOrigin(t)
	live.On("/x", edgetest.Text(200, "alive", fresh))
	h := plain(t, edgetest.Config{Peers: dead(t, 3, live.URL)})
	r := h.Get("/x")
	rec := wantReply(t, h, r, 200, edge.CacheMiss, policy.URIMiss)
	if rec.Retries != 3 || r.Body != "alive" {
		t.Errorf("%d retries, body %q; want 3", rec.Retries, r.Body)
	}
	if e := explained(t, h, r.ID()); e.Session.RetryCount != 3 {
		t.Errorf("explain tells %d retries, want 3", e.Session.RetryCount)
	}
	if got := h.Log.Matching("connect to upstream", "refused"); len(got) != 3 {
		t.Errorf("logged %q, want 3 lines", got)
	}
	for i, p := range h.Peers("main") {
		if got, want := p.Healthy(time.Now()), i == 3; got != want {
			t.Errorf("peer %d healthy: %v, want %v", i, got, want)
		}
	}
	want := "request_filter cache_lookup" + strings.Repeat(" upstream_peer upstream_request_filter", 3) +
		strings.TrimPrefix(onMiss, "request_filter cache_lookup")
	wantPhases(t, h, r, want)
	if again := h.Record(h.Get("/x?other").ID()); again.Retries != 0 {
		t.Errorf("the next request had %d retries, want 0: the dead are known", again.Retries)
	}
}

// A part's fail_to_connect decides in our place; each failed peer is told once.
func TestS19_FailToConnectHookDecides(t *testing.T) {
	for _, retry := range []bool{true, false} {
		t.Run(fmt.Sprint("retry ", retry), func(t *testing.T) {
			live := edgetest.NewOrigin(t)
			live.On("/x", edgetest.Text(200, "alive"))
			var mu sync.Mutex
			var failed []*origin.Peer
			h := plain(t, edgetest.Config{Peers: dead(t, 3, live.URL), Recorder: &edgetest.Recorder{
				Fail: func(_ *edge.Session, p *origin.Peer, err error) bool {
					mu.Lock()
					defer mu.Unlock()
					var dial *origin.DialError
					if !errors.As(err, &dial) {
						t.Errorf("told of %v, want a *DialError", err)
					}
					failed = append(failed, p)
					return retry
				},
			}})
			r := h.Get("/x")
			peers := h.Peers("main")
			if retry {
				wantReply(t, h, r, 200, edge.CacheMiss, policy.URIMiss)
				if !slices.Equal(failed, peers[:3]) {
					t.Errorf("told of %d peers, want the three dead ones once each", len(failed))
				}
				return
			}
			wantReply(t, h, r, 502, edge.CacheMiss, policy.UpstreamConnectionFailed)
			if len(failed) != 1 || len(live.Seen()) != 0 {
				t.Errorf("told of %d peers, want 1; the live one saw %d requests, want 0", len(failed), len(live.Seen()))
			}
		})
	}
}

func TestS20_MaxRetriesExceeded(t *testing.T) {
	slow := make(chan struct{})
	defer close(slow)
	silent := edgetest.NewOrigin(t)
	silent.On("*", edgetest.Script(edgetest.Gate(slow)))
	live := edgetest.NewOrigin(t)
	live.On("*", edgetest.Text(200, "alive"))
	for _, c := range []struct {
		name    string
		peers   []string
		tries   int
		status  int
		why     policy.Reason
		retries int
	}{
		{"4 dead of 4", dead(t, 4), 0, 502, policy.MaxRetriesExceeded, 3},
		{"4 dead of 5", dead(t, 4, live.URL), 0, 502, policy.MaxRetriesExceeded, 3},
		{"5 dead, more tries wanted", dead(t, 5), 9, 502, policy.MaxRetriesExceeded, 3},
		{"2 tries", dead(t, 3, live.URL), 2, 502, policy.MaxRetriesExceeded, 1},
		{"fewer peers than tries, all dead", dead(t, 2), 0, 502, policy.UpstreamConnectionFailed, 1},
		{"dead, then too slow", dead(t, 1, silent.URL), 0, 504, policy.UpstreamTimeout, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := plain(t, edgetest.Config{Peers: c.peers, Pool: origin.Config{Tries: c.tries, Timeouts: quick}})
			r := h.Get("/x")
			rec := wantReply(t, h, r, c.status, edge.CacheMiss, c.why)
			if rec.Retries != c.retries {
				t.Errorf("%d retries, want %d", rec.Retries, c.retries)
			}
			if got := strings.Contains(rec.Error, "MaxRetriesExceeded"); got != (c.why == policy.MaxRetriesExceeded) {
				t.Errorf("logged error %q", rec.Error)
			}
		})
	}
	if n := len(live.Seen()); n != 0 {
		t.Errorf("the peer behind the tries saw %d requests, want 0", n)
	}
}

func TestS21_ErrorsMapToStatus(t *testing.T) {
	slow := make(chan struct{})
	defer close(slow)
	silent := edgetest.NewOrigin(t)
	silent.On("*", edgetest.Script(edgetest.Gate(slow)))
	for _, c := range []struct {
		name   string
		peers  []string
		hook   error
		status int
		why    policy.Reason
		is     error
	}{
		{"UpstreamTimeout", []string{silent.URL}, nil, 504, policy.UpstreamTimeout, origin.ErrTimeout},
		{"UpstreamTimeout of a hook", nil, edge.ErrUpstreamTimeout, 504, policy.UpstreamTimeout, edge.ErrUpstreamTimeout},
		{"UpstreamConnectionFailed", dead(t, 1), nil, 502, policy.UpstreamConnectionFailed, nil},
		{"UpstreamConnectionFailed of a hook", nil, edge.ErrUpstreamConnectionFailed, 502, policy.UpstreamConnectionFailed, nil},
		{"RequestFiltered", nil, edge.ErrRequestFiltered, 403, policy.RequestFiltered, edge.ErrRequestFiltered},
		{"MaxRetriesExceeded", nil, edge.ErrMaxRetriesExceeded, 502, policy.MaxRetriesExceeded, edge.ErrMaxRetriesExceeded},
		{"another", nil, io.ErrNoProgress, 500, policy.HookError, io.ErrNoProgress},
	} {
		t.Run(c.name, func(t *testing.T) {
			heard := make(chan error, 4)
			rec := &edgetest.Recorder{Errored: func(_ *edge.Session, err error) int {
				heard <- err
				return 0
			}}
			if c.hook != nil {
				rec.Upstream = func(*edge.Session, *http.Request) (edge.FilterResult, error) { return edge.Continue, c.hook }
			}
			if c.peers == nil {
				c.peers = []string{silent.URL}
			}
			h := plain(t, edgetest.Config{Peers: c.peers, Pool: origin.Config{Timeouts: quick}, Recorder: rec})
			r := h.Get("/x")
			got := wantReply(t, h, r, c.status, edge.CacheMiss, c.why)
			if len(heard) != 1 {
				t.Fatalf("error_while_proxying heard %d errors, want 1", len(heard))
			}
			if err := <-heard; c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("error_while_proxying heard %v, want %v", err, c.is)
			}
			if got.Error == "" {
				t.Error("the log has no error")
			}
		})
	}
}

// A part chooses another status; the first that names one is heard.
func TestS21_ErrorWhileProxyingChooses(t *testing.T) {
	for given, want := range map[int]int{0: 502, 503: 503, 418: 418, 200: 502, 99: 502} {
		h := plain(t, edgetest.Config{Peers: dead(t, 1), Recorder: &edgetest.Recorder{
			Errored: func(*edge.Session, error) int { return given },
		}})
		wantReply(t, h, h.Get("/x"), want, edge.CacheMiss, policy.UpstreamConnectionFailed)
	}
}

// After a byte went down only a visible break is left.
func TestS21_BrokenAfterTheHead(t *testing.T) {
	for name, framing := range map[string]string{
		"length": "Content-Length: 10\r\n\r\nhalf", "chunks": "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "cut chunk": "Transfer-Encoding: chunked\r\n\r\nff\r\nhalf",
	} {
		for _, method := range []string{"GET", "POST"} { // by a fetch of its own, and relayed
			t.Run(name+" "+method, func(t *testing.T) {
				w := start(t, nil)
				w.origin.On("/x", edgetest.Script(edgetest.Bytes("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"+framing), edgetest.Reset()))
				r := w.Do(method, "/x", map[string]string{"POST": "x"}[method])
				if r.Err == nil {
					t.Fatalf("the answer ended cleanly: status %d, body %q", r.Status, r.Body)
				}
				w.Records.Wait(t, "the record", func(l []edge.Record) bool { return len(l) == 1 })
				if rec := w.Records.All()[0]; rec.Error == "" {
					t.Errorf("logged without an error: %+v", rec)
				}
				if n := w.Store.Stats().Variants; n != 0 {
					t.Errorf("%d stored", n)
				}
			})
		}
	}
}

func TestS22_RetryTakesAnotherPeer(t *testing.T) {
	for _, balance := range []string{"round_robin", "least_conn", "hash"} {
		t.Run(balance, func(t *testing.T) {
			var mu sync.Mutex
			asked := map[string][]string{}
			h := plain(t, edgetest.Config{
				Peers: dead(t, 6), Pool: origin.Config{Balance: balance},
				Recorder: &edgetest.Recorder{Upstream: func(s *edge.Session, _ *http.Request) (edge.FilterResult, error) {
					mu.Lock()
					defer mu.Unlock()
					asked[string(s.ID)] = append(asked[string(s.ID)], s.Peer.Name())
					for _, p := range s.Tried() {
						if p == s.Peer {
							t.Errorf("%s is asked again", p.Name())
						}
					}
					return edge.Continue, nil
				}},
			})
			for i := range 20 {
				id := h.Get(fmt.Sprint("/", i)).ID()
				list := slices.Sorted(slices.Values(asked[id]))
				if len(list) != 4 || len(slices.Compact(list)) != 4 {
					t.Errorf("request %d asked %q, want four different peers", i, asked[id])
				}
			}
		})
	}
}

func TestS23_NothingIsRetriedThatMayNotBe(t *testing.T) {
	head := "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nCache-Control: max-age=60\r\n\r\n"
	for _, c := range []struct {
		name, method, body string
		first              edgetest.Answer
		buffer             bool
		retried            bool
	}{
		{"a byte of the answer went down", "GET", "", edgetest.Script(edgetest.Bytes(head+"half"), edgetest.Reset()), false, false},
		{"the head went down", "GET", "", edgetest.Script(edgetest.Bytes(head), edgetest.Cut()), false, false},
		{"a GET without an answer", "GET", "", edgetest.Script(edgetest.Cut()), false, true},
		{"a POST without an answer", "POST", "body", edgetest.Script(edgetest.Cut()), false, false},
		{"a POST that is buffered", "POST", "body", edgetest.Script(edgetest.Cut()), true, false},
		{"a PATCH without an answer", "PATCH", "body", edgetest.Script(edgetest.Cut()), true, false},
		{"a PUT whose body has gone up", "PUT", "body", edgetest.Script(edgetest.Cut()), false, false},
		{"a PUT that is buffered", "PUT", "body", edgetest.Script(edgetest.Cut()), true, true},
		{"an answer with status 503", "GET", "", edgetest.Text(503, "ill"), false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := edgetest.NewOrigin(t), edgetest.NewOrigin(t)
			a.On("/x", c.first)
			b.On("/x", edgetest.Text(200, "second", fresh))
			rec := &edgetest.Recorder{}
			if c.buffer {
				rec.Request = func(s *edge.Session) (edge.FilterResult, error) {
					_, err := s.BufferRequestBody()
					return edge.Continue, err
				}
			}
			h := plain(t, edgetest.Config{Peers: []string{a.URL, b.URL}, Recorder: rec})
			r := h.Do(c.method, "/x", c.body)
			if got := len(b.Seen()) == 1; got != c.retried {
				t.Errorf("retried: %v, want %v (status %d, %v)", got, c.retried, r.Status, r.Err)
			}
			if c.retried {
				if r.Body != "second" || string(b.Seen()[0].Body) != c.body {
					t.Errorf("answer %q; the second origin got the body %q", r.Body, b.Seen()[0].Body)
				}
			}
			h.Records.Wait(t, "the record", func(l []edge.Record) bool { return len(l) == 1 })
		})
	}
}

// A request whose body nobody has read may go to another peer when the first
// could not be connected to, whatever its method.
func TestS23_UnsentMayBeRetried(t *testing.T) {
	live := edgetest.NewOrigin(t)
	live.On("/x", edgetest.Text(200, "alive"))
	h := plain(t, edgetest.Config{Peers: dead(t, 2, live.URL)})
	r := h.Do("POST", "/x", "the body")
	if rec := wantReply(t, h, r, 200, edge.CacheBypass, policy.BypassRequest); rec.Retries != 2 {
		t.Errorf("%d retries, want 2", rec.Retries)
	}
	if got := string(live.Seen()[0].Body); got != "the body" {
		t.Errorf("the origin got the body %q", got)
	}
}

// A client that leaves is not retried for, and is logged as gone.
func TestS23_ClientGoneIsNotRetried(t *testing.T) {
	gate, asked := make(chan struct{}), make(chan struct{})
	a, b := edgetest.NewOrigin(t), edgetest.NewOrigin(t)
	a.On("/x", edgetest.Script(edgetest.Tell(asked), edgetest.Gate(gate), edgetest.Cut()))
	b.On("/x", edgetest.Text(200, "second"))
	h := plain(t, edgetest.Config{Peers: []string{a.URL, b.URL}, Recorder: &edgetest.Recorder{}})
	c := h.Dial()
	h.Send(c, "POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\n\r\nbody")
	edgetest.Receive(t, "the origin to be asked", asked)
	reset(t, c)
	rec := h.Records.Wait(t, "the record", func(l []edge.Record) bool { return len(l) == 1 })[0]
	close(gate)
	if rec.Reason != policy.ClientGone || rec.Status != 499 || len(b.Seen()) != 0 {
		t.Errorf("reason %v, status %d; the second origin saw %d requests", rec.Reason, rec.Status, len(b.Seen()))
	}
}
