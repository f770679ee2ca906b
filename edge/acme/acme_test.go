package acme

import (
	"bytes"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

// open makes an issuer whose authority's port refuses connections.
func open(t *testing.T, log *slog.Logger, names ...string) *Issuer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	i, err := Open(Config{
		Names: names, Email: "a@b.test", Directory: "https://" + l.Addr().String() + "/dir", Storage: t.TempDir(),
		HTTP: "127.0.0.1:80", TLS: "127.0.0.1:443", Check: time.Hour, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	return i
}

// TestOrdersWaitLongerEachTime: an authority that fails is asked five times in
// the first hour, and then once an hour.
func TestOrdersWaitLongerEachTime(t *testing.T) {
	i := open(t, slog.New(slog.DiscardHandler), "a.test")
	w := waiting{name: "a.test", pause: retryLeast}
	for _, want := range []time.Duration{10 * time.Second, 40 * time.Second, 160 * time.Second} {
		before := time.Now()
		if i.order(t.Context(), &w) {
			t.Fatal("an order without an authority succeeded")
		}
		if wait := w.at.Sub(before); wait < want || w.pause != 4*want {
			t.Errorf("waits %s and then %s, want %s and %s", wait, w.pause, want, 4*want)
		}
	}
	w.pause = 30 * time.Minute
	i.order(t.Context(), &w)
	if w.pause != retryMost {
		t.Errorf("waits %s, want at most %s", w.pause, retryMost)
	}
	s := i.Stats()
	if s.Failed != 4 || s.Obtained != 0 || len(s.Names) != 1 || s.Names[0].Trouble == nil || !s.Names[0].NotAfter.IsZero() {
		t.Errorf("stats %+v, want four failures and a trouble", s)
	}
	_ = i.hear(t.Context(), "cert_failed", map[string]any{"identifier": "a.test", "renewal": true, "error": errors.New("no")})
	_ = i.hear(t.Context(), "cert_obtained", map[string]any{"identifier": "a.test", "renewal": true})
	if s := i.Stats(); s.Failed != 5 || s.Renewed != 1 || s.Names[0].Trouble != nil {
		t.Errorf("stats %+v, want a renewal that ends the trouble", s)
	}
}

// TestKnowsNothingElse: names that are not configured, and tokens that were not
// ordered, have no answer.
func TestKnowsNothingElse(t *testing.T) {
	i := open(t, slog.New(slog.DiscardHandler), "a.test")
	for _, name := range []string{"a.test", "b.test", "", "*.test", "../a.test"} {
		if i.Certificate(name) != nil || i.Challenge(&tls.ClientHelloInfo{ServerName: name, SupportedProtos: []string{"acme-tls/1"}}) != nil {
			t.Errorf("%q has a certificate", name)
		}
		for _, path := range []string{Prefix, Prefix + "x", Prefix + "../x"} {
			if got := i.Answer([]byte(name), []byte(path)); got != nil {
				t.Errorf("%q %s is answered by %q", name, path, got)
			}
		}
	}
}

// TestPorts: certmagic is told one host for both listeners.
func TestPorts(t *testing.T) {
	for _, c := range []struct{ http, tls, want string }{
		{"127.0.0.1:80", "127.0.0.1:443", "127.0.0.1"},
		{"127.0.0.1:80", "127.0.0.2:443", ""},
		{"", "127.0.0.2:443", "127.0.0.2"},
		{"[::]:80", "", "::"},
	} {
		if host, _, _ := (&Config{HTTP: c.http, TLS: c.tls}).ports(); host != c.want {
			t.Errorf("%s and %s: host %q, want %q", c.http, c.tls, host, c.want)
		}
	}
}

// TestCloseEndsAnOrder: Close does not wait for an authority.
func TestCloseEndsAnOrder(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // it takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	i, err := Open(Config{Names: []string{"a.test"}, Email: "a@b.test", Directory: "https://" + l.Addr().String(), Storage: t.TempDir(),
		TLS: "127.0.0.1:443", Check: time.Hour, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	i.Start()
	nc, err := l.Accept() // the order runs
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	closed := make(chan struct{})
	go func() { i.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("Close waits for the authority")
	}
}

// TestLog: zap's lines are ours, with their fields, a level lower.
func TestLog(t *testing.T) {
	var out bytes.Buffer
	log := zapLog(slog.New(slog.NewTextHandler(&out, nil))).With(zap.String("name", "a.test"))
	log.Info("progress")
	log.Error("it broke", zap.Int("try", 3))
	if got := out.String(); strings.Contains(got, "progress") || !strings.Contains(got, "level=WARN") ||
		!strings.Contains(got, "it broke") || !strings.Contains(got, "name=a.test") || !strings.Contains(got, "try=3") {
		t.Errorf("logged %q", got)
	}
}
