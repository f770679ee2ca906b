package cachestore_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"edgecache/cachestore"
)

func TestNewHead(t *testing.T) {
	hidden := []string{"Surrogate-Key", "Cdn-Cache-Control"}
	for _, c := range []struct {
		name                 string
		in                   http.Header
		kept, representation string
	}{
		{"nothing", nil, "", ""},
		{"names are sorted within their span",
			http.Header{"X-B": {"2"}, "Content-Type": {"text/html"}, "Etag": {`"e"`}, "Content-Encoding": {"gzip"}, "X-A": {"1"}},
			"Etag: \"e\"\r\nX-A: 1\r\nX-B: 2\r\n", "Content-Encoding: gzip\r\nContent-Type: text/html\r\n"},
		{"lines of one name keep their order",
			http.Header{"Set-Cookie": {"b=1", "a=2"}}, "Set-Cookie: b=1\r\nSet-Cookie: a=2\r\n", ""},
		{"names become canonical, whatever they were",
			http.Header{"x-lower": {"1"}, "ETAG": {"2"}}, "Etag: 2\r\nX-Lower: 1\r\n", ""},
		{"Last-Modified tells a 304 nothing beside an ETag",
			http.Header{"Etag": {"e"}, "Last-Modified": {"d"}}, "Etag: e\r\n", "Last-Modified: d\r\n"},
		{"Last-Modified alone guides a 304",
			http.Header{"Last-Modified": {"d"}}, "Last-Modified: d\r\n", ""},
		{"what a 304 must have is kept (RFC 9110, 15.4.5)",
			http.Header{"Cache-Control": {"a"}, "Content-Location": {"/"}, "Date": {"d"}, "Expires": {"e"}, "Vary": {"x"}},
			"Cache-Control: a\r\nContent-Location: /\r\nDate: d\r\nExpires: e\r\nVary: x\r\n", ""},
		{"connection and transfer are never kept",
			http.Header{"Age": {"1"}, "Connection": {"close, X-Hop, Cache-Control"}, "X-Hop": {"1"}, "Cache-Control": {"a"},
				"Content-Length": {"5"}, "Transfer-Encoding": {"chunked"},
				"Keep-Alive": {"1"}, "Te": {"1"}, "Trailer": {"X"}, "Upgrade": {"h2c"}, "Proxy-Connection": {"close"}},
			"Cache-Control: a\r\n", ""},
		{"a part says which part it is",
			http.Header{"Content-Range": {"bytes 0-1/2"}}, "", "Content-Range: bytes 0-1/2\r\n"},
		{"hidden fields are not delivered",
			http.Header{"Surrogate-Key": {"a b"}, "Cdn-Cache-Control": {"c"}, "X": {"1"}}, "X: 1\r\n", ""},
		{"blanks around a value are gone", http.Header{"X": {" \ta b\t "}}, "X: a b\r\n", ""},
		{"an empty value stays", http.Header{"X": {""}}, "X: \r\n", ""},
		{"what cannot be one line is dropped",
			http.Header{"X": {"a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\x00b", "ok"}, "Bad Name": {"1"}, "Bad:Name": {"1"}, "": {"1"}},
			"X: ok\r\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := cachestore.NewHead(200, c.in, hidden)
			if got := string(h.Kept()); got != c.kept {
				t.Errorf("kept %q, want %q", got, c.kept)
			}
			if got := string(h.Representation()); got != c.representation {
				t.Errorf("representation %q, want %q", got, c.representation)
			}
			if got := string(h.Delivered()); got != c.kept+c.representation {
				t.Errorf("delivered %q", got)
			}
		})
	}
}

func TestHeadGives(t *testing.T) {
	in := http.Header{"Etag": {"e"}, "Surrogate-Key": {"a", "b"}, "Content-Type": {"t"}, "X": {"1", ""}, "Bad\n": {"1"}}
	h := cachestore.NewHead(404, in, []string{"Surrogate-Key"})
	if h.Status != 404 || h.Dropped != 1 {
		t.Errorf("status %d, %d dropped, want 404 and 1", h.Status, h.Dropped)
	}
	for name, want := range map[string]string{"Etag": "e", "Surrogate-Key": "a", "Content-Type": "t", "X": "1", "Y": ""} {
		if got := h.Get(name); string(got) != want || (got == nil) != (name == "Y") {
			t.Errorf("get %s: %q, want %q", name, got, want)
		}
	}
	want := http.Header{"Etag": {"e"}, "Surrogate-Key": {"a", "b"}, "Content-Type": {"t"}, "X": {"1", ""}}
	if got := h.Header(); !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("header %v, want %v", got, want)
	}
	var names []string
	for n := range h.Fields() {
		names = append(names, string(n))
	}
	if !slices.Equal(names, []string{"Etag", "X", "X", "Content-Type"}) {
		t.Errorf("fields %v", names)
	}
	for n := range h.Fields() {
		if string(n) != "Etag" {
			t.Errorf("the walk went on to %s", n)
		}
		break
	}
	if h.Held() < int64(len(h.Delivered())) {
		t.Errorf("held %d bytes", h.Held())
	}
}

// FuzzHead: whatever an origin or a hook sends, a head's block is lines that
// stand for the fields that went in, it never has a line of its own, and
// building it again from what it gives is the same block.
func FuzzHead(f *testing.F) {
	f.Add("Etag", "e", "X-A", "1", true)
	f.Add("x", "a\r\nb: c", "Connection", "x", false)
	f.Add("Content-Type", " t ", "content-type", "u", false)
	f.Add(":", ":", "a:b", " ", true)
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2 string, hide bool) {
		in := http.Header{n1: {v1, v2}}
		in[n2] = append(in[n2], v2)
		var hidden []string
		if hide {
			hidden = []string{http.CanonicalHeaderKey(n1)}
		}
		h := cachestore.NewHead(200, in, hidden)
		out := h.Header()
		count := 0
		for name, values := range out {
			count += len(values)
			for _, v := range values {
				if strings.ContainsAny(v, "\r\n\x00") || strings.ContainsAny(name, "\r\n\x00 :") || name == "" {
					t.Fatalf("%q: %q got in", name, v)
				}
				if !carries(in, name, v) {
					t.Fatalf("%q: %q was not sent", name, v)
				}
			}
		}
		if n := bytes.Count(h.Delivered(), []byte("\n")); n > count || n < count && !hide {
			t.Fatalf("%d lines are delivered of %d", n, count)
		}
		again := cachestore.NewHead(200, out, hidden)
		if !bytes.Equal(again.Delivered(), h.Delivered()) || !maps.EqualFunc(again.Header(), out, slices.Equal) {
			t.Fatalf("built again: %q, was %q", again.Delivered(), h.Delivered())
		}
	})
}

func carries(in http.Header, canonical, value string) bool {
	for name, values := range in {
		if http.CanonicalHeaderKey(name) != canonical {
			continue
		}
		for _, v := range values {
			if strings.Trim(v, " \t") == value {
				return true
			}
		}
	}
	return false
}

// BenchmarkNewHead builds the head of an answer as most are.
func BenchmarkNewHead(b *testing.B) {
	heads := make([]http.Header, 8)
	for i := range heads {
		heads[i] = http.Header{
			"Server": {"origin"}, "Date": {"Mon, 02 Nov 2026 10:00:00 GMT"}, "Content-Type": {"application/octet-stream"},
			"Content-Length": {"1024"}, "Last-Modified": {"Mon, 02 Nov 2026 10:00:00 GMT"}, "Etag": {fmt.Sprintf(`"size-%d"`, i)},
			"Cache-Control": {"no-store"},
		}
	}
	hidden := []string{"Surrogate-Control", "Surrogate-Key", "Cache-Tag"}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		cachestore.NewHead(200, heads[i%len(heads)], hidden)
	}
}
