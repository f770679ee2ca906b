package casetest

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/valyala/bytebufferpool"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/edge/origin"
)

// settled waits until no fetch and no request to a peer runs.
func (s *site) settled() {
	s.t.Helper()
	edgetest.Wait(s.t, "the end of all fetches", func() bool {
		if s.Engine.Top(0).Fills > 0 {
			return false
		}
		for _, p := range s.Peers("main") {
			if p.InFlight() > 0 {
				return false
			}
		}
		return true
	})
}

// endless is a body that is not over before the test is.
func endless(t *testing.T) edgetest.Answer {
	g := newGate(t)
	return edgetest.Script(edgetest.Bytes("HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 20000000\r\n\r\n"+strings.Repeat("x", 1<<20)), edgetest.Gate(g.pass))
}

// TestPanicsLeaveNothingBehind: whatever hook panics, the client gets a 500, the
// connection to the origin and its place under max_conns are given back, and no
// fetch goes on for nobody.
func TestPanicsLeaveNothingBehind(t *testing.T) {
	for _, c := range []struct {
		name string
		hook *edgetest.Recorder
	}{
		{"delivery", &edgetest.Recorder{Delivery: func(*edge.Session, *edge.Head) (edge.FilterResult, error) { panic("delivery") }}},
		{"response_filter", &edgetest.Recorder{Response: func(*edge.Session, *http.Response) (edge.FilterResult, error) { panic("response") }}},
		{"connected_to_upstream", &edgetest.Recorder{Connected: func(*edge.Session, origin.ConnInfo) error { panic("connected") }}},
		{"upstream_request_filter", &edgetest.Recorder{Upstream: func(*edge.Session, *http.Request) (edge.FilterResult, error) { panic("upstream") }}},
		{"user context", &edgetest.Recorder{Request: func(s *edge.Session) (edge.FilterResult, error) {
			s.UserCtx = forkless{}
			return edge.Continue, nil
		}}},
	} {
		for _, method := range []string{"GET", "POST"} {
			if c.name == "user context" && method == "POST" {
				continue // nothing is forked
			}
			t.Run(c.name+" "+method, func(t *testing.T) {
				s := open(t, edgetest.Config{Recorder: c.hook, Pool: origin.Config{MaxConns: 1, Queue: 1}, Edge: edge.Config{Limits: edge.Limits{Fetches: 1}}})
				s.origin.On("*", endless(t))
				for i := range 3 {
					r := s.Do(method, fmt.Sprint("/", i), "")
					if r.Err != nil || r.Status != 500 {
						t.Fatalf("request %d: %s, want 500", i, show(r))
					}
					if got := s.Record(r.ID()).Reason.String(); got != "hook_panic" {
						t.Errorf("request %d: reason %s", i, got)
					}
					s.settled()
				}
			})
		}
	}
}

// forkless is a user context that cannot be forked.
type forkless struct{}

func (forkless) Fork() any { panic("fork") }

// TestDeliveryAnswersInPlaceOfALongBody: a filter that answers itself needs no
// body, and its client does not wait for one.
func TestDeliveryAnswersInPlaceOfALongBody(t *testing.T) {
	s := open(t, edgetest.Config{Recorder: &edgetest.Recorder{
		Delivery: func(*edge.Session, *edge.Head) (edge.FilterResult, error) {
			return edge.Respond(200, nil, []byte("instead")), nil
		},
	}})
	s.origin.On("*", endless(t))
	s.want("instead", "/x")
	r := s.want("instead", "/y")
	if got := s.Record(r.ID()).Reason.String(); got != "responded" {
		t.Errorf("reason %s", got)
	}
	s.settled()
}

// TestBufferedBodyAsAnswer: a response filter may answer with what it has
// buffered; the buffer's next user does not change it.
func TestBufferedBodyAsAnswer(t *testing.T) {
	var s *site
	s = open(t, edgetest.Config{Recorder: &edgetest.Recorder{
		Response: func(s *edge.Session, _ *http.Response) (edge.FilterResult, error) {
			body, err := s.BufferResponseBody()
			return edge.Respond(200, nil, body), err
		},
		Delivery: func(*edge.Session, *edge.Head) (edge.FilterResult, error) {
			s.settled() // the fetch is over: its buffer is the next one's
			for range 100 {
				b := bytebufferpool.Get()
				b.B = append(b.B[:0], strings.Repeat("!", 100)...)
				defer bytebufferpool.Put(b)
			}
			return edge.Continue, nil
		},
	}})
	s.origin.On("*", edgetest.Text(200, "of the origin"))
	for range 20 {
		s.want("of the origin", "/x")
	}
}

// TestBufferedLate: the request's body may be buffered by any hook before it
// goes up, and goes up whole.
func TestBufferedLate(t *testing.T) {
	s := open(t, edgetest.Config{Recorder: &edgetest.Recorder{
		Upstream: func(s *edge.Session, _ *http.Request) (edge.FilterResult, error) {
			body, err := s.BufferRequestBody()
			if string(body) != "what the client says" {
				t.Errorf("the hook gets %q", body)
			}
			return edge.Continue, err
		},
	}})
	s.origin.On("/x", edgetest.Text(200, "heard"))
	if r := s.Do("POST", "/x", "what the client says"); r.Err != nil || r.Status != 200 {
		t.Fatalf("POST: %s", show(r))
	}
	if got := s.last().Body; string(got) != "what the client says" {
		t.Errorf("the origin got %q", got)
	}
}

// TestTooLargeToBuffer: a body over the limit is refused with 413 in any phase
// before the origin, also when the hook does not care.
func TestTooLargeToBuffer(t *testing.T) {
	look := func(s *edge.Session, heed bool) (edge.FilterResult, error) {
		_, err := s.BufferRequestBody()
		if heed {
			return edge.Continue, err
		}
		return edge.Continue, nil
	}
	for _, heed := range []bool{true, false} {
		for name, hook := range map[string]*edgetest.Recorder{
			"request_filter":          {Request: func(s *edge.Session) (edge.FilterResult, error) { return look(s, heed) }},
			"upstream_request_filter": {Upstream: func(s *edge.Session, _ *http.Request) (edge.FilterResult, error) { return look(s, heed) }},
		} {
			s := open(t, edgetest.Config{Recorder: hook, Edge: edge.Config{Limits: edge.Limits{BodyBuffer: 1000}}})
			s.origin.On("/x", edgetest.Text(200, "heard"))
			c := s.Dial()
			s.Send(c, "POST /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n%s\r\n0\r\n\r\n", bytes.Repeat([]byte("x"), 2000))
			if r := edgetest.Read(edgetest.Reader(c), "POST"); r.Err != nil || r.Status != 413 {
				t.Errorf("%s, heeded %v: %s, want 413", name, heed, show(r))
			}
			for _, seen := range s.origin.Seen() {
				if len(seen.Body) > 0 {
					t.Errorf("%s, heeded %v: the origin got %d bytes of it", name, heed, len(seen.Body))
				}
			}
		}
	}
}
