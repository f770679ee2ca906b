package h1

import (
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"edgecache/edge"
)

// TestRandomRequests sends random requests (heads up to their limit, bodies by
// length and in chunks, read whole, in part or not at all) in random pieces
// over one connection. Fields are looked at after the body was read: a head
// stays where it is, however the buffer is used behind it.
func TestRandomRequests(t *testing.T) {
	e := &stub{finish: func(s *edge.Session, l edge.Lane) {
		if s.Request.Body != nil {
			how, _ := s.Request.Get("X-Read")
			var want int64
			_, _ = fmt.Sscan(how, &want)
			_, _ = io.CopyN(io.Discard, s.Request.Body, want)
		} else if rand.IntN(2) == 0 {
			_ = l.Gone()
		}
		reply(s, l, 200, describe(s))
	}}
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var raw strings.Builder
		var want []string
		for range 40 {
			request, answer := randomRequest(rnd)
			raw.WriteString(request)
			want = append(want, answer)
		}
		server, client := net.Pipe()
		s := newServer(e, Config{})
		s.take(server, nil)
		conn := newClient(t, client)
		go func() {
			for rest := raw.String(); rest != ""; {
				n := min(1+rnd.IntN(1<<rnd.IntN(15)), len(rest))
				if _, err := io.WriteString(client, rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		for i := range want {
			if a := conn.mustAnswer("GET"); a.body != want[i] {
				t.Fatalf("seed %d, request %d: %q, want %q", seed, i, a.body, want[i])
			}
		}
		client.Close()
		_ = s.Shutdown(t.Context())
	}
}

// describe sums a request up, so that no two are described alike.
func describe(s *edge.Session) string {
	h := fnv.New64a()
	for _, f := range s.Request.Fields {
		_, _ = fmt.Fprintf(h, "%s: %s\n", f.Name, f.Value)
	}
	return fmt.Sprintf("%s %s %x", s.Request.Method, s.Request.Path, h.Sum64())
}

func randomRequest(rnd *rand.Rand) (raw, answer string) {
	method, path := "GET", fmt.Sprintf("/%x", rnd.Uint64())
	size := rnd.IntN(1 << rnd.IntN(15))
	lines := []string{"X-Read: " + fmt.Sprint(rnd.IntN(size+1)), "X-Pad: " + strings.Repeat("p", rnd.IntN(1<<(4+rnd.IntN(10))))}
	body := ""
	switch rnd.IntN(3) {
	case 0:
		method = "POST"
		lines = append(lines, fmt.Sprintf("Content-Length: %d", size))
		body = strings.Repeat("b", size)
	case 1:
		method = "POST"
		lines = append(lines, "Transfer-Encoding: chunked")
		for rest := size; rest > 0; {
			n := 1 + rnd.IntN(rest)
			body += fmt.Sprintf("%x;x=%d\r\n%s\r\n", n, n, strings.Repeat("c", n))
			rest -= n
		}
		body += "0\r\nT: u\r\n\r\n"
	}
	h := fnv.New64a()
	for _, line := range lines {
		_, _ = fmt.Fprintf(h, "%s\n", line)
	}
	raw = method + " " + path + " HTTP/1.1\r\nHost: a.test\r\n" + strings.Join(lines, "\r\n") + "\r\n\r\n" + body
	return raw, fmt.Sprintf("%s %s %x", method, path, h.Sum64())
}
