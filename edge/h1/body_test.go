package h1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"edgecache/edge"
)

// silentConn is a connection whose input is a reader.
type silentConn struct {
	net.Conn
	io.Reader
}

func (c silentConn) Read(p []byte) (int, error)     { return c.Reader.Read(p) }
func (silentConn) SetReadDeadline(time.Time) error  { return nil }
func (silentConn) SetWriteDeadline(time.Time) error { return nil }
func (silentConn) Write(p []byte) (int, error)      { return len(p), nil }
func (silentConn) RemoteAddr() net.Addr             { return nil }
func (silentConn) Close() error                     { return nil }

// chunkedBody gives the body reader of a chunked request and its connection.
func chunkedBody(src io.Reader) *conn {
	c := newConn(newServer(&stub{}, Config{}), silentConn{Reader: src})
	c.body.reset(&framing{length: -1})
	return c
}

func TestChunkedBodies(t *testing.T) {
	ext := func(n int) string { return "1;" + strings.Repeat("a", n-1) + "\r\nx\r\n0\r\n\r\n" }
	for _, c := range []struct {
		name, raw, want string
		fault           *edge.BodyError
	}{
		{"one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello", nil},
		{"chunks", "5\r\nhello\r\nA\r\n, world!!!\r\n0\r\n\r\n", "hello, world!!!", nil},
		{"none", "0\r\n\r\n", "", nil},
		{"upper and lower digits", "aA\r\n" + strings.Repeat("x", 170) + "\r\n0\r\n\r\n", strings.Repeat("x", 170), nil},
		{"16 digits", "0000000000000001\r\nx\r\n0\r\n\r\n", "x", nil},
		{"17 digits", "00000000000000001\r\nx\r\n0\r\n\r\n", "", bodyChunkSize},
		{"more than 2^63", "8000000000000000\r\nx", "", bodyChunkSize},
		{"no size", "\r\nhello\r\n0\r\n\r\n", "", bodyChunkSize},
		{"a space before the size", " 5\r\nhello\r\n0\r\n\r\n", "", bodyChunkSize},
		{"a space before the extension", "5 ;a\r\nhello\r\n0\r\n\r\n", "", bodyChunkSize},
		{"extensions", "5;a;b=c;d=\"e;\\\"\r\"\r\nhello\r\n0;z\r\n\r\n", "", bodyExtension},
		{"extensions without a bare CR", "5;a;b=c;d=\"e;\\\"f\" ; g = h\r\nhello\r\n0;z\r\n\r\n", "hello", nil},
		{"an extension without a name", "5;\r\nhello\r\n0\r\n\r\n", "", bodyExtension},
		{"an extension without a value", "5;a=\r\nhello\r\n0\r\n\r\n", "", bodyExtension},
		{"an unclosed quote", "5;a=\"b\r\nhello\r\n0\r\n\r\n", "", bodyExtension},
		{"whitespace at the end", "5;a \r\nhello\r\n0\r\n\r\n", "", bodyExtension},
		{"extensions of 256 bytes", ext(256), "x", nil},
		{"extensions of 257 bytes", ext(257), "", bodyExtension},
		{"a line of 1 KiB", "5;" + strings.Repeat("a", lineBytes), "", bodyLineLong},
		{"data longer than the chunk", "5\r\nhello!\r\n0\r\n\r\n", "hello", bodyChunkEnd},
		{"data without CRLF", "5\r\nhello0\r\n\r\n", "hello", bodyChunkEnd},
		{"data ended by LF", "5\r\nhello\n0\r\n\r\n", "hello", bodyLineEnd},
		{"a size ended by LF", "5\nhello\r\n0\r\n\r\n", "", bodyLineEnd},
		{"trailers", "0\r\nA: b\r\nC: d\r\n\r\n", "", nil},
		{"a folded trailer", "0\r\nA: b\r\n c\r\n\r\n", "", bodyTrailer},
		{"a trailer without colon", "0\r\nGET / HTTP/1.1\r\n\r\n", "", bodyTrailer},
		{"32 trailers", "0\r\n" + strings.Repeat("A: b\r\n", 32) + "\r\n", "", nil},
		{"33 trailers", "0\r\n" + strings.Repeat("A: b\r\n", 33) + "\r\n", "", bodyTrailers},
		{"trailers of 4 KiB", "0\r\n" + strings.Repeat("A: "+strings.Repeat("b", 509)+"\r\n", 8) + "\r\n", "", nil},
		{"trailers of more", "0\r\n" + strings.Repeat("A: "+strings.Repeat("b", 510)+"\r\n", 8) + "\r\n", "", bodyTrailers},
		{"mostly extensions", strings.Repeat("1;"+strings.Repeat("a", 200)+"\r\nx\r\n", 200) + "0\r\n\r\n", strings.Repeat("x", 87), bodyExcess},
		{"one byte a chunk", strings.Repeat("1\r\nx\r\n", 20000) + "0\r\n\r\n", strings.Repeat("x", 20000), nil},
	} {
		for _, src := range []io.Reader{strings.NewReader(c.raw), iotest.OneByteReader(strings.NewReader(c.raw))} {
			b := chunkedBody(src)
			got, err := io.ReadAll(&b.body)
			if string(got) != c.want || (c.fault == nil) != (err == nil) || c.fault != nil && err != error(c.fault) {
				t.Errorf("%s: %.40q (%d bytes), %v; want %.40q, %v", c.name, got, len(got), err, c.want, c.fault)
			}
			if (err == nil) != b.body.ended.Load() || (err != nil) != b.body.failed.Load() {
				t.Errorf("%s: ended %v failed %v", c.name, b.body.ended.Load(), b.body.failed.Load())
			}
		}
	}
}

// TestCutBodies: a body that the client did not finish never looks whole.
func TestCutBodies(t *testing.T) {
	whole := "5;a=b\r\nhello\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n"
	for n := range len(whole) {
		b := chunkedBody(strings.NewReader(whole[:n]))
		_, err := io.ReadAll(&b.body)
		var fault *edge.BodyError
		if !errors.As(err, &fault) || fault.HTTPStatus() != 400 || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut after %d: %v, want a fault", n, err)
		}
	}
	c := newConn(newServer(&stub{}, Config{}), silentConn{Reader: strings.NewReader("hell")})
	c.body.reset(&framing{length: 5})
	if got, err := io.ReadAll(&c.body); err == nil || string(got) != "hell" {
		t.Errorf("%q, %v; want a fault after 4 bytes", got, err)
	}
}

// FuzzChunked: no input panics, splits make no difference, net/http agrees with
// what we accept, and what follows the body is left alone.
func FuzzChunked(f *testing.F) {
	for _, s := range []string{"5\r\nhello\r\n0\r\n\r\nGET /", "5;a=\"b\"\r\nhello\r\n0\r\nA: b\r\n\r\nrest", "0\r\n\r\n",
		"1;a\r\nx\r\nA;b=c\r\n0123456789\r\n00\r\n\r\n", "5\nhello\r\n0\r\n\r\n", "ffffffffffffffff\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		whole := chunkedBody(bytes.NewReader(raw))
		got, err := io.ReadAll(&whole.body)
		single := chunkedBody(iotest.OneByteReader(bytes.NewReader(raw)))
		again, err2 := io.ReadAll(iotest.OneByteReader(&single.body))
		if !bytes.Equal(got, again) || (err == nil) != (err2 == nil) {
			t.Fatalf("whole %q %v, split %q %v", got, err, again, err2)
		}
		if err != nil {
			return
		}
		head := "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
		r := bufio.NewReader(io.MultiReader(strings.NewReader(head), bytes.NewReader(raw)))
		theirs, err := http.ReadRequest(r)
		if err != nil {
			t.Fatal(err)
		}
		want, err := io.ReadAll(theirs.Body)
		if err != nil && (strings.Contains(err.Error(), "malformed MIME") || strings.Contains(err.Error(), "too much")) {
			return // their trailer names are narrower
		}
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%q, net/http %q %v", got, want, err)
		}
		rest, _ := io.ReadAll(io.MultiReader(bytes.NewReader(whole.in.buffered()), whole.in.src))
		if !bytes.HasSuffix(raw, rest) {
			t.Fatalf("left over: %q of %q", rest, raw)
		}
	})
}
