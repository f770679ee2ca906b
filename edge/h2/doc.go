// Package h2 serves HTTP/2 (RFC 9113) over TLS and in the clear.
package h2
