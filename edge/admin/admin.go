// Package admin is the edge's second port: purges, questions about single
// requests, what runs now, metrics, and whether it is alive and ready.
//
// Whoever asks passes three gates, in this order: a Host that this port is
// known by and no Origin field, else 403, so that no page in a browser can use
// it, not even by DNS rebinding; under /v1 the bearer token, else 401; and then
// the handler. Nothing here may run on a port that clients of the cache reach.
package admin

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"edgecache/edge"
)

// Config is what a Handler is made of.
type Config struct {
	Engine *edge.Engine
	Purges http.Handler // POST /v1/purge, GET /v1/purges[/ID]
	Token  string       // of /v1; with "" nobody gets in
	Listen string       // the address the port listens on
	Hosts  []string     // names by which the port may be asked for, beside loopback's and Listen's
	// Ready says why the edge is not ready, nil when it is.
	Ready func() error
	// Detail gives the lines that follow "ready": what a person should know
	// although the edge serves. nil: none.
	Detail  func() []string
	Disk    Disk   // nil: there is no disk tier
	Version string // of build_info
}

// Handler answers on the admin port.
type Handler struct {
	gate gate
	mux  *http.ServeMux
}

var _ http.Handler = (*Handler)(nil)

// New makes the handler.
func New(c Config) (*Handler, error) {
	if c.Engine == nil || c.Purges == nil || c.Ready == nil {
		return nil, errors.New("new admin handler: an engine, purges and ready are needed")
	}
	metrics, err := exposition(c.Engine.Metrics(), c.Version)
	if err != nil {
		return nil, err
	}
	h := &Handler{gate: newGate(c), mux: http.NewServeMux()}
	v := views{c.Engine}
	purges := http.MaxBytesHandler(c.Purges, maxBodyBytes)
	h.mux.Handle("/v1/purge", purges)
	h.mux.Handle("/v1/purges", purges)
	h.mux.Handle("/v1/purges/", purges)
	h.mux.HandleFunc("GET /v1/explain/{id}", v.explain)
	h.mux.HandleFunc("GET /v1/top", v.top)
	h.mux.HandleFunc("GET /v1/log", v.log)
	h.mux.HandleFunc("GET /v1/ghosts", v.ghosts)
	d := &diskPort{disk: c.Disk}
	h.mux.HandleFunc("GET /v1/disk", d.stats)
	h.mux.HandleFunc("POST /v1/disk/check", d.check)
	h.mux.HandleFunc("POST /v1/disk/compact", d.compact)
	h.mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "alive") })
	h.mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := c.Ready(); err != nil {
			say(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
			return
		}
		lines := []string{"ready"}
		if c.Detail != nil {
			lines = append(lines, c.Detail()...)
		}
		say(w, http.StatusOK, strings.Join(lines, "\n"))
	})
	h.mux.Handle("GET /metrics", metrics)
	return h, nil
}

// ServeHTTP lets through the gates, then to what was asked for.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if status, why := h.gate.judge(r); status != http.StatusOK {
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Bearer realm="edge admin"`) // RFC 6750, 3
		}
		say(w, status, why)
		return
	}
	h.mux.ServeHTTP(w, r)
}

// maxBodyBytes bounds what is read of a request's body, whatever asks for it.
const maxBodyBytes = 1<<20 + 1 // the purge API answers 413 beyond 1 MiB by itself

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}

// The bounds of a connection to the admin port.
const (
	headTimeout    = 5 * time.Second
	requestTimeout = 30 * time.Second
	idleTimeout    = time.Minute
	maxHeadBytes   = 16 << 10
)

// NewServer makes the server that the handler runs in. A request that takes
// longer (GET /v1/log, runs of the disk tier) lifts the timeouts for itself.
func NewServer(h *Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeadBytes,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// Conns bounds the connections of an admin port; more wait to be accepted.
const Conns = 128

// Limit makes a listener hand out at most Conns connections at a time.
func Limit(l net.Listener) net.Listener {
	return &limited{Listener: l, slots: make(chan struct{}, Conns), closed: make(chan struct{})}
}
