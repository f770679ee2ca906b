package edge

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"

	"edgecache/cachestore"
	"edgecache/edge/origin"
	"edgecache/policy"
)

// Explain remembers the last requests, tells followers of each new one, and
// counts which uris are asked for most. Recording a hit takes one slot's own
// lock without waiting and allocates nothing once every slot has been used.
type Explain struct {
	slots   []slot
	next    atomic.Uint64
	skipped atomic.Uint64 // slots that somebody read at that moment
	hot     hottest
	audience
}

// slotBytes is what a slot keeps of what clients and origins wrote. It is
// shared out so that no field can starve the others.
const (
	slotBytes      = 8 << 10
	keptIDBytes    = 128
	keptURIBytes   = 2 << 10
	keptFieldBytes = 512
	keptHeadBytes  = 1 << 10
)

// slot is one remembered request. text is its own memory, in which the slices
// of record and heads lie.
type slot struct {
	mu       sync.Mutex
	used     bool
	text     []byte
	record   Record
	trace    trace
	session  sessionView
	request  head
	upstream head
	response head
	sent     *cachestore.Head // of a stored answer; immutable
}

// head is a kept header: name, NUL, value, NUL and so on, and how many lines
// did not fit.
type head struct {
	lines []byte
	cut   int
	there bool
}

func newExplain(requests int) *Explain {
	return &Explain{slots: make([]slot, max(requests, 1)), hot: newHottest()}
}

// add remembers a request that has ended; s is still the request's.
func (x *Explain) add(s *Session, r *Record) {
	x.hot.add(r)
	x.tell(r)
	sl := x.claim()
	if sl == nil {
		return
	}
	defer sl.mu.Unlock()
	sl.keep(r)
	sl.trace = s.trace
	sl.session = viewOf(s)
	if s.Cache.Variant != nil {
		sl.sent = s.Cache.Variant.Head
	}
	if s.Cache.Status == CacheHit && !s.state.authed {
		return // a plain hit: what it was sent is in sent
	}
	sl.request = sl.keepFields(s.Request.Fields)
	switch {
	case s.Upstream != nil:
		sl.upstream = sl.keepHeader(s.Upstream.Header)
	case s.asked():
		sl.upstream = sl.keepPlain(s.plain)
	}
	if s.Response != nil {
		sl.response = sl.keepHeader(s.Response.Header)
	}
}

// addRefusal remembers a head that never became a session. It has no id to be
// found by, so only followers hear of it.
func (x *Explain) addRefusal(_ *Refusal, r *Record) { x.tell(r) }

// claim takes the oldest slot, locked and empty; nil when it is being read.
func (x *Explain) claim() *slot {
	sl := &x.slots[(x.next.Add(1)-1)%uint64(len(x.slots))]
	if !sl.mu.TryLock() {
		x.skipped.Add(1)
		return nil
	}
	if sl.text == nil {
		sl.text = make([]byte, 0, slotBytes)
	}
	sl.text, sl.sent = sl.text[:0], nil
	sl.request, sl.upstream, sl.response = head{}, head{}, head{}
	sl.used = true
	return sl
}

// keep copies the record, each text up to its share.
func (sl *slot) keep(r *Record) {
	sl.record = *r
	k := &sl.record
	k.ID = sl.copy(r.ID, keptIDBytes)
	k.Client = sl.copy(r.Client, keptIDBytes)
	k.Host = sl.copy(r.Host, keptFieldBytes)
	k.Path = sl.copy(r.Path, keptURIBytes)
	k.Query = sl.copy(r.Query, keptURIBytes-len(k.Path))
	k.UserAgent = sl.copy(r.UserAgent, keptFieldBytes)
	k.Referer = sl.copy(r.Referer, keptFieldBytes)
	k.Error = r.Error[:min(len(r.Error), keptFieldBytes)]
}

// copy takes at most so many bytes of b into the slot's own memory.
func (sl *slot) copy(b []byte, most int) []byte {
	from := len(sl.text)
	n := min(len(b), most, cap(sl.text)-from)
	sl.text = append(sl.text, b[:n]...)
	return sl.text[from : from+n : from+n]
}

// secret lists the fields whose values are blanked before they are kept.
var secret = [...]string{"authorization", "cookie", "set-cookie", "proxy-authorization"}

const blanked = "(blanked)"

func isSecret[T string | []byte](name T) bool {
	for _, s := range secret {
		if len(name) == len(s) && policy.EqualFold([]byte(name), s) {
			return true
		}
	}
	return false
}

func (sl *slot) keepFields(fields policy.Fields) head {
	h := head{there: true}
	from := len(sl.text)
	for _, f := range fields {
		if isSecret(f.Name) {
			keepLine(sl, &h, from, string(f.Name), blanked)
		} else {
			keepLine(sl, &h, from, f.Name, f.Value)
		}
	}
	h.lines = sl.text[from:]
	return h
}

func (sl *slot) keepHeader(fields http.Header) head {
	h := head{there: true}
	from := len(sl.text)
	for name, values := range fields {
		for _, v := range values {
			if isSecret(name) {
				v = blanked
			}
			keepLine(sl, &h, from, name, v)
		}
	}
	h.lines = sl.text[from:]
	return h
}

func (sl *slot) keepPlain(q origin.Plain) head {
	h := head{there: true}
	from := len(sl.text)
	for name, value := range q.Fields() {
		if isSecret(name) {
			value = []byte(blanked)
		}
		keepLine(sl, &h, from, name, value)
	}
	h.lines = sl.text[from:]
	return h
}

// keepLine appends a line to the head that began at from, if it fits.
func keepLine[T string | []byte](sl *slot, h *head, from int, name, value T) {
	n := len(name) + len(value) + 2
	if len(sl.text)-from+n > keptHeadBytes || len(sl.text)+n > cap(sl.text) {
		h.cut++
		return
	}
	sl.text = append(append(sl.text, name...), 0)
	sl.text = append(append(sl.text, value...), 0)
}

// sessionView is what is kept of a session beside record and heads.
type sessionView struct {
	requestBody, responseBody int64 // bytes buffered; -1: not buffered
	asked                     bool  // peer is there
	peer                      PeerView
	stored, cacheEnabled      bool
	timing                    Timing
	sent, received            bool
	retries                   int
	user                      reflect.Type
}

func viewOf(s *Session) sessionView {
	v := sessionView{
		requestBody: -1, responseBody: -1,
		stored: s.Cache.Stored, cacheEnabled: s.CacheEnabled,
		timing: s.Timing, sent: s.RequestSent, received: s.ResponseReceived,
		retries: s.RetryCount, user: reflect.TypeOf(s.UserCtx),
	}
	if s.RequestBody != nil {
		v.requestBody = int64(s.RequestBody.Len())
	}
	if s.ResponseBody != nil {
		v.responseBody = int64(s.ResponseBody.Len())
	}
	if p := s.Peer; p != nil {
		v.asked, v.peer = true, PeerView{Upstream: p.Upstream, Address: p.Address, Port: p.Port, Healthy: p.Healthy(s.engine.now())}
	}
	return v
}

// Find tells what is remembered of the request with an id (X-Request-Id). A
// refresh bears the id of the request that caused it and is told only when
// that one is forgotten.
func (x *Explain) Find(id string) (found Explanation, ok bool) {
	newest := x.next.Load()
	for back := range min(uint64(len(x.slots)), newest) {
		e, kind, there := x.slots[(newest-1-back)%uint64(len(x.slots))].find(id)
		if there && kind == KindClient {
			return e, true
		}
		if there && !ok {
			found, ok = e, true
		}
	}
	return found, ok
}

func (sl *slot) find(id string) (Explanation, Kind, bool) {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	if !sl.used || len(id) == 0 || string(sl.record.ID) != id[:min(len(id), keptIDBytes)] {
		return Explanation{}, KindClient, false
	}
	return sl.explanation(), sl.record.Kind, true
}

// pairs reads a kept head back.
func (h head) pairs() [][2]string {
	if !h.there {
		return nil
	}
	all := [][2]string{}
	for rest := h.lines; len(rest) > 0; {
		var name, value []byte
		name, rest, _ = bytes.Cut(rest, []byte{0})
		value, rest, _ = bytes.Cut(rest, []byte{0})
		all = append(all, [2]string{string(name), string(value)})
	}
	return all
}

// json gives the record as the access log writes it.
func (sl *slot) json() json.RawMessage { return sl.record.AppendJSON(nil) }
