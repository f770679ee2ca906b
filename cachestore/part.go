package cachestore

// SliceSize is how many bytes of a large object are fetched and kept as one: an
// even number of chunks, so that a slice that is whole wastes none.
const SliceSize = 16 * ChunkSize

// Part says what of a representation a variant is, where that is not all of it
// (RFC 9111, 3.3). It is immutable.
//
// A variant with Slices is the head of a sparse object: it has no body. The
// bytes that are there lie in slices, each stored by itself under a key that is
// made of the object's key, of Slices, and of the slice's number. A slice, and an
// answer that cannot be combined with another, has its bytes in its Body.
type Part struct {
	From   int64  // where in the representation the body begins
	Total  int64  // complete length in bytes; -1 when it is not known
	Slices uint64 // not 0: which slices are the object's
	// ToEnd says that the origin meant the body to reach to the end of the
	// representation, although its length said otherwise; then Total is -1.
	ToEnd bool
}

// Has says whether the byte at a place is in a body of size bytes.
func (p *Part) Has(at, size int64) bool { return p.From <= at && at < p.From+size }
