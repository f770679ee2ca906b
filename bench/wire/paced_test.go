package main

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// TestPacedLoopPercentiles gets one slow answer in ten, over both protocols.
func TestPacedLoopPercentiles(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		var asked atomic.Int64
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if asked.Add(1)%10 == 0 {
				time.Sleep(slowTime)
			}
			_, _ = w.Write(make([]byte, 100))
		}))
		s.EnableHTTP2 = h2
		s.StartTLS()
		defer s.Close()
		loop := pacedLoop{url: s.URL, h2: h2, rate: 50, span: time.Second, conns: 10, body: 100}
		h, err := loop.run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n := asked.Load(); n != int64(loop.total()) || n != 60 {
			t.Errorf("h2 %v: %d requests, total %d, want 60", h2, n, loop.total())
		}
		if h.Quantile(0.5) >= slowTime || h.Quantile(0.99) < slowTime {
			t.Errorf("h2 %v: p50 %v, p99 %v; want %v between them", h2, h.Quantile(0.5), h.Quantile(0.99), slowTime)
		}
		loop.body = 99
		if _, err := loop.run(t.Context()); err == nil {
			t.Error("answers of another length are taken")
		}
	}
}
