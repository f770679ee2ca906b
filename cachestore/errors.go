package cachestore

import "errors"

// Errors of a Store and its Writers.
var (
	// ErrTooLarge says that a body is over what the tier stores.
	ErrTooLarge = errors.New("cachestore: body is over what the tier stores")
	// ErrNoRoom says that fills in flight hold all bytes that fills may hold.
	ErrNoRoom = errors.New("cachestore: no room for another fill's bytes")
	// ErrAbsent says that nothing is stored under the key.
	ErrAbsent = errors.New("cachestore: nothing is stored under the key")
	// ErrChunkGone says that a chunk of a stored body is not held any more.
	ErrChunkGone = errors.New("cachestore: chunk is gone")
	// ErrWriterDone says that a Writer was used after its Commit or Abort.
	ErrWriterDone = errors.New("cachestore: writer was committed or aborted before")
	// ErrConflict says that a body does not consist of the chunks that were written.
	ErrConflict = errors.New("cachestore: body differs from the chunks written")
	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("cachestore: store is closed")
)

// Errors of a Fill and its Readers.
var (
	// ErrLength says that a body ended elsewhere than its announced length.
	ErrLength = errors.New("cachestore: body disagrees with its announced length")
	// ErrNoReaders says that nobody reads a body that is not stored either.
	ErrNoReaders = errors.New("cachestore: nobody reads the body and it is not kept")
	// ErrSlow says that a reader fell so far behind that its next byte is gone.
	ErrSlow = errors.New("cachestore: reader fell too far behind")
	// ErrGone says that a fill cannot be joined: bytes that the reader would need
	// are gone.
	ErrGone = errors.New("cachestore: fill cannot be joined any more")
	// ErrNotKept says that a fill has nothing to commit.
	ErrNotKept = errors.New("cachestore: fill is not kept")
	// ErrUnfinished says that a fill was committed before its end.
	ErrUnfinished = errors.New("cachestore: fill is not finished")
)
