package bench

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

const combined = `192.0.2.7 - - [02/Jan/2026:03:04:05 +0000] "GET /x?q=1 HTTP/1.1" 200 500 "-" "Mozilla/5.0 (X11; \"odd\")"
2001:db8::1 - a b [02/Jan/2026:05:04:06 +0200] "GET /a b HTTP/2.0" 404 - "http://h/" "curl/8"
192.0.2.7 - - [02/Jan/2026:03:04:06 +0000] "POST /x HTTP/1.1" 200 5 "-" "-"
192.0.2.7 - - [02/Jan/2026:03:04:06 +0000] "\x16\x03\x01" 400 0 "-" "-"
192.0.2.7 - - [02/Jan/2026:03:04:06 +0000] "-" 408 0 "-" "-"
192.0.2.7 - - [02/Jan/2026:03:04:06 +0000] "GET /down HTTP/1.1" 503 9 "-" "-"
192.0.2.7 - - [02/Jan/2026:03:04:07 +0000] "GET /say\"hi\" HTTP/1.1" 304 0
`

func TestReaderOfOtherServersLogs(t *testing.T) {
	const at = 1767323045
	one := func(id string, size int64) []Request { return []Request{{at, id, size}} }
	for _, c := range []struct {
		name, in string
		format   Format
		want     []Request
	}{
		{"the combined format, and the common one", combined, CombinedLog, []Request{
			{at, "/x?q=1", 500}, {at + 1, "/a b", 0}, {at + 2, `/say\"hi\"`, 0},
		}},
		{"blank lines before it", "\n\n" + combined[:strings.IndexByte(combined, '\n')], CombinedLog, one("/x?q=1", 500)},
		{"an id with brackets is no log", "5,a [b] \"c,7\n", Lines, []Request{{5, `a [b] "c`, 7}}},
		{
			"nginx's names, all as strings",
			`{"time_iso8601":"2026-01-02T03:04:05+00:00","request_method":"GET","scheme":"https","http_host":"h:81","request_uri":"/x?q","status":"200","body_bytes_sent":"70","bytes_sent":"300"}`,
			AccessLog, one("https://h:81/x?q", 70),
		},
		{
			"nginx's request line and local time",
			`{"time_local":"02/Jan/2026:03:04:05 +0000","request":"GET /x HTTP/1.1","status":"206","body_bytes_sent":"7"}`,
			AccessLog, one("/x", 7),
		},
		{
			"Caddy's request object",
			`{"level":"info","ts":1767323045,"msg":"handled request","request":{"method":"GET","host":"h","uri":"/x","tls":{"version":772}},"size":10,"status":200}`,
			AccessLog, one("https://h/x", 10),
		},
		{
			"Caddy without TLS, and its other lines",
			`{"level":"info","ts":1,"msg":"serving initial configuration"}` + "\n" +
				`{"ts":1767323045,"request":{"method":"GET","host":"h","uri":"/x","tls":null},"size":10,"status":200}`,
			AccessLog, one("http://h/x", 10),
		},
		{
			"varnishncsa's absolute url and dash",
			`{"timestamp":"2026-01-02T03:04:05Z","method":"GET","url":"http://h/x","status":304,"bytes":"-"}`,
			AccessLog, one("http://h/x", 0),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := NewReader(strings.NewReader(c.in), Limits{})
			if err != nil || r.Format() != c.format {
				t.Fatalf("format %v, %v, want %v", r.Format(), err, c.format)
			}
			if got, err := readAll(t, c.in, Limits{}); err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v and %v, want %v", got, err, c.want)
			}
		})
	}
}

func TestReaderRefusesOddLogLines(t *testing.T) {
	good := combined[:strings.IndexByte(combined, '\n')+1]
	for _, c := range []struct{ name, line, want string }{
		{"no request", "1 a 10", "no [time]"},
		{"an open quote", `h - - [02/Jan/2026:03:04:05 +0000] "GET / HTTP/1.1\"`, "not closed"},
		{"no bytes", `h - - [02/Jan/2026:03:04:05 +0000] "GET / HTTP/1.1" 200`, "missing"},
		{"a status that is no number", `h - - [02/Jan/2026:03:04:05 +0000] "GET / HTTP/1.1" ok 5`, `status "ok"`},
		{"negative bytes", `h - - [02/Jan/2026:03:04:05 +0000] "GET / HTTP/1.1" 200 -5`, `"-5"`},
		{"another time", `h - - [2026-01-02] "GET / HTTP/1.1" 200 5`, `time "2026-01-02"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readAll(t, good+c.line, Limits{})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "line 2") {
				t.Errorf("got %v and %v, want line 2 and %q", got, err, c.want)
			}
		})
	}
	for _, in := range []string{
		`{"ts":"inf","method":"GET","uri":"/","status":200,"size":1}`,
		`{"ts":1,"method":"GET","uri":"/","status":"x","size":1}`,
		`{"ts":1,"method":"GET","uri":"/","status":200,"size":1.5}`,
		`{"ts":1,"request":{"method":"GET","uri":7},"status":200,"size":1}`,
		`{"ts":1,"method":"GET","status":200,"size":1}`,
	} {
		if got, err := readAll(t, in, Limits{}); err == nil {
			t.Errorf("%s: got %v, want an error", in, got)
		}
	}
}

func zstdOf(t *testing.T, text string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return string(w.EncodeAll([]byte(text), nil))
}

func TestReaderUnpacksZstd(t *testing.T) {
	for _, text := range []string{"1 a 10\n2 b 20\n", combined, logged} {
		want, err := readAll(t, text, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := readAll(t, zstdOf(t, text), Limits{})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("packed: %v and %v, plain: %v", got, err, want)
		}
	}
	if _, err := readAll(t, zstdOf(t, strings.Repeat("1 a 10\n", 1000))[:12], Limits{}); err == nil {
		t.Error("a zstd trace that ends early was read to its end")
	}
	// RFC 8878, 3.1.1.1.2: a window of 2^(10+n) bytes is n << 3; the one block is raw and the last.
	frame := func(n byte) string { return "\x28\xb5\x2f\xfd\x00" + string([]byte{n << 3}) + "\x39\x00\x001 a 10\n" }
	if got, err := readAll(t, frame(17), Limits{}); err != nil || len(got) != 1 {
		t.Errorf("a window of 128 MiB: %v, %v", got, err)
	}
	if got, err := readAll(t, frame(18), Limits{}); err == nil {
		t.Errorf("a window of 256 MiB: %v, want an error", got)
	}
}

func TestReplayOfACombinedLog(t *testing.T) {
	var got []string
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = append(got, r.Host+r.RequestURI)
	}))
	defer s.Close()
	w := loaded(t, combined[:strings.IndexByte(combined, '\n')])
	r, err := Replay(t.Context(), ReplayConfig{Workload: w, Target: s.URL, Host: "h", Logged: true, Connections: 1})
	if err != nil || r.Errors != 0 || !reflect.DeepEqual(got, []string{"h/x?q=1"}) {
		t.Errorf("asked for %q; %+v, %v", got, r, err)
	}
	var out strings.Builder
	if err := r.WriteJSON(&out); err != nil || !json.Valid([]byte(out.String())) {
		t.Errorf("%s, %v", out.String(), err)
	}
}
