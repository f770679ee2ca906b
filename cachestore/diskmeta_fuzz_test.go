package cachestore

import (
	"bytes"
	"testing"
)

// Whatever is in a record, with a right checksum even, is refused or comes back
// as it was when it is written again; and its head can be used.
func FuzzReadMeta(f *testing.F) {
	s := newSeal(goldenEpoch)
	b, _ := appendMeta(nil, &s, 7, goldenMeta())
	f.Add(b[:len(b)-crcBytes])
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = readMeta(&s, 7, b)
		b = resealed(&s, 7, append(b, 0, 0, 0, 0))
		m, err := readMeta(&s, 7, b)
		if err != nil {
			return
		}
		m.Variant.Head.Header()
		back, err := appendMeta(nil, &s, 7, &m)
		if err != nil {
			return // over a limit of writing that no reader has: the trailer's
		}
		if again, err := readMeta(&s, 7, back); err != nil || !sameMeta(&again, &m) {
			t.Fatalf("%+v comes back as %+v, %v", m, again, err)
		}
		front, err := readMetaFront(&s, 7, back)
		if err != nil || !sameFront(front, frontOf(&m)) {
			t.Fatalf("front %+v, %v, want %+v", front, err, frontOf(&m))
		}
	})
}

// A front is never read where the record cannot be, and never changes it.
func FuzzReadMetaFront(f *testing.F) {
	s := newSeal(goldenEpoch)
	b, _ := appendMeta(nil, &s, 7, goldenMeta())
	f.Add(b[:len(b)-crcBytes])
	f.Add([]byte{metaVersion})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = readMetaFront(&s, 7, b)
		b = resealed(&s, 7, append(b, 0, 0, 0, 0))
		before := bytes.Clone(b)
		front, err := readMetaFront(&s, 7, b)
		if !bytes.Equal(b, before) {
			t.Fatal("reading changed the record")
		}
		if m, whole := readMeta(&s, 7, b); whole == nil && (err != nil || !bytes.Equal(front.Full, m.Full)) {
			t.Fatalf("a record without its front: %v", err)
		}
	})
}

func FuzzReadState(f *testing.F) {
	st := goldenState()
	b := st.append(nil)
	f.Add(b[:len(b)-crcBytes])
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = readState(b)
		b = append(bytes.Clone(b), 0, 0, 0, 0)
		sum := stateSum(b[:len(b)-crcBytes])
		b = append(b[:len(b)-crcBytes], byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum))
		if st, err := readState(b); err == nil && !bytes.Equal(st.append(nil), b) {
			t.Fatalf("%+v is written otherwise than it was", st)
		}
	})
}
