package modeltest

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"edgecache/cachestore"
	"edgecache/edge"
)

// lane takes one answer down as a client would see it.
type lane struct {
	leaveAt int // bytes after which the client leaves; -1 never

	status  int
	header  http.Header
	length  int64
	body    []byte
	started bool
	whole   bool // ended cleanly
	broken  bool // visibly cut
}

var errLeft = errors.New("the client left")

func (l *lane) head(h *cachestore.Head, v *edge.View) {
	l.started, l.status, l.length, l.header = true, v.Status, v.Length, http.Header{}
	put := func(block []byte) {
		for line := range strings.SplitSeq(string(block), "\r\n") {
			if name, value, ok := strings.Cut(line, ": "); ok {
				l.header.Add(name, value)
			}
		}
	}
	put(h.Kept())
	if !v.KeptOnly {
		put(h.Representation())
	}
	for _, f := range v.Tail {
		l.header.Add(string(f.Name), string(f.Value))
	}
	if v.Length >= 0 {
		l.header.Set("Content-Length", strconv.FormatInt(v.Length, 10))
	}
}

func (l *lane) SendObject(h *cachestore.Head, b *cachestore.Body, v *edge.View) error {
	l.head(h, v)
	if !v.NoBody {
		for _, p := range b.AppendSpans(nil, v.From, v.To) {
			if err := l.Write(p); err != nil {
				return err
			}
		}
	}
	l.whole = true
	return nil
}

func (l *lane) SendHead(h *cachestore.Head, v *edge.View) error {
	l.head(h, v)
	return nil
}

func (l *lane) Write(p []byte) error {
	if l.leaveAt >= 0 && len(l.body)+len(p) > l.leaveAt {
		return errLeft
	}
	l.body = append(l.body, p...)
	return nil
}

func (l *lane) Flush() error                                                  { return nil }
func (l *lane) End(trailer http.Header) error                                 { l.whole = true; return nil }
func (l *lane) Abort(error)                                                   { l.broken = true }
func (l *lane) Interim(int, http.Header) error                                { return nil }
func (l *lane) Started() bool                                                 { return l.started }
func (l *lane) Gone() <-chan struct{}                                         { return nil }
func (l *lane) reset(leaveAt int)                                             { *l = lane{leaveAt: leaveAt, body: l.body[:0]} }
func (l *lane) Tunnel(*cachestore.Head, *edge.View, io.ReadWriteCloser) error { return nil }

// seen copies what the client got, for a message.
func (l *lane) seen() http.Header { return maps.Clone(l.header) }

var _ edge.Lane = (*lane)(nil)
