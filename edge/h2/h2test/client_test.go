package h2test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// patience bounds the wait for what must happen; a test that gets there fails.
const patience = 20 * time.Second

// client is one connection that speaks HTTP/2 frame by frame. It is well-behaved where a
// test does not say otherwise: it acknowledges settings and pings, and gives windows back.
type client struct {
	t    testing.TB
	conn net.Conn

	hears   chan struct{}
	hearing sync.Once

	writing sync.Mutex
	out     *http2.Framer
	block   bytes.Buffer // what fields was encoded to
	encoder *hpack.Encoder

	mu       sync.Mutex
	changed  chan struct{} // closed and made anew with each frame
	streams  map[uint32]*stream
	settings map[http2.SettingID]uint32
	acks     int // of our settings
	pongs    int
	frames   int     // read in all
	goaway   *goaway // the last
	ended    error   // why nothing more is read
	next     uint32  // the next stream's number
	mean     bool    // gives no window back
	counted  map[http2.FrameType]int
}

// stream is what has come on one.
type stream struct {
	id       uint32
	status   int
	header   http.Header
	interim  []int
	body     []byte
	trailer  http.Header
	ended    bool
	reset    bool
	code     http2.ErrCode
	finished time.Time
}

// goaway is what a GOAWAY frame said.
type goaway struct {
	last uint32
	code http2.ErrCode
}

// dialOptions are what a client begins with.
type dialOptions struct {
	settings []http2.Setting
	mean     bool // gives no window back
	deaf     bool // reads nothing until hear
	noTLS    bool
}

// dialTo opens a connection to addr and says the preface.
func dialTo(t testing.TB, addr string, o dialOptions) *client {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if !o.noTLS {
		secure := tls.Client(nc, &tls.Config{InsecureSkipVerify: true, ServerName: "a.test", NextProtos: []string{"h2", "http/1.1"}})
		if err := secure.Handshake(); err != nil {
			t.Fatal(err)
		}
		if p := secure.ConnectionState().NegotiatedProtocol; p != "h2" {
			t.Fatalf("ALPN chose %q, want h2", p)
		}
		nc = secure
	}
	c := &client{
		t: t, conn: nc, next: 1, mean: o.mean, changed: make(chan struct{}), hears: make(chan struct{}),
		streams: map[uint32]*stream{}, settings: map[http2.SettingID]uint32{}, counted: map[http2.FrameType]int{},
	}
	c.out = http2.NewFramer(nc, nil)
	c.out.AllowIllegalWrites = true
	c.encoder = hpack.NewEncoder(&c.block)
	if _, err := io.WriteString(nc, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	c.send(func(f *http2.Framer) error { return f.WriteSettings(o.settings...) })
	done := make(chan struct{})
	go func() {
		defer close(done)
		<-c.hears
		c.read()
	}()
	if !o.deaf {
		c.hear()
	}
	t.Cleanup(func() {
		_ = nc.Close()
		c.hear()
		<-done
	})
	return c
}

// hear begins to read.
func (c *client) hear() { c.hearing.Do(func() { close(c.hears) }) }

// send writes frames. An error is no failure: the other side may have had enough.
func (c *client) send(f func(*http2.Framer) error) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
	return f(c.out)
}

// read takes in frames until the connection ends.
func (c *client) read() {
	in := http2.NewFramer(nil, c.conn)
	in.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	in.SetMaxReadFrameSize(1<<24 - 1)
	for {
		f, err := in.ReadFrame()
		c.mu.Lock()
		if err != nil {
			var broken http2.StreamError
			if errors.As(err, &broken) {
				err = fmt.Errorf("the server's fields on stream %d are malformed: %w", broken.StreamID, broken.Cause)
			}
			c.ended = err
			c.tellLocked()
			c.mu.Unlock()
			return
		}
		reply := c.takeLocked(f)
		c.tellLocked()
		c.mu.Unlock()
		if reply != nil {
			_ = c.send(reply)
		}
	}
}

func (c *client) tellLocked() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// takeLocked notes a frame and says what to reply.
func (c *client) takeLocked(f http2.Frame) func(*http2.Framer) error {
	c.frames++
	c.counted[f.Header().Type]++
	id := f.Header().StreamID
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if f.IsAck() {
			c.acks++
			return nil
		}
		_ = f.ForeachSetting(func(s http2.Setting) error { c.settings[s.ID] = s.Val; return nil })
		return (*http2.Framer).WriteSettingsAck
	case *http2.PingFrame:
		if f.IsAck() {
			c.pongs++
			return nil
		}
		data := f.Data
		return func(w *http2.Framer) error { return w.WritePing(true, data) }
	case *http2.GoAwayFrame:
		c.goaway = &goaway{f.LastStreamID, f.ErrCode}
	case *http2.MetaHeadersFrame:
		c.streamLocked(id).fields(f)
	case *http2.DataFrame:
		s := c.streamLocked(id)
		s.body = append(s.body, f.Data()...)
		s.end(f.StreamEnded())
		if n := f.Length; n > 0 && !c.mean {
			over := s.ended
			return func(w *http2.Framer) error {
				if !over {
					_ = w.WriteWindowUpdate(id, n)
				}
				return w.WriteWindowUpdate(0, n)
			}
		}
	case *http2.RSTStreamFrame:
		s := c.streamLocked(id)
		s.reset, s.code = true, f.ErrCode
	}
	return nil
}

func (c *client) streamLocked(id uint32) *stream {
	s := c.streams[id]
	if s == nil {
		s = &stream{id: id}
		c.streams[id] = s
	}
	return s
}

// fields takes a head, an interim one, or trailers.
func (s *stream) fields(f *http2.MetaHeadersFrame) {
	h := http.Header{}
	for _, field := range f.RegularFields() {
		h.Add(field.Name, field.Value)
	}
	status, _ := strconv.Atoi(f.PseudoValue("status"))
	switch {
	case s.header != nil:
		s.trailer = h
	case status < 200:
		s.interim = append(s.interim, status)
	default:
		s.status, s.header = status, h
	}
	s.end(f.StreamEnded())
}

func (s *stream) end(ended bool) {
	if ended {
		s.ended, s.finished = true, time.Now()
	}
}

// until waits for what must come; when the connection ends before, the test fails.
func (c *client) until(what string, ok func() bool) {
	c.t.Helper()
	if err := c.wait(ok); err != nil {
		c.t.Fatalf("waiting for %s: %v", what, err)
	}
}

var errPatience = errors.New("it did not come")

// wait waits until ok, which is called under the lock.
func (c *client) wait(ok func() bool) error {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		c.mu.Lock()
		done, ended, changed := ok(), c.ended, c.changed
		c.mu.Unlock()
		switch {
		case done:
			return nil
		case ended != nil:
			return fmt.Errorf("the connection ended: %w", ended)
		}
		select {
		case <-changed:
		case <-limit.C:
			return errPatience
		}
	}
}

// field is one line of a head, in order and as it stands.
type field = hpack.HeaderField

// get are the fields of a GET; each line of more is "name: value".
func get(path string, more ...string) []field { return head("GET", path, more...) }

func head(method, path string, more ...string) []field {
	return append([]field{
		{Name: ":method", Value: method}, {Name: ":scheme", Value: "http"},
		{Name: ":authority", Value: "a.test"}, {Name: ":path", Value: path},
	}, lines(more...)...)
}

func lines(more ...string) (list []field) {
	for _, l := range more {
		name, value, _ := strings.Cut(l, ": ")
		list = append(list, field{Name: name, Value: value})
	}
	return list
}

// encode makes a header block. The result is the caller's.
func (c *client) encodeLocked(fields []field) []byte {
	c.block.Reset()
	for _, f := range fields {
		_ = c.encoder.WriteField(f)
	}
	return bytes.Clone(c.block.Bytes())
}

// open sends a head on a new stream.
func (c *client) open(end bool, fields ...field) *stream {
	c.t.Helper()
	s, err := c.try(end, fields)
	if err != nil {
		c.t.Fatalf("send a head: %v", err)
	}
	return s
}

// try is open for who expects that the connection is lost at some time.
func (c *client) try(end bool, fields []field) (*stream, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	id := c.next
	c.next += 2
	s := c.streamLocked(id)
	c.mu.Unlock()
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
	return s, c.headersLocked(id, end, c.encodeLocked(fields))
}

// headersLocked writes a block in as many frames as it needs.
func (c *client) headersLocked(id uint32, end bool, block []byte) error {
	first := block[:min(len(block), 16384)]
	block = block[len(first):]
	err := c.out.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: first, EndStream: end, EndHeaders: len(block) == 0,
	})
	for len(block) > 0 && err == nil {
		part := block[:min(len(block), 16384)]
		block = block[len(part):]
		err = c.out.WriteContinuation(id, len(block) == 0, part)
	}
	return err
}

// trailers ends a stream by fields.
func (c *client) trailers(s *stream, fields ...field) {
	c.t.Helper()
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.headersLocked(s.id, true, c.encodeLocked(fields)); err != nil {
		c.t.Fatal(err)
	}
}

// data sends a part of a body, as it stands, without asking for windows.
func (c *client) data(s *stream, end bool, p []byte) {
	c.t.Helper()
	if err := c.send(func(f *http2.Framer) error { return f.WriteData(s.id, end, p) }); err != nil {
		c.t.Fatalf("send data: %v", err)
	}
}

// answered waits for the end of an answer and returns a copy of it.
func (c *client) answered(s *stream) stream {
	c.t.Helper()
	if err := c.wait(func() bool { return s.ended || s.reset }); err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.t.Fatalf("stream %d: %v; until then: status %d, %d bytes, GOAWAY %+v", s.id, err, s.status, len(s.body), c.goaway)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return *s
}

// do sends a request without a body and waits for its answer.
func (c *client) do(fields ...field) stream {
	c.t.Helper()
	return c.answered(c.open(true, fields...))
}

// want sends a GET and demands a whole 200 with this body.
func (c *client) want(body, path string, more ...string) stream {
	c.t.Helper()
	s := c.do(get(path, more...)...)
	if s.status != 200 || s.reset || string(s.body) != body {
		c.t.Fatalf("GET %s: %s, want 200 %.40q", path, s, body)
	}
	return s
}

func (s stream) String() string {
	state := "open"
	if s.reset {
		state = "reset by " + s.code.String()
	} else if s.ended {
		state = "whole"
	}
	return fmt.Sprintf("stream %d, %s: %d %v, %d bytes %.40q", s.id, state, s.status, s.header, len(s.body), s.body)
}

// hit says whether an answer came from the store.
func (s stream) hit() bool { return strings.Contains(s.header.Get("Cache-Status"), "; hit") }

// over waits until the server has ended the connection and returns the code that it gave,
// or false when it gave none.
func (c *client) over() (http2.ErrCode, bool) {
	c.t.Helper()
	if err := c.wait(func() bool { return c.goaway != nil && c.goaway.code != 0 || c.ended != nil }); err != nil {
		c.t.Fatalf("the connection goes on: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.goaway == nil {
		return 0, false
	}
	return c.goaway.code, true
}

// endsWith demands that the connection is ended, with one of these codes.
func (c *client) endsWith(codes ...http2.ErrCode) {
	c.t.Helper()
	got, told := c.over()
	if !told {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.t.Errorf("the connection ended without a GOAWAY (%v), want %v", c.ended, codes)
		return
	}
	for _, code := range codes {
		if got == code {
			return
		}
	}
	c.t.Errorf("GOAWAY %v, want %v", got, codes)
}

// isOver says whether the connection has ended, or was told to.
func (c *client) isOver() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended != nil || c.goaway != nil && c.goaway.code != 0
}
