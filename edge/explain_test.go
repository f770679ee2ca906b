package edge

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"edgecache/cachestore"
	"edgecache/policy"
)

// asked is a session at its end, with its record.
func asked(e *Engine, id string) (*Session, *Record) {
	s := &Session{engine: e, ID: []byte(id), Scheme: "http", Status: 200, CacheEnabled: true, RetryCount: 1}
	s.Request.Method, s.Request.Host, s.Request.Path = "GET", []byte("a.example"), []byte("/x")
	s.Request.Fields = policy.Fields{
		{Name: []byte("Accept"), Value: []byte("*/*")},
		{Name: []byte("AUTHORIZATION"), Value: []byte("Bearer topsecret")},
		{Name: []byte("Cookie"), Value: []byte("sid=topsecret")},
	}
	s.Upstream = &http.Request{Header: http.Header{"Authorization": {"Bearer topsecret"}, "Accept": {"*/*"}}}
	s.Response = &http.Response{Header: http.Header{"Set-Cookie": {"sid=topsecret"}, "Etag": {`"1"`}}}
	s.Cache = CacheResult{Status: CacheMiss, Reason: policy.URIMiss, Stored: true, Age: -1}
	s.UserCtx = &http.Client{}
	s.Timing = Timing{RequestStart: 1e18, UpstreamConnect: 1e18 + 1, ResponseSent: 1e18 + 2}
	s.trace.mark(PhaseRequestFilter)
	s.trace.mark(PhaseLogging)
	r := &Record{}
	s.record(r)
	return s, r
}

func TestExplainShowsTheSession(t *testing.T) {
	e := newTestEngine(t)
	s, r := asked(e, "one")
	e.explain.add(s, r)
	got, ok := e.explain.Find("one")
	if !ok {
		t.Fatal("not found")
	}
	if strings.Join(got.Phases, " ") != "request_filter logging" {
		t.Errorf("phases %v", got.Phases)
	}
	v := got.Session
	switch {
	case v.DownstreamRequest.URI != "/x" || v.DownstreamRequest.Host != "a.example" || v.DownstreamRequest.Method != "GET":
		t.Errorf("downstream request %+v", v.DownstreamRequest)
	case v.CacheResult.Status != "miss" || v.CacheResult.Reason != "uri_miss" || !v.CacheResult.Stored || v.CacheResult.Age != nil:
		t.Errorf("cache result %+v", v.CacheResult)
	case !v.CacheEnabled || v.RetryCount != 1 || v.RequestBody != nil || v.UpstreamPeer != nil:
		t.Errorf("session %+v", v)
	case v.UserContext == nil || *v.UserContext != "*http.Client":
		t.Errorf("user context %v", v.UserContext)
	case v.Timing.UpstreamConnect == nil || v.Timing.UpstreamResponseEnd != nil:
		t.Errorf("timing %+v", v.Timing)
	case len(v.UpstreamRequest.Fields) != 2 || len(v.DownstreamRequest.Head.Fields) != 3:
		t.Errorf("heads %+v, %+v", v.UpstreamRequest, v.DownstreamRequest.Head)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "topsecret") {
		t.Errorf("a secret is shown: %s", text)
	}
	if n := strings.Count(string(text), blanked); n != 4 {
		t.Errorf("%d values are blanked, want 4: %s", n, text)
	}
}

func TestExplainShowsWhatAHitSent(t *testing.T) {
	e := newTestEngine(t)
	s, _ := asked(e, "hit")
	s.Upstream, s.Response = nil, nil
	s.Cache.Status, s.Cache.Age = CacheHit, 7
	s.Cache.Variant = &cachestore.Variant{Head: cachestore.NewHead(200, http.Header{"Etag": {`"7"`}}, nil)}
	r := &Record{}
	s.record(r)
	e.explain.add(s, r)
	got, ok := e.explain.Find("hit")
	if !ok || got.Session.DownstreamRequest.Head != nil || got.Session.UpstreamRequest != nil {
		t.Fatalf("found %t: %+v", ok, got.Session)
	}
	if h := got.Session.DownstreamResponse.Head; h == nil || fmt.Sprint(h.Fields) != `[[Etag "7"]]` {
		t.Errorf("response head %+v", h)
	}
	if a := got.Session.CacheResult.Age; a == nil || *a != 7 {
		t.Errorf("age %v, want 7", a)
	}
}

func TestExplainRemembersTheLastOnes(t *testing.T) {
	e := newTestEngine(t)
	e.explain = newExplain(256)
	for i := range 300 {
		s, r := asked(e, strconv.Itoa(i))
		e.explain.add(s, r)
	}
	for id, want := range map[string]bool{"43": false, "44": true, "299": true, "300": false, "": false} {
		if _, ok := e.explain.Find(id); ok != want {
			t.Errorf("request %q remembered: %t, want %t", id, ok, want)
		}
	}
}

func TestExplainIsBounded(t *testing.T) {
	e := newTestEngine(t)
	s, r := asked(e, strings.Repeat("i", 1000))
	long := []byte(strings.Repeat("x", 100_000))
	r.Path, r.Query, r.HasQuery, r.UserAgent, r.Referer, r.Host = long, long, true, long, long, long
	s.Request.Fields = policy.Fields{{Name: []byte("A"), Value: long}, {Name: []byte("B"), Value: []byte("short")}}
	for i := range 1000 {
		s.Response.Header.Add("X-"+strconv.Itoa(i), strings.Repeat("y", 100))
	}
	e.explain.add(s, r)
	got, ok := e.explain.Find(strings.Repeat("i", 1000))
	if !ok {
		t.Fatal("a long id is not found by what is kept of it")
	}
	for i := range e.explain.slots {
		if c := cap(e.explain.slots[i].text); c > slotBytes {
			t.Errorf("slot %d holds %d bytes, the bound is %d", i, c, slotBytes)
		}
	}
	if h := got.Session.DownstreamRequest.Head; h.Cut != 1 || len(h.Fields) != 1 || h.Fields[0][1] != "short" {
		t.Errorf("request head %+v, want the long line cut and the short one kept", h)
	}
	if h := got.Session.UpstreamResponse; h.Cut == 0 || len(h.Fields)+h.Cut != 1002 {
		t.Errorf("response head: %d kept, %d cut of 1002", len(h.Fields), h.Cut)
	}
}

func TestExplainOfAHitAllocatesNothing(t *testing.T) {
	e := newTestEngine(t)
	s, r := asked(e, "x")
	s.Cache.Status, r.Cache = CacheHit, CacheHit
	for range 2 * len(e.explain.slots) {
		e.explain.add(s, r)
	}
	if n := testing.AllocsPerRun(1000, func() { e.explain.add(s, r) }); n >= 1 {
		t.Errorf("%v allocations a hit, want none", n)
	}
}

func TestExplainWhileOthersLook(t *testing.T) {
	e := newTestEngine(t)
	e.explain = newExplain(4)
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range 500 {
				s, r := asked(e, fmt.Sprintf("%d-%d", w, i))
				e.explain.add(s, r)
				if got, ok := e.explain.Find(fmt.Sprintf("%d-%d", w, i)); ok && !strings.Contains(string(got.Record), fmt.Sprintf("%d-%d", w, i)) {
					t.Errorf("asked for %d-%d, got %s", w, i, got.Record)
				}
			}
		})
	}
	all.Wait()
}

func TestFollowersHearWhatTheyWant(t *testing.T) {
	x := newExplain(1)
	every, err := x.Follow(Want{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	stale, _ := x.Follow(Want{Cache: "stale"}, 10)
	stored, _ := x.Follow(Want{Reason: "no_store"}, 10)
	x.tell(&Record{Cache: CacheHit, Reason: policy.Fresh})
	x.tell(&Record{Cache: CacheStale, Reason: policy.StaleIfError})
	x.tell(&Record{Cache: CacheMiss, Reason: policy.URIMiss, Unstored: policy.NoStore})
	for name, got := range map[string][2]int{"every": {len(every.C), 3}, "stale": {len(stale.C), 1}, "no_store": {len(stored.C), 1}} {
		if got[0] != got[1] {
			t.Errorf("%s heard of %d requests, want %d", name, got[0], got[1])
		}
	}
	every.Close()
	x.tell(&Record{Cache: CacheHit})
	if len(every.C) != 3 {
		t.Error("a closed follower hears more")
	}
	stale.Close()
	stored.Close()
	if n := x.listening.Load(); n != 0 {
		t.Errorf("%d listen after all have left", n)
	}
}

func TestFollowersAreBounded(t *testing.T) {
	x := newExplain(1)
	for range maxFollowers {
		if _, err := x.Follow(Want{}, 2); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := x.Follow(Want{}, 2); err != ErrFollowers {
		t.Errorf("follower %d: %v, want ErrFollowers", maxFollowers+1, err)
	}
	for range 5 { // returns although nobody reads
		x.tell(&Record{})
	}
	if f := x.followers[0]; f.Missed() != 3 || x.unheard.Load() != 3*maxFollowers {
		t.Errorf("one missed %d, want 3; all missed %d, want %d", f.Missed(), x.unheard.Load(), 3*maxFollowers)
	}
}

func TestHottestFindsTheHot(t *testing.T) {
	h := newHottest()
	now := int64(1e18)
	ask := func(path string, times int) {
		for range times {
			h.add(&Record{Time: now, Scheme: "http", Host: []byte("a"), Path: []byte(path)})
		}
	}
	for i := range 5000 { // more than there are places
		ask("/once/"+strconv.Itoa(i), 1)
		if i%10 == 0 {
			ask("/hot", 20)
		}
	}
	h.add(&Record{Time: now, Kind: KindRefresh, Scheme: "http", Path: []byte("/refresh")})
	list := h.list(3, now+int64(time.Second))
	if len(list) != 3 || list[0].URI != "http://a/hot" || list[0].Requests < 9000 {
		t.Fatalf("hottest %+v, want /hot with about 10,000 first", list)
	}
	if again := h.list(3, now+int64(3*hotSpan)); len(again) != 0 {
		t.Errorf("after %v: %+v, want nothing", 3*hotSpan, again)
	}
}

func TestHottestIsBounded(t *testing.T) {
	h := newHottest()
	for i := range 10_000 {
		h.add(&Record{Time: 1, Scheme: "http", Host: []byte("a"), Path: []byte(strings.Repeat("x", 5000) + strconv.Itoa(i))})
	}
	for _, u := range h.list(1<<20, 2) {
		if len(u.URI) > hotNameBytes+len("https://") {
			t.Fatalf("a name of %d bytes is kept", len(u.URI))
		}
	}
	r := &Record{Time: 1, Scheme: "http", Path: []byte("/x")}
	if n := testing.AllocsPerRun(1000, func() { h.add(r) }); n >= 1 {
		t.Errorf("%v allocations a request, want none", n)
	}
}

func TestTop(t *testing.T) {
	e := newTestEngine(t)
	s, r := asked(e, "x")
	r.Time = time.Now().UnixNano()
	e.metrics.observe(r)
	e.explain.add(s, r)
	top := e.Top(5)
	if top.Requests["miss"] != 1 || top.Reasons["miss uri_miss"] != 1 || len(top.Hottest) != 1 || len(top.Upstreams) != 1 || top.Memory.Limit == 0 {
		t.Errorf("top %+v", top)
	}
}

func BenchmarkExplainHit(b *testing.B) {
	e := newTestEngine(b)
	s, r := asked(e, "33df21d8e2007ec612419e7f038c367c")
	s.Cache.Status, r.Cache, s.Upstream, s.Response = CacheHit, CacheHit, nil, nil
	r.Time = time.Now().UnixNano()
	b.ReportAllocs()
	for b.Loop() {
		e.explain.add(s, r)
	}
}
