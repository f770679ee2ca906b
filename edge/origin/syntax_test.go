package origin

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"
)

// TestValidValue tries each byte at each place of values of each short length.
func TestValidValue(t *testing.T) {
	for length := 1; length <= 20; length++ {
		for at := range length {
			for c := range 256 {
				for _, other := range []byte{'a', '\t', 0x80, 0xff, ' ', '~'} {
					v := bytes.Repeat([]byte{other}, length)
					v[at] = byte(c)
					want := c >= ' ' && c != 0x7f || c == '\t'
					if validValue(v) != want || validValue(string(v)) != want {
						t.Fatalf("%q: got %v, want %v", v, !want, want)
					}
				}
			}
		}
	}
}

// BenchmarkPlainHead formats the head of a browser's request.
func BenchmarkPlainHead(b *testing.B) {
	p, err := NewPool(Config{Name: "main", Peers: []string{"http://origin.example:8080"}})
	if err != nil {
		b.Fatal(err)
	}
	requests := make([]*http.Request, 8)
	for i := range requests {
		r := get(fmt.Sprintf("/assets/%d.js?v=%d", i*7919, i))
		r.URL.Opaque, r.URL.Path = r.URL.Path, ""
		for name, value := range map[string]string{
			"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
			"Accept":     "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "Accept-Language": "en-US,en;q=0.5",
			"Accept-Encoding": "gzip", "Referer": "http://www.example.test/", "X-Forwarded-For": "192.0.2.7",
			"X-Real-Ip": "192.0.2.7", "X-Forwarded-Proto": "https", "Via": "1.1 edge", "Cdn-Loop": "edge",
			"X-Request-Id": fmt.Sprintf("%032d", i),
		} {
			r.Header.Set(name, value)
		}
		requests[i] = r
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		plainHead(p.Peers()[0], requests[i%len(requests)]).Free()
	}
}
