// Package storetest is the contract of cachestore.Store as one suite of tests,
// which every tier passes.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"edgecache/cachestore"
	"edgecache/policy"
)

// Run runs the suite. open makes an empty store of 8 MiB at most, with the
// default limit of variants, and closes it when the test ends.
func Run(t *testing.T, open func(*testing.T) cachestore.Store) {
	for name, test := range map[string]func(*testing.T, cachestore.Store){
		"what is committed is found as a whole":           committed,
		"what is not committed is not found":              uncommitted,
		"a body that disagrees with its length is none":   wrongLength,
		"a writer ends once":                              endsOnce,
		"chunks lie on the grid":                          offGrid,
		"a commit replaces the variant of its selection":  replacesVariant,
		"the oldest variant goes over the limit":          variantLimit,
		"replace is a compare and swap":                   compareAndSwap,
		"a renewed variant shares its body":               renewed,
		"an equal hash is not an equal key":               collision,
		"a body over the largest is refused":              tooLarge,
		"fills hold no more than their share":             fillShare,
		"bytes return to zero":                            bytesReturn,
		"each sees what is stored":                        eachSees,
		"each holds no lock":                              eachHoldsNoLock,
		"an evicted body stays readable":                  evictedReadable,
		"hits keep a variant":                             hitsKeep,
		"bytes stay within the limit":                     withinLimit,
		"bytes stay within the limit when all is at once": concurrentLimit,
		"one commit of many at once is whole":             concurrentCommits,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

var ctx = context.Background()

// Key is a primary key for tests, the same for the same i.
func Key(i int) policy.Key {
	u := policy.URL{Scheme: "http", Host: []byte("h"), Path: fmt.Appendf(nil, "/%d", i)}
	k, _ := policy.NewKey(nil, 1, u, nil)
	return k
}

// Content is size bytes that differ for each seed.
func Content(seed, size int) []byte {
	p := make([]byte, size)
	x := uint64(seed)*0x9e3779b97f4a7c15 + 1
	for i := range p {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		p[i] = byte(x)
	}
	return p
}

// Variant is one without a body. selector is what the request had for Vary: x.
func Variant(selector string) *cachestore.Variant {
	v := &cachestore.Variant{Head: cachestore.NewHead(200, http.Header{"Etag": {`"1"`}}, nil)}
	if selector != "" {
		v.Vary = []string{"x"}
		v.Selector = policy.AppendSelector(nil, v.Vary, asking(selector))
	}
	return v
}

func asking(x string) *policy.Ask {
	return &policy.Ask{Fields: policy.Fields{{Name: []byte("X"), Value: []byte(x)}}}
}

// Put stores content under k and returns the error of the step that refused.
func Put(s cachestore.Store, k policy.Key, v *cachestore.Variant, content []byte) error {
	w := s.Begin(k, cachestore.Meta{Length: int64(len(content))})
	if sp, ok := w.(cachestore.Spiller); ok {
		defer sp.Release()
	}
	defer w.Abort()
	for len(content) > 0 {
		n := min(len(content), cachestore.ChunkSize)
		if err := w.Chunk(bytes.Clone(content[:n])); err != nil {
			return err
		}
		content = content[n:]
	}
	return w.Commit(v)
}

func put(t *testing.T, s cachestore.Store, k policy.Key, selector string, content []byte) *cachestore.Variant {
	t.Helper()
	v := Variant(selector)
	if err := Put(s, k, v, content); err != nil {
		t.Fatalf("store %d bytes: %v", len(content), err)
	}
	return v
}

// read gives all bytes of a body through the store.
func read(s cachestore.Store, b *cachestore.Body) ([]byte, error) {
	var all []byte
	for i := range b.Chunks() {
		c, err := s.Chunk(ctx, b, i)
		if err != nil {
			return all, err
		}
		all = append(all, c...)
	}
	return all, nil
}

func load(t *testing.T, s cachestore.Store, k policy.Key) *cachestore.Resource {
	t.Helper()
	r, err := s.Load(ctx, k)
	if err != nil && !errors.Is(err, cachestore.ErrAbsent) {
		t.Fatalf("load: %v", err)
	}
	return r
}

func mustRead(t *testing.T, s cachestore.Store, v *cachestore.Variant, want []byte) {
	t.Helper()
	got, err := read(s, v.Body)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read %d bytes, error %v, want %d bytes, equal: %v", len(got), err, len(want), bytes.Equal(got, want))
	}
}

func absent(t *testing.T, s cachestore.Store, k policy.Key) {
	t.Helper()
	if r, p := s.Peek(k); r != nil || p != cachestore.Absent {
		t.Errorf("peek: %v, presence %d, want nothing", r, p)
	}
	if r, err := s.Load(ctx, k); r != nil || !errors.Is(err, cachestore.ErrAbsent) {
		t.Errorf("load: %v, error %v, want ErrAbsent", r, err)
	}
}

// unloadable is absent where the store may know no more than the hash.
func unloadable(t *testing.T, s cachestore.Store, k policy.Key) {
	t.Helper()
	if r, p := s.Peek(k); r != nil || p == cachestore.InMemory {
		t.Errorf("peek: %v, presence %d, want nothing in memory", r, p)
	}
	if r, err := s.Load(ctx, k); r != nil || !errors.Is(err, cachestore.ErrAbsent) {
		t.Errorf("load: %v, error %v, want ErrAbsent", r, err)
	}
}

func committed(t *testing.T, s cachestore.Store) {
	absent(t, s, Key(1))
	for i, size := range []int{0, 1, 1000, cachestore.ChunkSize, cachestore.ChunkSize + 1, 3*cachestore.ChunkSize - 1} {
		content := Content(i, size)
		v := put(t, s, Key(i), "", content)
		r := load(t, s, Key(i))
		if r == nil || len(r.Variants) != 1 || r.Variants[0] != v {
			t.Fatalf("body of %d bytes: %v, want its variant", size, r)
		}
		if v.Body.ID == 0 || v.Body.Size != int64(size) {
			t.Errorf("body of %d bytes: id %d, size %d", size, v.Body.ID, v.Body.Size)
		}
		if !r.Key.Equal(Key(i)) {
			t.Errorf("key of the resource differs")
		}
		mustRead(t, s, v, content)
	}
	if _, err := s.Chunk(ctx, load(t, s, Key(1)).Variants[0].Body, 1); err == nil {
		t.Errorf("chunk behind the end: no error")
	}
}

func uncommitted(t *testing.T, s cachestore.Store) {
	before := s.Stats()
	k := Key(1)
	w := s.Begin(k, cachestore.Meta{Length: -1})
	if err := w.Chunk(Content(1, cachestore.ChunkSize)); err != nil {
		t.Fatal(err)
	}
	if got := s.Stats(); got.FillBytes < cachestore.ChunkSize || got.Bytes-before.Bytes < cachestore.ChunkSize {
		t.Errorf("in flight: fills %d, bytes %d more, want a chunk", got.FillBytes, got.Bytes-before.Bytes)
	}
	absent(t, s, k)
	w.Abort()
	w.Abort()
	absent(t, s, k)
	got := s.Stats()
	if got.Bytes != before.Bytes || got.FillBytes != 0 {
		t.Errorf("after abort: %+v, want the bytes of %+v", got, before)
	}
}

func wrongLength(t *testing.T, s cachestore.Store) {
	w := s.Begin(Key(1), cachestore.Meta{Length: 10})
	if err := w.Chunk(Content(1, 9)); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(Variant("")); !errors.Is(err, cachestore.ErrLength) {
		t.Errorf("commit of 9 bytes of 10: %v, want ErrLength", err)
	}
	w.Abort()
	w = s.Begin(Key(1), cachestore.Meta{Length: -1})
	if err := w.Chunk(Content(1, 9)); err != nil {
		t.Fatal(err)
	}
	v := Variant("")
	v.Body = cachestore.NewBody(Content(1, 9))
	if err := w.Commit(v); !errors.Is(err, cachestore.ErrConflict) {
		t.Errorf("commit of another body: %v, want ErrConflict", err)
	}
	w.Abort()
	absent(t, s, Key(1))
}

func endsOnce(t *testing.T, s cachestore.Store) {
	w := s.Begin(Key(1), cachestore.Meta{Length: 0})
	if err := w.Commit(Variant("")); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(Variant("")); !errors.Is(err, cachestore.ErrWriterDone) {
		t.Errorf("second commit: %v, want ErrWriterDone", err)
	}
	if err := w.Chunk(Content(1, 1)); !errors.Is(err, cachestore.ErrWriterDone) {
		t.Errorf("chunk after commit: %v, want ErrWriterDone", err)
	}
	w.Abort()
	if load(t, s, Key(1)) == nil {
		t.Errorf("abort after commit removed the object")
	}
}

func offGrid(t *testing.T, s cachestore.Store) {
	w := s.Begin(Key(1), cachestore.Meta{Length: -1})
	defer w.Abort()
	if err := w.Chunk(Content(1, cachestore.ChunkSize+1)); err == nil {
		t.Errorf("a chunk of more than ChunkSize was taken")
	}
	if err := w.Chunk(Content(1, 5)); err != nil {
		t.Fatal(err)
	}
	if err := w.Chunk(Content(1, 5)); err == nil {
		t.Errorf("a chunk behind a short one was taken")
	}
}
