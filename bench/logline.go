package bench

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// logLine is what a trace needs of one line of a JSON access log: edge's own, or
// one with the names that nginx, Varnish or Caddy's users give these fields.
type logLine struct {
	own  bool   // edge wrote the line
	Kind string `json:"kind"`

	Time      json.RawMessage `json:"time"`
	TS        json.RawMessage `json:"ts"` // Caddy
	Timestamp json.RawMessage `json:"timestamp"`
	TimeISO   json.RawMessage `json:"time_iso8601"`
	MSec      json.RawMessage `json:"msec"`
	TimeLocal json.RawMessage `json:"time_local"`

	Method        string `json:"method"`
	RequestMethod string `json:"request_method"`

	Scheme     string `json:"scheme"`
	Host       string `json:"host"`
	HTTPHost   string `json:"http_host"`
	ServerName string `json:"server_name"`
	URI        string `json:"uri"`
	RequestURI string `json:"request_uri"`
	URL        string `json:"url"`

	// Request is Caddy's object, or a request line.
	Request json.RawMessage `json:"request"`

	Status json.RawMessage `json:"status"`

	BodyBytes     json.RawMessage `json:"body_bytes"`
	BodyBytesSent json.RawMessage `json:"body_bytes_sent"`
	Size          json.RawMessage `json:"size"` // Caddy
	BytesSent     json.RawMessage `json:"bytes_sent"`
	Bytes         json.RawMessage `json:"bytes"`

	// Of edge's own lines.
	Cache    string `json:"cache"`
	Unstored string `json:"unstored"`
	TTL      *int64 `json:"ttl"`
}

// parseLogLine takes one line of a JSON access log. Only what a client got with
// GET, and what a cache could have kept, counts as asked: a background refresh
// and a refused request say nothing about the workload.
func parseLogLine(line []byte) (rec record, asked bool, err error) {
	var l logLine
	if err := json.Unmarshal(line, &l); err != nil {
		return record{}, false, fmt.Errorf("not a line of an access log: %w", err)
	}
	if err := l.translate(); err != nil {
		return record{}, false, err
	}
	if l.Kind != "" && l.Kind != "client" || l.Method != http.MethodGet {
		return record{}, false, nil
	}
	status, err := strconv.Atoi(string(unquoted(l.Status)))
	if err != nil {
		return record{}, false, fmt.Errorf("status %.40q is not a number", l.Status)
	}
	if !worthKeeping(status) {
		return record{}, false, nil
	}
	if l.URI == "" {
		return record{}, false, errors.New("uri is missing")
	}
	if l.own && (l.Scheme == "" || l.Host == "") {
		return record{}, false, errors.New("scheme or host is missing")
	}
	size, err := parseBytes(unquoted(l.BodyBytes))
	if err != nil {
		return record{}, false, fmt.Errorf("body bytes: %w", err)
	}
	at, err := logTime(l.Time)
	if err != nil {
		return record{}, false, err
	}
	return record{time: at, id: []byte(l.id()), size: size, fresh: l.fresh()}, true, nil
}

// fresh is for how many seconds the answer may be used from then on, Unstorable
// when no cache may keep it. It is 0 when the log does not tell: of another server, or
// when edge's own tiers were why it was not stored.
func (l *logLine) fresh() int32 {
	switch {
	case !l.own:
		return 0
	case l.Unstored == "tier_refused", l.Unstored == "too_large", l.Unstored == "aborted":
		return 0
	case l.Cache == "bypass", l.Unstored != "":
		return Unstorable
	case l.TTL == nil:
		return 0
	}
	return int32(min(max(*l.TTL, 1), math.MaxInt32)) // what is served stale was asked for anew just then
}

// id names the object: its whole url where the log tells the host, else the uri.
func (l *logLine) id() string {
	if l.Host == "" || l.URI[0] != '/' {
		return l.URI
	}
	return cmp.Or(l.Scheme, "http") + "://" + l.Host + l.URI
}

// translate puts what other names than edge's stand for under edge's names.
// Edge's own lines have them all.
func (l *logLine) translate() error {
	if l.own = l.Kind != "" || len(l.BodyBytes) > 0; l.own {
		return nil
	}
	l.Time = first(l.Time, l.TS, l.Timestamp, l.TimeISO, l.MSec, l.TimeLocal)
	l.Method = cmp.Or(l.Method, l.RequestMethod)
	l.Host = cmp.Or(l.Host, l.HTTPHost, l.ServerName)
	l.URI = cmp.Or(l.URI, l.RequestURI, l.URL)
	l.BodyBytes = first(l.BodyBytes, l.BodyBytesSent, l.Size, l.BytesSent, l.Bytes)
	if len(l.Request) == 0 {
		return nil
	}
	if l.Request[0] != '{' {
		if uri := getURI(unquoted(l.Request)); len(uri) > 0 && l.Method == "" {
			l.Method, l.URI = http.MethodGet, cmp.Or(l.URI, string(uri))
		}
		return nil
	}
	var caddy struct {
		Method string          `json:"method"`
		Host   string          `json:"host"`
		URI    string          `json:"uri"`
		TLS    json.RawMessage `json:"tls"`
	}
	if err := json.Unmarshal(l.Request, &caddy); err != nil {
		return fmt.Errorf("request: %w", err)
	}
	l.Method, l.Host, l.URI = cmp.Or(l.Method, caddy.Method), cmp.Or(l.Host, caddy.Host), cmp.Or(l.URI, caddy.URI)
	if l.Scheme == "" && len(caddy.TLS) > 0 && caddy.TLS[0] == '{' {
		l.Scheme = "https"
	}
	return nil
}

// first returns the first of these values that is there.
func first(values ...json.RawMessage) json.RawMessage {
	for _, v := range values {
		if len(v) > 0 {
			return v
		}
	}
	return nil
}

// unquoted returns the text of a JSON value, which many logs give as a string
// even for numbers.
func unquoted(raw json.RawMessage) []byte {
	if len(raw) == 0 || raw[0] != '"' {
		return raw
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return raw
	}
	return []byte(text)
}

// worthKeeping says whether an answer with this status stands for an object.
func worthKeeping(status int) bool {
	return status >= 200 && status < 400 ||
		status == http.StatusNotFound || status == http.StatusGone
}

// logTime reads RFC 3339, the combined format's time, or a number of Unix
// seconds.
func logTime(raw json.RawMessage) (float64, error) {
	if len(raw) == 0 {
		return 0, errors.New("time is missing")
	}
	text := string(bytes.Trim(unquoted(raw), "[]"))
	if at, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(at) && !math.IsInf(at, 0) {
		return at, nil
	}
	for _, layout := range []string{time.RFC3339Nano, combinedTime} {
		if at, err := time.Parse(layout, text); err == nil {
			return float64(at.UnixNano()) / 1e9, nil
		}
	}
	return 0, fmt.Errorf("time %.40q is neither RFC 3339 nor a number of seconds", raw)
}
