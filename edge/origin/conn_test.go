package origin

import (
	"io"
	"net"
	"testing"
	"time"
)

func pipe(t *testing.T) (*checkedConn, net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return &checkedConn{Conn: ours, idle: time.Minute, first: time.Minute, scan: scanner{maxBytes: 1 << 10, maxLines: 10}}, theirs
}

// readOne reads what the peer says with one write.
func readOne(c *checkedConn, peer net.Conn, say string) (string, error) {
	go io.WriteString(peer, say)
	p := make([]byte, 4096)
	n, err := c.Read(p)
	return string(p[:n]), err
}

func TestBytesBeforeTheRequestAreNotItsAnswer(t *testing.T) {
	for _, c := range []struct {
		name   string
		begin  bool
		reason string
	}{
		{"before it began", false, ReasonSurplus},
		{"before any of it was written", true, ReasonEarly},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, peer := pipe(t)
			if c.begin {
				if err := conn.begin("GET"); err != nil {
					t.Fatal(err)
				}
			}
			got, err := readOne(conn, peer, hello)
			f, u := conn.verdict()
			if got != "" || err != errBadAnswer || f == nil || f.reason != c.reason || u.read != 0 {
				t.Errorf("got %q %v, fault %+v", got, err, f)
			}
			if err := conn.begin("GET"); err == nil {
				t.Error("the connection takes another request")
			}
		})
	}
}

func TestReadStopsAtTheAnswersEnd(t *testing.T) {
	conn, peer := pipe(t)
	conn.begin("GET")
	go conn.Write([]byte("GET"))
	io.ReadFull(peer, make([]byte, 3))
	got, err := readOne(conn, peer, hello+"evil")
	if got != hello || err != nil {
		t.Errorf("got %q %v", got, err)
	}
	if conn.complete() || conn.begin("GET") == nil {
		t.Error("the connection is still used")
	}
	got, err = readOne(conn, peer, hello)
	if got != "" || err == nil {
		t.Errorf("then %q %v", got, err)
	}
}

func TestNoSecondRequestBeforeTheFirstEnded(t *testing.T) {
	conn, _ := pipe(t)
	conn.begin("GET")
	if err := conn.begin("GET"); err == nil {
		t.Error("it was taken")
	}
}
