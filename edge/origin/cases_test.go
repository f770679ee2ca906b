package origin

import (
	"bufio"
	"encoding/json"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
)

// rawCase is a line of testdata/origin-response.jsonl.
type rawCase struct {
	ID    string `json:"id"`
	Need  string `json:"need"`
	Raw   string `json:"raw"` // each rune is a byte
	Input string `json:"input"`
}

func (c rawCase) bytes(t testing.TB) string {
	t.Helper()
	const head = "HTTP/1.1 200 OK\r\nCache-Control: public, max-age=600\r\n"
	const tail = "Content-Length: 5\r\n\r\nhello"
	switch c.ID {
	case "resp-hd-1mib":
		return head + "X-A: " + strings.Repeat("a", 1<<20) + "\r\n" + tail
	case "resp-hd-10k":
		var b strings.Builder
		b.WriteString(head)
		for i := range 20000 {
			b.WriteString("X" + strconv.Itoa(i) + ": b\r\n")
		}
		return b.String() + tail
	}
	if c.Input != "" && c.ID != "resp-rst" {
		t.Fatalf("case in words that nobody wrote out: %s", c.Input)
	}
	var b strings.Builder
	for _, r := range c.Raw {
		b.WriteByte(byte(r))
	}
	return b.String()
}

func readCases(t testing.TB) []rawCase {
	t.Helper()
	f, err := os.Open("testdata/origin-response.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var cases []rawCase
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var c rawCase
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	if len(cases) < 20 {
		t.Fatalf("%d cases", len(cases))
	}
	return cases
}

// bodyOfFive is what a clean answer holds; only this.
const bodyOfFive = "hello"

func TestOriginResponseCases(t *testing.T) {
	for _, c := range readCases(t) {
		t.Run(c.ID, func(t *testing.T) {
			raw := c.bytes(t)
			s := newScript(t, func(conn *conversation) {
				if _, _, ok := conn.request(); !ok {
					return
				}
				if c.ID == "resp-rst" {
					conn.Conn.(*net.TCPConn).SetLinger(0)
					return
				}
				conn.say(raw)
			})
			p := poolFor(t, s)
			status, body, err := fetch(t, p, get("/"), nil)
			clean := err == nil && body == bodyOfFive
			switch c.Need {
			case "ok", "nocache", "err-nocache":
				if !clean {
					t.Errorf("got %d %q %v, want a clean answer", status, body, err)
				}
			case "bad":
				if err == nil {
					t.Errorf("got a clean %d %q, want an error", status, body)
				}
			case "any":
				if err == nil && !clean {
					t.Errorf("got a clean %d %q", status, body)
				}
			default:
				t.Fatalf("need %q", c.Need)
			}
			if in := p.Peers()[0].InFlight(); in != 0 {
				t.Errorf("%d in flight at the end", in)
			}
			if c.Need == "bad" && p.Peers()[0].Stats().Idle != 0 {
				t.Error("the connection of a bad answer was kept")
			}
		})
	}
}

// TestBadHeads are answers that no request may be answered with, and the
// reason that is given.
func TestBadHeads(t *testing.T) {
	ok := "HTTP/1.1 200 OK\r\n"
	for _, c := range []struct{ name, raw, want string }{
		{"a status below 100", "HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n", ReasonStatus},
		{"a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", ReasonStatus},
		{"a status of four digits", "HTTP/1.1 2000 OK\r\n\r\n", ReasonStatus},
		{"a signed status", "HTTP/1.1 +20 OK\r\n\r\n", ReasonStatus},
		{"HTTP/1.2", "HTTP/1.2 200 OK\r\n\r\n", ReasonStatusLine},
		{"HTTP/2.0", "HTTP/2.0 200 OK\r\n\r\n", ReasonStatusLine},
		{"two spaces before the status", "HTTP/1.1  200 OK\r\n\r\n", ReasonStatus},
		{"a tab before the status", "HTTP/1.1\t200 OK\r\n\r\n", ReasonStatusLine},
		{"lower case http", "http/1.1 200 OK\r\n\r\n", ReasonStatusLine},
		{"an empty line first", "\r\nHTTP/1.1 200 OK\r\n\r\n", ReasonStatusLine},
		{"a body of HTTP/0.9", "hello", ReasonStatusLine},
		{"TLS", "\x16\x03\x01 garbage\r\n\r\n", ReasonStatusLine},
		{"NUL in the reason", "HTTP/1.1 200 O\x00K\r\n\r\n", ReasonStatusLine},
		{"bare LF after the status line", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", ReasonBareLF},
		{"bare LF after a field", ok + "A: b\nContent-Length: 0\r\n\r\n", ReasonBareLF},
		{"bare LF at the end", ok + "Content-Length: 0\r\n\n", ReasonBareLF},
		{"bare CR in a value", ok + "A: b\rB: c\r\n\r\n", ReasonBareCR},
		{"CR CR LF", ok + "A: b\r\r\n\r\n", ReasonBareCR},
		{"NUL in a value", ok + "A: b\x00c\r\n\r\n", ReasonFieldValue},
		{"escape in a value", ok + "A: b\x1bc\r\n\r\n", ReasonFieldValue},
		{"DEL in a value", ok + "A: b\x7fc\r\n\r\n", ReasonFieldValue},
		{"space before the colon", ok + "A : b\r\n\r\n", ReasonFieldName},
		{"space in a name", ok + "A B: b\r\n\r\n", ReasonFieldName},
		{"no name", ok + ": b\r\n\r\n", ReasonFieldName},
		{"no colon", ok + "Ab\r\n\r\n", ReasonFieldName},
		{"a high byte in a name", ok + "A\xff: b\r\n\r\n", ReasonFieldName},
		{"obs-fold", ok + "A: b\r\n c\r\n\r\n", ReasonFold},
		{"obs-fold with a tab", ok + "A: b\r\n\tc\r\n\r\n", ReasonFold},
		{"a folded Transfer-Encoding", ok + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", ReasonCoding},
		{"a first field that is folded", ok + " A: b\r\n\r\n", ReasonFold},
		{"two lengths", ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", ReasonLengths},
		{"two lengths in one line", ok + "Content-Length: 5, 5\r\n\r\nhello", ReasonLength},
		{"a length with a plus", ok + "Content-Length: +5\r\n\r\nhello", ReasonLength},
		{"a length with a minus", ok + "Content-Length: -5\r\n\r\nhello", ReasonLength},
		{"a length in hex", ok + "Content-Length: 0x5\r\n\r\nhello", ReasonLength},
		{"an empty length", ok + "Content-Length:\r\n\r\nhello", ReasonLength},
		{"a length over int64", ok + "Content-Length: 9223372036854775808\r\n\r\nhello", ReasonLength},
		{"a length that wraps", ok + "Content-Length: 18446744073709551621\r\n\r\nhello", ReasonLength},
		{"an unknown coding", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", ReasonCoding},
		{"identity", ok + "Transfer-Encoding: identity\r\n\r\nhello", ReasonCoding},
		{"chunked twice", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ReasonCoding},
		{"an empty coding", ok + "Transfer-Encoding:\r\n\r\nhello", ReasonCoding},
		{"chunked with a length", ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ReasonCodingLength},
		{"length and chunked", ok + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", ReasonCodingLength},
		{"chunked in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ReasonCoding},
		{"a bad head after a good interim one", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 099 X\r\n\r\n", ReasonStatus},
		{"a bad interim head", "HTTP/1.1 103 Early Hints\nLink: </a>\r\n\r\n" + hello, ReasonBareLF},
		{"interim answers without end", strings.Repeat("HTTP/1.1 102 P\r\n\r\n", maxInterims+1) + hello, ReasonInterims},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := poolFor(t, newScript(t, once(c.raw)))
			status, body, err := fetch(t, p, get("/"), nil)
			var bad *HeadError
			if !errors.As(err, &bad) || bad.Reason != c.want {
				t.Fatalf("got %d %q %v, want %s", status, body, err, c.want)
			}
			if !Sent(err) || errors.Is(err, ErrTimeout) {
				t.Errorf("sent %v, timeout %v", Sent(err), errors.Is(err, ErrTimeout))
			}
			if st := p.Peers()[0].Stats(); st.BadAnswers != 1 || st.Idle != 0 {
				t.Errorf("stats %+v", st)
			}
		})
	}
}

// TestGoodHeads must pass, odd as some are.
func TestGoodHeads(t *testing.T) {
	for _, c := range []struct {
		name, raw string
		status    int
		body      string
	}{
		{"status 599", "HTTP/1.1 599 X\r\nContent-Length: 5\r\n\r\nhello", 599, "hello"},
		{"status 999", "HTTP/1.1 999 X\r\nContent-Length: 5\r\n\r\nhello", 999, "hello"},
		{"status 200 without a reason", "HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"},
		{"an empty reason", "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello", 200, "hello"},
		{"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"},
		{"Latin-1 in a value", "HTTP/1.1 200 OK\r\nA: caf\xe9\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"},
		{"a tab in a value", "HTTP/1.1 200 OK\r\nA: a\tb\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"},
		{"no space after a colon", "HTTP/1.1 200 OK\r\nContent-Length:5\r\n\r\nhello", 200, "hello"},
		{"spaces around a length", "HTTP/1.1 200 OK\r\nContent-Length: \t5  \r\n\r\nhello", 200, "hello"},
		{"an empty value", "HTTP/1.1 200 OK\r\nA:\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"},
		{"the same length twice", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"},
		{"names without regard to case", "HTTP/1.1 200 OK\r\ncontent-LENGTH: 5\r\n\r\nhello", 200, "hello"},
		{"Chunked in capitals", "HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200, "hello"},
		{"extensions of chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0;c\r\n\r\n", 200, "hello"},
		{"trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n", 200, "hello"},
		{"hints before the answer", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + hello, 200, "hello"},
		{"as many interim answers as may be", strings.Repeat("HTTP/1.1 102 P\r\n\r\n", maxInterims) + hello, 200, "hello"},
		{"204", "HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
		{"304 with the length of what it is about", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, ""},
		{"a body that ends with the connection", "HTTP/1.1 200 OK\r\n\r\nhello", 200, "hello"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := poolFor(t, newScript(t, once(c.raw)))
			status, body, err := fetch(t, p, get("/"), nil)
			if status != c.status || body != c.body || err != nil {
				t.Errorf("got %d %q %v", status, body, err)
			}
		})
	}
}

// TestBadBodies begin well. The body's Read says that it is not whole, and
// never io.EOF.
func TestBadBodies(t *testing.T) {
	chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, c := range []struct{ name, raw string }{
		{"cut", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"},
		{"the last chunk is missing", chunked + "5\r\nhello\r\n"},
		{"the end of the trailers is missing", chunked + "5\r\nhello\r\n0\r\n"},
		{"cut in a chunk", chunked + "50\r\nhello"},
		{"a size that overflows", chunked + "FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"},
		{"a size that is negative as int64", chunked + "ffffffffffffffff\r\nhello\r\n0\r\n\r\n"},
		{"a size with 0x", chunked + "0x5\r\nhello\r\n0\r\n\r\n"},
		{"a size with a plus", chunked + "+5\r\nhello\r\n0\r\n\r\n"},
		{"a size with a space", chunked + "5 \r\nhello\r\n0\r\n\r\n"},
		{"an empty size", chunked + "\r\nhello\r\n0\r\n\r\n"},
		{"bare LF after a size", chunked + "5\nhello\r\n0\r\n\r\n"},
		{"bare LF after a chunk", chunked + "5\r\nhello\n0\r\n\r\n"},
		{"a chunk that is longer than its size", chunked + "4\r\nhello\r\n0\r\n\r\n"},
		{"bare CR in an extension", chunked + "5;a\rb\r\nhello\r\n0\r\n\r\n"},
		{"an over-long extension", chunked + "5;" + strings.Repeat("a", maxSizeLine) + "\r\nhello\r\n0\r\n\r\n"},
		{"a length in the trailers", chunked + "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n"},
		{"bare LF in the trailers", chunked + "5\r\nhello\r\n0\r\nA: b\n\r\n"},
		{"trailers over the limit", chunked + "5\r\nhello\r\n0\r\nA: " + strings.Repeat("a", 64<<10) + "\r\n\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := poolFor(t, newScript(t, once(c.raw)))
			status, body, err := fetch(t, p, get("/"), nil)
			if err == nil {
				t.Fatalf("got a clean %d %q", status, body)
			}
			if in := p.Peers()[0].InFlight(); in != 0 {
				t.Errorf("%d in flight", in)
			}
		})
	}
}

// TestHeadLimits: a head at the limit passes, one more byte or line does not.
func TestHeadLimits(t *testing.T) {
	head := func(bytes int) string {
		h := "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: \r\n\r\n"
		return strings.Replace(h, "X: ", "X: "+strings.Repeat("x", bytes-len(h)), 1) + "hello"
	}
	lines := func(n int) string {
		return "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" + strings.Repeat("X: y\r\n", n-1) + "\r\nhello"
	}
	for _, c := range []struct {
		name, raw, want string
	}{
		{"64 KiB", head(64 << 10), ""},
		{"64 KiB and one", head(64<<10 + 1), ReasonHeadBytes},
		{"500 lines", lines(500), ""},
		{"501 lines", lines(501), ReasonHeadLines},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := poolFor(t, newScript(t, once(c.raw)))
			_, body, err := fetch(t, p, get("/"), nil)
			var bad *HeadError
			switch {
			case c.want == "" && (err != nil || body != "hello"):
				t.Errorf("got %q %v", body, err)
			case c.want != "" && (!errors.As(err, &bad) || bad.Reason != c.want):
				t.Errorf("got %q %v, want %s", body, err, c.want)
			}
		})
	}
}
