package policies_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"edgecache/bench/policies"
)

// sizesOf gives each letter a size: one that is named, else 1.
func sizesOf(named map[byte]int64) []int64 {
	sizes := make([]int64, 'z'+1)
	for i := range sizes {
		sizes[i] = 1
	}
	for letter, size := range named {
		sizes[letter] = size
	}
	return sizes
}

func traceOf(letters string, named map[byte]int64) policies.Trace {
	t := policies.Trace{Sizes: sizesOf(named)}
	for _, letter := range []byte(strings.ReplaceAll(letters, " ", "")) {
		t.Requests = append(t.Requests, uint32(letter))
	}
	return t
}

// keptBy returns the letters of the objects that a policy has.
func keptBy(p policies.Policy) string {
	var kept []byte
	for letter := byte('A'); letter <= 'z'; letter++ {
		if p.Has(uint32(letter)) {
			kept = append(kept, letter)
		}
	}
	return string(kept)
}

func newPolicy(t interface{ Fatal(...any) }, name string, capacity int64, objects int) policies.Policy {
	p, err := policies.New(name, capacity, objects)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The same requests, worked by hand, leave something else with each policy.
func TestVictims(t *testing.T) {
	graded := map[byte]int64{'b': 2, 'c': 4, 'd': 2, 'e': 3}
	thirds := map[byte]int64{'a': 30, 'b': 30, 'c': 30, 'd': 30, 'e': 9, 'f': 30, 'g': 30, 'E': 80}
	const scan = "abcdefghijkbla mnopqrstu"
	for _, c := range []struct {
		name, policy string
		capacity     int64
		asked        string
		sizes        map[byte]int64
		kept         string
	}{
		{"the least recent goes", "lru", 3, "abcad", nil, "acd"},
		{"the first in goes", "fifo", 3, "abcad", nil, "bcd"},
		{"the hand spares what was visited", "sieve", 3, "abcad", nil, "acd"},
		{"recency forgets a", "lru", 3, "abcadeb", nil, "bde"},
		{"the hand goes on behind a", "sieve", 3, "abcadeb", nil, "abe"},
		{"the hand begins at the tail again", "sieve", 3, "abcadebeabaf", nil, "abf"},

		{"two small ones for a large one", "lru", 7, "abcd", graded, "cd"},
		{"the largest goes first", "gdsf", 7, "abcd", graded, "abd"},
		{"what goes lifts what comes", "gdsf", 7, "abcdc", graded, "acd"},
		{"frequency holds d", "gdsf", 7, "abcdcdb", graded, "abd"},
		{"age takes even the smallest", "gdsf", 7, "abcdcdbe", graded, "bde"},

		{"a scan empties it", "lru", 10, scan, nil, "amnopqrstu"},
		{"a scan passes what was hit and what came back", "s3-fifo", 10, scan, nil, "abnopqrstu"},
		{"main spares a while it has hits left", "s3-fifo", 2, "aaaaaabcb aaaaa cbdbd", nil, "ad"},
		{"and three are the most", "s3-fifo", 2, "aaaaaabcb aaaaa cbdbdb", nil, "bd"},

		{"hits in small do not count in main", "s3-fifo", 2, "aabcbc", nil, "bc"},
		{"the ghost remembers b", "s3-fifo", 2, "abcdebfg", nil, "bg"},
		{"but not a, which is one too many", "s3-fifo", 2, "abcdeafg", nil, "fg"},

		{"equals do not get in", "w-tinylfu", 100, "abcd", thirds, "abc"},
		{"the more frequent does", "w-tinylfu", 100, "abcdd", thirds, "bcd"},
		{"all whom it beats go, and it stays out", "w-tinylfu", 100, "abcbEE", thirds, "b"},
		{"it beats them all", "w-tinylfu", 100, "abcbEEE", thirds, "E"},
		{"equals get in", "w-tinylfu-av", 100, "abcd", thirds, "bcd"},
		{"one against the sum of three", "w-tinylfu-av", 100, "abcbEE", thirds, "abc"},
		{"as many as the three", "w-tinylfu-av", 100, "abcbEEEE", thirds, "E"},
		{"those who stay become the newest", "w-tinylfu-av", 100, "abcEd", thirds, "abd"},
		{"a hit protects a from its elders' end", "w-tinylfu", 100, "abcaddffggg", thirds, "afg"},
		{"too many protected: a is before e again", "w-tinylfu", 100, "abcabceddd", thirds, "bcde"},
		{"the window is an LRU", "w-tinylfu", 1000, "MxyxzM", map[byte]int64{'M': 990, 'x': 5, 'y': 5, 'z': 5}, "Mxz"},
		{"the window takes small ones", "w-tinylfu", 100, "abcx", thirds, "abcx"},
		{"and lets the oldest go to where there is room", "w-tinylfu", 100, "abcxy", thirds, "abcxy"},
	} {
		t.Run(c.policy+": "+c.name, func(t *testing.T) {
			trace := traceOf(c.asked, c.sizes)
			p := newPolicy(t, c.policy, c.capacity, len(trace.Sizes))
			tiers := policies.Tiers{Memory: p}
			tiers.Run(trace)
			if got := keptBy(p); got != c.kept {
				t.Errorf("after %s it has %s, want %s", c.asked, got, c.kept)
			}
		})
	}
}

// model is what must hold of every policy, beside a map of what it keeps.
type model struct {
	policy   policies.Policy
	capacity int64
	sizes    []int64
	kept     map[uint32]bool
}

// look compares all that the policy has with the model; only in may be new, and
// only if nothing had to go may nothing have gone.
func (m *model) look(t *rapid.T, in uint32, added, mayEvict bool) {
	var bytes int64
	for id, size := range m.sizes {
		id := uint32(id)
		has := m.policy.Has(id)
		if has {
			bytes += size
		}
		switch {
		case has && !m.kept[id] && !(added && id == in):
			t.Fatalf("object %d appeared", id)
		case !has && m.kept[id] && !mayEvict:
			t.Fatalf("object %d was lost", id)
		}
		m.kept[id] = has
	}
	if got := m.policy.Bytes(); got != bytes || got > m.capacity {
		t.Fatalf("Bytes is %d, the objects have %d, the capacity is %d", got, bytes, m.capacity)
	}
}

func (m *model) request(t *rapid.T, id uint32) {
	if m.policy.Has(id) {
		m.policy.Hit(id)
		m.look(t, id, false, false)
		return
	}
	size := m.sizes[id]
	fits := m.policy.Bytes()+size <= m.capacity
	stored := m.policy.Add(id, size)
	if stored != m.policy.Has(id) {
		t.Fatalf("Add of %d says %v", id, stored)
	}
	if stored && size > m.capacity {
		t.Fatalf("object %d of %d bytes was stored in %d", id, size, m.capacity)
	}
	if !stored && fits {
		t.Fatalf("object %d of %d bytes was refused, but there was room", id, size)
	}
	m.look(t, id, true, !fits)
}

func TestPoliciesKeepTheirPromises(t *testing.T) {
	for _, name := range policies.Names() {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			m := &model{
				capacity: rapid.Int64Range(0, 300).Draw(t, "capacity"),
				sizes:    rapid.SliceOfN(rapid.Int64Range(0, 120), 1, 24).Draw(t, "sizes"),
				kept:     make(map[uint32]bool),
			}
			m.policy = newPolicy(t, name, m.capacity, len(m.sizes))
			for _, id := range rapid.SliceOfN(rapid.IntRange(0, len(m.sizes)-1), 1, 400).Draw(t, "asked") {
				m.request(t, uint32(id))
			}
		}))
	}
}

func TestNames(t *testing.T) {
	for _, name := range policies.Names() {
		if got := newPolicy(t, name, 1, 1).Name(); got != name {
			t.Errorf("New(%q) has the name %q", name, got)
		}
	}
	if _, err := policies.New("clock", 1, 1); err == nil || !strings.Contains(err.Error(), "s3-fifo") {
		t.Errorf("an unknown name: got %v, want an error that names the known ones", err)
	}
}

func TestTiersWriteThrough(t *testing.T) {
	trace := traceOf("abcaabd", map[byte]int64{'d': 9})
	tiers := policies.Tiers{
		Memory: newPolicy(t, "lru", 2, len(trace.Sizes)), Disk: newPolicy(t, "lru", 3, len(trace.Sizes)),
	}
	got := tiers.Run(trace)
	want := policies.Counts{
		Requests: policies.Tally{Objects: 7, Bytes: 15}, MemoryHits: policies.Tally{Objects: 1, Bytes: 1},
		DiskHits: policies.Tally{Objects: 2, Bytes: 2}, Misses: policies.Tally{Objects: 4, Bytes: 12}, DiskWritten: 3,
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if kept := keptBy(tiers.Disk); kept != "abc" {
		t.Errorf("the disk has %s, want abc: a hit leaves its copy, and d is too large", kept)
	}
	if got.ObjectMissRatio() != 4.0/7 || got.ByteMissRatio() != 0.8 || got.WrittenPerRequested() != 0.2 || got.MemoryHitRatio() != 1.0/7 {
		t.Errorf("ratios %v %v %v %v", got.ObjectMissRatio(), got.ByteMissRatio(), got.WrittenPerRequested(), got.MemoryHitRatio())
	}
	if none := (policies.Counts{}); none.ObjectMissRatio() != 0 {
		t.Errorf("no requests miss %v", none.ObjectMissRatio())
	}
}

func BenchmarkPolicies(b *testing.B) {
	for _, name := range policies.Names() {
		b.Run(name, func(b *testing.B) {
			const objects = 1 << 16
			trace := skewed(objects, 1<<20)
			tiers := policies.Tiers{Memory: newPolicy(b, name, trace.UniqueBytes()/100, objects)}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				id := trace.Requests[i&(1<<20-1)]
				tiers.Request(id, trace.Sizes[id])
				i++
			}
		})
	}
}
