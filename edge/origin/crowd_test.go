package origin

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
)

// TestEveryAnswerIsItsOwn: many at once, on connections that are reused, cut,
// closed and given surplus bytes; no request ever gets another's body.
func TestEveryAnswerIsItsOwn(t *testing.T) {
	s := newScript(t, func(c *conversation) {
		for n := c.n; ; n++ {
			r, _, ok := c.request()
			if !ok {
				return
			}
			body := r.URL.Path
			head := "HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"
			switch n % 7 {
			case 3:
				c.say(head + body + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
			case 5:
				c.say(head + body[:1])
				return
			case 6:
				return
			default:
				c.say(head + body)
			}
		}
	})
	p := newTestPool(t, Config{Peers: []string{s.url()}, MaxConns: 4})
	var crowd sync.WaitGroup
	for i := range 16 {
		crowd.Go(func() {
			for j := range 25 {
				path := fmt.Sprintf("/%d/%d", i, j)
				_, body, err := fetch(t, p, get(path), nil)
				var cut *BodyError
				var died *ConnError
				switch {
				case err == nil && body != path:
					t.Errorf("%s got %q", path, body)
				case err != nil && !errors.As(err, &cut) && !errors.As(err, &died):
					t.Errorf("%s: %v", path, err)
				}
			}
		})
	}
	crowd.Wait()
	peer := p.Peers()[0]
	st := peer.Stats()
	if peer.InFlight() != 0 || st.Waiting != 0 || st.Idle > 4 || st.Reused == 0 {
		t.Errorf("at the end: %+v, %d in flight", st, peer.InFlight())
	}
}
