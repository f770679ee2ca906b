package casetest

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/edge/h1"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if built.dir != "" {
			_ = os.RemoveAll(built.dir)
		}
		os.Exit(code)
	}))
}

// cases are the cases that are run here, by id.
var cases = map[string]func(*testing.T){}

// register adds cases; a second test of one id is a mistake.
func register(more map[string]func(*testing.T)) bool {
	for id, f := range more {
		if cases[id] != nil {
			panic("two tests of the case " + id)
		}
		cases[id] = f
	}
	return true
}

// elsewhere are the cases that are tested in another room: file and function.
var elsewhere = map[string]string{
	"key-hash":          "cachestore/storetest/swaps.go collision",
	"origin-dns-rebind": "edge/origin/addr_test.go TestOriginDNSRebind",
	"slow-headers":      "edge/h1/time_test.go TestSlowHeaders",
	"slow-body":         "edge/h1/time_test.go TestSlowBody",
	"slow-read":         "edge/h1/time_test.go TestSlowRead",
	"admin-bind":        "cmd/edge/serve_test.go TestAdminBind",
	"purge-noauth":      "edge/admin/admin_test.go TestCases",
	"admin-csrf":        "edge/admin/admin_test.go TestCases",
	"admin-body":        "edge/admin/admin_test.go TestCases",
	"pprof":             "edge/admin/admin_test.go TestCases",
}

// later are the cases whose part of the edge is not there yet.
var later = map[string]string{
	"idle-keepalive": "with the faster lanes",
	"fd-exhaust":     "with the faster lanes",
}

// TestCases runs every case of testdata that is not another room's, by its id.
func TestCases(t *testing.T) {
	for _, c := range readCases(t) {
		place, away := elsewhere[c.ID]
		why, notYet := later[c.ID]
		f, here := cases[c.ID]
		switch {
		case c.Class == "origin-response": // run by TestOriginResponses, from the file itself
		case here && !away && !notYet:
			t.Run(c.ID, f)
		case away && !here && !notYet:
			checkPlace(t, c.ID, place)
		case notYet && !here && !away && why != "":
		default:
			t.Errorf("%s: tested here %v, elsewhere %q, later %q; want one of them", c.ID, here, place, why)
		}
	}
}

// TestEveryTestHasItsCase: an id that is misspelt here tests nothing by name.
func TestEveryTestHasItsCase(t *testing.T) {
	known := map[string]bool{}
	for _, c := range readCases(t) {
		known[c.ID] = true
	}
	check := func(id string) {
		if !known[id] {
			t.Errorf("no case has the id %s", id)
		}
	}
	for id := range cases {
		check(id)
	}
	for id := range elsewhere {
		check(id)
	}
	for id := range later {
		check(id)
	}
}

// checkPlace looks whether the test that another room has is there.
func checkPlace(t *testing.T, id, place string) {
	t.Helper()
	file, name, _ := strings.Cut(place, " ")
	source, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(file)))
	if err != nil {
		t.Errorf("%s: %v", id, err)
		return
	}
	if !strings.Contains(string(source), "func "+name+"(") {
		t.Errorf("%s: %s has no %s", id, file, name)
	}
	if name == "TestCases" && !strings.Contains(string(source), `"`+id+`"`) {
		t.Errorf("%s: %s does not know the id", id, file)
	}
}

// hostile is one line of a case file.
type hostile struct {
	ID, Need, Raw, Input string
	Class                string `json:"cls"`
}

func readCases(t *testing.T) (list []hostile) {
	t.Helper()
	files, err := filepath.Glob("testdata/*.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		list = append(list, readFile(t, name)...)
	}
	if len(list) < 100 {
		t.Fatalf("%d cases in %v, want a hundred", len(list), files)
	}
	return list
}

func readFile(t *testing.T, name string) (list []hostile) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var c hostile
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		list = append(list, c)
	}
	return list
}

// site is an edge in front of one origin that answers by script.
type site struct {
	*edgetest.Harness
	t      *testing.T
	origin *edgetest.Origin
	clock  *edgetest.Clock
}

// open starts a site; c's peers are the origin unless it names others.
func open(t *testing.T, c edgetest.Config) *site {
	t.Helper()
	return openWire(t, c, h1.Config{})
}

func openWire(t *testing.T, c edgetest.Config, wire h1.Config) *site {
	t.Helper()
	s := &site{t: t, origin: edgetest.NewOrigin(t), clock: &edgetest.Clock{}}
	c.Clock = s.clock
	if c.Peers == nil {
		c.Peers = []string{s.origin.URL}
	}
	c.Wire = func(e *edge.Engine) edgetest.Wire { return h1.New(e, wire) }
	s.Harness = edgetest.New(t, c)
	return s
}

// Lines that most answers of the scripts have.
const (
	fresh  = "Cache-Control: max-age=600"
	tagged = `ETag: "v1"`
)

// old is a Last-Modified that gives an answer a heuristic life.
const old = "Last-Modified: Mon, 06 Nov 2000 08:49:37 GMT"

// want gets a path and demands a whole 200 with this body. When it returns, the
// request is over in the engine, too: the next one does not meet its fetch.
func (s *site) want(body, path string, lines ...string) edgetest.Reply {
	s.t.Helper()
	r := s.Get(path, lines...)
	if r.Err != nil || r.Status != 200 || r.Body != body {
		s.t.Fatalf("GET %s %q: %s, want 200 %.40q", path, lines, show(r), body)
	}
	s.Record(r.ID())
	return r
}

// status gets a path and demands a status.
func (s *site) status(status int, path string, lines ...string) edgetest.Reply {
	s.t.Helper()
	r := s.Get(path, lines...)
	if r.Err != nil || r.Status != status {
		s.t.Fatalf("GET %s %q: %s, want %d", path, lines, show(r), status)
	}
	return r
}

// asked demands that the origin was asked n times for a path.
func (s *site) asked(n int, path string) {
	s.t.Helper()
	if got := s.origin.Asked(path); got != n {
		s.t.Errorf("the origin was asked %d times for %s, want %d", got, path, n)
	}
}

// last is the latest request that the origin got.
func (s *site) last() edgetest.Seen {
	s.t.Helper()
	seen := s.origin.Seen()
	if len(seen) == 0 {
		s.t.Fatal("the origin was never asked")
	}
	return seen[len(seen)-1]
}

// line sends a request line's target as it stands, which a client library
// would mend.
func (s *site) line(target string, lines ...string) edgetest.Reply {
	s.t.Helper()
	head := "GET " + target + " HTTP/1.1\r\nConnection: close\r\n"
	host := "Host: a.test\r\n"
	for _, l := range lines {
		if strings.HasPrefix(l, "Host:") {
			host = ""
		}
		head += l + "\r\n"
	}
	return s.Raw(head + host + "\r\n")
}

// isHit says whether an answer came from the store, by its Cache-Status.
func isHit(r edgetest.Reply) bool { return strings.Contains(r.Header.Get("Cache-Status"), "; hit") }

// hit demands an answer from the store.
func (s *site) hit(body, path string, lines ...string) edgetest.Reply {
	s.t.Helper()
	r := s.want(body, path, lines...)
	if !isHit(r) {
		s.t.Fatalf("GET %s %q: %s, want a hit", path, lines, show(r))
	}
	return r
}

// miss demands an answer that the origin was asked for.
func (s *site) miss(body, path string, lines ...string) edgetest.Reply {
	s.t.Helper()
	r := s.want(body, path, lines...)
	if isHit(r) {
		s.t.Fatalf("GET %s %q: %s, want no hit", path, lines, show(r))
	}
	return r
}

// advance puts the clock forward.
func (s *site) advance(seconds int) { s.clock.Advance(time.Duration(seconds) * time.Second) }

func show(r edgetest.Reply) string {
	b, err := json.Marshal(struct {
		Status int
		Header map[string][]string
		Body   string
		Err    string
	}{r.Status, r.Header, clip(r.Body), errText(r.Err)})
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func clip(s string) string { return s[:min(len(s), 60)] }

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
