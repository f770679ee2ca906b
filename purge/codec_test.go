package purge

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"
)

func TestAnyFlippedBitIsSeen(t *testing.T) {
	s := stored{Entry: Entry{Scope: ScopePrefix, Value: "/a/b", Host: "h:81", Strength: Soft, Seq: 9, At: -5}, id: 3, volatile: true}
	h := head{epoch: Epoch{1, 2}, ceiling: 3, unsure: 4, lossy: 5}
	r := Record{ID: "x", Seq: 4, Scope: "url", Mode: "soft", Host: "h", Selectors: []string{"/x"}, Count: 1, At: 7, Applied: true, id: 3}
	for name, c := range map[string]struct {
		value  []byte
		decode func([]byte) (any, error)
		want   any
	}{
		"entry":  {s.encode(), func(b []byte) (any, error) { return decodeStored(idKey(3), b) }, s},
		"head":   {h.encode(), func(b []byte) (any, error) { return decodeHead(b) }, h},
		"record": {r.encode(), func(b []byte) (any, error) { return decodeRecord(idKey(3), b) }, r},
	} {
		if got, err := c.decode(c.value); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, c.want)
		}
		for i := range 8 * len(c.value) {
			c.value[i/8] ^= 1 << (i % 8)
			if _, err := c.decode(c.value); !errors.Is(err, errCorrupt) {
				t.Fatalf("%s: bit %d: %v", name, i, err)
			}
			c.value[i/8] ^= 1 << (i % 8)
		}
		for i := range c.value {
			if _, err := c.decode(c.value[:i]); !errors.Is(err, errCorrupt) {
				t.Fatalf("%s: cut to %d: %v", name, i, err)
			}
		}
	}
	if _, err := decodeStored(idKey(4), s.encode()); !errors.Is(err, errCorrupt) {
		t.Errorf("an entry under another id: %v", err)
	}
}

// Whatever is in the file, with a right checksum even, is refused or can be
// put into the index and comes back as it was.
func FuzzDecodeStored(f *testing.F) {
	for scope := range scopes {
		s := stored{Entry: Entry{Scope: scope, Value: "/a", Host: "h", Strength: Hard}}
		b := s.encode()
		f.Add(b[:len(b)-crcBytes])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := decodeStored(idKey(1), b); err == nil && len(b) < entryHeadBytes {
			t.Fatal("too short and taken")
		}
		s, err := decodeStored(idKey(1), seal(idKey(1), append([]byte(nil), b...)))
		if err != nil {
			return
		}
		var x Index
		x.restore(&s.Entry)
		if back, err := decodeStored(idKey(1), s.encode()); err != nil || back != s {
			t.Fatalf("%+v comes back as %+v, %v", s, back, err)
		}
	})
}

func FuzzDecodeHeadAndRecord(f *testing.F) {
	h, r := head{ceiling: 1}, Record{ID: "a-1"}
	f.Add(h.encode(), r.encode())
	f.Fuzz(func(t *testing.T, hb, rb []byte) {
		if _, err := decodeHead(seal(headKey, hb)); err == nil && len(hb) != headBytes-crcBytes {
			t.Fatal("a head of another length is taken")
		}
		_, _ = decodeHead(hb)
		_, _ = decodeRecord(idKey(1), rb)
		_, _ = decodeRecord(idKey(1), seal(idKey(1), rb))
	})
}

// The table against a plain map: random puts and drops, found as in the map.
func TestTableAgainstAMap(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var s shard
	var all []purged
	var dropped uint64
	for n := uint64(1); n <= 3000; n++ {
		p := purged{key: 1 + r.Uint64N(300), number: n, strength: Strength(1 + r.IntN(3)), softAt: int64(n)}
		if r.IntN(2) == 0 {
			p.key <<= 32 // both halves of a key place it
		}
		s.put(p)
		all = append(all, p)
		if r.IntN(400) == 0 {
			dropped = max(dropped, n-r.Uint64N(min(n, 200)))
			s.drop(dropped, int64(dropped))
		}
		key, since := all[r.IntN(len(all))].key, dropped+r.Uint64N(n-dropped+1)
		var got, want Cover
		s.find(key, since, &got)
		for _, p := range all {
			if p.key == key && p.number > since {
				want.add(p.strength, p.number, p.softAt)
			}
		}
		if got.Strength != want.Strength || got.Seq != want.Seq || got.SoftAt > want.SoftAt {
			t.Fatalf("key %x since %d: %+v, want %+v", key, since, got, want)
		}
	}
}
