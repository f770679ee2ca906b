package origin

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"
)

// TestArmedDeadlines: a deadline that one request has armed, and that passes
// during the next, ends nothing; each has the whole of its own time, no more.
func TestArmedDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 10 * time.Second
		client := NewClient(Config{Timeouts: Timeouts{FirstByte: limit, Idle: limit}})
		peer := newPeer(Config{Name: "main"}.withDefaults(), &url.URL{Scheme: "http", Host: "a.example:80"}, 80)
		ours, theirs := net.Pipe()
		waits := []struct{ head, body time.Duration }{
			{6 * time.Second, 6 * time.Second}, {9 * time.Second, 9 * time.Second}, {0, 9 * time.Second}, {9 * time.Second, 0}, {11 * time.Second, 0},
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			in := bufio.NewReader(theirs)
			for _, w := range waits {
				if _, err := http.ReadRequest(in); err != nil {
					return
				}
				time.Sleep(w.head)
				io.WriteString(theirs, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
				time.Sleep(w.body)
				io.WriteString(theirs, "hello")
			}
		}()
		w := client.wire(peer, ours, 0)
		for i, wait := range waits {
			begun := time.Now()
			r := get("/")
			res, err := client.send(t.Context(), peer, exchange{wire: w, method: "GET", head: plainHead(peer, r).text, req: r, trace: new(Trace)})
			if wait.head > limit {
				var late *TimeoutError
				if !errors.As(err, &late) || late.Phase != PhaseFirstByte || !late.Sent || time.Since(begun) != limit {
					t.Errorf("got %v after %v", err, time.Since(begun))
				}
				break
			}
			if err != nil {
				t.Fatalf("request %d: %v after %v", i, err, time.Since(begun))
			}
			if body, err := io.ReadAll(res.Body); string(body) != "hellohello" || err != nil {
				t.Fatalf("request %d: body %q %v", i, body, err)
			}
			if got := peer.idle.take(false); got != w {
				t.Fatalf("request %d: the connection was not kept", i)
			}
		}
		peer.idle.close()
		theirs.Close()
		<-ended
	})
}
