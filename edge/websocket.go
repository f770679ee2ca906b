package edge

import (
	"crypto/sha1" // RFC 6455 has no other
	"encoding/base64"
	"net/http"
	"strings"

	"edgecache/policy"
)

// joins judges an answer to a WebSocket's handshake that is ours: it came as an
// extended CONNECT, which has no key, so we have made one and must be the client who
// checks what becomes of it (RFC 8441, 5.1; RFC 6455, 4.1). A 2xx would be a tunnel to who
// has sent the CONNECT, though the origin has joined none; any other refusal is passed on.
func joins(req *http.Request, res *http.Response) bool {
	if res.StatusCode != http.StatusSwitchingProtocols {
		return res.StatusCode/100 != 2
	}
	accept := res.Header["Sec-Websocket-Accept"]
	return len(accept) == 1 && accept[0] == acceptOf(req.Header.Get("Sec-Websocket-Key")) &&
		strings.EqualFold(res.Header.Get("Upgrade"), req.Header.Get("Upgrade")) &&
		policy.ConnectionNames(res.Header)["Upgrade"]
}

// acceptOf is what a server says to a key (RFC 6455, 4.2.2).
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}
