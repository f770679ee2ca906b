package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"edgecache/policy"
)

// hostile is a record whose texts try to break out of their line (case
// log-inject).
func hostile() *Record {
	bad := []byte("a\r\nb\x1b[2J\"\\\x00\x7f\xc2\x9b1m\xe2\x80\xa8\xff\xe2\x80\xaee")
	return &Record{
		Time: 1_700_000_000_123_456_789, ID: bad, Client: bad, Method: string(bad), Scheme: "http", Host: bad,
		Path: append([]byte("/"), bad...), Query: bad, HasQuery: true, Status: 200, Bytes: 300, BodyBytes: 100,
		Cache: CacheMiss, Reason: policy.URIMiss, Unstored: policy.NoStore, Age: -1, Peer: "127.0.0.1:80",
		Duration: 1_234_567, Proto: HTTP11, UserAgent: bad, Referer: bad, Error: string(bad),
	}
}

func TestLogInject(t *testing.T) {
	for _, f := range []LogFormat{LogJSON, LogCombined} {
		line := f.append(nil, hostile())
		if n := bytes.Count(line, []byte{'\n'}); n != 1 || line[len(line)-1] != '\n' {
			t.Errorf("format %d: %d line ends in %q, want the last byte alone", f, n, line)
		}
		for i, c := range line[:len(line)-1] {
			if c < ' ' || c == 0x7f {
				t.Errorf("format %d: control %#x at %d of %q", f, c, i, line)
			}
		}
		if !utf8.Valid(line) {
			t.Errorf("format %d: %q is no UTF-8", f, line)
		}
		for _, r := range string(line[:len(line)-1]) {
			if r >= 0x80 && r < 0xa0 || r == '\u2028' || r == '\u202e' {
				t.Errorf("format %d: %U is not escaped in %q", f, r, line)
			}
		}
		if got := hostile().bound(); len(line) > got {
			t.Errorf("format %d: line of %d bytes, bound %d", f, len(line), got)
		}
	}
}

func TestLogJSONHasTheDocumentedNames(t *testing.T) {
	var line map[string]any
	if err := json.Unmarshal(hostile().AppendJSON(nil), &line); err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields("time id kind client method scheme host uri status bytes body_bytes cache reason " +
		"ttl age peer peer_healthy retries duration_ms upstream_ms proto ua referer") {
		if _, ok := line[name]; !ok {
			t.Errorf("%s is missing in %v", name, line)
		}
	}
	for name, want := range map[string]any{
		"time": "2023-11-14T22:13:20.123456Z", "kind": "client", "cache": "miss", "reason": "uri_miss",
		"unstored": "no_store", "age": nil, "duration_ms": 1.234, "status": 200.0, "proto": "HTTP/1.1",
	} {
		if line[name] != want {
			t.Errorf("%s is %v, want %v", name, line[name], want)
		}
	}
}

func TestLogCombinedIsWhatOthersRead(t *testing.T) {
	r := &Record{
		Time: 1_700_000_000_000_000_000, Client: []byte("192.0.2.1"), Method: "GET", Path: []byte("/a"), Query: []byte("q=1"), HasQuery: true,
		Status: 200, BodyBytes: 5, Proto: HTTP11, UserAgent: []byte(`x "y"`),
	}
	got := string(LogCombined.append(nil, r))
	want := `192.0.2.1 - - [14/Nov/2023:22:13:20 +0000] "GET /a?q=1 HTTP/1.1" 200 5 "-" "x \x22y\x22"` + "\n"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func FuzzLogLine(f *testing.F) {
	f.Add([]byte("/a"), []byte("q"), []byte("ua\r\n"))
	f.Add([]byte("\xff\xfe"), []byte("\xe2\x80\xa8"), []byte("\x1b]0;x\x07"))
	f.Fuzz(func(t *testing.T, path, query, agent []byte) {
		r := &Record{Path: path, Query: query, HasQuery: true, UserAgent: agent, Age: -1}
		line := r.AppendJSON(nil)
		if !json.Valid(line) || len(line) > r.bound() {
			t.Fatalf("%d bytes of a bound of %d, valid %t: %q", len(line), r.bound(), json.Valid(line), line)
		}
		var back struct{ UA string }
		if err := json.Unmarshal(line, &back); err != nil {
			t.Fatal(err)
		}
		if len(agent) <= maxLoggedField && utf8.Valid(agent) && back.UA != string(agent) {
			t.Fatalf("user agent %q came back as %q", agent, back.UA)
		}
		if combined := LogCombined.append(nil, r); bytes.Count(combined, []byte{'\n'}) != 1 || len(combined) > r.bound() {
			t.Fatalf("combined: %q", combined)
		}
	})
}

// sink is a writer whose writes can be held back and fail.
type sink struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	hold chan struct{} // nil: never
	fail error
	part int // with fail: bytes that are written before
}

func (s *sink) Write(p []byte) (int, error) {
	if s.hold != nil {
		<-s.hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		n, _ := s.buf.Write(p[:min(s.part, len(p))])
		return n, s.fail
	}
	return s.buf.Write(p)
}

func (s *sink) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

func numbered(i int) *Record {
	return &Record{Time: int64(i), ID: strconv.AppendInt(nil, int64(i), 10), Age: -1}
}

func closeLog(t *testing.T, l *FileLog) {
	t.Helper()
	if err := l.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestLogIsFlushedWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &sink{}
		l := NewAccessLog(out, LogConfig{Delay: time.Hour})
		defer closeLog(t, l)
		l.Write(numbered(1))
		time.Sleep(time.Second)
		synctest.Wait()
		if n := strings.Count(out.text(), "\n"); n != 1 {
			t.Errorf("%d lines after a second, want 1", n)
		}
	})
}

func TestLogKeepsTheOrderInWhichRequestsEnd(t *testing.T) {
	out := &sink{}
	l := NewAccessLog(out, LogConfig{})
	for i := range 2000 {
		done := make(chan struct{})
		go func() { defer close(done); l.Write(numbered(i)) }() // goroutines move between processors
		<-done
	}
	closeLog(t, l)
	lines := strings.Split(strings.TrimSpace(out.text()), "\n")
	if len(lines) != 2000 {
		t.Fatalf("%d lines, want 2000", len(lines))
	}
	for i, line := range lines {
		if !strings.Contains(line, `"id":"`+strconv.Itoa(i)+`"`) {
			t.Fatalf("line %d is %s", i, line)
		}
	}
}

func TestLogDropsAndCountsWhenThePipeIsFull(t *testing.T) {
	out := &sink{hold: make(chan struct{})}
	l := NewAccessLog(out, LogConfig{Buffer: 64 << 10})
	const total = 5000
	for i := range total { // returns although nobody reads
		l.Write(numbered(i))
	}
	st := l.Stats()
	if st.Dropped == 0 || st.Lines+st.Dropped != total {
		t.Errorf("%d lines taken, %d dropped of %d", st.Lines, st.Dropped, total)
	}
	stuck, cancel := context.WithCancel(context.Background())
	cancel()
	if err := l.Close(stuck); !errors.Is(err, context.Canceled) {
		t.Errorf("close of a stuck log: %v, want the context's error", err)
	}
	close(out.hold)
	closeLog(t, l)
	if n := strings.Count(out.text(), "\n"); int64(n) != st.Lines {
		t.Errorf("%d lines written, %d were taken", n, st.Lines)
	}
}

func TestLogLosesOnlyWhatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &sink{fail: errors.New("no space left"), part: 10}
		l := NewAccessLog(out, LogConfig{})
		l.Write(numbered(1))
		time.Sleep(time.Second)
		synctest.Wait()
		out.mu.Lock()
		out.fail = nil
		out.mu.Unlock()
		l.Write(numbered(2))
		closeLog(t, l)
		if lost := l.Stats().Lost; lost != 1 {
			t.Errorf("%d lost, want 1", lost)
		}
		lines := strings.Split(out.text(), "\n")
		if len(lines) != 3 || !json.Valid([]byte(lines[1])) {
			t.Errorf("after a torn line: %q, want the next on a line of its own", lines)
		}
	})
}

func TestLogReopens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	l, err := OpenAccessLog(path, LogConfig{})
	if err != nil {
		t.Fatal(err)
	}
	l.Write(numbered(1))
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(context.Background()); err != nil {
		t.Fatal(err)
	}
	l.Write(numbered(2))
	closeLog(t, l)
	for name, id := range map[string]string{path + ".1": `"id":"1"`, path: `"id":"2"`} {
		text, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(text), id) || strings.Count(string(text), "\n") != 1 {
			t.Errorf("%s holds %q (%v), want the line with %s alone", filepath.Base(name), text, err, id)
		}
	}
	if err := l.Reopen(context.Background()); err == nil {
		t.Error("a closed log was opened again")
	}
}

func TestLogAllocatesNothing(t *testing.T) {
	l := NewAccessLog(io.Discard, LogConfig{Buffer: 64 << 20})
	defer closeLog(t, l)
	r := hostile()
	r.Time = time.Now().UnixNano()
	for range 2000 {
		l.Write(r)
	}
	if n := testing.AllocsPerRun(100, func() { l.Write(r) }); n >= 1 {
		t.Errorf("%v allocations a line, want none", n)
	}
}

func BenchmarkAccessLog(b *testing.B) {
	for name, f := range map[string]LogFormat{"json": LogJSON, "combined": LogCombined} {
		b.Run(name, func(b *testing.B) {
			l := NewAccessLog(io.Discard, LogConfig{Format: f})
			defer l.Close(context.Background())
			r := &Record{
				ID: []byte("33df21d8e2007ec612419e7f038c367c"), Client: []byte("192.0.2.1"), Method: "GET", Scheme: "http",
				Host: []byte("example.com"), Status: 200, Cache: CacheHit, Reason: policy.Fresh, UserAgent: []byte("Mozilla/5.0 (X11)"),
			}
			paths := [][]byte{[]byte("/a/b/c.js"), []byte("/index.html"), []byte("/img/\xc3\xa4.png"), []byte("/q\"")}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r.Path, r.Time = paths[i&3], int64(i)*1e6
				l.Write(r)
			}
		})
	}
}
