package edge

import (
	"io"
	"net/netip"
	"slices"

	"edgecache/policy"
)

// Proto is the protocol that a request came by.
type Proto uint8

// The protocols.
const (
	HTTP11 Proto = iota
	HTTP10
	HTTP2
	HTTP3
)

// String gives the protocol as the access log and Via spell it.
func (p Proto) String() string {
	return [...]string{"HTTP/1.1", "HTTP/1.0", "HTTP/2", "HTTP/3"}[p]
}

// via is the received-protocol of Via (RFC 9110, 7.6.3).
func (p Proto) via() string { return [...]string{"1.1", "1.0", "2", "3"}[p] }

// Request is a client's request as flat fields. Its slices are views into the
// lane's buffer: they are valid until the request is over. Hooks change fields
// with Set, Add and Del; what they put in is their own memory.
type Request struct {
	Method     string // "GET"; never empty
	Proto      Proto
	TLS        bool          // came over TLS
	TLSVersion uint16        // tls.VersionTLS13 …; 0 in cleartext
	HasHost    bool          // false: HTTP without Host; the engine answers 400 (RFC 9112, 3.2)
	Host       []byte        // Host or :authority as sent; the engine lower-cases it
	Path       []byte        // absolute path as sent, before '?'; "*" for OPTIONS *
	Query      []byte        // after '?'
	HasQuery   bool          // "/x?" is not "/x"
	Fields     policy.Fields // without Host; hop-by-hop fields are still there
	HeadBytes  int           // size of the head on the wire

	Body    io.Reader // nil when the request has none; one reader, the lane's
	Length  int64     // of the body in bytes; -1 when only its end tells
	Upgrade string    // protocol of an Upgrade that the client asks for, "" for none

	Remote netip.AddrPort // the socket's address
}

// Get gives the first value of a field, and whether it is there.
func (r *Request) Get(name string) (string, bool) {
	v, ok := r.Fields.Get(name)
	return string(v), ok
}

// Set replaces all lines of a field by one.
func (r *Request) Set(name, value string) {
	r.Del(name)
	r.Add(name, value)
}

// Add appends a line.
func (r *Request) Add(name, value string) {
	r.Fields = append(r.Fields, policy.Field{Name: []byte(name), Value: []byte(value)})
}

// Del removes all lines of a field.
func (r *Request) Del(name string) {
	r.Fields = slices.DeleteFunc(r.Fields, func(f policy.Field) bool {
		return policy.EqualFold(f.Name, name)
	})
}
