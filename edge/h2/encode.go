package h2

import (
	"bytes"
	"net/http"
	"strconv"

	"edgecache/cachestore"
	"edgecache/edge"
	"edgecache/edge/syntax"
)

// Answers are encoded without the dynamic table: literal fields that are not
// indexed (RFC 7541, 6.2.2), names by the static table where it has them. Nothing
// is remembered, so that answers may be made anywhere in any order.

// names gives the static table's index of a canonical name.
var names = func() map[string]int {
	m := make(map[string]int)
	for i := staticEntries; i > 0; i-- {
		if static[i].name[0] != ':' {
			m[http.CanonicalHeaderKey(string(static[i].name))] = i
		}
	}
	return m
}()

// statuses are the answers that the static table has whole.
var statuses = map[int]byte{200: 0x88, 204: 0x89, 206: 0x8a, 304: 0x8b, 400: 0x8c, 404: 0x8d, 500: 0x8e}

const contentLength = 28 // index of content-length

// appendHead encodes the head of an answer.
func appendHead(b []byte, h *cachestore.Head, v *edge.View) []byte {
	b = appendStatus(b, v.Status)
	b = appendLines(b, h.Kept())
	if !v.KeptOnly {
		b = appendLines(b, h.Representation())
	}
	if v.Length >= 0 && v.Status >= 200 && v.Status != http.StatusNoContent {
		b = appendIndex(b, contentLength)
		b = append(b, 0)
		from := len(b)
		b = strconv.AppendInt(b, v.Length, 10)
		b[from-1] = byte(len(b) - from)
	}
	for i := range v.Tail {
		b = appendField(b, v.Tail[i].Name, v.Tail[i].Value)
	}
	return b
}

func appendStatus(b []byte, status int) []byte {
	if c := statuses[status]; c != 0 {
		return append(b, c)
	}
	b = append(b, 0x08, 3) // a literal behind the name of index 8
	return strconv.AppendInt(b, int64(status), 10)
}

// appendLines encodes HTTP/1.1 field lines as a Head has them.
func appendLines(b, block []byte) []byte {
	for len(block) > 0 {
		end := bytes.IndexByte(block, '\n')
		line := block[:end-1]
		block = block[end+1:]
		colon := bytes.IndexByte(line, ':')
		b = appendField(b, line[:colon], line[colon+2:])
	}
	return b
}

// appendField encodes one field. Fields of the connection are left out: they have
// no meaning here (RFC 9113, 8.2.2).
func appendField(b, name, value []byte) []byte {
	if i := names[string(name)]; i > 0 {
		b = appendIndex(b, i)
	} else {
		if isHop(name) {
			return b
		}
		b = append(b, 0)
		b = appendInteger(b, 7, len(name))
		for _, c := range name {
			if 'A' <= c && c <= 'Z' {
				c |= 0x20
			}
			b = append(b, c)
		}
	}
	b = appendInteger(b, 7, len(value))
	return append(b, value...)
}

func isHop(name []byte) bool {
	switch string(name) {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Upgrade":
		return true
	}
	return string(name) == "Transfer-Encoding" // in the static table, but never in a Head
}

// appendIndex starts a literal field without indexing whose name has an index.
func appendIndex(b []byte, i int) []byte { return appendInteger(b, 4, i) }

// appendInteger encodes an integer (RFC 7541, 5.1); the bits above the prefix are 0.
func appendInteger(b []byte, prefix uint, n int) []byte {
	most := 1<<prefix - 1
	if n < most {
		return append(b, byte(n))
	}
	b = append(b, byte(most))
	for n -= most; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// appendHeader encodes the fields of a trailer or of an interim answer; what is no
// field is left out.
func appendHeader(b []byte, h http.Header) []byte {
	for name, values := range h {
		if len(name) == 0 || !syntax.All(name, syntax.InToken) {
			continue
		}
		for _, value := range values {
			if syntax.All(value, syntax.InValue) {
				b = appendField(b, []byte(http.CanonicalHeaderKey(name)), []byte(value))
			}
		}
	}
	return b
}
