package casetest

import (
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"

	"edgecache/edge/edgetest"
	"edgecache/policy"
)

// wrong is an origin that answers /case with the bytes of a case, and
// everything else with a name. It counts who asks for /case.
type wrong struct {
	mu    sync.Mutex
	asked int
}

func (w *wrong) serve(c net.Conn, id, raw string) {
	for {
		head, err := edgetest.ReadHead(c)
		if err != nil {
			return
		}
		target := strings.Fields(string(head))[1]
		if target != "/case" {
			answer := "HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(target)) + "\r\n\r\n" + target
			if _, err := c.Write([]byte(answer)); err != nil {
				return
			}
			continue
		}
		w.mu.Lock()
		w.asked++
		w.mu.Unlock()
		if id == "resp-rst" {
			_ = c.(*net.TCPConn).SetLinger(0)
			return
		}
		_, _ = c.Write([]byte(raw)) // an edge that has seen enough closes
		_ = c.(*net.TCPConn).CloseWrite()
		return
	}
}

func (w *wrong) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked
}

// TestOriginResponses: whatever an origin answers, the client gets it clean or
// sees that it is broken, only what may be is stored, and the next request is
// answered by its own answer.
func TestOriginResponses(t *testing.T) {
	list := readFile(t, "testdata/origin-response.jsonl")
	if len(list) < 26 {
		t.Fatalf("%d cases", len(list))
	}
	for _, c := range list {
		t.Run(c.ID, func(t *testing.T) {
			raw := c.bytes(t)
			w := &wrong{}
			url := edgetest.NewRawOrigin(t, func(conn net.Conn) { w.serve(conn, c.ID, raw) })
			s := open(t, edgetest.Config{Peers: []string{url}, Rules: policy.Rules{Heuristic: true}})
			s.want("/before", "/before")
			var replies []edgetest.Reply
			for range 2 {
				replies = append(replies, s.Get("/case"))
				s.want("/between", "/between")
			}
			c.check(t, replies, w.count())
			c.checkStore(t, s)
		})
	}
}

// check holds both answers to what the case needs; asked counts the origin's
// requests.
func (c hostile) check(t *testing.T, replies []edgetest.Reply, asked int) {
	t.Helper()
	for i, r := range replies {
		clean := r.Err == nil && r.Status < 400
		whole := clean && r.Body == "hello"
		ok := false
		switch c.Need {
		case "ok":
			ok = whole && r.Status == 200
		case "nocache":
			ok = whole && !isHit(r)
		case "any":
			ok = whole && r.Status == 200 || r.Err != nil || r.Status == 502
		case "bad":
			ok = r.Err != nil || r.Status == 502
		case "err-nocache":
			ok = r.Err == nil && r.Status == 500 && r.Body == "hello" && !isHit(r)
		}
		if !ok {
			t.Errorf("answer %d: %s, need %s", i, show(r), c.Need)
		}
	}
	if c.Need == "ok" && (asked != 1 || !isHit(replies[1])) {
		t.Errorf("the origin was asked %d times, want one and a hit: %s", asked, show(replies[1]))
	}
	if c.Need != "ok" && c.Need != "any" && asked < 2 {
		t.Errorf("the origin was asked %d times: something was stored", asked)
	}
}

// checkStore looks into the store itself.
func (c hostile) checkStore(t *testing.T, s *site) {
	t.Helper()
	if n := s.Store.Stats().Variants; c.Need == "ok" && n != 1 || c.Need != "ok" && c.Need != "any" && n != 0 {
		t.Errorf("%d answers are stored, need %s", n, c.Need)
	}
}

func (c hostile) bytes(t *testing.T) string {
	t.Helper()
	const head, tail = "HTTP/1.1 200 OK\r\nCache-Control: public, max-age=600\r\n", "Content-Length: 5\r\n\r\nhello"
	switch c.ID {
	case "resp-hd-1mib":
		return head + "X-A: " + strings.Repeat("a", 1<<20) + "\r\n" + tail
	case "resp-hd-10k":
		var b strings.Builder
		for i := range 20000 {
			b.WriteString("X" + strconv.Itoa(i) + ": b\r\n")
		}
		return head + b.String() + tail
	}
	if c.Input != "" && c.ID != "resp-rst" {
		t.Fatalf("a case in words that nobody has written out: %s", c.Input)
	}
	latin1 := make([]byte, 0, len(c.Raw))
	for _, r := range c.Raw {
		latin1 = append(latin1, byte(r))
	}
	return string(latin1)
}
