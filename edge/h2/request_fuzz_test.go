package h2

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"edgecache/edge"
)

// fieldsOf makes a field list of lines "name: value".
func fieldsOf(text string) (all []hpack.HeaderField) {
	for line := range strings.SplitSeq(text, "\n") {
		sep := strings.Index(line[min(1, len(line)):], ": ")
		if sep < 0 {
			continue
		}
		all = append(all, hpack.HeaderField{Name: line[:sep+1], Value: line[sep+3:]})
	}
	return all
}

// ours reads a header block as a request; "" when it is refused.
func ours(block []byte) string {
	st := &stream{c: &conn{server: &Server{config: Config{}.withDefaults()}}, session: &edge.Session{}}
	d := newDecoder()
	if d.decode(block, &st.head, 16<<10, 100) != nil || st.head.over || st.read() != "" || st.length > 0 {
		return ""
	}
	r := &st.session.Request
	if r.Upgrade != "" {
		return "" // an extended CONNECT has become something else
	}
	target := string(r.Path)
	if r.HasQuery {
		target += "?" + string(r.Query)
	}
	h := http.Header{}
	for _, f := range r.Fields {
		h.Add(string(f.Name), string(f.Value))
	}
	return show(r.Method, target, string(r.Host), h)
}

// show writes a request so that two can be compared.
func show(method, target, host string, h http.Header) string {
	for _, name := range []string{"Host", "Content-Length", "Te", "Expect", "Cookie", "Trailer"} {
		h.Del(name) // what a server takes out of the fields, or joins
	}
	var lines []string
	for name, values := range h {
		lines = append(lines, fmt.Sprintf("%s: %q", name, values))
	}
	slices.Sort(lines)
	return fmt.Sprintf("%s %s %s %s", method, target, host, lines)
}

// theirs asks x/net's server with the same block; "" when it refuses.
func theirs(t *testing.T, block []byte) string {
	client, server := net.Pipe()
	defer client.Close()
	got := make(chan string, 1)
	go (&http2.Server{}).ServeConn(server, &http2.ServeConnOpts{
		Context: t.Context(),
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case got <- show(r.Method, r.RequestURI, r.Host, r.Header):
			default:
			}
		}),
	})
	over := make(chan string, 1)
	go func() {
		framer := http2.NewFramer(io.Discard, client)
		for {
			f, err := framer.ReadFrame()
			switch f.(type) {
			case *http2.RSTStreamFrame, *http2.GoAwayFrame:
				over <- ""
				return
			}
			if err != nil {
				over <- ""
				return
			}
		}
	}()
	var out bytes.Buffer
	out.WriteString(preface)
	w := http2.NewFramer(&out, nil)
	_ = w.WriteSettings()
	_ = w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndStream: true, EndHeaders: true})
	_ = client.SetWriteDeadline(time.Now().Add(5 * time.Second))
	if _, err := client.Write(out.Bytes()); err != nil {
		return ""
	}
	select {
	case s := <-got:
		return s
	case s := <-over:
		select { // the answer's own end may have come first
		case s = <-got:
		default:
		}
		return s
	case <-time.After(5 * time.Second):
		return "no answer"
	}
}

// FuzzRequest: whatever edge takes for a request x/net's server does, too, and reads as the
// same method, target, host and fields.
func FuzzRequest(f *testing.F) {
	f.Add(":method: GET\n:scheme: https\n:authority: www.example.com\n:path: /a?b=c\naccept: */*")
	f.Add(":method: OPTIONS\n:scheme: http\n:path: *\nhost: a.test:8080\ncookie: a=1\ncookie: b=2")
	f.Add(":method: HEAD\n:scheme: http\n:authority: [::1]:1\n:path: /\nte: trailers\nx: \t")
	f.Add(":method: GET\n:scheme: https\n:authority: a\n:path: //b/../c%2f\nX-Upper: 1\nconnection: close")
	f.Add(":method: POST\n:scheme: https\n:authority: a\n:authority: b\n:path: /\ncontent-length: 0")
	f.Fuzz(func(t *testing.T, text string) {
		fields := fieldsOf(text)
		if len(text) > 8<<10 || len(fields) == 0 {
			return
		}
		var block bytes.Buffer
		encoder := hpack.NewEncoder(&block)
		for _, field := range fields {
			_ = encoder.WriteField(field)
		}
		mine := ours(block.Bytes())
		if mine == "" || block.Len() > maxFrame {
			return
		}
		for _, field := range fields {
			if field.Name == ":path" && field.Value != "*" {
				if _, err := url.ParseRequestURI(field.Value); err != nil {
					return // edge passes on an escape that is none, as it does over HTTP/1.1
				}
			}
		}
		if other := theirs(t, block.Bytes()); other != mine {
			t.Errorf("%q:\nedge reads  %s\nx/net reads %s", text, mine, other)
		}
	})
}
