package cachestore

import "go.etcd.io/bbolt"

// pen writes into a transaction.
type pen struct {
	state, objects, chunks, fills *bbolt.Bucket
	seal                          *seal
	key                           []byte
	deletes                       int
}

func newPen(tx *bbolt.Tx, s *seal) *pen {
	w := &pen{
		state: tx.Bucket(bucketState), objects: tx.Bucket(bucketObjects),
		chunks: tx.Bucket(bucketChunks), fills: tx.Bucket(bucketFills), seal: s,
	}
	w.objects.FillPercent, w.chunks.FillPercent = 1, 1 // ids rise: a page that is full stays full
	return w
}

func (w *pen) put(c *change, meta []byte) error {
	if c.kind == changeChunk {
		if c.n == 0 {
			if err := w.fills.Put(idKey(nil, c.id), nil); err != nil {
				return err
			}
		}
		return w.chunk(c.id, c.n, c.p)
	}
	if err := w.objects.Put(idKey(nil, c.id), meta); err != nil {
		return err
	}
	if c.kind == changeRevise {
		return nil
	}
	if c.spill != nil {
		return w.fills.Delete(idKey(nil, c.id))
	}
	return w.body(c.id, c.body)
}

// body writes the chunks of a body that is in memory.
func (w *pen) body(id uint64, b *Body) error {
	for n := range b.Chunks() {
		if err := w.chunk(id, uint32(n), b.chunks[n]); err != nil {
			return err
		}
	}
	return nil
}

// chunk writes one. bbolt copies the key and reads p until the commit.
func (w *pen) chunk(id uint64, n uint32, p []byte) error {
	w.key = chunkKey(w.key[:0], id, n, w.seal.chunk(id, n, p))
	return w.chunks.Put(w.key, p)
}

// drop deletes a record and the chunks of its id, or as many of them as one
// transaction takes; what is left is noted.
func (w *pen) drop(c *change) error {
	c.left = false
	id := idKey(nil, c.id)
	if err := w.objects.Delete(id); err != nil {
		return err
	}
	if c.kind == changeUnlist {
		return w.fills.Put(id, nil)
	}
	at := w.chunks.Cursor()
	for k, _ := at.Seek(id); hasPrefix(k, id); k, _ = at.Seek(id) {
		if w.deletes++; w.deletes > commitDeletes {
			c.left = true
			return w.fills.Put(id, nil)
		}
		if err := at.Delete(); err != nil {
			return err
		}
	}
	return w.fills.Delete(id)
}

func hasPrefix(b, prefix []byte) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == string(prefix)
}
