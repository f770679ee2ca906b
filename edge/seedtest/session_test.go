package seedtest

import (
	"bytes"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/edge/origin"
	"edgecache/policy"
)

// filled names the fields of a session that are not nil or zero.
func filled(s *edge.Session) string {
	var names []string
	add := func(name string, there bool) {
		if there {
			names = append(names, name)
		}
	}
	t := &s.Timing
	add("downstream_request", s.Request.Method != "")
	add("downstream_response", s.Status != 0 || s.HeadBytes != 0)
	add("request_body", s.RequestBody != nil)
	add("response_body", s.ResponseBody != nil)
	add("upstream_peer", s.Peer != nil)
	add("upstream_request", s.Upstream != nil)
	add("upstream_response", s.Response != nil)
	add("cache_result", s.Cache.Status != edge.CacheNone)
	add("cache_enabled", s.CacheEnabled)
	add("start", t.RequestStart != 0)
	add("connect", t.UpstreamConnect != 0)
	add("sent", t.UpstreamRequestSent != 0)
	add("first", t.UpstreamResponseStart != 0)
	add("end", t.UpstreamResponseEnd != 0)
	add("done", t.ResponseSent != 0)
	add("request_sent", s.RequestSent)
	add("response_received", s.ResponseReceived)
	add("retries", s.RetryCount != 0)
	add("user", s.UserCtx != nil)
	add("error", s.Err != nil)
	return strings.Join(names, " ")
}

// states takes down what of a session is filled at each phase.
type states struct {
	mu sync.Mutex
	at map[string]string
}

func (st *states) note(phase string, s *edge.Session) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.at == nil {
		st.at = map[string]string{}
	}
	st.at[phase] = filled(s)
}

func (st *states) recorder() *edgetest.Recorder {
	rec := &edgetest.Recorder{}
	rec.Request = func(s *edge.Session) (edge.FilterResult, error) {
		st.note("request_filter", s)
		s.UserCtx = "mine"
		_, err := s.BufferRequestBody()
		return edge.Continue, err
	}
	rec.Key = func(s *edge.Session) ([]byte, error) {
		st.note("cache_lookup", s)
		return nil, nil
	}
	rec.Upstream = func(s *edge.Session, _ *http.Request) (edge.FilterResult, error) {
		st.note("upstream_request_filter", s)
		return edge.Continue, nil
	}
	rec.Connected = func(s *edge.Session, _ origin.ConnInfo) error {
		st.note("connected_to_upstream", s)
		return nil
	}
	rec.Response = func(s *edge.Session, _ *http.Response) (edge.FilterResult, error) {
		st.note("response_filter", s)
		_, err := s.BufferResponseBody()
		return edge.Continue, err
	}
	rec.Store = func(s *edge.Session, _ *policy.Decision) error {
		st.note("cache_store", s)
		return nil
	}
	rec.Delivery = func(s *edge.Session, _ *edge.Head) (edge.FilterResult, error) {
		st.note("delivery", s)
		return edge.Continue, nil
	}
	rec.Logged = func(s *edge.Session, _ error) { st.note("logging", s) }
	return rec
}

func TestS24_FieldsFillPhaseByPhase(t *testing.T) {
	st := &states{}
	rec := st.recorder()
	w := startWith(t, edgetest.Config{Recorder: rec})
	rec.Peer = func(s *edge.Session) (*origin.Peer, error) {
		st.note("upstream_peer", s)
		return w.Engine.UpstreamPeer(s)
	}
	w.origin.On("/a", edgetest.Text(200, "body", fresh))
	const (
		early = "downstream_request cache_enabled start"
		own   = "downstream_request request_body cache_enabled start user"
		asked = "downstream_request upstream_peer upstream_request upstream_response cache_result cache_enabled start connect sent first request_sent response_received user"
	)
	miss := map[string]string{
		"request_filter":          early,
		"cache_lookup":            own,
		"upstream_peer":           "downstream_request cache_result cache_enabled start user",
		"upstream_request_filter": "downstream_request upstream_peer upstream_request cache_result cache_enabled start user",
		"connected_to_upstream":   "downstream_request upstream_peer upstream_request cache_result cache_enabled start connect user",
		"response_filter":         asked,
		"cache_store":             strings.Replace(asked, "upstream_peer", "response_body upstream_peer", 1),
		"delivery":                "downstream_request request_body upstream_peer upstream_request upstream_response cache_result cache_enabled start connect sent first request_sent response_received user",
		"logging":                 "downstream_request downstream_response request_body upstream_peer upstream_request upstream_response cache_result cache_enabled start connect sent first end done request_sent response_received user",
	}
	hit := map[string]string{
		"request_filter": early,
		"cache_lookup":   own,
		"delivery":       "downstream_request request_body cache_result start user",
		"logging":        "downstream_request downstream_response request_body cache_result start done user",
	}
	for _, want := range []map[string]string{miss, hit} {
		st.mu.Lock()
		st.at = nil
		st.mu.Unlock()
		id := w.Get("/a").ID()
		w.Record(id)
		st.mu.Lock()
		for phase := range st.at {
			if want[phase] == "" {
				t.Errorf("%s ran", phase)
			}
		}
		for phase, fields := range want {
			if got := st.at[phase]; got != fields {
				t.Errorf("at %s\n got %s\nwant %s", phase, got, fields)
			}
		}
		st.mu.Unlock()
	}
}

func TestS24_ExplainShowsTheSession(t *testing.T) {
	type contextOfMine struct{ n int }
	w := start(t, &edgetest.Recorder{
		Request: func(s *edge.Session) (edge.FilterResult, error) {
			s.UserCtx = &contextOfMine{1}
			_, err := s.BufferRequestBody()
			return edge.Continue, err
		},
		Response: func(s *edge.Session, _ *http.Response) (edge.FilterResult, error) {
			_, err := s.BufferResponseBody()
			return edge.Continue, err
		},
	})
	w.origin.On("/a", edgetest.Text(201, "body", "X-From: origin", "Set-Cookie: secret=1"))
	r := w.Do("POST", "/a?q=1", "12345", "Authorization: Basic secret", "X-Seen: yes")
	e := explained(t, w.Harness, r.ID())
	s := e.Session
	peer := w.Peers("main")[0]
	for _, c := range []struct {
		name string
		ok   bool
	}{
		{"allocator", s.Allocator.Pool == "bytebufferpool" && s.Allocator.Buffers == 2},
		{"downstream request", s.DownstreamRequest.Method == "POST" && s.DownstreamRequest.URI == "/a?q=1" && s.DownstreamRequest.Proto == proto() &&
			slices.ContainsFunc(s.DownstreamRequest.Head.Fields, isField("X-Seen", "yes")) &&
			slices.ContainsFunc(s.DownstreamRequest.Head.Fields, isField("Authorization", "(blanked)"))},
		{"downstream response", s.DownstreamResponse.Status == 201 && s.DownstreamResponse.BodyBytes == 4},
		{"request body", s.RequestBody != nil && *s.RequestBody == 5},
		{"response body", s.ResponseBody != nil && *s.ResponseBody == 4},
		{"upstream request", s.UpstreamRequest != nil && slices.Contains(s.UpstreamRequest.Fields, [2]string{"X-Seen", "yes"})},
		{"upstream response", s.UpstreamResponse != nil && slices.Contains(s.UpstreamResponse.Fields, [2]string{"X-From", "origin"}) &&
			slices.Contains(s.UpstreamResponse.Fields, [2]string{"Set-Cookie", "(blanked)"})},
		{"upstream peer", s.UpstreamPeer != nil && s.UpstreamPeer.Address == peer.Address && s.UpstreamPeer.Port == peer.Port && s.UpstreamPeer.Healthy},
		{"cache result", s.CacheResult.Status == "bypass" && s.CacheResult.Reason == "request" && !s.CacheResult.Stored},
		{"cache enabled", !s.CacheEnabled},
		{"timing", s.Timing.RequestStart != nil && s.Timing.ResponseSent != nil && s.Timing.UpstreamConnect != nil},
		{"request sent", s.RequestSent},
		{"response received", s.ResponseReceived},
		{"retry count", s.RetryCount == 0},
		{"user context", s.UserContext != nil && strings.HasSuffix(*s.UserContext, "contextOfMine")},
		{"phases", strings.Join(e.Phases, " ") == "request_filter upstream_peer upstream_request_filter connected_to_upstream response_filter delivery logging"},
	} {
		if !c.ok {
			t.Errorf("%s: not as it was: %+v", c.name, s)
		}
	}
	_, text := adminPort(t, w.Harness, "/v1/explain/"+r.ID())
	if bytes.Contains(text, []byte("secret")) {
		t.Errorf("explain tells a secret: %s", text)
	}
}

func TestS25_HooksEditTheirOwnCopy(t *testing.T) {
	w := start(t, &edgetest.Recorder{Delivery: func(s *edge.Session, h *edge.Head) (edge.FilterResult, error) {
		who, ok := s.Request.Get("X-Who")
		if !ok {
			return edge.Continue, nil
		}
		h.Header.Set("X-For", who)
		h.Header["X-List"][0] = who
		h.Header.Add("X-List", who)
		h.Header.Del("X-Only-Stored")
		return edge.Continue, nil
	}})
	w.origin.On("/a", edgetest.Text(200, "body", fresh, "X-List: origin", "X-Only-Stored: yes"))
	w.Get("/a")
	var clients sync.WaitGroup
	var seen atomic.Int64
	for _, who := range []string{"anna", "bert"} {
		clients.Go(func() {
			for range 100 {
				r := w.Get("/a", "X-Who: "+who)
				if r.Status == 200 && r.Header.Get("X-For") == who && slices.Equal(r.Header["X-List"], []string{who, who}) && r.Header["X-Only-Stored"] == nil {
					seen.Add(1)
				}
			}
		})
	}
	clients.Wait()
	if seen.Load() != 200 {
		t.Errorf("%d of 200 answers had their own edits and no other's", seen.Load())
	}
	r := w.Get("/a")
	wantReply(t, w.Harness, r, 200, edge.CacheHit, policy.Fresh)
	if r.Header.Get("X-For") != "" || !slices.Equal(r.Header["X-List"], []string{"origin"}) || r.Header.Get("X-Only-Stored") != "yes" {
		t.Errorf("the stored header is %v", r.Header)
	}
	if n := w.origin.Asked("/a"); n != 1 {
		t.Errorf("the origin was asked %d times", n)
	}
}

// What request_filter changes, path and host too, is what is keyed and asked;
// the fetch has a copy of it.
func TestS25_RequestEditsGoUp(t *testing.T) {
	w := start(t, &edgetest.Recorder{Request: func(s *edge.Session) (edge.FilterResult, error) {
		if path, ok := s.Request.Get("X-Path"); ok {
			s.Request.Path, s.Request.Host = []byte(path), []byte("Other.Test")
			s.Request.Del("X-Path")
		}
		return edge.Continue, nil
	}})
	w.origin.On("/real", edgetest.Text(200, "real", fresh))
	if r := w.Get("/alias", "X-Path: /%72eal"); r.Body != "real" {
		t.Fatalf("status %d, %q", r.Status, r.Body)
	}
	seen := w.origin.Seen()[0]
	if seen.Target != "/real" || seen.Host != "other.test" || seen.Header.Get("X-Path") != "" {
		t.Errorf("the origin saw %s of %s", seen.Target, seen.Host)
	}
	wantReply(t, w.Harness, w.Get("/real", "Host: other.test"), 200, edge.CacheHit, policy.Fresh)
}

func TestS26_BodiesAreBufferedOnlyWhenAsked(t *testing.T) {
	const limit = 1000
	at, over := strings.Repeat("a", limit), strings.Repeat("a", limit+1)
	for _, c := range []struct {
		name      string
		buffer    bool
		up, down  string
		status    int
		why       policy.Reason
		asked     int
		chunkedUp bool
	}{
		{"unasked, both far over", false, strings.Repeat(over, 5000), strings.Repeat(over, 5000), 200, policy.BypassRequest, 1, false},
		{"both at the limit", true, at, at, 200, policy.BypassRequest, 1, false},
		{"request over it", true, over, at, 413, policy.BodyTooLarge, 0, false},
		{"request over it, in chunks", true, over, at, 413, policy.BodyTooLarge, 0, true},
		{"response over it", true, at, over, 502, policy.BodyTooLarge, 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var mu sync.Mutex
			var bodies [2]int
			rec := &edgetest.Recorder{Logged: func(s *edge.Session, _ error) {
				mu.Lock()
				defer mu.Unlock()
				if s.RequestBody != nil {
					bodies[0] = s.RequestBody.Len()
				}
				if s.ResponseBody != nil {
					bodies[1] = s.ResponseBody.Len()
				}
			}}
			if c.buffer {
				rec.Request = func(s *edge.Session) (edge.FilterResult, error) {
					_, err := s.BufferRequestBody()
					return edge.Continue, err
				}
				rec.Response = func(s *edge.Session, _ *http.Response) (edge.FilterResult, error) {
					_, err := s.BufferResponseBody()
					return edge.Continue, err
				}
			}
			w := startWith(t, edgetest.Config{Recorder: rec, Edge: edge.Config{Limits: edge.Limits{BodyBuffer: limit}}})
			w.origin.On("/a", edgetest.Text(200, c.down))
			var r edgetest.Reply
			if c.chunkedUp {
				r = w.Raw(fmt.Sprintf("POST /a HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(c.up), c.up))
			} else {
				r = w.Do("POST", "/a", c.up)
			}
			wantReply(t, w.Harness, r, c.status, edge.CacheBypass, c.why)
			if n := w.origin.Asked("/a"); n != c.asked {
				t.Errorf("the origin was asked %d times, want %d", n, c.asked)
			}
			if c.status == 200 && (r.Body != c.down || string(w.origin.Seen()[0].Body) != c.up) {
				t.Errorf("%d bytes up, %d down", len(w.origin.Seen()[0].Body), len(r.Body))
			}
			if held := bodies[0] > 0 || bodies[1] > 0; held != (c.buffer && c.asked > 0) {
				t.Errorf("buffered %d and %d bytes", bodies[0], bodies[1])
			}
		})
	}
}

func TestS27_TimesAreInOrder(t *testing.T) {
	w := start(t, nil)
	w.origin.On("/a", edgetest.Text(200, strings.Repeat("body", 50_000), fresh))
	for i, auth := range []string{"X-No: token", "Authorization: Bearer " + token, "Authorization: Bearer wrong"} {
		path := fmt.Sprintf("/a?%d", i)
		miss := w.Get(path, auth)
		at := explained(t, w.Harness, miss.ID()).Session.Timing
		last, then := "", int64(0)
		for _, next := range []struct {
			name string
			at   *time.Time
		}{
			{"request_start", at.RequestStart}, {"upstream_connect", at.UpstreamConnect},
			{"upstream_request_sent", at.UpstreamRequestSent}, {"upstream_response_start", at.UpstreamResponseStart},
			{"upstream_response_end", at.UpstreamResponseEnd}, {"response_sent", at.ResponseSent},
		} {
			if next.at == nil {
				t.Fatalf("%s is missing", next.name)
			}
			if next.at.UnixNano() < then {
				t.Errorf("%s is %d ns before %s", next.name, then-next.at.UnixNano(), last)
			}
			last, then = next.name, next.at.UnixNano()
		}
		if got := miss.Header.Get("Server-Timing"); (i == 1) != strings.Contains(got, "total;dur=") || i == 1 && !strings.Contains(got, "wait;dur=") {
			t.Errorf("with %s: Server-Timing %q", auth, got)
		}
	}
	hit := w.Get("/a?0")
	at := explained(t, w.Harness, hit.ID()).Session.Timing
	if at.UpstreamConnect != nil || at.UpstreamRequestSent != nil || at.UpstreamResponseStart != nil || at.UpstreamResponseEnd != nil {
		t.Errorf("a hit has upstream times: %+v", at)
	}
	if at.RequestStart == nil || at.ResponseSent == nil || at.ResponseSent.Before(*at.RequestStart) {
		t.Errorf("a hit's times: %+v", at)
	}
	_, text := adminPort(t, w.Harness, "/metrics")
	for _, line := range []string{
		`edge_request_duration_seconds_count{cache="miss"} 3`, `edge_request_duration_seconds_count{cache="hit"} 1`,
		`edge_upstream_duration_seconds_count{upstream="main"} 3`,
	} {
		if !strings.Contains(string(text), line+"\n") {
			t.Errorf("the metrics have no line %s", line)
		}
	}
}

// forked is a user context that a fetch gets a copy of.
type forked struct {
	owner string
	forks *atomic.Int64
	mark  string
}

// Fork implements edge.Forker.
func (f *forked) Fork() any {
	f.forks.Add(1)
	c := *f
	c.mark = "copy"
	return &c
}

func TestS28_UserContextIsASessions(t *testing.T) {
	var forks, released atomic.Int64
	var mixed witness
	check := func(s *edge.Session, where string) {
		who, _ := s.Request.Get("X-Who")
		if c, ok := s.UserCtx.(*forked); !ok || c.owner != who {
			mixed.complain("%s of %s sees %v", where, who, s.UserCtx)
		}
	}
	w := start(t, &edgetest.Recorder{
		Request: func(s *edge.Session) (edge.FilterResult, error) {
			who, _ := s.Request.Get("X-Who")
			if s.UserCtx != nil {
				mixed.complain("%s finds %v", who, s.UserCtx)
			}
			c := &forked{owner: who, forks: &forks}
			runtime.AddCleanup(c, func(int) { released.Add(1) }, 0)
			s.UserCtx = c
			return edge.Continue, nil
		},
		Response: func(s *edge.Session, _ *http.Response) (edge.FilterResult, error) {
			check(s, "response_filter")
			if c, ok := s.UserCtx.(*forked); ok && c.mark != "copy" && s.Request.Method == "GET" {
				mixed.complain("a fetch shares the client's context")
			}
			return edge.Continue, nil
		},
		Delivery: func(s *edge.Session, _ *edge.Head) (edge.FilterResult, error) {
			check(s, "delivery")
			return edge.Continue, nil
		},
		Logged: func(s *edge.Session, _ error) { check(s, "logging") },
	})
	w.origin.On("*", edgetest.Text(200, "x", fresh))
	var clients sync.WaitGroup
	const each = 30
	for i := range 4 {
		clients.Go(func() {
			for j := range each {
				method := []string{"GET", "POST"}[j%2]
				w.Do(method, fmt.Sprintf("/%d", j/4), "", fmt.Sprintf("X-Who: client %d request %d", i, j))
			}
		})
	}
	clients.Wait()
	w.Records.Wait(t, "all records", func(l []edge.Record) bool { return len(l) == 4*each })
	mixed.tell(t)
	if forks.Load() == 0 {
		t.Error("no fetch took a copy")
	}
	// The connections are still open and their sessions wait for more.
	edgetest.Wait(t, "all contexts to be released", func() bool {
		runtime.GC()
		return released.Load() == 4*each
	})
}
