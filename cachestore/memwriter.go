package cachestore

import (
	"fmt"

	"edgecache/policy"
)

// memoryWriter keeps the chunks of one body until its commit.
type memoryWriter struct {
	m      *Memory
	key    policy.Key // owned
	length int64      // announced; -1 unknown
	chunks [][]byte
	one    [1][]byte // where most have room
	size   int64     // bytes of content
	held   int64     // bytes accounted, as the allocator rounds them
	refuse error     // why it takes no more
	done   bool
}

var _ Writer = (*memoryWriter)(nil)

// Begin starts to take a body for k.
func (m *Memory) Begin(k policy.Key, meta Meta) Writer {
	w := &memoryWriter{m: m, key: k.Clone(), length: meta.Length}
	w.chunks = w.one[:0]
	if meta.Length > m.config.MaxObject {
		w.refuseFor(DropTooLarge, ErrTooLarge)
	}
	return w
}

func (w *memoryWriter) refuseFor(why Drop, err error) error {
	w.m.dropped[why].Add(1)
	w.refuse = err
	return err
}

func (w *memoryWriter) Chunk(p []byte) error {
	switch {
	case w.done:
		return ErrWriterDone
	case w.refuse != nil:
		return w.refuse
	case len(p) == 0:
		return nil
	case w.size%ChunkSize != 0 || len(p) > ChunkSize:
		return fmt.Errorf("cachestore: chunk of %d bytes at %d is off the grid", len(p), w.size)
	case w.size+int64(len(p)) > w.m.config.MaxObject:
		return w.refuseFor(DropTooLarge, ErrTooLarge)
	}
	n := rounded(int64(cap(p)))
	if !w.m.Reserve(n) {
		return w.refuseFor(DropNoRoom, ErrNoRoom)
	}
	w.chunks = append(w.chunks, p)
	w.size += int64(len(p))
	w.held += n
	return nil
}

func (w *memoryWriter) Commit(v *Variant) error {
	switch {
	case w.done:
		return ErrWriterDone
	case w.refuse != nil:
		return w.refuse
	case w.length >= 0 && w.size != w.length:
		return ErrLength
	}
	if v.Body == nil {
		v.Body = bodyOf(w.chunks, nil)
	}
	if !v.Body.consistsOf(w.chunks) {
		return ErrConflict
	}
	w.done = true
	// From here on the bytes are the object's, not the fill's.
	w.m.bytes.fills.Add(-w.held)
	w.m.put(w.key, v, w.held)
	w.chunks = nil
	return nil
}

// put makes v the newest variant under k, which must be owned. credit bytes of
// it are accounted already.
func (m *Memory) put(k policy.Key, v *Variant, credit int64) {
	m.noted(k.Hash, v.Body.Size, ServedOrigin)
	for {
		old := m.current(k)
		next := &Resource{Key: k, one: [1]*Variant{v}}
		next.Variants = next.one[:]
		if old != nil {
			next = old.With(v)
		}
		if m.swap(k, old, next, swapping{credit: credit}) {
			return
		}
	}
}

func (w *memoryWriter) Abort() {
	if w.done {
		return
	}
	w.done = true
	w.m.Release(w.held)
	w.chunks = nil
}
