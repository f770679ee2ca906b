package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// manner is how a stand-in for edge behaves.
type manner string

const (
	honest      manner = "honest"
	passThrough manner = "passes everything through"
	deaf        manner = "acknowledges purges and ignores them"
	hasty       manner = "stores fills that a purge has overtaken"
	thorough    manner = "forgets everything at each purge"
	flipping    manner = "flips a bit of what it stored"
	cutting     manner = "ends bodies early"
	refusing    manner = "refuses purges"
	failing     manner = "answers 503 now and then"
	lingering   manner = "ends with an error"
	stillborn   manner = "never starts"
)

// standIn is a cache as simple as can be, with the two doors of edge.
type standIn struct {
	manner manner
	origin string

	mu     sync.Mutex
	stored map[string]stored // by host and uri
	purges int
	served int
	fills  map[string]*sync.Mutex // by key and number of purges: who fetches, and who waits for that
}

type stored struct {
	header http.Header
	body   []byte
}

func newStandIn(m manner, origin string) *standIn {
	return &standIn{manner: m, origin: origin, stored: make(map[string]stored), fills: make(map[string]*sync.Mutex)}
}

// ServeHTTP is the data port.
func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := r.Host + r.RequestURI
	answer, hit, before, turn := s.look(key)
	if !hit {
		defer s.fill(key, before).Unlock()
		answer, hit, before, _ = s.look(key)
	}
	if !hit {
		var err error
		if answer, err = s.fetch(r); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		s.keep(key, answer, before)
	}
	body := answer.body
	switch {
	case s.manner == failing && turn%50 == 0:
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	case s.manner == flipping && hit && len(body) > 0:
		body = append([]byte(nil), body...)
		body[len(body)-1] ^= 1
	case s.manner == cutting && hit && len(body) > 0:
		body = body[:len(body)-1]
	}
	for _, name := range []string{"ETag", "Cache-Control"} {
		w.Header().Set(name, answer.header.Get(name))
	}
	w.Header().Set("Cache-Status", "edge; fwd=uri-miss")
	if hit {
		w.Header().Set("Cache-Status", "edge; hit")
	}
	w.Write(body)
}

func (s *standIn) look(key string) (answer stored, hit bool, purges, turn int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.served++
	answer, hit = s.stored[key]
	return answer, hit, s.purges, s.served
}

// fill lets one at a time fetch a key; who comes after a purge does not wait
// for who came before it.
func (s *standIn) fill(key string, purges int) *sync.Mutex {
	id := fmt.Sprint(key, "#", purges)
	s.mu.Lock()
	if s.fills[id] == nil {
		s.fills[id] = new(sync.Mutex)
	}
	lock := s.fills[id]
	s.mu.Unlock()
	lock.Lock()
	return lock
}

func (s *standIn) fetch(r *http.Request) (stored, error) {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, s.origin+r.RequestURI, nil)
	if err != nil {
		return stored{}, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return stored{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return stored{res.Header, body}, err
}

// keep stores an answer, unless a purge came since before.
func (s *standIn) keep(key string, answer stored, before int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.manner == passThrough || s.purges != before && s.manner != hasty {
		return
	}
	s.stored[key] = answer
}

// purge is the admin port's POST /v1/purge.
func (s *standIn) purge(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Type      string
		Selectors []string
		Purge     bool
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || !asked.Purge ||
		!strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") || s.manner == refusing {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.purges++
	for key, answer := range s.stored {
		if s.manner == thorough || s.manner != deaf && covers(asked.Type, asked.Selectors, key, answer) {
			delete(s.stored, key)
		}
	}
	s.mu.Unlock()
	fmt.Fprint(w, `{"id":"1","seq":1,"applied":true,"mode":"hard"}`)
}

func covers(scope string, selectors []string, key string, answer stored) bool {
	for _, selector := range selectors {
		switch scope {
		case "uri":
			if selector == "http://"+key {
				return true
			}
		case "uri-prefix":
			if strings.HasPrefix("http://"+key, selector+"/") {
				return true
			}
		case "tag":
			for _, tag := range strings.Fields(answer.header.Get("Surrogate-Key")) {
				if tag == selector {
					return true
				}
			}
		}
	}
	return false
}

// admin is the handler of the admin port.
func (s *standIn) admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/purge", s.purge)
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	return mux
}

// driven runs the driver against a stand-in within this process.
func driven(t *testing.T, m manner) *report {
	t.Helper()
	workload, err := options{requests: 300, seed: 1, zipf: 0.9}.workload()
	if err != nil {
		t.Fatal(err)
	}
	for o := range workload.Sizes {
		workload.Sizes[o] %= 20_000 // so that the tests are quick
	}
	w := newWorld(workload)
	origin, err := startOrigin(w)
	if err != nil {
		t.Fatal(err)
	}
	defer origin.Close()
	cache := newStandIn(m, origin.URL)
	data, admin := httptest.NewServer(cache), httptest.NewServer(cache.admin())
	defer data.Close()
	defer admin.Close()
	r, err := drive(t.Context(), plan{
		world: w, target: data.URL, admin: admin.URL, token: "secret",
		rate: 2000, connections: 8, purgeRate: 100, maxBytes: 1 << 30,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestMain makes this binary an edge when a test starts it as one.
func TestMain(m *testing.M) {
	if how := os.Getenv("DEMO_STAND_IN"); how != "" {
		os.Exit(beEdge(manner(how), os.Args[1:]))
	}
	os.Exit(m.Run())
}

// beEdge serves a stand-in on edge's flags until SIGTERM.
func beEdge(m manner, args []string) int {
	f := flag.NewFlagSet("edge", flag.ContinueOnError)
	origin, listen, admin := f.String("origin", "", ""), f.String("listen", "", ""), f.String("admin", "", "")
	for _, other := range []string{"token-file", "memory", "disk", "access-log"} {
		f.String(other, "", "")
	}
	if f.Parse(args) != nil || m == stillborn {
		fmt.Println("this edge does not start")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cache := newStandIn(m, *origin)
	go http.ListenAndServe(*listen, cache)
	go http.ListenAndServe(*admin, cache.admin())
	<-ctx.Done()
	if m == lingering {
		return 3
	}
	return 0
}
