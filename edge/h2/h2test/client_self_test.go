package h2test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// The client itself is tried on another server, so that what a test finds missing is
// the edge's fault.
func TestClientOnNetHTTP(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, r.Method+" "+r.URL.Path+" "+string(body)+strings.Repeat(".", 200_000))
		w.Header().Set("X-Sum", r.Trailer.Get("X-Mine"))
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	c := dialTo(t, s.Listener.Addr().String(), dialOptions{})
	q := c.open(false, append(head("POST", "/p"), field{Name: "trailer", Value: "x-mine"})...)
	c.data(q, false, []byte("a body"))
	c.trailers(q, field{Name: "x-mine", Value: "1"})
	a := c.answered(q)
	if a.status != 200 || !strings.HasPrefix(string(a.body), "POST /p a body.") || len(a.body) < 200_000 {
		t.Errorf("answer: %v", a)
	}
	if a.trailer.Get("X-Sum") != "1" || len(a.interim) != 1 {
		t.Errorf("trailer %v, interim %v", a.trailer, a.interim)
	}
	// A field that is no field is refused there, too.
	if b := c.do(append(get("/"), field{Name: "Upper", Value: "1"})...); !b.reset || b.code != http2.ErrCodeProtocol {
		t.Errorf("an upper-case name: %v", b)
	}
	if err := c.send(func(f *http2.Framer) error { return f.WriteData(0, false, []byte("x")) }); err != nil {
		t.Fatal(err)
	}
	c.endsWith(http2.ErrCodeProtocol)
}
