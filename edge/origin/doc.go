// Package origin is the upstream side of the edge: who is asked on a miss,
// over which connection, and whether the answer can be believed.
//
// A Pool is one named upstream. It owns its Peers (one origin server each,
// with health and counters), picks the next one to ask, and has a Client that
// sends one request to one peer. What the Client hands back has been read
// twice: once by whoever takes it apart, and before that, byte for byte, by a
// scanner that sits right above the socket and refuses what two machines could
// read differently (RFC 9112, 2.2, 5, 6.1, 6.3, 7.1). The scanner knows where
// an answer ends, so a byte that follows it never becomes the answer to the
// next request: the connection is closed instead.
//
// A request without a body is written, and its answer read, on the goroutine of
// its caller, by code of ours. What is more than that (a body that is sent while
// the answer may come, Expect) is net/http's client's for that one connection,
// which has it from then on (decision 0012). The lists of idle connections, the
// limits and the dialling are ours, so that the caller is told about every
// connection before a request is sent on it. They speak HTTP/1.1 only: ALPN
// offers nothing else yet.
//
// Nothing here follows redirects, reads proxy settings from the environment,
// decompresses, or adds a User-Agent. Health is judged by the caller: Do
// reports nothing by itself.
package origin
