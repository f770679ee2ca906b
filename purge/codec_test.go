package purge

import (
	"errors"
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
