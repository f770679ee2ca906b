package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
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
	lasting     manner = "keeps what it stored over a restart"
	amnesiac    manner = "finds after a restart what was purged before"
)

// standIn is a cache as simple as can be, with the two doors of edge.
type standIn struct {
	manner manner
	origin string

	mu     sync.Mutex
	stored map[string]stored // by host and uri
	first  map[string]stored // what was stored first under each
	purges int
	served int
	hits   int
	fills  map[string]*sync.Mutex // by key and number of purges: who fetches, and who waits for that
}

type stored struct {
	Header http.Header
	Body   []byte
}

func newStandIn(m manner, origin string) *standIn {
	return &standIn{manner: m, origin: origin, stored: make(map[string]stored), first: make(map[string]stored), fills: make(map[string]*sync.Mutex)}
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
	body := answer.Body
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
		w.Header().Set(name, answer.Header.Get(name))
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
	if answer, hit = s.stored[key]; hit {
		s.hits++
	}
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
	if _, known := s.first[key]; !known {
		s.first[key] = answer
	}
}

// save writes what is stored into a file, load reads it.
func (s *standIn) save(file string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	what := s.stored
	if s.manner == amnesiac {
		what = s.first
	}
	all, err := json.Marshal(what)
	if err != nil {
		return err
	}
	return os.WriteFile(file, all, 0o600)
}

func (s *standIn) load(file string) error {
	all, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, json.Unmarshal(all, &s.stored))
}

// metrics is the part of edge's that the demo reads.
func (s *standIn) metrics(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(w, "# TYPE edge_cache_hits_total counter\nedge_cache_hits_total{tier=\"memory\"} %d\nedge_other{a=\"b\",tier=\"c\"} x\n", s.hits)
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
			for _, tag := range strings.Fields(answer.Header.Get("Surrogate-Key")) {
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
	mux.HandleFunc("GET /metrics", s.metrics)
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
	disk := f.String("disk", "", "")
	for _, other := range []string{"token-file", "memory", "access-log"} {
		f.String(other, "", "")
	}
	if f.Parse(args) != nil || m == stillborn {
		fmt.Println("this edge does not start")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cache := newStandIn(m, *origin)
	file := filepath.Join(filepath.Dir(*disk), "stand-in")
	if err := cache.load(file); err != nil {
		fmt.Println(err)
		return 1
	}
	data, err := net.Listen("tcp", *listen) // before it says that it is ready
	if err != nil {
		fmt.Println(err)
		return 1
	}
	go http.Serve(data, cache)
	go http.ListenAndServe(*admin, cache.admin())
	<-ctx.Done()
	switch m {
	case lingering:
		return 3
	case lasting, amnesiac:
		if err := cache.save(file); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	return 0
}
