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
		v.Selector = policy.AppendSelector(nil, v.Vary, fields(selector))
	}
	return v
}

func fields(x string) policy.Fields {
	return policy.Fields{{Name: []byte("X"), Value: []byte(x)}}
}

// Put stores content under k and returns the error of the step that refused.
func Put(s cachestore.Store, k policy.Key, v *cachestore.Variant, content []byte) error {
	w := s.Begin(k, cachestore.Meta{Length: int64(len(content))})
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
	if got.Bytes != before.Bytes || got.FillBytes != 0 || got.Dropped[cachestore.DropAborted] != 1 {
		t.Errorf("after abort: %+v, want the bytes of %+v and one drop", got, before)
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

func replacesVariant(t *testing.T, s cachestore.Store) {
	k := Key(1)
	put(t, s, k, "a", Content(1, 100))
	b := put(t, s, k, "b", Content(2, 100))
	a := put(t, s, k, "a", Content(3, 100))
	r := load(t, s, k)
	if len(r.Variants) != 2 || r.Variants[0] != a || r.Variants[1] != b {
		t.Fatalf("variants %v, want the new a, then b", r.Variants)
	}
	for x, want := range map[string]*cachestore.Variant{"a": a, "b": b, "c": nil} {
		if got, _ := r.Select(fields(x), nil); got != want {
			t.Errorf("select x=%s: %p, want %p", x, got, want)
		}
	}
	mustRead(t, s, a, Content(3, 100))
	plain := put(t, s, k, "", Content(4, 100))
	if got, _ := load(t, s, k).Select(fields("b"), nil); got != plain {
		t.Errorf("after an answer without Vary: selected %p, want that one", got)
	}
}

func variantLimit(t *testing.T, s cachestore.Store) {
	k := Key(1)
	for i := range cachestore.MaxVariants + 3 {
		put(t, s, k, fmt.Sprint("v", i), Content(i, 10))
	}
	r := load(t, s, k)
	if len(r.Variants) != cachestore.MaxVariants {
		t.Fatalf("%d variants, want %d", len(r.Variants), cachestore.MaxVariants)
	}
	for i, present := range map[int]bool{0: false, 2: false, 3: true, cachestore.MaxVariants + 2: true} {
		if v, _ := r.Select(fields(fmt.Sprint("v", i)), nil); (v != nil) != present {
			t.Errorf("variant %d is there: %v, want %v", i, v != nil, present)
		}
	}
	st := s.Stats()
	if st.Evicted[cachestore.EvictedVariants] != 3 || st.Variants != cachestore.MaxVariants || st.Resources != 1 {
		t.Errorf("stats %+v, want 3 evicted, %d variants, 1 resource", st, cachestore.MaxVariants)
	}
}

func compareAndSwap(t *testing.T, s cachestore.Store) {
	k := Key(1)
	put(t, s, k, "a", Content(1, 10))
	old := load(t, s, k)
	b := put(t, s, k, "b", Content(2, 10))
	now := load(t, s, k)
	if s.Replace(k, old, nil) || s.Replace(k, nil, cachestore.NewResource(k, b)) {
		t.Fatalf("replaced what was not stored any more")
	}
	if load(t, s, k) != now {
		t.Fatalf("a failed swap changed the resource")
	}
	if !s.Replace(k, now, now.Without(b)) {
		t.Fatalf("swap refused")
	}
	if r := load(t, s, k); len(r.Variants) != 1 || r.Variants[0] == b {
		t.Errorf("variants %v, want a alone", r.Variants)
	}
	if now = load(t, s, k); !s.Replace(k, now, now.Without(now.Variants[0])) {
		t.Fatalf("swap refused")
	}
	absent(t, s, k)
	if s.Replace(Key(2), now, nil) {
		t.Errorf("replaced an absent resource")
	}
	if !s.Replace(Key(2), nil, cachestore.NewResource(Key(2), b)) {
		t.Fatalf("swap into an absent place refused")
	}
	mustRead(t, s, load(t, s, Key(2)).Variants[0], Content(2, 10))
	s.Delete(Key(2))
	s.Delete(Key(2))
	absent(t, s, Key(2))
}

func renewed(t *testing.T, s cachestore.Store) {
	k := Key(1)
	v := put(t, s, k, "a", Content(1, 5000))
	r := load(t, s, k)
	for range 5 {
		s.Hit(r, v)
	}
	before := s.Stats()
	n := v.With(cachestore.Renewal{Head: cachestore.NewHead(200, http.Header{"Etag": {`"2"`}}, nil), PurgeSeq: 7})
	if !s.Replace(k, r, r.With(n)) {
		t.Fatal("swap refused")
	}
	got, _ := load(t, s, k).Select(fields("a"), nil)
	if got != n || got.Body != v.Body || got.Hits() != 5 || got.Checked() != 7 {
		t.Errorf("renewed: same body %v, %d hits, checked to %d, want 5 hits and 7", got.Body == v.Body, got.Hits(), got.Checked())
	}
	after := s.Stats()
	if after.Variants != before.Variants || after.Bytes-before.Bytes > 100 {
		t.Errorf("stats after renewal %+v, before %+v", after, before)
	}
	mustRead(t, s, got, Content(1, 5000))
}

func collision(t *testing.T, s cachestore.Store) {
	a, b := Key(1), Key(2)
	b.Hash = a.Hash
	put(t, s, a, "", Content(1, 10))
	absent(t, s, b)
	if s.Replace(b, load(t, s, a), nil) {
		t.Errorf("a resource was replaced under another key")
	}
	s.Delete(b)
	if load(t, s, a) == nil {
		t.Errorf("a resource was deleted under another key")
	}
	v := put(t, s, b, "", Content(2, 10))
	absent(t, s, a)
	mustRead(t, s, v, Content(2, 10))
	if st := s.Stats(); st.Resources != 1 || st.Variants != 1 {
		t.Errorf("stats %+v, want one resource", st)
	}
}

func tooLarge(t *testing.T, s cachestore.Store) {
	huge := int(s.Stats().Limit)
	w := s.Begin(Key(1), cachestore.Meta{Length: int64(huge)})
	if err := w.Chunk(nil); !errors.Is(err, cachestore.ErrTooLarge) {
		t.Errorf("asked with an announced length: %v, want ErrTooLarge", err)
	}
	w.Abort()
	w = s.Begin(Key(1), cachestore.Meta{Length: -1})
	defer w.Abort()
	for n := 0; n < huge; n += cachestore.ChunkSize {
		if err := w.Chunk(make([]byte, cachestore.ChunkSize)); err != nil {
			if !errors.Is(err, cachestore.ErrTooLarge) {
				t.Errorf("after %d bytes: %v, want ErrTooLarge", n, err)
			}
			if err := w.Commit(Variant("")); !errors.Is(err, cachestore.ErrTooLarge) {
				t.Errorf("commit after a refusal: %v, want ErrTooLarge", err)
			}
			absent(t, s, Key(1))
			return
		}
	}
	t.Errorf("%d bytes were taken", huge)
}

func fillShare(t *testing.T, s cachestore.Store) {
	var writers []cachestore.Writer
	defer func() {
		for _, w := range writers {
			w.Abort()
		}
	}()
	limit := s.Stats().Limit
	for i := 0; int64(i)*cachestore.ChunkSize < limit; i++ {
		w := s.Begin(Key(i), cachestore.Meta{Length: -1})
		writers = append(writers, w)
		err := w.Chunk(make([]byte, cachestore.ChunkSize))
		if errors.Is(err, cachestore.ErrNoRoom) {
			if st := s.Stats(); st.Dropped[cachestore.DropNoRoom] == 0 {
				t.Errorf("refused without a count: %+v", st)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Errorf("fills took the whole store: %+v", s.Stats())
}

func bytesReturn(t *testing.T, s cachestore.Store) {
	before := s.Stats()
	for i := range 50 {
		put(t, s, Key(i%20), fmt.Sprint(i%3), Content(i, 100*i))
	}
	for i := range 20 {
		s.Delete(Key(i))
	}
	after := s.Stats()
	if after.Bytes != before.Bytes || after.Window != 0 || after.Resources != 0 || after.Variants != 0 || after.FillBytes != 0 {
		t.Errorf("after deleting all: %+v, want %+v", after, before)
	}
}

func eachSees(t *testing.T, s cachestore.Store) {
	want := map[string]bool{}
	for i := range 30 {
		put(t, s, Key(i), "", Content(i, 10))
		want[string(Key(i).Full)] = true
	}
	s.Each(func(r *cachestore.Resource) bool {
		if !want[string(r.Key.Full)] {
			t.Errorf("saw %q twice, or it is not stored", r.Key.Full)
		}
		delete(want, string(r.Key.Full))
		return true
	})
	if len(want) != 0 {
		t.Errorf("did not see %d resources", len(want))
	}
	n := 0
	s.Each(func(*cachestore.Resource) bool { n++; return n < 3 })
	if n != 3 {
		t.Errorf("called %d times, want it to stop at 3", n)
	}
}

func eachHoldsNoLock(t *testing.T, s cachestore.Store) {
	for i := range 30 {
		put(t, s, Key(i), "", Content(i, 10))
	}
	i := 0
	s.Each(func(r *cachestore.Resource) bool {
		s.Delete(r.Key)
		put(t, s, Key(1000+i), "", Content(i, 10))
		i++
		return i < 100
	})
	if i < 30 {
		t.Errorf("saw %d resources, want the 30 that were there", i)
	}
}

func evictedReadable(t *testing.T, s cachestore.Store) {
	v := put(t, s, Key(0), "", Content(0, 100_000))
	for i := 1; load(t, s, Key(0)) != nil; i++ {
		put(t, s, Key(i), "", Content(i, 100_000))
		if i > 10_000 {
			t.Fatal("never evicted")
		}
	}
	for i := 0; i*cachestore.ChunkSize < 100_000; i++ {
		want := Content(0, 100_000)[i*cachestore.ChunkSize:]
		if got := v.Body.Chunk(i); got != nil && !bytes.HasPrefix(want, got) {
			t.Errorf("chunk %d changed", i)
		}
	}
}

func hitsKeep(t *testing.T, s cachestore.Store) {
	put(t, s, Key(0), "", Content(0, 10_000))
	for i := 1; i < 3000; i++ {
		r := load(t, s, Key(0))
		if r == nil {
			t.Fatalf("evicted after %d others that nobody asked for", i)
		}
		s.Hit(r, r.Variants[0])
		put(t, s, Key(i), "", Content(i, 10_000))
	}
}

// within checks the promise of the accounted bytes.
func within(t *testing.T, s cachestore.Store) {
	t.Helper()
	if st := s.Stats(); st.Bytes > st.Limit+st.Limit/20 {
		t.Fatalf("%d bytes, the limit is %d", st.Bytes, st.Limit)
	}
}

// size is a random body size: mostly small, at times large.
func size(random func(int) int) int {
	switch random(10) {
	case 0:
		return random(500_000)
	case 1, 2:
		return random(60_000)
	}
	return random(6_000)
}
