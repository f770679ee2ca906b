package casetest

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"edgecache/edge"
	"edgecache/edge/edgetest"
	"edgecache/edge/h1"
	"edgecache/policy"
)

// trailed is an answer with a body and trailers.
func trailed(body string, head, trailers []string) edgetest.Answer {
	text := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + strings.Join(head, "\r\n") + "\r\n\r\n"
	for rest := body; rest != ""; {
		n := min(len(rest), 50_000)
		text += fmt.Sprintf("%x\r\n%s\r\n", n, rest[:n])
		rest = rest[n:]
	}
	return edgetest.Script(edgetest.Bytes(text + "0\r\n" + strings.Join(trailers, "\r\n") + "\r\n\r\n"))
}

// trailers asks and gives body and trailer section.
func (s *site) trailers(method string, lines ...string) (r edgetest.Reply, trailer http.Header) {
	s.t.Helper()
	c := s.Dial()
	s.Send(c, "%s /x HTTP/1.1\r\nHost: disk.test\r\nConnection: close\r\n%s\r\n", method, strings.Join(append(lines, ""), "\r\n"))
	a, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		s.t.Fatal(err)
	}
	body, err := io.ReadAll(a.Body)
	r = edgetest.Reply{Status: a.StatusCode, Header: a.Header, Body: string(body), Err: err}
	s.Record(r.ID())
	return r, a.Trailer
}

// TestTrailersOnMissAndHit: what may follow a body follows it, whoever it comes
// from; what belongs into a head, what is hidden, and what the route takes out
// does not (RFC 9110, 6.5.1).
func TestTrailersOnMissAndHit(t *testing.T) {
	for name, size := range map[string]int{"empty": 0, "small": 10, "two chunks": 70_000, "large": largeBody} {
		t.Run(name, func(t *testing.T) {
			c := edgetest.Config{}
			c.Edge.Routes = []edge.Route{{Upstream: "main", ResponseHeaders: edge.HeaderRules{Remove: []string{"x-route"}},
				Rules: policy.Rules{TagHeaders: []string{"X-Tag"}}}}
			s := shelve(t, c)
			body := strings.Repeat("x", size)
			s.origin.On("/x", trailed(body, []string{fresh}, []string{"X-Sum: 42", "X-Sum: 43", "Age: 7", "Set-Cookie: a=b",
				"Cache-Control: no-store", "Content-Type: text/evil", "Connection: close", "X-Tag: t", "Surrogate-Key: t", "X-Route: r", "X-Request-Id: 1"}))
			check := func(what string, hit bool) {
				t.Helper()
				r, trailer := s.trailers("GET")
				if r.Err != nil || r.Body != body || isHit(r) != hit {
					t.Fatalf("%s: %d bytes, %s", what, len(r.Body), show(r))
				}
				if len(trailer) != 1 || strings.Join(trailer["X-Sum"], ",") != "42,43" {
					t.Errorf("%s: trailers %v, want X-Sum alone", what, trailer)
				}
			}
			check("miss", false)
			check("hit", true)
			s.reshelve()
			check("from disk", true)
			check("from memory again", true)
			s.asked(1, "/x")

			r, trailer := s.trailers("HEAD")
			if r.Err != nil || len(trailer) != 0 || r.Header.Get("Content-Length") != fmt.Sprint(size) {
				t.Errorf("HEAD: %s, trailers %v", show(r), trailer)
			}
			if size == 0 {
				return
			}
			if r, trailer = s.trailers("GET", "Range: bytes=0-1"); r.Status != 206 || r.Body != body[:2] || len(trailer) != 0 {
				t.Errorf("a part: %s, trailers %v", show(r), trailer)
			}
			if r := s.Raw("GET /x HTTP/1.0\r\nHost: disk.test\r\n\r\n"); r.Body != body || r.Header.Get("Content-Length") != fmt.Sprint(size) {
				t.Errorf("HTTP/1.0: %d bytes, %s", len(r.Body), show(r))
			}
		})
	}
}

// TestTrailersOfWhatIsNotStored are filtered, too.
func TestTrailersOfWhatIsNotStored(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.On("/x", trailed("x", []string{"Cache-Control: no-store"}, []string{"X-Sum: 42", "Age: 7", "Surrogate-Key: a"}))
	for _, method := range []string{"GET", "POST"} {
		r, trailer := s.trailers(method)
		if r.Body != "x" || len(trailer) != 1 || trailer.Get("X-Sum") != "42" {
			t.Errorf("%s: %s, trailers %v", method, show(r), trailer)
		}
	}
}

// TestInterimAnswers: 102 and 103 reach the client that asked, with what a final
// head would have left of their fields, and are never stored; a follower and a
// later hit get none (RFC 9110, 15.2; RFC 8297).
func TestInterimAnswers(t *testing.T) {
	early := "HTTP/1.1 103 Early Hints\r\nLink: </s.css>; rel=preload\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n" +
		"Surrogate-Key: a\r\nX-Request-Id: theirs\r\nX-Route: r\r\nContent-Length: 5\r\n\r\n"
	for name, c := range map[string]struct {
		interims, version, method string
		want                      []string // the head lines before the final one
	}{
		"stored":                 {early, "1.1", "GET", []string{"HTTP/1.1 103 Early Hints", "Link: </s.css>; rel=preload", ""}},
		"relayed":                {early, "1.1", "POST", []string{"HTTP/1.1 103 Early Hints", "Link: </s.css>; rel=preload", ""}},
		"two":                    {"HTTP/1.1 102 Processing\r\n\r\n" + early, "1.1", "GET", []string{"HTTP/1.1 102 Processing", "", "HTTP/1.1 103 Early Hints", "Link: </s.css>; rel=preload", ""}},
		"HTTP/1.0 has none":      {early, "1.0", "GET", nil},
		"a 100 nobody waits for": {"HTTP/1.1 100 Continue\r\n\r\n", "1.1", "GET", nil},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := edgetest.Config{}
			cfg.Edge.Routes = []edge.Route{{Upstream: "main", ResponseHeaders: edge.HeaderRules{Remove: []string{"x-route"}}}}
			s := openWire(t, cfg, h1.Config{})
			s.origin.On("/x", edgetest.Script(edgetest.Bytes(c.interims+"HTTP/1.1 200 OK\r\n"+fresh+"\r\nContent-Length: 1\r\n\r\nx")))
			ask := func() (before []string) {
				conn := s.Dial()
				s.Send(conn, "%s /x HTTP/%s\r\nHost: a.test\r\nConnection: close\r\n\r\n", c.method, c.version)
				text, err := io.ReadAll(conn)
				if err != nil || !strings.HasSuffix(string(text), "\r\n\r\nx") {
					t.Fatalf("%q, %v", text, err)
				}
				head, _, _ := strings.Cut(string(text), "HTTP/1.1 200 OK\r\n")
				if head == "" {
					return nil
				}
				return strings.Split(strings.TrimSuffix(head, "\r\n"), "\r\n")
			}
			if got := ask(); strings.Join(got, "|") != strings.Join(c.want, "|") {
				t.Errorf("before the final head: %q, want %q", got, c.want)
			}
			if c.method != "GET" {
				return
			}
			s.settled()
			if got := ask(); got != nil {
				t.Errorf("before a hit's head: %q", got)
			}
			s.asked(1, "/x")
			if r := s.hit("x", "/x", "Host: a.test"); r.Header.Get("Link") != "" {
				t.Errorf("an interim answer's field is stored: %s", show(r))
			}
		})
	}
}

// TestUnaskedSwitch: a 101 that nobody asked for is no interim answer.
func TestUnaskedSwitch(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.On("/x", edgetest.Script(edgetest.Bytes("HTTP/1.1 101 Switching Protocols\r\nUpgrade: odd\r\nConnection: upgrade\r\n\r\n"), edgetest.Cut()))
	for _, method := range []string{"GET", "POST"} {
		s.blames(s.Do(method, "/x", ""), 502, "edge; error=http_protocol_error; received-status=101")
	}
}

// TestTrailersOfOtherStatuses: the status makes no difference between miss and hit.
func TestTrailersOfOtherStatuses(t *testing.T) {
	for _, status := range []string{"404 Not Found", "203 Non-Authoritative Information"} {
		s := open(t, edgetest.Config{})
		s.origin.On("/x", edgetest.Script(edgetest.Bytes("HTTP/1.1 "+status+"\r\nTransfer-Encoding: chunked\r\n"+fresh+"\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 42\r\n\r\n")))
		for _, hit := range []bool{false, true} {
			r, trailer := s.trailers("GET")
			if r.Err != nil || r.Body != "body" || isHit(r) != hit || strings.Join(trailer["X-Sum"], ",") != "42" {
				t.Errorf("%s, hit %v: %s, trailers %v", status, hit, show(r), trailer)
			}
		}
	}
}
