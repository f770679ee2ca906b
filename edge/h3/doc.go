// Package h3 is the HTTP/3 wire (RFC 9114): quic-go's streams become sessions
// of edge.Engine, in the same phases as over the other wires.
//
// A Server takes UDP sockets. For each connection quic-go reads the frames and
// the field sections; a stream checks the request as the HTTP/1.1 wire checks
// one, and its lane sends the answer. What breaks off is a reset stream, never
// a clean end. There is no 0-RTT, no server push, no datagram, and no tunnel:
// CONNECT is refused, the extended one of RFC 9220, too, though quic-go says in
// its SETTINGS that it knows that.
package h3
