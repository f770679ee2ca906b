// Package h1 is the HTTP/1.1 wire: it reads requests from sockets with a strict
// parser of its own, runs them through the engine, and writes the answers.
//
// A reader needs five names: Server (listeners, limits, drain), conn (one
// connection's loop), parser (a head's bytes into an edge.Request, RFC 9112,
// 2 to 6), body (Content-Length and chunked, RFC 9112, 6 and 7) and lane (what
// the engine sends through). Below them lie wire (the socket with its
// deadlines) and input (the read buffer that requests are views into).
package h1
