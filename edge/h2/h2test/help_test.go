package h2test

import (
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"net/http"
	"strings"
)

// transport is net/http's client of a room, over HTTP/2 only.
func (r *room) transport() *http.Transport {
	p := new(http.Protocols)
	p.SetHTTP2(!r.clear)
	p.SetUnencryptedHTTP2(r.clear)
	return &http.Transport{Protocols: p, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableCompression: true}
}

// url is where a path is.
func (r *room) url(path string) string {
	if r.clear {
		return "http://" + r.Addr + path
	}
	return "https://" + r.Addr + path
}

// acceptOf is what a server says to a WebSocket's handshake (RFC 6455, 4.2.2); "" when
// there is no key in the head.
func acceptOf(head string) string {
	for line := range strings.SplitSeq(head, "\r\n") {
		if name, value, _ := strings.Cut(line, ": "); strings.EqualFold(name, "sec-websocket-key") {
			sum := sha1.Sum([]byte(value + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
			return base64.StdEncoding.EncodeToString(sum[:])
		}
	}
	return ""
}
