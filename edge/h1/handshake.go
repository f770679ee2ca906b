package h1

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// HandshakeFault says why a TLS handshake failed.
type HandshakeFault uint8

// The faults of a handshake. Those that we found are told apart by the alert
// that we sent (RFC 8446, 6.2).
const (
	HandshakeOther     HandshakeFault = iota
	HandshakeTimeout                  // not done within limits.header_timeout
	HandshakeClosed                   // the client went away
	HandshakeNotTLS                   // its first bytes are something else
	HandshakeRefused                  // it sent an alert: it does not like our certificate, mostly
	HandshakeVersion                  // no version in common
	HandshakeCipher                   // no cipher, group or signature in common
	HandshakeName                     // no certificate for the name
	HandshakeProtocol                 // no protocol in common (ALPN)
	HandshakeMalformed                // its messages break the rules
	HandshakeFaults                   // how many there are
)

// String gives the fault's name in the metrics.
func (f HandshakeFault) String() string {
	return [...]string{"other", "timeout", "closed", "not_tls", "refused", "version", "cipher", "name", "protocol", "malformed"}[f]
}

// ofAlert are the faults by the alert that we sent.
var ofAlert = map[byte]HandshakeFault{
	10: HandshakeMalformed, 20: HandshakeMalformed, 22: HandshakeMalformed, 47: HandshakeMalformed,
	50: HandshakeMalformed, 51: HandshakeMalformed, 109: HandshakeMalformed,
	40: HandshakeCipher, 71: HandshakeCipher, 70: HandshakeVersion, 86: HandshakeVersion,
	112: HandshakeName, 120: HandshakeProtocol,
}

// handshakeFault says what the error of a handshake was; alert is what we sent.
func handshakeFault(err error, alert byte) HandshakeFault {
	var foreign tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, errStalled):
		return HandshakeTimeout
	case errors.As(err, &foreign) && foreign.Conn != nil:
		return HandshakeNotTLS
	case errors.As(err, &op) && op.Op == "remote error":
		return HandshakeRefused
	case alert != 0:
		return ofAlert[alert]
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return HandshakeClosed
	}
	return HandshakeOther
}

// challenge is the protocol over which nothing is spoken: the handshake was a
// proof for an authority (RFC 8737, 3).
const challenge = "acme-tls/1"

// handshake puts TLS above the wire.
func (c *conn) handshake(config *tls.Config) bool {
	ctx, cancel := context.WithTimeout(c.server.ctx, c.server.config.HeaderTimeout)
	defer cancel()
	c.wire.watchAlert()
	if h := c.server.config.HTTP2; h != nil {
		c.wire.Conn = h.Wrap(c.socket)
	}
	t := tls.Server(&c.wire, config)
	err := t.HandshakeContext(ctx)
	alert := c.wire.seenAlert()
	if err != nil {
		c.server.counts.handshakes[handshakeFault(err, alert)].Add(1)
		return false
	}
	c.tls, c.lane.out.dst, c.in.src = t, t, t
	state := t.ConnectionState()
	c.tlsVersion = state.Version
	c.server.counts.shook(&state)
	return state.NegotiatedProtocol != challenge
}

// shook counts a handshake that succeeded.
func (c *counters) shook(state *tls.ConnectionState) {
	count, resumed := &c.tls12, &c.tls12Resumed
	if state.Version == tls.VersionTLS13 {
		count, resumed = &c.tls13, &c.tls13Resumed
	}
	count.Add(1)
	if state.DidResume {
		resumed.Add(1)
	}
}

// watchAlert looks for an alert in what is written until seenAlert.
func (w *wire) watchAlert() {
	w.writing.Lock()
	defer w.writing.Unlock()
	w.shaking, w.alert = true, 0
}

// seenAlert gives the alert that was written, 0 if there was none or it was encrypted.
func (w *wire) seenAlert() byte {
	w.writing.Lock()
	defer w.writing.Unlock()
	w.shaking = false
	return w.alert
}

// noteAlertLocked sees an alert's record at the end of what is written: type 21,
// version 3.x, length 2, level, description (RFC 8446, 5.1 and 6).
func (w *wire) noteAlertLocked(p []byte) {
	const record = 7
	if len(p) < record {
		return
	}
	if p = p[len(p)-record:]; p[0] == 21 && p[1] == 3 && p[3] == 0 && p[4] == 2 {
		w.alert = p[6]
	}
}
