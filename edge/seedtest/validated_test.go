package seedtest

import (
	"net/http"
	"testing"
	"time"

	"edgecache/edge"
	"edgecache/edge/edgetest"
)

// TestS08_ResponseFilterSeesA304: what a 304 brings is stored, so the filter
// cleans it as it cleans every other answer.
func TestS08_ResponseFilterSeesA304(t *testing.T) {
	o := edgetest.NewOrigin(t)
	o.OnFunc("/x", func(r edgetest.Seen) edgetest.Answer {
		lines := []string{"Cache-Control: max-age=5", `ETag: "1"`, "X-Backend-Server: db-7"}
		if r.Header.Get("If-None-Match") == `"1"` {
			return edgetest.Text(http.StatusNotModified, "", lines...)
		}
		return edgetest.Text(http.StatusOK, "hello", lines...)
	})
	clock := &edgetest.Clock{}
	rec := &edgetest.Recorder{}
	rec.Response = func(_ *edge.Session, r *http.Response) (edge.FilterResult, error) {
		r.Header.Del("X-Backend-Server")
		r.Header.Set("X-Frame-Options", "DENY")
		return edge.Continue, nil
	}
	h := plain(t, edgetest.Config{Peers: []string{o.URL}, Recorder: rec, Clock: clock})
	for i, want := range []string{"miss", "revalidated", "hit after the 304"} {
		r := h.Get("/x")
		if r.Status != http.StatusOK || r.Body != "hello" {
			t.Errorf("%s: %d %q", want, r.Status, r.Body)
		}
		if got := r.Header.Get("X-Backend-Server"); got != "" {
			t.Errorf("%s: X-Backend-Server %q reached the client", want, got)
		}
		if got := r.Header.Values("X-Frame-Options"); len(got) != 1 || got[0] != "DENY" {
			t.Errorf("%s: X-Frame-Options %q", want, got)
		}
		if i == 0 {
			clock.Advance(10 * time.Second)
		}
	}
	if n := rec.Total("response_filter"); n != 2 {
		t.Errorf("the filter ran %d times, want once a fetch: 2", n)
	}
}
