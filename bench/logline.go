package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// logLine is what a trace needs of one line of edge's access log.
type logLine struct {
	Time      json.RawMessage `json:"time"`
	Kind      string          `json:"kind"`
	Method    string          `json:"method"`
	Scheme    string          `json:"scheme"`
	Host      string          `json:"host"`
	URI       string          `json:"uri"`
	Status    int             `json:"status"`
	BodyBytes *int64          `json:"body_bytes"`
}

// parseLogLine takes one line of an access log. Only what a client got with
// GET, and what a cache could have kept, counts as asked: a background refresh
// and a refused request say nothing about the workload.
func parseLogLine(line []byte) (rec record, asked bool, err error) {
	var l logLine
	if err := json.Unmarshal(line, &l); err != nil {
		return record{}, false, fmt.Errorf("not a line of an access log: %w", err)
	}
	if l.Kind != "" && l.Kind != "client" || l.Method != http.MethodGet || !worthKeeping(l.Status) {
		return record{}, false, nil
	}
	if l.Scheme == "" || l.Host == "" || l.URI == "" {
		return record{}, false, errors.New("scheme, host or uri is missing")
	}
	if l.BodyBytes == nil || *l.BodyBytes < 0 {
		return record{}, false, errors.New("body_bytes is missing or negative")
	}
	at, err := logTime(l.Time)
	if err != nil {
		return record{}, false, err
	}
	id := l.Scheme + "://" + l.Host + l.URI
	return record{time: at, id: []byte(id), size: *l.BodyBytes}, true, nil
}

// worthKeeping says whether an answer with this status stands for an object.
func worthKeeping(status int) bool {
	return status >= 200 && status < 400 ||
		status == http.StatusNotFound || status == http.StatusGone
}

// logTime reads RFC 3339 or a number of Unix seconds.
func logTime(raw json.RawMessage) (float64, error) {
	if len(raw) == 0 {
		return 0, errors.New("time is missing")
	}
	if raw[0] != '"' {
		at, err := strconv.ParseFloat(string(raw), 64)
		if err != nil {
			return 0, fmt.Errorf("time %.40q is not a number of seconds", raw)
		}
		return at, nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return 0, fmt.Errorf("time %.40q: %w", raw, err)
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return 0, fmt.Errorf("time %.40q is not RFC 3339", text)
	}
	return float64(at.UnixNano()) / 1e9, nil
}
