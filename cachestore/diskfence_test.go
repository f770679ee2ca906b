package cachestore

import (
	"runtime"
	"testing"

	"edgecache/policy"
)

// These hold what no random test can see missing: two things that must not mix
// are apart by less than a request takes.

// bareTiers is a store whose disk has one shard.
func bareTiers(t *testing.T) (*Tiers, *diskShard) {
	t.Helper()
	mem, err := NewMemory(MemoryConfig{Size: 16 << 20})
	if err != nil {
		t.Fatal(err)
	}
	d := openBareDisk(t, t.TempDir(), false)
	s, err := NewTiers(mem, d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := d.Loaded(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, d.shards[0].Load()
}

// store stores one object that is known by its StoredAt.
func store(t *testing.T, s *Tiers, storedAt int64) {
	t.Helper()
	w := s.Begin(bootKey(), Meta{Length: 5})
	if err := w.Chunk([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(&Variant{Head: NewHead(200, nil, nil), StoredAt: storedAt}); err != nil {
		t.Fatal(err)
	}
}

// onDiskAlone stores one object and lets memory forget it.
func onDiskAlone(t *testing.T, s *Tiers) {
	t.Helper()
	store(t, s, 1)
	if err := s.disk.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	leaveMemory(t, s)
}

func leaveMemory(t *testing.T, s *Tiers) {
	t.Helper()
	k := bootKey()
	if !s.mem.swap(k, s.mem.table.get(k), nil, swapping{quiet: true}) {
		t.Fatal("the object cannot leave memory")
	}
}

// holdWriter keeps a shard's writer busy until the function that it returns is
// called.
func holdWriter(s *diskShard) (goOn func()) {
	held, busy := make(chan struct{}), make(chan struct{})
	s.queue.offer(&change{kind: changeMark, done: func(error) { close(busy); <-held }})
	<-busy
	return func() { close(held) }
}

// TestLoadSeesWhatChangedMeanwhile: a sweep decides about an object while a Load
// reads its record. The Load must not bring back what was decided about.
func TestLoadSeesWhatChangedMeanwhile(t *testing.T) {
	s, shard := bareTiers(t)
	onDiskAlone(t, s)
	goOn := holdWriter(shard) // so that the file keeps the old record
	defer goOn()
	for range cap(shard.reads) {
		shard.reads <- struct{}{}
	}
	list, _ := shard.under(bootKey().Hash)
	loaded := make(chan *Resource)
	looking := make(chan struct{})
	go func() {
		close(looking)
		r, _ := s.Load(t.Context(), bootKey())
		loaded <- r
	}()
	<-looking
	for range 1000 { // until it waits for its turn to read
		runtime.Gosched()
	}
	o := object{ref: list[0].ref, id: list[0].id, key: bootKey()}
	body := hollowBody(shard.bodyID(o.ref), 5, nil)
	next := &Resource{Key: bootKey(), Variants: []*Variant{{Head: NewHead(200, nil, nil), StoredAt: 2, Body: body}}}
	if !s.mem.table.without(bootKey(), func() { shard.judged(&o, next) }) {
		t.Fatal("it is in memory")
	}
	for range cap(shard.reads) {
		<-shard.reads
	}
	if r := <-loaded; r == nil || r.Variants[0].StoredAt != 2 {
		t.Errorf("loaded %+v, want what the sweep has put there", r)
	}
}

// TestSweepSeesWhatWaitsToBeWritten: an object that is neither in memory any
// more nor on disk yet is judged, too.
func TestSweepSeesWhatWaitsToBeWritten(t *testing.T) {
	s, shard := bareTiers(t)
	goOn := holdWriter(shard)
	store(t, s, 1)
	leaveMemory(t, s)
	judged := make(chan int)
	go func() {
		n := 0
		if err := s.Sweep(t.Context(), 1, func(r *Resource) *Resource { n++; return r }); err != nil {
			t.Error(err)
		}
		judged <- n
	}()
	for range 1000 {
		runtime.Gosched()
	}
	goOn()
	if n := <-judged; n != 1 {
		t.Errorf("%d objects were judged, want 1", n)
	}
}

// TestStartKeepsWhatCameMeanwhile: what a start finds under a key that has been
// stored since is out of date.
func TestStartKeepsWhatCameMeanwhile(t *testing.T) {
	s, shard := bareTiers(t)
	onDiskAlone(t, s)
	shard.mu.Lock()
	old, _ := shard.index.get(shard.index.of(bootKey().Hash, nil)[0])
	shard.loading, shard.touched = true, map[policy.Hash]struct{}{}
	shard.mu.Unlock()
	store(t, s, 2)
	shard.addLoaded([]indexed{old})
	leaveMemory(t, s)
	r, err := s.Load(t.Context(), bootKey())
	if err != nil || len(r.Variants) != 1 || r.Variants[0].StoredAt != 2 {
		t.Errorf("loaded %+v, error %v, want the newer alone", r, err)
	}
}
