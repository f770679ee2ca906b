package h2

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"edgecache/cachestore"
	"edgecache/edge"
	"edgecache/edge/syntax"
)

// judge is an engine that checks what the wire hands it, as whatever comes behind it may
// rely on that, and answers in every way that there is.
type judge struct {
	t testing.TB
}

func (j *judge) NewSession(l edge.Lane) *edge.Session { return &edge.Session{UserCtx: l} }
func (j *judge) Release(s *edge.Session)              { *s = edge.Session{UserCtx: s.UserCtx} }
func (j *judge) Refuse(edge.Refusal)                  {}
func (j *judge) Inline() bool                         { return true }

func (j *judge) Begin(s *edge.Session) bool {
	j.check(&s.Request)
	if s.Request.Body != nil || s.Request.Upgrade != "" || len(s.Request.Query) > 3 {
		return false
	}
	j.answer(s)
	return true
}

func (j *judge) Finish(s *edge.Session) {
	if s.Request.Body != nil {
		n, err := io.Copy(io.Discard, s.Request.Body)
		if err == nil && s.Request.Length >= 0 && n != s.Request.Length {
			j.t.Errorf("a body of %d bytes, announced %d", n, s.Request.Length)
		}
	}
	j.answer(s)
}

func (j *judge) answer(s *edge.Session) {
	l := s.UserCtx.(edge.Lane)
	text := make([]byte, 100*len(s.Request.Path))
	v := &edge.View{Status: 200, Length: int64(len(text)), NoBody: s.Request.Method == "HEAD"}
	if l.SendHead(cachestore.NewHead(200, http.Header{"A": {"b"}}, nil), v) == nil && l.Write(text) == nil {
		_ = l.End(nil)
	}
}

func (j *judge) check(r *edge.Request) {
	switch {
	case r.Method == "", r.Method == "CONNECT", !syntax.All([]byte(r.Method), syntax.InToken):
		j.t.Errorf("method %q", r.Method)
	case r.HasHost && !syntax.ValidHost(r.Host):
		j.t.Errorf("host %q", r.Host)
	case !syntax.All(r.Path, syntax.InTarget), !syntax.All(r.Query, syntax.InTarget):
		j.t.Errorf("target %q ? %q", r.Path, r.Query)
	case len(r.Path) == 0 || r.Path[0] != '/' && (string(r.Path) != "*" || r.Method != "OPTIONS"):
		j.t.Errorf("path %q of %s", r.Path, r.Method)
	}
	cookies := 0
	for _, f := range r.Fields {
		if len(f.Name) == 0 || !syntax.All(f.Name, syntax.InToken) || !syntax.All(f.Value, syntax.InValue) {
			j.t.Errorf("field %q: %q", f.Name, f.Value)
		}
		switch string(f.Name) {
		case "connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection", "host":
			j.t.Errorf("field %q", f.Name)
		case "cookie":
			cookies++
		}
	}
	if cookies > 1 {
		j.t.Errorf("%d cookies", cookies)
	}
}

// FuzzConnection: whatever bytes a client sends, every request that comes out of them is
// well-formed, and the connection and its streams come to an end.
func FuzzConnection(f *testing.F) {
	const settings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	const get = "\x82\x86\x84\x41\x01a" // GET http / a
	f.Add([]byte(settings + "\x00\x00\x06\x01\x05\x00\x00\x00\x01" + get))
	f.Add([]byte(settings + "\x00\x00\x03\x01\x01\x00\x00\x00\x01" + get[:3] + "\x00\x00\x03\x09\x04\x00\x00\x00\x01" + get[3:]))
	f.Add([]byte(settings + "\x00\x00\x06\x01\x04\x00\x00\x00\x01\x83" + get[1:] + "\x00\x00\x02\x00\x01\x00\x00\x00\x01hi"))
	f.Add([]byte(settings + "\x00\x00\x06\x01\x05\x00\x00\x00\x01" + get + "\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08" +
		"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678"))
	f.Add([]byte("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00" + "\x00\x00\x06\x01\x05\x00\x00\x00\x01" + get +
		"\x00\x00\x04\x08\x00\x00\x00\x00\x01\x00\x00\x00\x09"))
	f.Fuzz(func(t *testing.T, frames []byte) {
		s := newServer(&judge{t: t}, Config{HeaderTimeout: time.Second, Idle: time.Second, WriteStall: time.Second, BodyGrace: time.Second})
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			under := s.Wrap(ours)
			s.Serve(context.Background(), under, under, nil)
		}()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		_ = theirs.SetWriteDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.WriteString(theirs, preface)
		_, _ = theirs.Write(frames)
		_ = theirs.Close()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Fatal("the connection goes on without a client")
		}
		if st := s.Stats(); st.Open != 0 || st.Panics != 0 {
			t.Errorf("%d open, %d panics", st.Open, st.Panics)
		}
	})
}
