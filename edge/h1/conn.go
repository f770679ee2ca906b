package h1

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"net/http"

	"edgecache/edge"
)

// After an answer that ends a connection the client may still be sending. It
// is read for a while, since a socket that is closed with unread input resets
// the connection, and the answer may be lost on its way.
const (
	lingerTime  = 2 * time.Second
	lingerBytes = 2 << 20
)

// conn is one connection: a loop that reads a head, has it answered, and goes
// on. All parts of it are one allocation.
type conn struct {
	server     *Server
	wire       wire
	socket     net.Conn  // below everything
	tls        *tls.Conn // nil in cleartext
	remote     netip.AddrPort
	tlsVersion uint16
	session    *edge.Session

	in      input
	scanner scanner
	parser  parser
	body    body
	lane    lane
	leaving leaving

	idle    atomic.Bool // waits for a request; Shutdown may wake it
	lingers bool
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{server: s, socket: nc, wire: wire{Conn: nc, stall: s.config.WriteStall, counts: &s.counts}}
	c.in = input{src: &c.wire, wire: &c.wire, maxHead: s.config.HeadBytes, buf: newBuffer(smallBuffer)}
	c.parser.uriBytes = s.config.URIBytes
	c.lane.c, c.leaving.c = c, c
	c.lane.out = output{dst: &c.wire, wire: &c.wire, leaving: &c.leaving}
	c.body = body{in: &c.in, lane: &c.lane,
		pace: pace{edge.Pace{BytesPerSecond: s.config.BodyMinRate, Grace: s.config.BodyGrace}}}
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		c.remote = a.AddrPort()
		c.remote = netip.AddrPortFrom(c.remote.Addr().Unmap(), c.remote.Port())
	}
	return c
}

// serve runs the connection to its end.
func (c *conn) serve(config *tls.Config) {
	defer c.close()
	if config != nil && !c.handshake(config) {
		return
	}
	if c.server.config.HTTP2 != nil && c.handOver() {
		return
	}
	c.session = c.server.engine.NewSession(&c.lane)
	wait := c.server.config.HeaderTimeout // a new connection is not idle yet
	for c.await(wait) && c.readHead() && c.prepare() {
		c.answer()
		again := c.settle()
		c.server.engine.Release(c.session)
		c.in.release()
		if !again {
			break
		}
		wait = c.server.config.Idle
	}
	if c.lingers {
		c.linger()
	}
}

// await waits for a request's first byte. One empty line before it is skipped
// (RFC 9112, 2.2).
func (c *conn) await(wait time.Duration) bool {
	for skipped := false; ; {
		if have := c.in.buffered(); len(have) > 0 {
			if skipped || have[0] != '\r' {
				return true
			}
			if len(have) > 1 {
				if have[1] != '\n' {
					return true
				}
				c.in.consume(2)
				skipped = true
				continue
			}
		}
		if c.lane.out.flush() != nil {
			return false
		}
		c.lane.out.park()
		c.idle.Store(true)
		err := c.in.fill(time.Now().Add(wait), &c.server.draining)
		c.idle.Store(false)
		if err != nil {
			if err == errLate && !c.server.draining.Load() {
				c.server.counts.idleTimeouts.Add(1)
			}
			return false
		}
	}
}

// readHead reads a head into the session's request. A fault is answered here:
// such a request never becomes a session.
func (c *conn) readHead() bool {
	limits := &c.server.limits
	c.scanner = scanner{}
	var until time.Time
	for {
		n, f := c.scanner.end(c.in.buffered(), limits)
		if f == nil && n > 0 {
			f = c.parser.parse(c.in.buffered()[:n], &c.session.Request)
		}
		if f != nil {
			c.refuse(f)
			return false
		}
		if n > 0 {
			c.in.keep(n)
			return true
		}
		if c.lane.out.flush() != nil {
			return false
		}
		if until.IsZero() {
			until = time.Now().Add(c.server.config.HeaderTimeout)
		}
		if err := c.in.fillHead(until); err != nil {
			if errors.Is(err, errLate) {
				c.server.counts.headTimeouts.Add(1)
				c.refuse(faultSlowHead)
			}
			return false
		}
	}
}

// prepare makes session, lane and body ready for the request. A body that came
// with a GET is read ahead, up to the limit: such a request may be answered
// from memory, and a fault in its body would be found too late.
func (c *conn) prepare() bool {
	c.server.counts.requests.Add(1)
	r := &c.session.Request
	r.Remote, r.TLS, r.TLSVersion, r.Body = c.remote, c.tls != nil, c.tlsVersion, nil
	c.lane.next()
	c.body.reset(&c.parser.framing)
	if c.parser.length == 0 {
		return true
	}
	r.Body = &c.body
	_ = c.lane.out.flush() // a 100 must not overtake earlier answers
	if r.Method != "GET" && r.Method != "HEAD" || c.parser.expect {
		return true
	}
	var bad *edge.BodyError
	if errors.As(c.body.readAhead(c.server.config.UnreadBytes), &bad) {
		c.refuse(&fault{bad.Status, FaultBody, bad.Detail})
		return false
	}
	return true
}

// answer has the engine answer the request.
func (c *conn) answer() {
	if !c.server.engine.Begin(c.session) {
		c.lane.early = false
		_ = c.lane.out.flush() // earlier answers do not wait for this one
		c.server.engine.Finish(c.session)
	}
	c.leaving.stop()
}

// settle ends the request on the wire and says whether another may follow.
func (c *conn) settle() bool {
	switch {
	case c.lane.state != answerEnded || c.lane.out.err != nil:
		_ = c.lane.out.flush()
		return false
	case c.lane.closing:
		_ = c.lane.out.flush()
		c.lingers = c.parser.keepAlive || !c.body.ended.Load() || len(c.in.buffered()) > 0
		return false
	case c.body.ended.Load():
		return true
	}
	if c.lane.out.flush() != nil {
		return false
	}
	if c.body.skip(c.server.config.UnreadBytes) {
		return true
	}
	if c.body.err == nil {
		c.server.counts.longBodies.Add(1)
	}
	c.lingers = true
	return false
}

// refuse answers a malformed head once and ends the connection.
func (c *conn) refuse(f *fault) {
	c.server.counts.faults[f.kind].Add(1)
	answer := refusal(f.status, time.Now())
	sent := int64(0)
	if c.lane.out.flush() == nil {
		n, _ := c.lane.out.dst.Write(answer)
		sent = int64(n)
	}
	c.server.engine.Refuse(edge.Refusal{
		At: time.Now().UnixNano(), Remote: c.remote, TLS: c.tls != nil,
		Status: f.status, Proto: c.session.Request.Proto, Detail: f.detail, Bytes: sent,
	})
	c.lingers = true
}

// refusal is a whole answer of the wire's own.
func refusal(status int, now time.Time) []byte {
	text := strconv.Itoa(status) + " " + http.StatusText(status) + "\n"
	b := appendStatusLine(nil, status)
	b = append(b, "Date: "...)
	b = now.UTC().AppendFormat(b, http.TimeFormat)
	if status == http.StatusMethodNotAllowed {
		b = append(b, "\r\nAllow: GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE"...)
	}
	b = append(b, "\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(text)), 10)
	b = append(b, "\r\nConnection: close\r\n\r\n"...)
	return append(b, text...)
}

// linger ends our direction and reads what is still coming, for a while.
func (c *conn) linger() {
	if c.lane.out.err != nil || c.closeWrite() != nil {
		return
	}
	until := time.Now().Add(lingerTime)
	for left := lingerBytes; left > 0; {
		n, err := c.in.readUntil(c.in.buf, until, nil)
		if err != nil {
			return
		}
		left -= n
	}
}

// closeWrite ends our direction of the connection.
func (c *conn) closeWrite() error {
	if c.tls != nil {
		if err := c.tls.CloseWrite(); err != nil {
			return err
		}
	}
	if w, ok := c.wire.Conn.(closeWriter); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// close ends the connection. A panic below the engine's own guard costs this
// connection and nothing else; its buffers are not used again, since somebody
// may still be reading the request's body.
func (c *conn) close() {
	r := recover()
	if r != nil {
		c.server.counts.panics.Add(1)
		c.server.config.Log.Error("panic on a connection", "panic", r, "stack", string(debug.Stack()))
		c.lane.state = answerBroken
	}
	if t, ok := c.socket.(*net.TCPConn); ok && c.lane.state == answerBroken && c.lane.framing == framedClose {
		_ = t.SetLinger(0) // the body ends by close: only a reset shows that it is cut
	}
	if c.tls != nil && r == nil && c.lane.state != answerBroken && c.lane.out.err == nil {
		_ = c.tls.CloseWrite() // without this alert an end looks like a cut (RFC 8446, 6.1)
	}
	_ = c.wire.Close()
	c.leaving.stop()
	if r == nil {
		c.lane.out.park()
		c.in.close()
	}
	c.server.remove(c)
}
