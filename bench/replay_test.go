package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// remembering answers like a cache that keeps everything.
func remembering(t *testing.T) *httptest.Server {
	var mu sync.Mutex
	seen := make(map[string]bool)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		hit := seen[r.RequestURI]
		seen[r.RequestURI] = true
		mu.Unlock()
		said := "edge; fwd=uri-miss; stored"
		if hit {
			said = "edge; hit; ttl=60"
		}
		w.Header().Set("Cache-Status", said)
		size, _ := strconv.Atoi(r.URL.Query().Get("size"))
		w.Write(make([]byte, size))
	}))
	t.Cleanup(s.Close)
	return s
}

func loaded(t *testing.T, trace string) *Workload {
	t.Helper()
	w, err := Load(strings.NewReader(trace), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestReplayCountsHits(t *testing.T) {
	s := remembering(t)
	// One connection, so that no request overtakes the one that fills the cache.
	got, err := Replay(t.Context(), ReplayConfig{
		Workload: loaded(t, "0 a/b?c 100\n0 .. 300\n0 a/b?c 100\n1 a/b?c 100\n"),
		Target:   s.URL, Connections: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Result{
		Trace: "trace", Planned: 4, Requests: 4, Hits: 2, Misses: 2, HitRatio: 0.5, ByteHitRatio: 1.0 / 3,
		Bytes: 600, HitBytes: 200, MissBytes: 400,
		Seconds: got.Seconds, Rate: got.Rate, Latency: got.Latency, Connections: got.Connections,
	}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got %+v, want %+v", *got, want)
	}
	if l := got.Latency; !(l.Min > 0 && l.Min <= l.P50 && l.P50 <= l.P99 && l.P99 <= l.Max) {
		t.Errorf("latencies out of order: %+v", l)
	}
	var text, program bytes.Buffer
	if err := got.WriteText(&text); err != nil || !strings.Contains(text.String(), "50.00 %") {
		t.Errorf("text is %v\n%s", err, &text)
	}
	var back Result
	if err := got.WriteJSON(&program); err != nil || json.Unmarshal(program.Bytes(), &back) != nil ||
		!reflect.DeepEqual(back, *got) {
		t.Errorf("JSON is %v\n%s", err, &program)
	}
}

func TestReplaySendsEachRequestOnce(t *testing.T) {
	var mu sync.Mutex
	got := make(map[string]int)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got[r.RequestURI]++
	}))
	defer s.Close()
	var trace strings.Builder
	want := make(map[string]int)
	for i := range 300 {
		fmt.Fprintf(&trace, "0 id%d 5\n", i%7)
		want[fmt.Sprintf("/o/id%d?size=5", i%7)]++
	}
	r, err := Replay(t.Context(), ReplayConfig{
		Workload: loaded(t, trace.String()), Target: s.URL + "/", Rate: 100_000, Connections: 5,
	})
	if err != nil || r.Requests != 300 || r.Errors != 0 || len(r.Connections) != 5 {
		t.Fatalf("%+v, %v", r, err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestReplayCountsFromTheDueTime: one connection is held by its first answer,
// so the requests that were due meanwhile have waited, and their latency says so.
func TestReplayCountsFromTheDueTime(t *testing.T) {
	const held = 200 * time.Millisecond
	first := true
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if first {
			first = false
			<-time.After(held)
		}
	}))
	defer s.Close()
	r, err := Replay(t.Context(), ReplayConfig{
		Workload: loaded(t, strings.Repeat("0 a 5\n", 10)), Target: s.URL, Rate: 1000, Connections: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	// All ten were due within 9 ms, so none can have taken less than the rest of the hold.
	if least := ms(held) - 9; r.Latency.Min < least {
		t.Errorf("the least latency is %.1f ms, want at least %.1f", r.Latency.Min, least)
	}
}

func TestReplayOfALogAsksForItsOwnUris(t *testing.T) {
	var mu sync.Mutex
	var got []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		got = append(got, r.Host+r.RequestURI)
		mu.Unlock()
		w.WriteHeader(http.StatusNotFound)
	}))
	defer s.Close()
	r, err := Replay(t.Context(), ReplayConfig{
		Workload: loaded(t, logged), Target: s.URL, Logged: true, Connections: 1,
	})
	if err != nil || r.Errors != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	if want := []string{"a.example/x?q=1", "b.example:81/gone"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReplayCountsErrors(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/o/status":
			w.WriteHeader(http.StatusBadGateway)
		case "/o/cut":
			w.Header().Set("Content-Length", "100")
			w.Write(make([]byte, 10))
		}
	}))
	defer s.Close()
	r, err := Replay(t.Context(), ReplayConfig{
		Workload: loaded(t, "0 status 5\n0 cut 100\n0 good 5\n"), Target: s.URL, Connections: 1,
	})
	if err != nil || r.Requests != 3 || r.Errors != 2 || len(r.Complaints) != 2 {
		t.Errorf("%+v, %v: want 2 errors in 3 requests", r, err)
	}
}

func TestReplayStops(t *testing.T) {
	s := remembering(t)
	trace := strings.Repeat("0 a 1000\n", 500)
	bounded, err := Replay(t.Context(), ReplayConfig{
		Workload: loaded(t, trace), Target: s.URL, Connections: 1, MaxBytes: 10_000,
	})
	if err != nil || bounded.Requests != 10 || bounded.Stopped == "" {
		t.Errorf("at 10 bodies: %+v, %v", bounded, err)
	}
	bounded, err = Replay(t.Context(), ReplayConfig{
		Workload: loaded(t, trace), Target: s.URL, Connections: 2, Rate: 1000, MaxTime: 50 * time.Millisecond,
	})
	if err != nil || bounded.Requests > 50 || bounded.Stopped == "" {
		t.Errorf("at 50 ms: %+v, %v", bounded, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Replay(ctx, ReplayConfig{Workload: loaded(t, trace), Target: s.URL}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}

func TestReplayRefuses(t *testing.T) {
	w := loaded(t, "0 a 5\n")
	for _, c := range []ReplayConfig{
		{Target: "http://h"},
		{Workload: w},
		{Workload: w, Target: "h:80"},
		{Workload: w, Target: "ftp://h"},
		{Workload: w, Target: "http://h", Rate: -1},
		{Workload: w, Target: "http://h", Connections: 20_000},
		{Workload: w, Target: "http://h", Logged: true},
	} {
		if _, err := Replay(t.Context(), c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}
