package edge

import (
	"encoding/json"
	"strings"
	"time"
)

// Explanation is all that is remembered of one request.
type Explanation struct {
	Record  json.RawMessage `json:"record"` // the line of the access log
	Phases  []string        `json:"phases"` // in the order they ran
	Session SessionView     `json:"session"`
}

// SessionView shows the fields of a session at its end; what its phases did
// not reach is null.
type SessionView struct {
	Allocator          Allocator    `json:"allocator"`
	DownstreamRequest  RequestView  `json:"downstream_request"`
	DownstreamResponse ResponseView `json:"downstream_response"`
	RequestBody        *int64       `json:"request_body"`  // bytes, if a hook had it buffered
	ResponseBody       *int64       `json:"response_body"` // bytes, if a hook had it buffered
	UpstreamRequest    *HeadView    `json:"upstream_request"`
	UpstreamResponse   *HeadView    `json:"upstream_response"`
	UpstreamPeer       *PeerView    `json:"upstream_peer"`
	CacheResult        CacheView    `json:"cache_result"`
	CacheEnabled       bool         `json:"cache_enabled"`
	Timing             TimingView   `json:"timing"`
	RequestSent        bool         `json:"request_sent"`
	ResponseReceived   bool         `json:"response_received"`
	RetryCount         int          `json:"retry_count"`
	UserContext        *string      `json:"user_context"` // its type
}

// Allocator says where the session's buffers came from.
type Allocator struct {
	Pool    string `json:"pool"`
	Buffers int    `json:"buffers"` // taken from it and not yet given back
}

// HeadView is a header; Cut lines did not fit.
type HeadView struct {
	Fields [][2]string `json:"fields"`
	Cut    int         `json:"cut,omitempty"`
}

// RequestView is what the client asked. Fields of a plain hit are not kept.
type RequestView struct {
	Method string    `json:"method"`
	URI    string    `json:"uri"`
	Host   string    `json:"host"`
	Proto  string    `json:"proto"`
	Head   *HeadView `json:"head"`
}

// ResponseView is what the client got. Head is that of the stored answer, null
// for an answer that was not stored.
type ResponseView struct {
	Status    int       `json:"status"`
	BodyBytes int64     `json:"body_bytes"`
	Head      *HeadView `json:"head"`
}

// PeerView is the origin that was asked.
type PeerView struct {
	Upstream string `json:"upstream"`
	Address  string `json:"address"`
	Port     int    `json:"port"`
	Healthy  bool   `json:"healthy"`
}

// CacheView is what cache_lookup found and cache_store did.
type CacheView struct {
	Status   string `json:"status"`
	Reason   string `json:"reason"`
	Tier     string `json:"tier,omitempty"` // that gave the answer
	Stored   bool   `json:"stored"`
	Unstored string `json:"unstored,omitempty"` // why it was not stored
	TTL      int64  `json:"ttl"`
	Age      *int64 `json:"age"`
}

// TimingView holds the moments that came to pass.
type TimingView struct {
	RequestStart          *time.Time `json:"request_start"`
	UpstreamConnect       *time.Time `json:"upstream_connect"`
	UpstreamRequestSent   *time.Time `json:"upstream_request_sent"`
	UpstreamResponseStart *time.Time `json:"upstream_response_start"`
	UpstreamResponseEnd   *time.Time `json:"upstream_response_end"`
	ResponseSent          *time.Time `json:"response_sent"`
}

// explanation puts the slot's content into words; the slot is locked.
func (sl *slot) explanation() Explanation {
	r, v := &sl.record, &sl.session
	return Explanation{
		Record: sl.json(),
		Phases: phaseWords(sl.trace.list()),
		Session: SessionView{
			Allocator: Allocator{Pool: "bytebufferpool", Buffers: buffered(v.requestBody) + buffered(v.responseBody)},
			DownstreamRequest: RequestView{
				Method: strings.Clone(r.Method), URI: string(appendURI(nil, r, join, join)), Host: string(r.Host),
				Proto: r.Proto.String(), Head: sl.request.view(),
			},
			DownstreamResponse: ResponseView{Status: r.Status, BodyBytes: r.BodyBytes, Head: sl.sentView()},
			RequestBody:        known(v.requestBody),
			ResponseBody:       known(v.responseBody),
			UpstreamRequest:    sl.upstream.view(),
			UpstreamResponse:   sl.response.view(),
			UpstreamPeer:       v.peerView(),
			CacheResult: CacheView{
				Status: r.Cache.String(), Reason: r.Reason.String(), Tier: r.Tier.String(), Stored: v.stored,
				Unstored: r.Unstored.String(), TTL: r.TTL, Age: known(r.Age),
			},
			CacheEnabled: v.cacheEnabled, Timing: v.timing.view(),
			RequestSent: v.sent, ResponseReceived: v.received, RetryCount: v.retries,
			UserContext: sl.userType(),
		},
	}
}

// peerView is the origin that was asked, nil for none.
func (v *sessionView) peerView() *PeerView {
	if !v.asked {
		return nil
	}
	p := v.peer
	return &p
}

func phaseWords(list []Phase) []string {
	words := make([]string, len(list))
	for i, p := range list {
		words[i] = p.String()
	}
	return words
}

func join(b, part []byte) []byte { return append(b, part...) }

func buffered(bytes int64) int {
	if bytes < 0 {
		return 0
	}
	return 1
}

// known turns -1, which stands for none, into null.
func known(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}

func (h head) view() *HeadView {
	if !h.there {
		return nil
	}
	return &HeadView{Fields: h.pairs(), Cut: h.cut}
}

// sentView shows the stored head that was sent.
func (sl *slot) sentView() *HeadView {
	if sl.sent == nil {
		return nil
	}
	h := &HeadView{Fields: [][2]string{}}
	for name, value := range sl.sent.Fields() {
		if isSecret(name) {
			value = []byte(blanked)
		}
		h.Fields = append(h.Fields, [2]string{string(name), string(value)})
	}
	return h
}

func (sl *slot) userType() *string {
	if sl.session.user == nil {
		return nil
	}
	name := sl.session.user.String()
	return &name
}

func (t Timing) view() TimingView {
	return TimingView{
		RequestStart:          moment(t.RequestStart),
		UpstreamConnect:       moment(t.UpstreamConnect),
		UpstreamRequestSent:   moment(t.UpstreamRequestSent),
		UpstreamResponseStart: moment(t.UpstreamResponseStart),
		UpstreamResponseEnd:   moment(t.UpstreamResponseEnd),
		ResponseSent:          moment(t.ResponseSent),
	}
}

// moment is a time; 0 did not happen.
func moment(at int64) *time.Time {
	if at == 0 {
		return nil
	}
	t := time.Unix(0, at).UTC()
	return &t
}
