package edge

import (
	"errors"
	"strconv"
	"time"
	"unicode/utf8"
)

// LogFormat is the form of a line of the access log.
type LogFormat uint8

// The forms: one JSON object a line, and the combined format of Apache and
// nginx.
const (
	LogJSON LogFormat = iota
	LogCombined
)

// ParseLogFormat reads log.format.
func ParseLogFormat(s string) (LogFormat, error) {
	switch s {
	case "json":
		return LogJSON, nil
	case "combined":
		return LogCombined, nil
	}
	return 0, errors.New("give json or combined")
}

// What a client wrote takes at most so many bytes of a line, before escaping.
const (
	maxLoggedURI   = 8 << 10
	maxLoggedField = 1 << 10
)

// append writes one line with its end. Whatever bytes a client sent, it stays
// one line, and nothing in it moves a terminal's cursor.
func (f LogFormat) append(b []byte, r *Record) []byte {
	if f == LogCombined {
		return append(appendCombined(b, r), '\n')
	}
	return append(r.AppendJSON(b), '\n')
}

// bound is an upper bound of a line's length: each byte may become six.
func (r *Record) bound() int {
	free := len(r.ID) + len(r.Client) + len(r.Method) + len(r.Scheme) + len(r.Host) +
		len(r.Peer) + len(r.Error) + len(r.UserAgent) + len(r.Referer)
	free = min(free, 9*maxLoggedField)
	return 1024 + 6*(free+min(len(r.Path)+len(r.Query), maxLoggedURI))
}

// AppendJSON writes the record as one JSON object, without line end. The
// names are those of docs/reference.md.
func (r *Record) AppendJSON(b []byte) []byte {
	b = append(b, `{"time":"`...)
	b = time.Unix(0, r.Time).UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z")
	b = append(b, '"')
	b = appendText(b, "id", r.ID)
	b = appendWord(b, "kind", r.Kind.String())
	b = appendText(b, "client", r.Client)
	b = appendText(b, "method", r.Method)
	b = appendWord(b, "scheme", r.Scheme)
	b = appendText(b, "host", r.Host)
	b = append(b, `,"uri":"`...)
	b = appendURI(b, r, appendEscaped, appendEscaped)
	b = append(b, '"')
	b = appendNumber(b, "status", int64(r.Status))
	b = appendNumber(b, "bytes", r.Bytes)
	b = appendNumber(b, "body_bytes", r.BodyBytes)
	b = appendWord(b, "cache", r.Cache.String())
	if r.Tier != TierNone {
		b = appendWord(b, "tier", r.Tier.String())
	}
	b = appendWord(b, "reason", r.Reason.String())
	if r.Unstored != 0 {
		b = appendWord(b, "unstored", r.Unstored.String())
	}
	b = appendNumber(b, "ttl", r.TTL)
	if r.Age >= 0 {
		b = appendNumber(b, "age", r.Age)
	} else {
		b = append(b, `,"age":null`...)
	}
	b = appendText(b, "peer", r.Peer)
	if r.Peer != "" {
		b = append(b, `,"peer_healthy":`...)
		b = strconv.AppendBool(b, r.PeerHealthy)
	} else {
		b = append(b, `,"peer_healthy":null`...)
	}
	b = appendNumber(b, "retries", int64(r.Retries))
	b = appendMillis(b, "duration_ms", r.Duration)
	b = appendMillis(b, "upstream_ms", r.Upstream)
	b = appendWord(b, "proto", r.Proto.String())
	b = appendText(b, "ua", r.UserAgent)
	b = appendText(b, "referer", r.Referer)
	if r.Error != "" {
		b = appendText(b, "error", r.Error)
	}
	return append(b, '}')
}

// appendURI writes path and query of a record, bounded together.
func appendURI(b []byte, r *Record, path func([]byte, []byte) []byte, query func([]byte, []byte) []byte) []byte {
	b = path(b, r.Path[:min(len(r.Path), maxLoggedURI)])
	if !r.HasQuery {
		return b
	}
	b = append(b, '?')
	return query(b, r.Query[:min(len(r.Query), maxLoggedURI-min(len(r.Path), maxLoggedURI))])
}

// appendWord writes a member whose value is ours and needs no escaping.
func appendWord(b []byte, name, value string) []byte {
	b = appendName(b, name)
	b = append(b, '"')
	b = append(b, value...)
	return append(b, '"')
}

func appendText[T string | []byte](b []byte, name string, value T) []byte {
	b = appendName(b, name)
	b = append(b, '"')
	b = appendEscaped(b, value[:min(len(value), maxLoggedField)])
	return append(b, '"')
}

func appendNumber(b []byte, name string, n int64) []byte {
	return strconv.AppendInt(appendName(b, name), n, 10)
}

// appendMillis writes nanoseconds as milliseconds with three decimals.
func appendMillis(b []byte, name string, nanos int64) []byte {
	micros := max(nanos, 0) / 1000
	b = appendNumber(b, name, micros/1000)
	rest := micros % 1000
	return append(b, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
}

func appendName(b []byte, name string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	return append(b, '"', ':')
}

const lowHex = "0123456789abcdef"

// plain marks the bytes that stand for themselves in a JSON string and on a
// terminal.
var plain = func() (t [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// appendEscaped writes the inside of a JSON string (RFC 8259, 7). Controls, C1
// controls, line separators and what is no UTF-8 are escaped.
func appendEscaped[T string | []byte](b []byte, s T) []byte {
	start := 0
	for i := 0; i < len(s); {
		if plain[s[i]] {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		n := 1
		b, n = appendOdd(b, s[i:])
		i += n
		start = i
	}
	return append(b, s[start:]...)
}

// appendOdd writes the first character of s, which is not plain, and says how
// many bytes it had.
func appendOdd[T string | []byte](b []byte, s T) (out []byte, n int) {
	c := s[0]
	switch {
	case c == '"' || c == '\\':
		return append(b, '\\', c), 1
	case c < utf8.RuneSelf:
		return append(b, '\\', 'u', '0', '0', lowHex[c>>4], lowHex[c&15]), 1
	}
	r, n := decodeRune(s)
	switch {
	case r == utf8.RuneError && n == 1:
		return append(b, `\ufffd`...), 1
	case r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfeff:
		return append(b, '\\', 'u', lowHex[r>>12&15], lowHex[r>>8&15], lowHex[r>>4&15], lowHex[r&15]), n
	}
	return append(b, s[:n]...), n
}

func decodeRune[T string | []byte](s T) (rune, int) {
	var four [utf8.UTFMax]byte
	return utf8.DecodeRune(four[:copy(four[:], s)])
}

// appendCombined writes host - - [time] "method uri proto" status body_bytes
// "referer" "user agent".
func appendCombined(b []byte, r *Record) []byte {
	b = appendDashed(b, r.Client)
	b = append(b, " - - ["...)
	b = time.Unix(0, r.Time).UTC().AppendFormat(b, "02/Jan/2006:15:04:05 -0700")
	b = append(b, `] "`...)
	b = appendHexed(b, r.Method[:min(len(r.Method), maxLoggedField)])
	b = append(b, ' ')
	b = appendURI(b, r, appendHexed, appendHexed)
	b = append(b, ' ')
	b = append(b, r.Proto.String()...)
	b = append(b, `" `...)
	b = strconv.AppendInt(b, int64(r.Status), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, r.BodyBytes, 10)
	b = append(b, ` "`...)
	b = appendDashed(b, r.Referer)
	b = append(b, `" "`...)
	b = appendDashed(b, r.UserAgent)
	return append(b, '"')
}

func appendDashed(b, s []byte) []byte {
	if len(s) == 0 {
		return append(b, '-')
	}
	return appendHexed(b, s[:min(len(s), maxLoggedField)])
}

// appendHexed writes what is no printable ASCII, and quotes and backslashes,
// as \xHH, as nginx and Apache do.
func appendHexed[T string | []byte](b []byte, s T) []byte {
	for i := range len(s) {
		if c := s[i]; plain[c] {
			b = append(b, c)
		} else {
			b = append(b, '\\', 'x', lowHex[c>>4], lowHex[c&15])
		}
	}
	return b
}
