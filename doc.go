// Package edgecache is the root of edge, a caching CDN edge proxy. It has no code:
// policy, cachestore, purge and edge are the packages to embed, cmd/edge is the
// program. The test of this package holds the rules of the house: which room may
// import which, where a library comes in, how long a file may be.
package edgecache
