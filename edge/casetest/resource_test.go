package casetest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"edgecache/edge"
	"edgecache/edge/admin"
	"edgecache/edge/edgetest"
	"edgecache/purge"
)

var _ = register(map[string]func(*testing.T){
	"purge-flood":         purgeFlood,
	"log-inject":          logInject,
	"metrics-cardinality": metricsCardinality,
	"zip-bomb":            zipBomb,
	"giant-object":        giantObject,
})

// purgeFlood: at its bound the log refuses new purges, keeps all that it has
// taken, and hits go on.
func purgeFlood(t *testing.T) {
	const limit = 200
	o := edgetest.NewOrigin(t)
	o.On("*", edgetest.Text(200, "page", fresh))
	store := newStore(t)
	r := assembly{Store: store, Origin: o.URL, Purge: purge.Config{Path: filepath.Join(t.TempDir(), "purge.db"), Limit: limit}}.run(t)
	for _, path := range []string{"/hot", "/purged"} {
		if got := r.get(path); got.Body != "page" {
			t.Fatal(show(got))
		}
	}
	taken, refused := 0, 0
	flood := func(i int) {
		e, err := purge.ParseEntry(purge.ScopeTag, fmt.Sprint("pattern-", i), "", purge.Hard)
		if i == 0 {
			e, err = purge.ParseEntry(purge.ScopeURL, "http://a.test/purged", "", purge.Hard)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Purges.Purge(context.Background(), []purge.Entry{e})
		switch {
		case err == nil:
			taken++
		case errors.Is(err, purge.ErrTooMany):
			refused++
		default:
			t.Fatal(err)
		}
	}
	for i := range 2 * limit {
		flood(i)
		if i%40 == 0 {
			if got := r.get("/hot"); !isHit(got) {
				t.Fatalf("after %d purges of other things: %s", i+1, show(got))
			}
		}
	}
	if taken != limit || refused != limit {
		t.Errorf("%d purges were taken and %d refused, want %d and %d", taken, refused, limit, limit)
	}
	if got := r.get("/purged"); isHit(got) {
		t.Errorf("the first purge was forgotten: %s", show(got))
	}
	sweeper := purge.StartSweeper(r.Purges, store, purge.SweepConfig{Every: 1})
	defer sweeper.Close()
	edgetest.Wait(t, "a sweep to make room for a purge", func() bool {
		flood(9999)
		return taken == limit+1
	})
	if got := r.get("/hot"); !isHit(got) {
		t.Errorf("after the sweep: %s", show(got))
	}
}

// logInject: whatever a client writes, one request is one line of the log, and
// the line reads as what was meant.
func logInject(t *testing.T) {
	o := edgetest.NewOrigin(t)
	o.On("*", edgetest.Text(200, "page"))
	for _, format := range []string{"json", "combined"} {
		var out lines
		f, err := edge.ParseLogFormat(format)
		if err != nil {
			t.Fatal(err)
		}
		log := edge.NewAccessLog(&out, edge.LogConfig{Format: f})
		r := assembly{Store: newStore(t), Origin: o.URL, Purge: purge.Config{Path: filepath.Join(t.TempDir(), "purge.db")}, Log: log}.run(t)
		requests := []string{
			"GET /a\"%0d%0aGET%20/evil HTTP/1.1\r\nHost: a.test\r\nUser-Agent: x\"y\\\" \"evil\" \xff\xfe\t\"}\r\nConnection: close\r\n\r\n",
			"GET /%1b[31m?q=\"} HTTP/1.1\r\nHost: a.test\r\nReferer: http://\"\\u0000\\n/\r\nConnection: close\r\n\r\n",
			"GET /x HTTP/1.1\r\nHost: a.test\r\nUser-Agent: a\x1b]0;evil\x07\r\n\r\n", // refused
			"GET /\xe2\x80\xa8\xc2\x85 HTTP/1.1\r\nHost: a.test\r\nUser-Agent: \xe2\x80\xa8line\xc2\x85 separator\r\nConnection: close\r\n\r\n",
			"B\"REW /x HTTP/1.1\r\nHost: a.test\r\n\r\n", // refused
		}
		for _, request := range requests {
			_ = r.ask(request) // some are refused; each is a line
		}
		r.end()
		if err := log.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		got := out.split()
		if len(got) != len(requests) {
			t.Errorf("%s: %d lines for %d requests:\n%s", format, len(got), len(requests), strings.Join(got, "\n"))
		}
		for _, line := range got {
			checkLine(t, format, line)
		}
	}
}

func checkLine(t *testing.T, format, line string) {
	t.Helper()
	for _, c := range line {
		if c < ' ' || c == 0x7f || c == 0x85 || c == 0x2028 || c == 0x2029 {
			t.Errorf("%s: %q has %q", format, line, c)
		}
	}
	if format == "json" && !json.Valid([]byte(line)) {
		t.Errorf("no JSON: %s", line)
	}
}

// lines takes a log's bytes.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *lines) split() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSuffix(l.all.String(), "\n"), "\n")
}

// metricsCardinality: hosts, methods, paths and agents that a client invents
// make no new series and appear in none.
func metricsCardinality(t *testing.T) {
	s := mirror(t, edgetest.Config{})
	h, err := admin.New(admin.Config{
		Engine: s.Engine, Purges: purge.NewAPI(s.Purges, nil), Token: "t", Listen: "127.0.0.1:9145", Ready: func() error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	series := func() int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1:9145/metrics", nil))
		if w.Code != 200 || strings.Contains(w.Body.String(), "invented") || strings.Contains(w.Body.String(), "INVENTED") {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return strings.Count(w.Body.String(), "\nedge_")
	}
	burst := func(from, to int) {
		for i := from; i < to; i++ {
			s.Do("GET", fmt.Sprintf("/invented-%d?invented=%d", i, i), "", fmt.Sprintf("Host: invented-%d.test", i), fmt.Sprintf("User-Agent: invented-%d", i))
			s.Do(fmt.Sprintf("INVENTED%d", i), "/", "")
			s.purgeAs(purge.ScopeTag, purge.Hard, fmt.Sprintf("invented-%d", i))
		}
	}
	burst(0, 10)
	s.Do("GET", "/invented-0", "", "Host: invented-0.test")
	before := series()
	burst(10, 300)
	if after := series(); after > before+5 || after == 0 {
		t.Errorf("%d series after ten clients, %d after three hundred", before, after)
	}
}

// zipBomb: nothing is inflated here, whatever the client accepts.
func zipBomb(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(make([]byte, 10<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s := open(t, edgetest.Config{})
	s.origin.On("/x", edgetest.Text(200, packed.String(), fresh, "Content-Encoding: gzip"))
	for _, accept := range []string{"Accept-Encoding: identity", "Accept-Encoding: gzip", "X-None: 1"} {
		if got := s.want(packed.String(), "/x", accept); got.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%s: %s", accept, show(got))
		}
	}
	s.asked(1, "/x")
	if ae := s.last().Header.Get("Accept-Encoding"); strings.Contains(ae, "gzip") {
		t.Errorf("the origin was told Accept-Encoding: %s, which the client did not say", ae)
	}
}

// giantObject: a body without end streams through, is not stored, takes
// bounded memory, and the origin is let go when its last reader leaves.
func giantObject(t *testing.T) {
	const read = 48 << 20
	chunk := fmt.Sprintf("%x\r\n%s\r\n", 64<<10, strings.Repeat("x", 64<<10))
	released := make(chan struct{})
	url := edgetest.NewRawOrigin(t, func(c net.Conn) {
		defer close(released)
		if _, err := edgetest.ReadHead(c); err != nil {
			return
		}
		if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n"+fresh+"\r\nTransfer-Encoding: chunked\r\n\r\n"); err != nil {
			return
		}
		for {
			if _, err := io.WriteString(c, chunk); err != nil {
				return
			}
		}
	})
	const memory = 16 << 20
	s := open(t, edgetest.Config{Peers: []string{url}, MemoryBytes: memory})
	res, err := http.Get(s.URL + "/x")
	if err != nil {
		t.Fatal(err)
	}
	most := int64(0)
	for got := int64(0); got < read; {
		n, err := io.CopyN(io.Discard, res.Body, 1<<20)
		got += n
		if err != nil {
			t.Fatalf("after %d bytes: %v", got, err)
		}
		most = max(most, s.Store.Stats().Bytes)
	}
	if limit := int64(memory) * 105 / 100; most > limit {
		t.Errorf("%d bytes were accounted, the limit is %d", most, limit)
	}
	res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	edgetest.Receive(t, "the end of the origin's connection", released)
	if n := s.Store.Stats().Variants; n != 0 {
		t.Errorf("%d answers are stored", n)
	}
	edgetest.Wait(t, "the memory of the body", func() bool { return s.Store.Stats().FillBytes == 0 })
}
