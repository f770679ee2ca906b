package h1

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"edgecache/edge"
)

// rawCase is a line of testdata/h1-parse.jsonl.
type rawCase struct {
	ID        string
	Need      string // accept, reject, either
	Responses int
	Raw       string // bytes as latin-1; @P@ is a unique path
}

func rawCases(t *testing.T) (list []rawCase) {
	t.Helper()
	f, err := os.Open("testdata/h1-parse.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var c rawCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
	}
	if len(list) < 85 {
		t.Fatalf("%d cases, want 85 at least", len(list))
	}
	return list
}

// bytes gives what is sent for the case. Two are described in words there.
func (c rawCase) bytes(path string) string {
	follow := "GET @P@-canary HTTP/1.1\r\nHost: a.test\r\n\r\n"
	raw := c.Raw
	switch c.ID {
	case "h1-rl-long-uri":
		raw = "GET @P@/" + strings.Repeat("a", 70000) + " HTTP/1.1\r\nHost: a.test\r\n\r\n" + follow
	case "h1-hd-1mib":
		raw = "GET @P@ HTTP/1.1\r\nHost: a.test\r\nX-A: " + strings.Repeat("a", 1<<20) + "\r\n\r\n" + follow
	}
	latin1 := make([]byte, 0, len(raw))
	for _, r := range strings.ReplaceAll(raw, "@P@", path) {
		latin1 = append(latin1, byte(r))
	}
	return string(latin1)
}

// seen collects the requests that came through as a whole.
type seen struct {
	mu    sync.Mutex
	paths []string
}

func (s *seen) add(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paths = append(s.paths, path)
}

func (s *seen) of(path string) (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.paths {
		if strings.HasPrefix(p, path) {
			list = append(list, p)
		}
	}
	return list
}

// TestRawCases sends every raw request of the cases through a socket: what must
// be refused gets one answer and a closed connection, and nothing of it and
// nothing behind it gets through as a request.
func TestRawCases(t *testing.T) {
	var through seen
	e := &stub{finish: func(s *edge.Session, l edge.Lane) {
		if s.Request.Body != nil {
			body := s.Request.Body
			all, err := io.ReadAll(body)
			if err != nil {
				reply(s, l, err.(*edge.BodyError).HTTPStatus(), "")
				return
			}
			s.Request.Body = strings.NewReader(string(all))
		}
		through.add(string(s.Request.Path))
		echo(s, l)
	}}
	_, addr := serve(t, e, Config{})
	for _, c := range rawCases(t) {
		t.Run(c.ID, func(t *testing.T) {
			path := "/" + strings.NewReplacer("^", "-", "+", "-").Replace(c.ID) + "-path"
			conn := dial(t, addr)
			conn.send(c.bytes(path))
			want := c.Responses
			if c.Need == "reject" {
				want++ // one more would be the follow-up's
			}
			got := conn.answers("GET", want)
			if len(got) == 0 {
				t.Fatal("no answer")
			}
			first := got[0].StatusCode
			if c.Need == "reject" || c.Need == "either" && first >= 400 {
				checkRefused(t, got, through.of(path))
				conn.ends()
				return
			}
			checkAccepted(t, c, got, through.of(path))
		})
	}
	if evil := through.of("/evil"); len(evil) > 0 {
		t.Errorf("hidden requests came through: %v", evil)
	}
}

func checkRefused(t *testing.T, got []answer, through []string) {
	t.Helper()
	if status := got[0].StatusCode; len(got) != 1 || status != 505 && (status < 400 || status > 499) {
		t.Errorf("%d answers, the first %d; want one refusal", len(got), status)
	}
	if !got[0].Close {
		t.Error("the refusal does not say Connection: close")
	}
	if len(through) > 0 {
		t.Errorf("came through: %v", through)
	}
}

func checkAccepted(t *testing.T, c rawCase, got []answer, through []string) {
	t.Helper()
	if len(got) != c.Responses || len(through) != c.Responses {
		t.Errorf("%d answers, through %v; want %d", len(got), through, c.Responses)
	}
	for _, a := range got {
		if a.StatusCode != 200 {
			t.Errorf("status %d (%s), want 200", a.StatusCode, a.body)
		}
	}
	if !slices.ContainsFunc(through, func(p string) bool { return strings.HasSuffix(p, "-canary") }) {
		t.Errorf("the follow-up did not come through: %v", through)
	}
}

// TestRefusalStatus holds the statuses that say more than 400.
func TestRefusalStatus(t *testing.T) {
	for _, c := range []struct {
		name, raw string
		want      int
	}{
		{"a target over 8 KiB", get("/" + strings.Repeat("a", 9000)), 414},
		{"a head over 16 KiB", get("/", "X-A: "+strings.Repeat("a", 17000)), 431},
		{"more than 100 lines", get("/", strings.Split(strings.Repeat("X: y\n", 100), "\n")[:100]...), 431},
		{"CONNECT", "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", 405},
		{"TRACE", "TRACE / HTTP/1.1\r\nHost: a.test\r\n\r\n", 405},
		{"HTTP/2 with prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
		{"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a.test\r\n\r\n", 505},
		{"another expectation", get("/", "Expect: tea"), 417},
		{"a TLS hello in cleartext", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400},
		{"two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n", 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &stub{finish: echo}
			s, addr := serve(t, e, Config{})
			conn := dial(t, addr)
			conn.send(c.raw)
			if a := conn.mustAnswer("GET"); a.StatusCode != c.want {
				t.Errorf("status %d, want %d", a.StatusCode, c.want)
			}
			conn.ends()
			refused := e.refused()
			if len(refused) != 1 || refused[0].Status != c.want || refused[0].Detail == "" ||
				refused[0].Bytes == 0 || !refused[0].Remote.IsValid() {
				t.Errorf("logged %+v, want one refusal with status %d", refused, c.want)
			}
			if faults := s.Stats().Faults; sum(faults[:]) != 1 {
				t.Errorf("counted %v, want one fault", faults)
			}
		})
	}
}

func sum(list []int64) (n int64) {
	for _, v := range list {
		n += v
	}
	return n
}
