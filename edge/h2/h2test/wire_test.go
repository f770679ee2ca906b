package h2test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httputil"
	"time"

	"edgecache/edge"
	"edgecache/edge/edgetest"
)

// wireOptions are what a test may change.
type wireOptions struct {
	header, idle, stall time.Duration
}

// newWire: a stand-in until edge/h2 has a server.
func newWire(e *edge.Engine, _ wireOptions) edgetest.Wire {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetHTTP2(true)
	p.SetUnencryptedHTTP2(true)
	return &standin{&http.Server{Protocols: p, Handler: &httputil.ReverseProxy{Director: func(r *http.Request) {
		r.URL.Scheme, r.URL.Host = "http", standinOrigin
	}}}}
}

var standinOrigin string

type standin struct{ s *http.Server }

func (s *standin) Serve(l net.Listener, c *tls.Config) error {
	var err error
	if c != nil {
		s.s.TLSConfig = c
		err = s.s.ServeTLS(l, "", "")
	} else {
		err = s.s.Serve(l)
	}
	if err == http.ErrServerClosed {
		err = nil
	}
	return err
}

func (s *standin) Shutdown(ctx context.Context) error { _ = ctx; return s.s.Close() }
