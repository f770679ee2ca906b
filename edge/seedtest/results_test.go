package seedtest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/edge/origin"
	"edgecache/policy"
)

// second is a part behind the recorder: it shows whether the other filters of
// a phase still run.
type second struct{ calls chan string }

var (
	_ edge.RequestFilter         = second{}
	_ edge.UpstreamRequestFilter = second{}
	_ edge.ResponseFilter        = second{}
	_ edge.DeliveryFilter        = second{}
)

func (p second) RequestFilter(*edge.Session) (edge.FilterResult, error) {
	p.calls <- "request_filter"
	return edge.Continue, nil
}

func (p second) UpstreamRequestFilter(*edge.Session, *http.Request) (edge.FilterResult, error) {
	p.calls <- "upstream_request_filter"
	return edge.Continue, nil
}

func (p second) ResponseFilter(*edge.Session, *http.Response) (edge.FilterResult, error) {
	p.calls <- "response_filter"
	return edge.Continue, nil
}

func (p second) DeliveryFilter(*edge.Session, *edge.Head) (edge.FilterResult, error) {
	p.calls <- "delivery"
	return edge.Continue, nil
}

// filtering is a recorder whose filter of one phase gives a result, retries
// only once.
func filtering(phase string, result edge.FilterResult) *edgetest.Recorder {
	asked := 0
	give := func() (edge.FilterResult, error) {
		asked++
		if result.String() == "retry" && asked > 1 {
			return edge.Continue, nil
		}
		return result, nil
	}
	rec := &edgetest.Recorder{}
	switch phase {
	case "request_filter":
		rec.Request = func(*edge.Session) (edge.FilterResult, error) { return give() }
	case "upstream_request_filter":
		rec.Upstream = func(*edge.Session, *http.Request) (edge.FilterResult, error) { return give() }
	case "response_filter":
		rec.Response = func(*edge.Session, *http.Response) (edge.FilterResult, error) { return give() }
	case "delivery":
		rec.Delivery = func(*edge.Session, *edge.Head) (edge.FilterResult, error) { return give() }
	}
	return rec
}

// verdict is what a filter's result must come to.
type verdict struct {
	status  int
	why     policy.Reason
	body    string
	retries int
	others  int // filters of the same phase that ran behind it
	asked   int // requests that origins saw
}

// The table of names.md, "FilterResult, where allowed": every result in every
// phase, and a clear error where it is not allowed.
var filterTable = []struct {
	id     string
	result edge.FilterResult
	want   map[string]verdict // by phase
}{
	{"S14", edge.Continue, map[string]verdict{
		"request_filter":          {200, policy.URIMiss, "origin", 0, 1, 1},
		"upstream_request_filter": {200, policy.URIMiss, "origin", 0, 1, 1},
		"response_filter":         {200, policy.URIMiss, "origin", 0, 1, 1},
		"delivery":                {200, policy.URIMiss, "origin", 0, 1, 1},
	}},
	{"S15", edge.Reject(451, "not in your country"), map[string]verdict{
		"request_filter":          {451, policy.Rejected, "not in your country\n", 0, 0, 0},
		"upstream_request_filter": {451, policy.Rejected, "not in your country\n", 0, 0, 0},
		"response_filter":         {451, policy.Rejected, "not in your country\n", 0, 0, 1},
		"delivery":                {451, policy.Rejected, "not in your country\n", 0, 0, 1},
	}},
	{"S16", edge.Respond(202, http.Header{"X-Mine": {"a", "b"}}, []byte("mine")), map[string]verdict{
		"request_filter":          {202, policy.Responded, "mine", 0, 0, 0},
		"upstream_request_filter": {202, policy.Responded, "mine", 0, 0, 0},
		"response_filter":         {202, policy.Responded, "mine", 0, 0, 1},
		"delivery":                {202, policy.Responded, "mine", 0, 0, 1},
	}},
	{"S17", edge.Retry, map[string]verdict{
		"request_filter":          {500, policy.HookError, "500 Internal Server Error\n", 0, 0, 0},
		"upstream_request_filter": {200, policy.URIMiss, "origin", 1, 1, 1},
		"response_filter":         {200, policy.URIMiss, "origin", 1, 1, 2},
		"delivery":                {500, policy.HookError, "500 Internal Server Error\n", 0, 0, 1},
	}},
	{"S18", edge.SkipRemaining, map[string]verdict{
		"request_filter":          {200, policy.URIMiss, "origin", 0, 0, 1},
		"upstream_request_filter": {200, policy.URIMiss, "origin", 0, 0, 1},
		"response_filter":         {200, policy.URIMiss, "origin", 0, 0, 1},
		"delivery":                {200, policy.URIMiss, "origin", 0, 0, 1},
	}},
}

func TestS14_ContinueProcessing(t *testing.T) { inEveryPhase(t, "S14") }
func TestS15_Reject(t *testing.T)             { inEveryPhase(t, "S15") }
func TestS16_Respond(t *testing.T)            { inEveryPhase(t, "S16") }
func TestS17_Retry(t *testing.T)              { inEveryPhase(t, "S17") }
func TestS18_SkipRemaining(t *testing.T)      { inEveryPhase(t, "S18") }

func inEveryPhase(t *testing.T, id string) {
	for _, row := range filterTable {
		if row.id != id {
			continue
		}
		for phase, want := range row.want {
			t.Run(row.result.String()+" in "+phase, func(t *testing.T) {
				giveResult(t, phase, row.result, want)
			})
		}
	}
}

func giveResult(t *testing.T, phase string, result edge.FilterResult, want verdict) {
	a, b := edgetest.NewOrigin(t), edgetest.NewOrigin(t)
	for _, o := range []*edgetest.Origin{a, b} {
		o.On("/x", edgetest.Text(200, "origin", fresh))
	}
	rec, behind := filtering(phase, result), second{make(chan string, 16)}
	h := plain(t, edgetest.Config{
		Peers: []string{a.URL, b.URL}, Recorder: rec, Edge: edge.Config{Parts: []any{behind}},
	})
	r := h.Get("/x")
	got := wantReply(t, h, r, want.status, cacheOf(phase, want), want.why)
	if r.Body != want.body {
		t.Errorf("body %q, want %q", r.Body, want.body)
	}
	if got.Retries != want.retries {
		t.Errorf("%d retries, want %d", got.Retries, want.retries)
	}
	if n := len(a.Seen()) + len(b.Seen()); n != want.asked {
		t.Errorf("origins saw %d requests, want %d", n, want.asked)
	}
	if want.asked == 2 && len(a.Seen()) != 1 {
		t.Error("the retry did not go to another peer")
	}
	if !slices.Contains(rec.Calls(r.ID()), phase) {
		t.Errorf("the filter was not asked: %q", rec.Calls(r.ID()))
	}
	others := 0
	for len(behind.calls) > 0 {
		if <-behind.calls == phase {
			others++
		}
	}
	if others != want.others {
		t.Errorf("%d filters of the phase ran behind it, want %d", others, want.others)
	}
	if want.why == policy.Responded && !slices.Equal(r.Header["X-Mine"], []string{"a", "b"}) {
		t.Errorf("the answer's own header is %q", r.Header)
	}
	if wrong := want.why == policy.HookError; wrong != strings.Contains(got.Error, "not allowed") {
		t.Errorf("logged error %q", got.Error)
	}
	if want.why == policy.Rejected && !strings.Contains(got.Error, phase) {
		t.Errorf("logged error %q names no phase", got.Error)
	}
	if n := rec.Total("logging"); n != 1 {
		t.Errorf("logged %d times, want 1", n)
	}
	if phase == "delivery" { // the fetch goes on without this client
		edgetest.Wait(t, "the answer to be stored", func() bool { return h.Store.Stats().Variants == 1 })
	}
	again := h.Get("/x")
	if stored := want.status == 200 || phase == "delivery"; stored != (h.Record(again.ID()).Cache == edge.CacheHit) {
		t.Errorf("stored: want %v; the next request is a %v", stored, h.Record(again.ID()).Cache)
	}
}

// cacheOf is the cache result beside a verdict: before cache_lookup it is a
// bypass.
func cacheOf(phase string, v verdict) edge.CacheStatus {
	if phase == "request_filter" && v.status != 200 {
		return edge.CacheBypass
	}
	return edge.CacheMiss
}

// A retry of what cannot be repeated is not allowed: it is a clear error, and
// nothing goes up twice.
func TestS17_RetryOfWhatCannotBeRepeated(t *testing.T) {
	for phase, want := range map[string]struct {
		status, asked int
		why           policy.Reason
	}{
		"response_filter":         {500, 1, policy.HookError},
		"upstream_request_filter": {200, 1, policy.BypassRequest}, // nothing was sent yet
	} {
		t.Run(phase, func(t *testing.T) {
			a, b := edgetest.NewOrigin(t), edgetest.NewOrigin(t)
			a.On("/x", edgetest.Text(200, "a"))
			b.On("/x", edgetest.Text(200, "b"))
			h := plain(t, edgetest.Config{Peers: []string{a.URL, b.URL}, Recorder: filtering(phase, edge.Retry)})
			r := h.Do("POST", "/x", "body")
			wantReply(t, h, r, want.status, edge.CacheBypass, want.why)
			if n := len(a.Seen()) + len(b.Seen()); n != want.asked {
				t.Errorf("origins saw %d requests, want %d", n, want.asked)
			}
		})
	}
}

// A filter that wants another peer for ever gets an end.
func TestS17_RetryEnds(t *testing.T) {
	for peers := 1; peers <= 5; peers++ {
		t.Run(fmt.Sprint(peers, " peers"), func(t *testing.T) {
			var urls []string
			var origins []*edgetest.Origin
			for range peers {
				o := edgetest.NewOrigin(t)
				o.On("/x", edgetest.Text(200, "x", fresh))
				origins, urls = append(origins, o), append(urls, o.URL)
			}
			h := plain(t, edgetest.Config{Peers: urls, Recorder: &edgetest.Recorder{
				Response: func(*edge.Session, *http.Response) (edge.FilterResult, error) { return edge.Retry, nil },
			}})
			r := h.Get("/x")
			why := policy.UpstreamConnectionFailed
			if peers >= 4 {
				why = policy.MaxRetriesExceeded
			}
			wantReply(t, h, r, 502, edge.CacheMiss, why)
			asked := 0
			for _, o := range origins {
				asked += len(o.Seen())
			}
			if want := min(peers, 4); asked != want {
				t.Errorf("origins saw %d requests, want %d", asked, want)
			}
		})
	}
}

// A hook's error is a 500 of its own kind in each phase, and tells the client
// nothing.
func TestS21_HookErrors(t *testing.T) {
	broken := fmt.Errorf("the inner secret")
	for phase, rec := range map[string]*edgetest.Recorder{
		"request_filter": {Request: func(*edge.Session) (edge.FilterResult, error) { return edge.Continue, broken }},
		"upstream_request_filter": {Upstream: func(*edge.Session, *http.Request) (edge.FilterResult, error) {
			return edge.Continue, broken
		}},
		"response_filter": {Response: func(*edge.Session, *http.Response) (edge.FilterResult, error) { return edge.Continue, broken }},
		"delivery":        {Delivery: func(*edge.Session, *edge.Head) (edge.FilterResult, error) { return edge.Continue, broken }},
		"upstream_peer":   {Peer: func(*edge.Session) (*origin.Peer, error) { return nil, broken }},
	} {
		t.Run(phase, func(t *testing.T) {
			w := start(t, rec)
			w.origin.On("/x", edgetest.Text(200, "x", fresh))
			r := w.Get("/x")
			w.Record(r.ID())
			if r.Status != 500 || strings.Contains(r.Body, "secret") {
				t.Errorf("status %d, body %q", r.Status, r.Body)
			}
			if got := w.Record(r.ID()).Error; !strings.Contains(got, "the inner secret") {
				t.Errorf("logged error %q", got)
			}
			if n := w.rec.Total("error_while_proxying"); n != 1 {
				t.Errorf("error_while_proxying was called %d times, want 1", n)
			}
		})
	}
}
