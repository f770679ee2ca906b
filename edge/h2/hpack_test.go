package h2

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

func decodeAll(d *decoder, src []byte) ([]hpack.HeaderField, error) {
	var b block
	err := d.decode(src, &b, 1<<20, 1000)
	var all []hpack.HeaderField
	for i := range b.lines {
		name, value := b.field(i)
		all = append(all, hpack.HeaderField{Name: string(name), Value: string(value)})
	}
	return all, err
}

// TestDecoderIsTheLibrarys: random header lists that the library encodes, with its table
// growing, shrinking and overflowing, come out as they went in.
func TestDecoderIsTheLibrarys(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var out bytes.Buffer
		e, d := hpack.NewEncoder(&out), newDecoder()
		for range 200 {
			out.Reset()
			if rnd.IntN(10) == 0 {
				e.SetMaxDynamicTableSize(uint32(rnd.IntN(tableBytes + 1)))
			}
			var want []hpack.HeaderField
			for range rnd.IntN(12) {
				f := hpack.HeaderField{
					Name: fmt.Sprint("x-", rnd.IntN(30)), Value: strings.Repeat(fmt.Sprint(rnd.IntN(1000), "\x00~é"), rnd.IntN(1+rnd.IntN(200))),
					Sensitive: rnd.IntN(5) == 0,
				}
				if err := e.WriteField(f); err != nil {
					t.Fatal(err)
				}
				f.Sensitive = false
				want = append(want, f)
			}
			got, err := decodeAll(&d, out.Bytes())
			if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("decoded %v, %v; want %v", got, err, want)
			}
		}
	}
}

// TestBlockLimits: what does not fit is left out, and the table stays right.
func TestBlockLimits(t *testing.T) {
	var out bytes.Buffer
	e, d := hpack.NewEncoder(&out), newDecoder()
	for i := range 4 {
		_ = e.WriteField(hpack.HeaderField{Name: fmt.Sprint("name", i), Value: "value"})
	}
	var b block
	if err := d.decode(out.Bytes(), &b, 2*(32+10), 100); err != nil || !b.over || len(b.lines) != 2 {
		t.Errorf("%d fields, over %v, %v; want 2 and over", len(b.lines), b.over, err)
	}
	b.reset()
	if err := d.decode(out.Bytes()[:0], &b, 100, 3); err != nil || b.over {
		t.Errorf("an empty block: over %v, %v", b.over, err)
	}
	out.Reset()
	for i := range 4 {
		_ = e.WriteField(hpack.HeaderField{Name: fmt.Sprint("name", i), Value: "value"}) // all from the table now
	}
	if err := d.decode(out.Bytes(), &b, 1000, 3); err != nil || !b.over || len(b.lines) != 3 {
		t.Errorf("%d fields, over %v, %v; want 3 and over", len(b.lines), b.over, err)
	}
	if name, value := b.field(2); string(name) != "name2" || string(value) != "value" {
		t.Errorf("the third is %s: %s", name, value)
	}
}

func TestDecoderRefuses(t *testing.T) {
	for name, src := range map[string]string{
		"index 0":                     "\x80",
		"an index of nothing":         "\xbe",
		"a name of nothing":           "\x7f\x00\x01a",
		"a table over its bound":      "\x3f\xe2\x1f",
		"a table update behind":       "\x82\x20",
		"a string cut":                "\x40\x05abc",
		"a length cut":                "\x40\x7f",
		"no value":                    "\x40\x01a",
		"an integer without end":      "\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"padding of eight bits":       "\x40\x01a\x83\x1c\x64\xff\xff",
		"padding that is not all one": "\x40\x01a\x81\x18",
		"EOS":                         "\x40\x01a\x84\xff\xff\xff\xff",
	} {
		d := newDecoder()
		if got, err := decodeAll(&d, []byte(src)); err == nil {
			t.Errorf("%s: decoded as %v", name, got)
		}
	}
}

// FuzzDecoder: what one of two decoders takes the other takes, too, and reads as
// the same.
func FuzzDecoder(f *testing.F) {
	var out bytes.Buffer
	e := hpack.NewEncoder(&out)
	for _, v := range []string{"GET", "/", "www.example.com", "\x00"} {
		_ = e.WriteField(hpack.HeaderField{Name: ":x", Value: v})
	}
	f.Add(out.Bytes(), out.Bytes())
	f.Add([]byte("\x3f\xe1\x1f\x82"), []byte("\x20\x82\xbe"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		ours, theirs := newDecoder(), hpack.NewDecoder(tableBytes, nil)
		theirs.SetMaxStringLength(1 << 20)
		for _, src := range [][]byte{first, second} {
			got, err := decodeAll(&ours, src)
			want, theirErr := theirs.DecodeFull(src)
			if errors.Is(err, errUpdate) || errors.Is(err, errInteger) {
				return // the library takes an update anywhere while its table is empty, and larger numbers
			}
			if (err == nil) != (theirErr == nil) {
				t.Fatalf("%x: our error %v, the library's %v", src, err, theirErr)
			}
			if err != nil {
				return
			}
			for i := range want {
				want[i].Sensitive = false
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%x: %v, the library %v", src, got, want)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	var out bytes.Buffer
	e, d := hpack.NewEncoder(&out), newDecoder()
	head := func() []byte {
		out.Reset()
		for _, f := range []hpack.HeaderField{
			{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: "/img/logo.png"},
			{Name: ":authority", Value: "www.example.com"}, {Name: "user-agent", Value: "Mozilla/5.0 (X11; Linux x86_64)"},
			{Name: "accept", Value: "*/*"}, {Name: "accept-encoding", Value: "gzip, br"},
		} {
			_ = e.WriteField(f)
		}
		return bytes.Clone(out.Bytes())
	}
	var blk block
	_ = d.decode(head(), &blk, 1<<14, 100)
	again := head()
	b.ReportAllocs()
	for b.Loop() {
		blk.reset()
		if err := d.decode(again, &blk, 1<<14, 100); err != nil {
			b.Fatal(err)
		}
	}
}
