package h3

import (
	"io"
	"regexp"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"
)

// rawClient writes frames of its own making: what no HTTP client sends.
type rawClient struct {
	t    testing.TB
	conn *quic.Conn
}

func rawDial(t testing.TB, addr string) *rawClient {
	t.Helper()
	config := clientTLS()
	config.NextProtos = []string{http3.NextProtoH3}
	conn, err := quic.DialAddr(t.Context(), addr, config, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "") })
	control, err := conn.OpenUniStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := control.Write([]byte{0, 4, 0}); err != nil { // a control stream with empty SETTINGS
		t.Fatal(err)
	}
	return &rawClient{t, conn}
}

// headers is a HEADERS frame of literal fields without names in the table (RFC
// 9204, 4.5.6).
func headers(fields []string) []byte {
	section := []byte{0, 0}
	for i := 0; i < len(fields); i += 2 {
		section = integer(section, 0x20, 3, len(fields[i]))
		section = append(section, fields[i]...)
		section = integer(section, 0, 7, len(fields[i+1]))
		section = append(section, fields[i+1]...)
	}
	return append(quicvarint.Append(quicvarint.Append(nil, 1), uint64(len(section))), section...)
}

// integer appends an integer with a prefix of that many bits (RFC 7541, 5.1).
func integer(b []byte, first byte, bits, n int) []byte {
	most := 1<<bits - 1
	if n < most {
		return append(b, first|byte(n))
	}
	b = append(b, first|byte(most))
	for n -= most; n >= 128; n /= 128 {
		b = append(b, byte(n%128)|128)
	}
	return append(b, byte(n))
}

// ask sends a request with one frame of data, if any, and gives the answer's
// status; "" when the stream was reset.
func (c *rawClient) ask(fields []string, data string) string {
	c.t.Helper()
	stream, err := c.conn.OpenStreamSync(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	frames := headers(fields)
	if data != "" {
		frames = append(quicvarint.Append(quicvarint.Append(frames, 0), uint64(len(data))), data...)
	}
	_, _ = stream.Write(frames)
	_ = stream.Close()
	all, err := io.ReadAll(stream)
	if err != nil || len(all) == 0 {
		return ""
	}
	// Our answers' bodies begin with it; the field section may be Huffman-coded.
	found := statusText.FindSubmatch(all)
	if found == nil {
		c.t.Fatalf("no status in %q", all)
	}
	return string(found[1])
}

var statusText = regexp.MustCompile(`([2-5][0-9][0-9]) [a-zA-Z]`)
