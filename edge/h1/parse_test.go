package h1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"edgecache/edge"
)

var testLimits = headLimits{headBytes: 16 << 10, lines: 100, uriBytes: 8 << 10}

// parseAll scans and parses one head that is there as a whole.
func parseAll(raw string) (*parser, *edge.Request, *fault) {
	p, r := &parser{uriBytes: testLimits.uriBytes}, &edge.Request{}
	var s scanner
	n, f := s.end([]byte(raw), &testLimits)
	if f == nil && n > 0 {
		f = p.parse([]byte(raw)[:n], r)
	}
	return p, r, f
}

func TestParseTargets(t *testing.T) {
	for _, c := range []struct {
		name, line, host  string
		path, query       string
		hasQuery, hasHost bool
	}{
		{"origin-form", "GET /a/b?c=d HTTP/1.1", "a.test", "/a/b", "c=d", true, true},
		{"an empty query is a query", "GET /a? HTTP/1.1", "a.test", "/a", "", true, true},
		{"the query begins at the first question mark", "GET /a?b?c HTTP/1.1", "a.test", "/a", "b?c", true, true},
		{"what browsers leave unescaped", "GET /a|b\"{}^`[] HTTP/1.1", "a.test", "/a|b\"{}^`[]", "", false, true},
		{"double slash is kept", "GET //a//b HTTP/1.1", "a.test", "//a//b", "", false, true},
		{"absolute-form", "GET http://a.test/x?y HTTP/1.1", "a.test", "/x", "y", true, true},
		{"absolute-form ignores case and default port", "GET HTTP://A.test:80/x HTTP/1.1", "a.TEST", "/x", "", false, true},
		{"absolute-form https", "GET https://a.test/x HTTP/1.1", "a.test:443", "/x", "", false, true},
		{"absolute-form without path", "GET http://a.test HTTP/1.1", "a.test", "/", "", false, true},
		{"absolute-form with a query only", "GET http://a.test?q HTTP/1.1", "a.test", "/", "q", true, true},
		{"absolute-form IPv6", "GET http://[::1]:8080/x HTTP/1.1", "[::1]:8080", "/x", "", false, true},
		{"asterisk-form", "OPTIONS * HTTP/1.1", "a.test", "*", "", false, true},
		{"asterisk-form as absolute-form", "OPTIONS http://a.test HTTP/1.1", "a.test", "*", "", false, true},
		{"no Host goes to the engine", "GET /x HTTP/1.1", "", "/x", "", false, false},
		{"unknown method", "BREW /pot HTTP/1.1", "a.test", "/pot", "", false, true},
	} {
		raw := c.line + "\r\n"
		if c.host != "" {
			raw += "Host: " + c.host + "\r\n"
		}
		_, r, f := parseAll(raw + "\r\n")
		if f != nil {
			t.Errorf("%s: refused: %s", c.name, f.detail)
			continue
		}
		if string(r.Path) != c.path || string(r.Query) != c.query || r.HasQuery != c.hasQuery {
			t.Errorf("%s: path %q query %q %v, want %q %q %v", c.name, r.Path, r.Query, r.HasQuery, c.path, c.query, c.hasQuery)
		}
		if r.HasHost != c.hasHost || string(r.Host) != c.host || r.Fields.Has("Host") {
			t.Errorf("%s: host %q %v, fields %q", c.name, r.Host, r.HasHost, r.Fields)
		}
		if want, _, _ := strings.Cut(c.line, " "); r.Method != want {
			t.Errorf("%s: method %q, want %q", c.name, r.Method, want)
		}
	}
}

// TestParseRefusals has what the shared cases do not.
func TestParseRefusals(t *testing.T) {
	head := func(lines ...string) string {
		return strings.Join(append(lines, "", ""), "\r\n")
	}
	const line, host = "GET / HTTP/1.1", "Host: a.test"
	for _, c := range []struct {
		name, raw string
		want      *fault
	}{
		{"a method of 33 bytes", head(strings.Repeat("A", 33)+" / HTTP/1.1", host), faultMethodName},
		{"no method", head(" / HTTP/1.1", host), faultFirstByte},
		{"no target", head("GET  HTTP/1.1", host), faultTargetForm},
		{"two spaces", head("GET  / HTTP/1.1", host), faultVersionForm},
		{"an asterisk for GET", head("GET * HTTP/1.1", host), faultTargetForm},
		{"raw 8-bit in the target", head("GET /caf\xc3\xa9 HTTP/1.1", host), faultTargetByte},
		{"DEL in the target", head("GET /\x7f HTTP/1.1", host), faultTargetByte},
		{"a bare CR in the target", head("GET /\rx HTTP/1.1", host), faultTargetByte},
		{"a lower-case version", head("GET / http/1.1", host), faultVersionForm},
		{"HTTP/3.0", head("GET / HTTP/3.0", host), faultVersion},
		{"HTTP/1.1 with a NUL", head("GET / HTTP/1.1\x00", host), faultVersionForm},
		{"no scheme's authority", head("GET http:// HTTP/1.1", host), faultTargetForm},
		{"an empty authority", head("GET http:///x HTTP/1.1", host), faultAuthority},
		{"a backslash in the authority", head(`GET http://a.test\@b.test/ HTTP/1.1`, host), faultAuthority},
		{"another authority", head("GET http://b.test/ HTTP/1.1", host), faultHostOther},
		{"another port", head("GET http://a.test:81/ HTTP/1.1", host), faultHostOther},
		{"https's port in http", head("GET http://a.test:443/ HTTP/1.1", host), faultHostOther},
		{"a Host of spaces", head(line, "Host:   "), faultHostForm},
		{"a Host list", head(line, "Host: a.test, b.test"), faultHostForm},
		{"a Host with a zone", head(line, "Host: [fe80::1%25eth0]"), faultHostForm},
		{"IPv4 in brackets", head(line, "Host: [127.0.0.1]"), faultHostForm},
		{"an unclosed bracket", head(line, "Host: [::1"), faultHostForm},
		{"a port without digits", head(line, "Host: a.test:"), faultHostForm},
		{"a port over 65535", head(line, "Host: a.test:65536"), faultHostForm},
		{"a Host of 256 bytes", head(line, "Host: "+strings.Repeat("a", 256)), faultHostForm},
		{"a second Host after others", head(line, host, "X: y", "host: a.test"), faultHostTwice},
		{"an empty name", head(line, host, ": x"), faultNoColon},
		{"a bare CR in a value", head(line, host, "X: a\rb"), faultValueByte},
		{"a bare CR before the end", head(line, host, "X: a\r"), faultValueByte},
		{"a folded line", head(line, host, "X: a", "\tb"), faultFold},
		{"a line of one space", head(line, host, " "), faultFold},
		{"Content-Length of 19 digits", head(line, host, "Content-Length: 9223372036854775808"), faultLength},
		{"an empty Content-Length", head(line, host, "Content-Length:"), faultLength},
		{"chunked, twice listed", head(line, host, "Transfer-Encoding: chunked,"), faultCoding},
		{"Kelvin sign is no k", head(line, host, "Transfer-Encoding: chun\xe2\x84\xaaed"), faultCoding},
		{"both framings, length last", head(line, host, "Transfer-Encoding: chunked", "Content-Length: 0"), faultBothFramings},
		{"Expect twice", head(line, host, "Expect: 100-continue", "Expect: 100-continue"), faultExpect},
		{"TRACE", head("TRACE / HTTP/1.1", host), faultNoMethod},
		{"CONNECT", head("CONNECT a.test:443 HTTP/1.1", host), faultNoMethod},
	} {
		_, _, f := parseAll(c.raw)
		if f != c.want {
			t.Errorf("%s: %v, want %v", c.name, f, c.want)
		}
	}
}

// TestParseFraming holds what a head says about body and connection.
func TestParseFraming(t *testing.T) {
	for _, c := range []struct {
		name      string
		version   string
		fields    string
		length    int64
		keepAlive bool
		expect    bool
		upgrade   string
	}{
		{"1.1 keeps alive", "1.1", "", 0, true, false, ""},
		{"1.1 closes when asked", "1.1", "Connection: x, Close\r\n", 0, false, false, ""},
		{"close wins", "1.1", "Connection: keep-alive\r\nConnection: close\r\n", 0, false, false, ""},
		{"1.0 closes", "1.0", "", 0, false, false, ""},
		{"1.0 keeps alive when asked", "1.0", "Connection: Keep-Alive\r\n", 0, true, false, ""},
		{"length", "1.1", "Content-Length: 0005\r\n", 5, true, false, ""},
		{"chunked", "1.1", "transfer-encoding: Chunked\r\n", -1, true, false, ""},
		{"expect", "1.1", "Content-Length: 5\r\nExpect: 100-Continue\r\n", 5, true, true, ""},
		{"expect without a body", "1.1", "Expect: 100-continue\r\n", 0, true, false, ""},
		{"expect in 1.0 is nothing", "1.0", "Content-Length: 5\r\nExpect: 100-continue\r\n", 5, false, false, ""},
		{"upgrade", "1.1", "Connection: upgrade\r\nUpgrade: WebSocket\r\n", 0, true, false, "websocket"},
		{"upgrade with a version", "1.1", "Connection: Upgrade\r\nUpgrade: foo/2\r\n", 0, true, false, "foo/2"},
		{"upgrade that Connection does not list", "1.1", "Upgrade: websocket\r\n", 0, true, false, ""},
		{"two protocols", "1.1", "Connection: upgrade\r\nUpgrade: foo, bar\r\n", 0, true, false, ""},
		{"two lines", "1.1", "Connection: upgrade\r\nUpgrade: foo\r\nUpgrade: foo\r\n", 0, true, false, ""},
		{"h2c", "1.1", "Connection: upgrade\r\nUpgrade: h2C\r\n", 0, true, false, ""},
		{"upgrade with a body", "1.1", "Connection: upgrade\r\nUpgrade: foo\r\nContent-Length: 5\r\n", 5, true, false, ""},
		{"upgrade in 1.0", "1.0", "Connection: upgrade\r\nUpgrade: foo\r\n", 0, false, false, ""},
	} {
		p, r, f := parseAll("GET / HTTP/" + c.version + "\r\nHost: a.test\r\n" + c.fields + "\r\n")
		if f != nil {
			t.Errorf("%s: refused: %s", c.name, f.detail)
			continue
		}
		if p.length != c.length || r.Length != c.length || p.keepAlive != c.keepAlive || p.expect != c.expect || r.Upgrade != c.upgrade {
			t.Errorf("%s: length %d keepAlive %v expect %v upgrade %q, want %d %v %v %q", c.name,
				p.length, p.keepAlive, p.expect, r.Upgrade, c.length, c.keepAlive, c.expect, c.upgrade)
		}
	}
}

// TestHeadLimits tries each limit at its value and one above.
func TestHeadLimits(t *testing.T) {
	l := headLimits{headBytes: 100, lines: 3, uriBytes: 20}
	pad := func(total int) string {
		head := "GET / HTTP/1.1\r\nHost: a.test\r\nX: \r\n\r\n"
		return strings.Replace(head, "X: ", "X: "+strings.Repeat("x", total-len(head)), 1)
	}
	for _, c := range []struct {
		name, raw string
		want      *fault
	}{
		{"a head of 100 bytes", pad(100), nil},
		{"a head of 101 bytes", pad(101), faultHeadLong},
		{"a head that does not end within 100 bytes", pad(120)[:110], faultHeadLong},
		{"three lines", "GET / HTTP/1.1\r\nA: b\r\nA: b\r\nA: b\r\n\r\n", nil},
		{"four lines", "GET / HTTP/1.1\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n\r\n", faultLines},
		{"a target of 20 bytes", "GET /" + strings.Repeat("a", 19) + " HTTP/1.1\r\n\r\n", nil},
		{"a target of 21 bytes", "GET /" + strings.Repeat("a", 20) + " HTTP/1.1\r\n\r\n", faultURILong},
		{"a target that does not end", "GET /" + strings.Repeat("a", 70), faultURILong},
	} {
		p := &parser{uriBytes: l.uriBytes}
		var s scanner
		n, f := s.end([]byte(c.raw), &l)
		if f == nil && n > 0 {
			f = p.parse([]byte(c.raw[:n]), &edge.Request{})
		}
		if f != c.want || f == nil && n != len(c.raw) {
			t.Errorf("%s: %v after %d bytes, want %v", c.name, f, n, c.want)
		}
	}
}

const browserHead = "GET /assets/app.3f9c.js?v=12 HTTP/1.1\r\n" +
	"Host: www.example.test\r\n" +
	"Connection: keep-alive\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n" +
	"Accept-Encoding: gzip, deflate, br\r\n" +
	"Accept-Language: en-GB,en;q=0.5\r\n" +
	"Referer: https://www.example.test/\r\n\r\n"

func TestParseAllocs(t *testing.T) {
	raw, p, r := []byte(browserHead), &parser{uriBytes: 8 << 10}, &edge.Request{}
	parse := func() {
		var s scanner
		n, f := s.end(raw, &testLimits)
		if f == nil {
			f = p.parse(raw[:n], r)
		}
		if f != nil {
			t.Fatal(f.detail)
		}
	}
	if n := testing.AllocsPerRun(100, parse); n != 0 {
		t.Errorf("%v allocations a head, want 0", n)
	}
	if v, _ := r.Fields.Get("referer"); string(v) != "https://www.example.test/" || len(r.Fields) != 6 {
		t.Errorf("fields %q", r.Fields)
	}
}

func BenchmarkParse(b *testing.B) {
	raws := [2][]byte{[]byte(browserHead), []byte("GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n")}
	for i, name := range []string{"browser", "small"} {
		b.Run(name, func(b *testing.B) {
			p, r := &parser{uriBytes: 8 << 10}, &edge.Request{}
			b.ReportAllocs()
			b.SetBytes(int64(len(raws[i])))
			for b.Loop() {
				var s scanner
				n, _ := s.end(raws[i], &testLimits)
				if p.parse(raws[i][:n], r) != nil {
					b.Fatal("refused")
				}
			}
		})
		b.Run(name+"/net-http", func(b *testing.B) {
			b.ReportAllocs()
			src := bytes.NewReader(raws[i])
			buf := bufio.NewReader(src)
			for b.Loop() {
				src.Reset(raws[i])
				buf.Reset(src)
				if _, err := http.ReadRequest(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// FuzzParse: no input panics, how a head is split makes no difference, and what
// we accept net/http reads in the same way.
func FuzzParse(f *testing.F) {
	for _, c := range []string{browserHead, post("/x?y", "body", "Expect: 100-continue"),
		"GET http://[::1]:80/?q HTTP/1.0\r\nHost: [::1]\r\nConnection: close, upgrade\r\nUpgrade: a/b\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "\r\nGET / HTTP/1.1\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n X: y\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"} {
		f.Add([]byte(c), 7)
	}
	f.Fuzz(func(t *testing.T, raw []byte, split int) {
		var whole, parts scanner
		n, wrong := whole.end(raw, &testLimits)
		m, late := 0, (*fault)(nil)
		step := 1 + split&63
		for at := 0; at < len(raw) && m == 0 && late == nil; {
			at = min(at+step, len(raw))
			m, late = parts.end(raw[:at], &testLimits)
		}
		if n != m || (wrong == nil) != (late == nil) {
			t.Fatalf("whole: %d %v, split: %d %v", n, wrong, m, late)
		}
		if n == 0 || wrong != nil {
			return
		}
		p, r := &parser{uriBytes: testLimits.uriBytes}, &edge.Request{}
		if p.parse(raw[:n], r) != nil {
			return
		}
		compare(t, raw[:n], p, r)
	})
}

// compare reads the head with net/http, too.
func compare(t *testing.T, raw []byte, p *parser, r *edge.Request) {
	theirs, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		// Their URLs are narrower in ways that frame nothing: escapes are the
		// engine's matter (it refuses them), and so are odd first segments.
		if strings.Contains(err.Error(), "parse ") || strings.Contains(err.Error(), "URL") {
			return
		}
		t.Fatalf("accepted, but net/http says %v\n%q", err, raw)
	}
	if theirs.Method != r.Method || theirs.ContentLength != p.length || r.HasHost && theirs.Host != string(r.Host) && p.authority == nil {
		t.Fatalf("method %q length %d host %q, net/http %q %d %q", r.Method, p.length, r.Host, theirs.Method, theirs.ContentLength, theirs.Host)
	}
	target := string(r.Path)
	if r.HasQuery {
		target += "?" + string(r.Query)
	}
	if p.authority == nil && target != theirs.RequestURI {
		t.Fatalf("target %q, net/http %q", target, theirs.RequestURI)
	}
	ours := http.Header{}
	for _, f := range r.Fields {
		ours.Add(string(f.Name), string(f.Value))
	}
	for name, values := range theirs.Header {
		if got := ours.Values(name); strings.Join(got, "\n") != strings.Join(values, "\n") {
			t.Fatalf("%s: %q, net/http %q", name, got, values)
		}
	}
	if r.Fields.Has("Content-Length") == (p.length == -1) && p.length != 0 {
		t.Fatalf("length %d with fields %q", p.length, r.Fields)
	}
	_, _ = io.Copy(io.Discard, theirs.Body)
}
