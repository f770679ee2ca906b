package seedtest

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/edge/h1"
	"edgecache/policy"
)

// holdings is what a process holds that a leak would add to.
type holdings struct {
	goroutines, descriptors int
	heapBytes               uint64
}

func holds(t testing.TB) holdings {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc to count descriptors in")
	}
	runtime.GC()
	runtime.GC() // pools give up what they hold in two rounds
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return holdings{runtime.NumGoroutine(), len(list), m.HeapAlloc}
}

// leakBytes is how much more heap may be in use after the requests. One in
// twenty leaked body buffers of 32 KiB would be past it.
const leakBytes = 16 << 20

func TestS32_NothingIsLeftBehind(t *testing.T) {
	requests, clients := 10_000, 16
	if testing.Short() {
		requests = 1_600
	}
	var server *h1.Server
	o := edgetest.NewOrigin(t)
	h := edgetest.New(t, edgetest.Config{
		Peers: []string{o.URL}, MemoryBytes: 8 << 20, Rules: policy.Rules{},
		Wire: func(e *edge.Engine) edgetest.Wire {
			server = h1.New(e, h1.Config{})
			return server
		},
		Recorder: &edgetest.Recorder{Request: func(s *edge.Session) (edge.FilterResult, error) {
			if strings.HasPrefix(string(s.Request.Path), "/held") {
				_, err := s.BufferRequestBody()
				return edge.Continue, err
			}
			return edge.Continue, nil
		}},
		Edge: edge.Config{Limits: edge.Limits{BodyBuffer: 4 << 10}},
	})
	o.On("/small", edgetest.Text(200, "small", fresh))
	o.On("/large", edgetest.Text(200, strings.Repeat("large", 60_000), fresh))
	o.On("/passed", edgetest.Text(200, strings.Repeat("passed", 20_000), "Cache-Control: no-store"))
	o.On("/held", edgetest.Text(200, "held"))
	o.On("/cut", edgetest.Script(edgetest.Bytes("HTTP/1.1 200 OK\r\nContent-Length: 99\r\nCache-Control: max-age=9\r\n\r\ncut"), edgetest.Cut()))
	abusive(t, h, chance{rand.New(rand.NewPCG(0, 1))}, 50) // pools, connections and buffers come to be
	idle(t, h, server)
	before := holds(t)

	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	var running sync.WaitGroup
	for i := range clients {
		running.Go(func() { abusive(t, h, chance{rand.New(rand.NewPCG(seed, uint64(i)))}, requests/clients) })
	}
	running.Wait()
	idle(t, h, server)
	if n := h.Store.Stats().FillBytes; n != 0 {
		t.Errorf("%d bytes of fills are left", n)
	}
	h.Records.Drop()
	h.Log.Drop()
	o.Drop()
	var after holdings
	edgetest.Wait(t, "goroutines and descriptors to go", func() bool {
		after = holds(t)
		// Idle connections to the origin are kept, on both sides.
		_, open := o.Conns()
		return after.goroutines <= before.goroutines+4*open && after.descriptors <= before.descriptors+2*open
	})
	if after.heapBytes > before.heapBytes+leakBytes {
		t.Errorf("%d bytes of heap before, %d after", before.heapBytes, after.heapBytes)
	}
	t.Logf("before %+v, after %+v, %+v", before, after, server.Stats().Aborted)
}

// idle waits until no client is connected and no fetch runs.
func idle(t testing.TB, h *edgetest.Harness, server *h1.Server) {
	t.Helper()
	h.Client.CloseIdleConnections()
	edgetest.Wait(t, "the connections to end", func() bool { return server.Stats().Open == 0 })
	edgetest.Wait(t, "the fetches to end", func() bool {
		_, text := adminPort(t, h, "/metrics")
		return strings.Contains(string(text), "\nedge_fills_in_flight 0\n") && strings.Contains(string(text), "\nedge_fill_bytes 0\n")
	})
}

// abusive makes requests of which many are broken off somewhere.
func abusive(t testing.TB, h *edgetest.Harness, c chance, requests int) {
	for i := range requests {
		conn, err := net.Dial("tcp", h.Addr)
		if err != nil {
			t.Errorf("dial: %v", err)
			return
		}
		abuse(conn, c, i)
		conn.Close()
	}
}

func abuse(conn net.Conn, c chance, i int) {
	path := []string{"/small", "/large", "/passed", "/held", "/cut", "/nothing"}[c.r.IntN(6)]
	method, body := "GET", ""
	if path == "/held" || c.one(4) {
		body = strings.Repeat("b", c.r.IntN(8<<10))
		method = "POST"
	}
	text := fmt.Sprintf("%s %s?%d HTTP/1.1\r\nHost: a.test\r\n", method, path, c.r.IntN(50))
	if body != "" {
		text += "Content-Length: " + strconv.Itoa(len(body)) + "\r\n"
	}
	text += "\r\n" + body
	if c.one(4) {
		_, _ = io.WriteString(conn, text[:c.r.IntN(len(text))]) // it leaves in the middle of the request
		return
	}
	if _, err := io.WriteString(conn, text); err != nil {
		return
	}
	t, hard := conn.(*net.TCPConn), c.one(2)
	if hard {
		_ = t.SetLinger(0)
	} else {
		_ = t.CloseWrite()
	}
	switch {
	case c.one(3): // leaves without the answer
	case hard:
		a, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
		if err == nil {
			_, _ = io.CopyN(io.Discard, a.Body, int64(c.r.IntN(400_000)))
		}
	default: // the connection ends with the answer
		_, _ = io.CopyN(io.Discard, conn, int64(c.r.IntN(400_000)))
	}
}

// witness checks, in every phase, that a session holds what its own request
// brought and nothing of another's. The request is marked: its path, query,
// user agent and every X- field carry the same mark.
type witness struct {
	mu    sync.Mutex
	found []string
}

func (w *witness) complain(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.found = append(w.found, fmt.Sprintf(format, args...))
}

var markPattern = regexp.MustCompile(`m[0-9]+x[0-9]+m`)

// marks are all marks of a text but this one.
func others(text, mark string) []string {
	var list []string
	for _, m := range markPattern.FindAllString(text, -1) {
		if m != mark {
			list = append(list, m)
		}
	}
	return list
}

// look checks a session; it gives the mark.
func (w *witness) look(where string, s *edge.Session) string {
	mark, _ := s.Request.Get("X-Mark")
	text := string(s.Request.Path) + string(s.Request.Query)
	for _, f := range s.Request.Fields {
		text += " " + string(f.Value)
	}
	if s.Upstream != nil {
		text += fmt.Sprint(s.Upstream.URL, s.Upstream.Header)
	}
	if s.Response != nil {
		text += fmt.Sprint(s.Response.Header)
	}
	if s.RequestBody != nil {
		text += s.RequestBody.String()
	}
	if user, ok := s.UserCtx.(string); ok {
		text += user
	}
	if wrong := others(text, mark); len(wrong) > 0 || mark == "" {
		w.complain("%s of %q holds %q", where, mark, wrong)
	}
	return mark
}

// recorder looks at every phase, and puts marks wherever a session keeps
// something.
func (w *witness) recorder() *edgetest.Recorder {
	return &edgetest.Recorder{
		Request: func(s *edge.Session) (edge.FilterResult, error) {
			mark := w.look("request_filter", s)
			if got := filled(s); got != "downstream_request cache_enabled start" {
				w.complain("a new session has %s", got)
			}
			s.UserCtx = mark
			if s.Request.Method == "PUT" {
				if _, err := s.BufferRequestBody(); err != nil {
					return edge.Continue, err
				}
			}
			if s.Request.Method == "DELETE" {
				return edge.Respond(200, http.Header{"X-Mark": {mark}}, []byte(mark)), nil
			}
			return edge.Continue, nil
		},
		Upstream: func(s *edge.Session, q *http.Request) (edge.FilterResult, error) {
			w.look("upstream_request_filter", s)
			return edge.Continue, nil
		},
		Response: func(s *edge.Session, _ *http.Response) (edge.FilterResult, error) {
			w.look("response_filter", s)
			return edge.Continue, nil
		},
		Delivery: func(s *edge.Session, _ *edge.Head) (edge.FilterResult, error) {
			w.look("delivery", s)
			return edge.Continue, nil
		},
		Logged: func(s *edge.Session, _ error) { w.look("logging", s) },
	}
}

// marked runs a world whose origin echoes the marks.
func marked(t testing.TB) (world, *witness) {
	wit := &witness{}
	w := startWith(t, edgetest.Config{Recorder: wit.recorder()})
	w.origin.OnFunc("*", func(r edgetest.Seen) edgetest.Answer {
		mark := r.Header.Get("X-Mark")
		wrong := others(r.Target+fmt.Sprint(r.Header)+string(r.Body), mark)
		if len(wrong) > 0 {
			wit.complain("the origin, asked for %s, got %q", mark, wrong)
		}
		return edgetest.Text(200, mark, fresh, "X-Mark: "+mark)
	})
	return w, wit
}

// markedRequest is one request as bytes; kind says which.
func markedRequest(mark string, kind byte) (method, text string) {
	method = []string{"GET", "GET", "GET", "POST", "PUT", "DELETE", "HEAD"}[int(kind)%7]
	padding := strings.Repeat(mark, int(kind>>4)) // lines of different lengths, so that buffers move
	body := ""
	if method == "POST" || method == "PUT" {
		body = mark + padding
	}
	text = fmt.Sprintf("%s /%s?%s HTTP/1.1\r\nHost: a.test\r\nUser-Agent: %s\r\nX-Mark: %s\r\nX-Padding: %s\r\n", method, mark, mark, mark, mark, padding)
	if kind%3 == 0 {
		text += "Referer: http://a.test/" + mark + "\r\n"
	}
	if body != "" {
		text += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	return method, text + "\r\n" + body
}

// converse sends a script of requests over one connection, several at a time,
// and checks that each answer is its request's.
func converse(h *edgetest.Harness, client int, script []byte) error {
	conn, err := net.Dial("tcp", h.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	in := bufio.NewReader(conn)
	for at := 0; at < len(script); {
		batch := script[at:min(len(script), at+1+int(script[at])%5)]
		var text strings.Builder
		var methods, marks []string
		for i, kind := range batch {
			// Every third mark comes again, so that there are hits.
			mark := fmt.Sprintf("m%dx%dm", client, (at+i)/3)
			method, bytes := markedRequest(mark, kind)
			methods, marks = append(methods, method), append(marks, mark)
			text.WriteString(bytes)
		}
		if _, err := io.WriteString(conn, text.String()); err != nil {
			return err
		}
		for i, mark := range marks {
			r := edgetest.Read(in, methods[i])
			body := mark
			if methods[i] == "HEAD" {
				body = ""
			}
			if r.Err != nil || r.Status != 200 || r.Body != body || len(others(fmt.Sprint(r.Header), mark)) > 0 || r.Header.Get("X-Mark") != mark {
				return fmt.Errorf("request %s %s was answered %d %q %v %v", methods[i], mark, r.Status, r.Body, r.Header, r.Err)
			}
		}
		at += len(batch)
	}
	return nil
}

// finish looks at what was logged and remembered.
func (wit *witness) finish(t testing.TB, w world) {
	t.Helper()
	for _, rec := range w.Records.All() {
		line := string(rec.AppendJSON(nil))
		mark := strings.TrimPrefix(string(rec.Path), "/")
		if wrong := others(line, mark); len(wrong) > 0 {
			t.Errorf("the record of %s holds %q: %s", mark, wrong, line)
		}
	}
	wit.tell(t)
}

// tell fails the test with the complaints so far, if there are any.
func (wit *witness) tell(t testing.TB) {
	t.Helper()
	wit.mu.Lock()
	defer wit.mu.Unlock()
	for i, text := range wit.found {
		if i == 10 {
			t.Fatalf("and %d more", len(wit.found)-i)
		}
		t.Error(text)
	}
}

func TestS33_SessionsShareNothing(t *testing.T) {
	const clients = 8
	each := 300
	if testing.Short() {
		each = 60
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w, wit := marked(t)
	var running sync.WaitGroup
	for i := range clients {
		running.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			script := make([]byte, each)
			for j := range script {
				script[j] = byte(r.Uint32())
			}
			if err := converse(w.Harness, i, script); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	running.Wait()
	w.Records.Wait(t, "all records", func(l []edge.Record) bool { return len(l) == clients*each })
	wit.finish(t, w)
	if hits := w.rec.Total("logging") - w.rec.Total("upstream_peer"); hits <= 0 {
		t.Error("no request was a hit")
	}
	for _, rec := range w.Records.All()[clients*each-20:] {
		e, ok := w.Engine.Explain().Find(string(rec.ID))
		if !ok {
			continue
		}
		mark := strings.TrimPrefix(string(rec.Path), "/")
		if wrong := others(fmt.Sprintf("%+v %s", e.Session, e.Record), mark); len(wrong) > 0 {
			t.Errorf("explain of %s holds %q", mark, wrong)
		}
	}
}

// FuzzS33_SessionsShareNothing takes the kinds of the requests of one
// connection, and how many are sent at a time, from the fuzzer.
func FuzzS33_SessionsShareNothing(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 0x30, 0xf4, 0xff, 0x13, 0, 0, 0})
	f.Add([]byte("POST and PUT, short and long, and hits between them"))
	w, wit := marked(f)
	var client int
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 200 {
			return
		}
		client++
		if err := converse(w.Harness, client, script); err != nil {
			t.Error(err)
		}
		wit.finish(t, w)
		w.Records.Drop()
		w.origin.Drop()
	})
}
