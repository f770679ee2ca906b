package cachestore

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"edgecache/policy"
	"pgregory.net/rapid"
)

// goldenMeta is a record with something in every field. It is in
// testdata/meta-1.hex under goldenEpoch, as object 7.
func goldenMeta() *metaRecord {
	h := NewHead(203, http.Header{
		"Etag": {`"v1"`}, "Content-Type": {"text/html"}, "Surrogate-Key": {"a b"}, "X-Empty": {""}, "Vary": {"accept, cookie"},
	}, []string{"Surrogate-Key"})
	return &metaRecord{
		Order: 1 << 40, PurgeGen: 3, BodySize: 12_345_678_901, Full: []byte("the full key"),
		Trailer: http.Header{"X-Sum": {"1", "2"}, "Expires": {"0"}},
		Variant: &Variant{
			Head: h,
			Life: policy.Life{Born: 1_700_000_000_000_000_001, Fresh: time.Hour, SWR: time.Minute, SIE: 2 * time.Minute,
				Dead: 3 * time.Minute, MustRevalidate: true, Explicit: true},
			Vary: []string{"accept", "cookie"}, Selector: []byte{1, 0, 2}, Tags: []uint64{math.MaxUint64, 5},
			PurgeSeq: 77, SharedAuth: true, StoredAt: 1_700_000_000_000_000_002,
			Validators: policy.Validators{ETag: []byte(`"v1"`), LastModified: []byte("yesterday"), Modified: 9, Date: -10},
		},
	}
}

// usualMeta is a record as most are.
func usualMeta() *metaRecord {
	h := http.Header{
		"Etag": {`"5f2a-64b1c0de"`}, "Last-Modified": {"Tue, 18 Nov 2025 10:00:00 GMT"}, "Date": {"Tue, 25 Nov 2025 10:00:00 GMT"},
		"Content-Type": {"text/html; charset=utf-8"}, "Content-Encoding": {"gzip"}, "Vary": {"Accept-Encoding"},
		"Cache-Control": {"public, max-age=3600, stale-while-revalidate=60"}, "Server": {"origin/1.0"},
		"Strict-Transport-Security": {"max-age=31536000"}, "X-Content-Type-Options": {"nosniff"},
	}
	return &metaRecord{
		BodySize: 23_000, Full: []byte("https example.com /articles/2025/11/a-usual-title?page=2"),
		Variant: &Variant{
			Head: NewHead(200, h, nil), Life: policy.Life{Born: 1_700_000_000_000_000_000, Fresh: time.Hour, SWR: time.Minute},
			Vary: []string{"accept-encoding"}, Selector: []byte("\x01\x04gzip"), Tags: []uint64{1, 2, 3},
			Validators: policy.Validators{ETag: []byte(h.Get("Etag")), LastModified: []byte(h.Get("Last-Modified")), Modified: 1, Date: 2},
		},
	}
}

var goldenEpoch = epoch{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

// goldenBytes reads bytes that an earlier release may have written: a file of
// testdata is never changed, a new version gets a new one.
func goldenBytes(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sameVariant compares what a record keeps; Dropped of a head is not kept.
func sameVariant(a, b *Variant) bool {
	x, y := *a.Head, *b.Head
	x.Dropped, y.Dropped = 0, 0
	return reflect.DeepEqual(x, y) && a.Life == b.Life && reflect.DeepEqual(a.Vary, b.Vary) &&
		bytes.Equal(a.Selector, b.Selector) && reflect.DeepEqual(a.Tags, b.Tags) && a.PurgeSeq == b.PurgeSeq &&
		a.SharedAuth == b.SharedAuth && reflect.DeepEqual(a.Part, b.Part) && reflect.DeepEqual(a.Validators, b.Validators) && a.StoredAt == b.StoredAt
}

func sameMeta(a, b *metaRecord) bool {
	return a.Order == b.Order && a.PurgeGen == b.PurgeGen && a.BodySize == b.BodySize && bytes.Equal(a.Full, b.Full) &&
		reflect.DeepEqual(a.Trailer, b.Trailer) && sameVariant(a.Variant, b.Variant)
}

func frontOf(m *metaRecord) metaFront {
	return metaFront{m.Order, m.PurgeGen, m.Variant.PurgeSeq, m.BodySize, expiresOf(m.Variant), m.Full}
}

func sameFront(a, b metaFront) bool {
	same := bytes.Equal(a.Full, b.Full)
	a.Full, b.Full = nil, nil
	return same && reflect.DeepEqual(a, b)
}

func TestMetaOfVersion1(t *testing.T) {
	s, want := newSeal(goldenEpoch), goldenMeta()
	written := goldenBytes(t, "meta-1.hex")
	if got, err := readMeta(&s, 7, written); err != nil || !sameMeta(&got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if got, err := readMetaFront(&s, 7, written); err != nil || !sameFront(got, frontOf(want)) {
		t.Errorf("%+v, %v, want %+v", got, err, frontOf(want))
	}
	if now, err := appendMeta(nil, &s, 7, want); err != nil || !bytes.Equal(now, written) {
		t.Errorf("the record is now\n%x, %v, without a new version", now, err)
	}
}

func drawBytes(t *rapid.T, limit int, label string) []byte {
	return orNil(rapid.SliceOfN(rapid.Byte(), 0, limit).Draw(t, label))
}

func drawMeta(t *rapid.T) *metaRecord {
	span := rapid.Custom(func(t *rapid.T) time.Duration { return time.Duration(rapid.Int64().Draw(t, "ns")) })
	word := rapid.StringMatching(`[a-z-]{1,12}`)
	header := rapid.MapOf(word, rapid.SliceOfN(rapid.StringMatching(`[ -~]{0,40}`), 1, 3))
	hidden := rapid.SliceOf(word).Draw(t, "hidden")
	for i, name := range hidden {
		hidden[i] = http.CanonicalHeaderKey(name)
	}
	m := &metaRecord{
		Order: rapid.Uint64().Draw(t, "order"), PurgeGen: rapid.Uint32().Draw(t, "gen"),
		BodySize: rapid.Int64Min(0).Draw(t, "size"), Full: drawBytes(t, 300, "full"),
		Variant: &Variant{
			Head: NewHead(rapid.IntRange(100, 999).Draw(t, "status"), header.Draw(t, "fields"), hidden),
			Life: policy.Life{
				Born: rapid.Int64().Draw(t, "born"), Fresh: span.Draw(t, "fresh"),
				SWR: span.Draw(t, "swr"), SIE: span.Draw(t, "sie"), Dead: span.Draw(t, "dead"),
				NoCache: rapid.Bool().Draw(t, "no"), MustRevalidate: rapid.Bool().Draw(t, "must"),
				SharedMaxAge: rapid.Bool().Draw(t, "shared"), Explicit: rapid.Bool().Draw(t, "explicit"),
				Soft: rapid.Bool().Draw(t, "soft"), Immutable: rapid.Bool().Draw(t, "immutable"),
			},
			Selector: drawBytes(t, 50, "selector"), PurgeSeq: rapid.Uint64().Draw(t, "seq"),
			SharedAuth: rapid.Bool().Draw(t, "auth"), StoredAt: rapid.Int64().Draw(t, "at"),
			Validators: policy.Validators{
				ETag: drawBytes(t, 20, "etag"), LastModified: drawBytes(t, 20, "modified"),
				Modified: rapid.Int64().Draw(t, "modified at"), Date: rapid.Int64().Draw(t, "date"),
			},
		},
	}
	if rapid.Bool().Draw(t, "a part") {
		m.Variant.Part = &Part{
			From: rapid.Int64Min(0).Draw(t, "from"), Total: rapid.Int64Min(-1).Draw(t, "total"),
			Slices: rapid.Uint64().Draw(t, "slices"), ToEnd: rapid.Bool().Draw(t, "to the end"),
		}
	}
	if list := rapid.SliceOf(word).Draw(t, "vary"); len(list) > 0 {
		m.Variant.Vary = list
	}
	if list := rapid.SliceOf(rapid.Uint64()).Draw(t, "tags"); len(list) > 0 {
		m.Variant.Tags = list
	}
	if fields := header.Draw(t, "trailer"); len(fields) > 0 {
		m.Trailer = fields
	}
	return m
}

func TestMetaComesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMeta(t)
		s := newSeal(epoch(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "epoch")))
		id := rapid.Uint64().Draw(t, "id")
		b, err := appendMeta([]byte("before"), &s, id, m)
		if err != nil {
			t.Fatal(err)
		}
		b = b[len("before"):]
		front, err := readMetaFront(&s, id, b)
		if err != nil || !sameFront(front, frontOf(m)) {
			t.Fatalf("%+v, %v, want %+v", front, err, frontOf(m))
		}
		got, err := readMeta(&s, id, b)
		clear(b) // nothing of it may be a view
		if err != nil || !sameMeta(&got, m) {
			t.Fatalf("%+v, %v, want %+v", got, err, m)
		}
	})
}

func TestMetaThatIsNotWhatWasWrittenIsBroken(t *testing.T) {
	s := newSeal(goldenEpoch)
	b, err := appendMeta(nil, &s, 7, goldenMeta())
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, s seal, id uint64, b []byte) {
		t.Helper()
		_, err := readMeta(&s, id, b)
		_, frontErr := readMetaFront(&s, id, b)
		if !errors.Is(err, errBroken) || !errors.Is(frontErr, errBroken) {
			t.Fatalf("%s: %v, %v", what, err, frontErr)
		}
	}
	refused("another id", s, 8, b)
	refused("another epoch", newSeal(epoch{}), 7, b)
	for i := range b {
		refused("cut", s, 7, b[:i])
	}
	for i := range 8 * len(b) {
		b[i/8] ^= 1 << (i % 8)
		refused("flipped bit", s, 7, b)
		b[i/8] ^= 1 << (i % 8)
	}
	b[0]++
	refused("later version", s, 7, resealed(&s, 7, b))
}

// resealed is a record with its checksum made anew.
func resealed(s *seal, id uint64, b []byte) []byte {
	b = bytes.Clone(b[:len(b)-crcBytes])
	crc := s.meta(id, b)
	return append(b, byte(crc>>24), byte(crc>>16), byte(crc>>8), byte(crc))
}

func TestMetaOverTheLimitsIsNotWritten(t *testing.T) {
	s := newSeal(goldenEpoch)
	long := strings.Repeat("x", 1<<20+1)
	for name, change := range map[string]func(m *metaRecord){
		"full key":      func(m *metaRecord) { m.Full = []byte(long) },
		"block":         func(m *metaRecord) { m.Variant.Head = NewHead(200, http.Header{"A": {long}}, nil) },
		"status":        func(m *metaRecord) { m.Variant.Head = NewHead(1<<16, nil, nil) },
		"selector":      func(m *metaRecord) { m.Variant.Selector = []byte(long) },
		"etag":          func(m *metaRecord) { m.Variant.Validators.ETag = []byte(long) },
		"last-modified": func(m *metaRecord) { m.Variant.Validators.LastModified = []byte(long) },
		"vary":          func(m *metaRecord) { m.Variant.Vary = make([]string, maxVary+1) },
		"vary name":     func(m *metaRecord) { m.Variant.Vary = []string{long} },
		"tags":          func(m *metaRecord) { m.Variant.Tags = make([]uint64, maxTags+1) },
		"trailer":       func(m *metaRecord) { m.Trailer = http.Header{"A": {long}} },
		"trailer name":  func(m *metaRecord) { m.Trailer = http.Header{long[:1<<16]: {"1"}} },
		"body":          func(m *metaRecord) { m.BodySize = -1 },
	} {
		m := goldenMeta()
		change(m)
		if b, err := appendMeta([]byte("x"), &s, 7, m); !errors.Is(err, errRecord) || string(b) != "x" {
			t.Errorf("%s: %d bytes, %v, want %v", name, len(b), err, errRecord)
		}
	}
	m := goldenMeta()
	m.Full, m.Variant.Tags = []byte(long[1:]), make([]uint64, maxTags)
	m.Variant.Head = NewHead(200, http.Header{"A": {long[6:]}}, nil)
	b, err := appendMeta(nil, &s, 7, m)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := readMeta(&s, 7, b); err != nil || !sameMeta(&got, m) {
		t.Errorf("a record at the limits: %v", err)
	}
}

func TestExpiresOf(t *testing.T) {
	const second = int64(time.Second)
	for _, c := range []struct {
		name string
		v    *Variant
		want uint32
	}{
		{"nothing", &Variant{}, 0},
		{"fresh only", &Variant{Life: policy.Life{Born: 100 * second, Fresh: time.Minute}}, 160},
		{"the widest window counts",
			&Variant{Life: policy.Life{Born: 100*second + 1, Fresh: time.Minute, SWR: 5, SIE: 3 * time.Second, Dead: 2}}, 163},
		{"a window below zero is none", &Variant{Life: policy.Life{Born: 100 * second, Fresh: 1, SWR: -9e9, SIE: -9e9, Dead: -9e9}}, 100},
		{"before 1970", &Variant{Life: policy.Life{Born: math.MinInt64, Fresh: -1}}, 0},
		{"no-cache without a validator", &Variant{Life: policy.Life{Born: 100 * second, Fresh: time.Minute, NoCache: true}}, 0},
		{"etag", &Variant{Validators: policy.Validators{ETag: []byte(`"`)}}, math.MaxUint32},
		{"last-modified", &Variant{Validators: policy.Validators{LastModified: []byte(`x`)}}, math.MaxUint32},
		{"lifetime over int64", &Variant{Life: policy.Life{Born: 100 * second, Fresh: math.MaxInt64}}, math.MaxUint32},
		{"window over int64", &Variant{Life: policy.Life{Born: second, Fresh: time.Hour, Dead: math.MaxInt64}}, math.MaxUint32},
		{"after 2106", &Variant{Life: policy.Life{Born: 1 << 32 * second}}, math.MaxUint32},
	} {
		if got := expiresOf(c.v); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
