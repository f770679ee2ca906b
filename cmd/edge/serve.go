package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"edgecache/edge"
	"edgecache/edge/admin"
	"edgecache/edge/certs"
	"edgecache/edge/h1"
	"edgecache/edge/h2"
	"edgecache/purge"
)

// serveVerb is edge serve, and edge without a verb.
type serveVerb struct {
	serveFlags `embed:""`
}

// Run serves until a signal or the end of ctx, and drains then.
func (v *serveVerb) Run(ctx context.Context, t terminal) error {
	s, err := v.settings()
	if err != nil {
		return err
	}
	log := newLogger(t)
	kept, err := s.certs(log)
	if err != nil {
		return err
	}
	token, err := configuredToken(v.TokenFile, s.admin.tokenFile)
	if err != nil {
		return err
	}
	// Standard output may be a pipe whose reader dies; that must not end edge.
	signal.Ignore(syscall.SIGPIPE)
	r := &running{
		settings: s, terminal: t, log: log, certs: kept,
		failed: make(chan error, 8), end: make(chan os.Signal, 1), again: make(chan os.Signal, 1),
	}
	signal.Notify(r.end, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(r.end)
	signal.Notify(r.again, syscall.SIGHUP)
	defer signal.Stop(r.again)
	if err := r.listen(); err != nil {
		return err
	}
	if err := r.start(token); err != nil {
		r.closeListeners()
		return err
	}
	return r.until(ctx)
}

// running is an edge that serves.
type running struct {
	settings *settings
	terminal terminal
	log      *slog.Logger
	certs    *certs.Certs

	plain, secure []net.Listener
	adminListener net.Listener

	in        *installation
	wire      *h1.Server
	quic      quicSide
	admin     *http.Server
	stopAdmin context.CancelFunc
	failed    chan error // a listener that broke
	end       chan os.Signal
	again     chan os.Signal // reopen the logs
	draining  atomic.Bool
}

// listen takes every address before anything else is done, so that a port in
// use leaves no trace.
func (r *running) listen() (err error) {
	defer func() {
		if err != nil {
			r.closeListeners()
		}
	}()
	for _, a := range r.settings.listen {
		if err := r.take(&r.plain, a); err != nil {
			return err
		}
	}
	for _, a := range r.settings.tls.listen {
		if err := r.take(&r.secure, a); err != nil {
			return err
		}
	}
	if r.adminListener, err = bind(r.settings.admin.listen, "the admin API"); err != nil {
		return err
	}
	if r.settings.http3 {
		r.quic.listen(r.secure, r.log)
		r.settings.altSvc = r.quic.altSvc()
	}
	return nil
}

func (r *running) take(list *[]net.Listener, address string) error {
	l, err := bind(address, "requests")
	if err == nil {
		*list = append(*list, l)
	}
	return err
}

func bind(address, what string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen on %s for %s: the port is taken by another program; end it or choose another port", address, what)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("listen on %s for %s: this user may not use that port; choose one above 1023, or grant CAP_NET_BIND_SERVICE", address, what)
	case err != nil:
		return nil, fmt.Errorf("listen on %s for %s: %w", address, what, err)
	}
	return l, nil
}

func (r *running) closeListeners() {
	for _, l := range append(append([]net.Listener{r.adminListener}, r.plain...), r.secure...) {
		if l != nil {
			l.Close()
		}
	}
	r.quic.close()
}

// first is the port by which this edge's places are named.
func (r *running) first() string {
	_, port, _ := net.SplitHostPort(append(append([]net.Listener{}, r.plain...), r.secure...)[0].Addr().String())
	return port
}

// start builds what is behind the listeners and serves on all of them.
func (r *running) start(token string) error {
	configured := token != ""
	_, adminPort, err := net.SplitHostPort(r.adminListener.Addr().String())
	if err != nil {
		return err
	}
	tokenFile := ""
	if !configured {
		if token, tokenFile, err = madeToken(stateDir(), adminPort); err != nil {
			return err
		}
	} else if len(token) < shortToken {
		r.log.Warn("the admin token is short", "characters", len(token), "better", shortToken)
	}
	r.in = &installation{}
	if r.in.issuer, err = r.openACME(); err != nil {
		return err
	}
	if r.in, err = r.in.build(r.settings, r.first(), token, r.terminal, r.log); err != nil {
		return err
	}
	handler, err := admin.New(admin.Config{
		Engine: r.in.engine, Purges: purge.NewAPI(r.in.purges, r.in.engine.Keyed), Token: token,
		Listen: r.settings.admin.listen, Hosts: r.settings.admin.hosts,
		Ready: r.ready, Detail: r.troubles, Disk: r.in.disk, Version: version(),
	})
	if err != nil {
		return errors.Join(err, r.in.close(context.Background()))
	}
	r.serve(handler)
	if r.in.issuer != nil {
		r.in.issuer.Start()
	}
	r.welcome(tokenFile)
	return nil
}

// ready is what /readyz says: the listeners are open before it can be asked,
// and so is the purge log, unless it broke since. While it drains nobody
// should send new requests.
func (r *running) ready() error {
	if r.draining.Load() {
		return errors.New("draining")
	}
	// A log that was lost at the start has a successor that works.
	if err := r.in.purges.Trouble(); err != nil && (!r.in.purges.Lost() || r.in.purges.Stats().Failed > 0) {
		return fmt.Errorf("purge log: %w", err)
	}
	return nil
}

// serve starts one goroutine a listener.
func (r *running) serve(handler *admin.Handler) {
	wire := r.settings.wireConfig(r.log)
	second := h2.New(r.in.engine, r.settings.secondConfig(r.log))
	wire.HTTP2 = second
	r.wire = h1.New(r.in.engine, wire)
	r.in.engine.Metrics().WatchWires(func() edge.WireStats {
		w := wireStats(r.wire.Stats(), second.Stats())
		r.quic.count(&w)
		return w
	})
	r.in.engine.Metrics().WatchSweeps(r.in.sweeper.Stats)
	if r.certs != nil {
		r.in.engine.Metrics().WatchTLS(r.tlsStats)
	}
	if r.in.accessLog != nil {
		r.in.engine.Metrics().WatchLog(r.in.accessLog.Stats)
	}
	for _, l := range r.plain {
		go r.run(func() error { return r.wire.Serve(l, nil) })
	}
	for _, l := range r.secure {
		config := r.certs.TLS()
		go r.run(func() error { return r.wire.Serve(l, config) })
	}
	r.quic.serve(r)
	ctx, stop := context.WithCancel(context.Background())
	r.admin, r.stopAdmin = admin.NewServer(handler, r.log), stop
	r.admin.BaseContext = func(net.Listener) context.Context { return ctx }
	go r.run(func() error {
		if err := r.admin.Serve(admin.Limit(r.adminListener)); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
}

// wireStats gives the lane's counters under the names of the metrics.
func wireStats(s h1.Stats, two h2.Stats) edge.WireStats {
	w := edge.WireStats{
		HandshakeFaults: map[string]int64{},
		BytesIn:         s.BytesIn, BytesOut: s.BytesOut, Open: s.Open, Accepted: s.Accepted, Refused: s.Refused,
		Events: map[string]int64{
			"body_fault": s.BodyFaults, "head_timeout": s.HeadTimeouts, "idle_timeout": s.IdleTimeouts,
			"slow_body": s.SlowBodies, "write_stall": s.WriteStalls, "long_body": s.LongBodies,
			"aborted": s.Aborted, "tunnel": s.Tunnels, "panic": s.Panics,
			"h2_conn_error": two.ConnErrors, "h2_stream_error": two.StreamErrors, "h2_refused_stream": two.Refused,
			"h2_large_head": two.LargeHeads, "h2_malformed": two.Malformed, "h2_reset_flood": two.ResetFloods,
			"h2_frame_flood": two.FrameFloods, "h2_backlog": two.Backlogs, "h2_head_timeout": two.HeadTimeouts,
			"h2_idle_timeout": two.IdleTimeouts, "h2_write_stall": two.WriteStalls, "h2_slow_body": two.SlowBodies,
			"h2_aborted": two.Aborted, "h2_tunnel": two.Tunnels, "h2_panic": two.Panics,
		},
	}
	for kind, n := range s.Faults {
		w.Events["refused_"+h1.FaultKind(kind).String()] = n
	}
	for kind, n := range s.Handshakes {
		w.HandshakeFaults[h1.HandshakeFault(kind).String()] = n
	}
	w.Handshakes = []edge.HandshakeStats{
		{Version: "1.2", Count: s.TLS12 - s.TLS12Resumed}, {Version: "1.2", Resumed: true, Count: s.TLS12Resumed},
		{Version: "1.3", Count: s.TLS13 - s.TLS13Resumed}, {Version: "1.3", Resumed: true, Count: s.TLS13Resumed},
	}
	return w
}

func (r *running) run(serve func() error) {
	if err := serve(); err != nil {
		r.failed <- err
	}
}

// until waits for the end and then drains.
func (r *running) until(ctx context.Context) error {
	for {
		select {
		case <-r.again:
			if r.certs != nil {
				r.certs.Reload()
			}
			r.reopen(ctx)
			continue
		case s := <-r.end:
			r.log.Info("draining", "signal", s.String(), "most", r.settings.limits.drain.String())
		case <-ctx.Done():
		case err := <-r.failed:
			return errors.Join(fmt.Errorf("serve: %w", err), r.drain())
		}
		return r.drain()
	}
}

// reopen answers SIGHUP: the access log was rotated.
func (r *running) reopen(ctx context.Context) {
	if r.in.accessLog == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := r.in.accessLog.Reopen(ctx); err != nil {
		r.log.Error("access log stays where it was", "err", err)
		return
	}
	r.log.Info("access log opened again", "file", r.settings.log.access)
}

// closeGrace is what the parts below get to write out what they hold.
const closeGrace = 5 * time.Second

// drain lets requests that run end, for as long as limits.drain says or until
// a second signal, and closes everything.
func (r *running) drain() error {
	r.draining.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), r.settings.limits.drain+closeGrace)
	defer cancel()
	go func() {
		select {
		case <-r.end:
			cancel()
		case <-ctx.Done():
		}
	}()
	r.in.engine.Drain()
	quic := make(chan error, 1)
	go func() { quic <- r.quic.shutdown(ctx) }()
	err := cmp.Or(r.wire.Shutdown(ctx), <-quic)
	if errors.Is(err, edge.ErrCut) {
		r.log.Warn("requests were cut: they took longer than the drain", "drain", r.settings.limits.drain.String())
		err = nil
	}
	r.stopAdmin()
	last, done := context.WithTimeout(context.Background(), closeGrace)
	defer done()
	if stuck := r.admin.Shutdown(last); stuck != nil {
		r.admin.Close()
	}
	return errors.Join(err, r.in.close(last))
}
