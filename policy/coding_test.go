package policy

import (
	"bytes"
	"testing"
)

func TestTakesChoice(t *testing.T) {
	const all, two, one = "zstd, br, gzip", "br, gzip", "gzip"
	for _, c := range []struct {
		name, accept      string // what the client sends; "-" for no line
		chosenFor, coding string
		want              bool
	}{
		{"gzip out of two, for one", "gzip", two, "gzip", true},
		{"gzip out of three, for two", "br, gzip", all, "gzip", true},
		{"br out of three, for two", "gzip, br", all, "br", true},
		{"x-gzip is gzip", "gzip", two, "x-gzip", true},
		{"none out of three, for one", "gzip", all, "", true},
		{"none out of three, for none", "-", all, "", true},
		{"none out of one, for an empty list", "", one, "", true},
		{"none, written out", "gzip", all, "Identity", true},
		{"none, for one who takes br alone", "br", two, "", true},

		{"a coding that the client did not name", "gzip", two, "br", false},
		{"one that it refuses", "br, gzip;q=0", two, "gzip", false},
		{"one that it would take, had it been offered", "br", two, "br", false},
		{"the same list is no choice", "br, gzip", two, "gzip", false},
		{"never the other way round", "br, gzip", one, "gzip", false},
		{"nor with none", "gzip", "", "", false},
		{"an unknown coding", "gzip", two, "deflate", false},
		{"two codings", "gzip", all, "gzip, br", false},

		{"none for a client that refuses none", "gzip, identity;q=0", two, "", false},
		{"or all that it does not name", "gzip, *;q=0", two, "", false},
		{"which the name outweighs", "*;q=0, identity;q=0.1, gzip", two, "", true},
		{"and that the other way round", "gzip, identity;q=0.0, *;q=0.5, br;q=0, zstd;q=0", two, "", false},
		{"a malformed weight is a refusal", "gzip, identity;q=x", two, "", false},
		{"a refusal of none is no refusal of gzip", "gzip, identity;q=0", two, "gzip", true},
	} {
		f := fields("Accept-Encoding: " + c.accept)
		if c.accept == "-" {
			f = nil
		}
		a := askOf(f)
		taken := CanonicalEncodings(nil, f)
		if got := a.TakesChoice([]byte(c.chosenFor), taken, []byte(c.coding)); got != c.want {
			t.Errorf("%s: %q out of %q for %q (%q): %v", c.name, c.coding, c.chosenFor, c.accept, taken, got)
		}
	}
}

func TestCutSelector(t *testing.T) {
	vary := lines("a", "accept-encoding", "b", "c")
	f := fields("A: 1", "Accept-Encoding: br, gzip", "C:")
	whole := AppendSelector(nil, vary, askOf(f))
	before, value, behind, ok := CutSelector(whole, vary, "accept-encoding")
	if !ok || string(value) != "br, gzip" ||
		!bytes.Equal(before, AppendSelector(nil, vary[:1], askOf(f))) || !bytes.Equal(behind, AppendSelector(nil, vary[2:], askOf(f))) {
		t.Errorf("%q is %q %q %q %v", whole, before, value, behind, ok)
	}
	if _, _, _, ok := CutSelector(whole, vary, "d"); ok {
		t.Error("a name that is not there was found")
	}
	for n := range len(whole) - len(behind) {
		if _, _, _, ok := CutSelector(whole[:n], vary, "accept-encoding"); ok {
			t.Errorf("found in the first %d bytes of %q", n, whole)
		}
	}
}

// FuzzCutSelector: the parts are parts of any bytes whatever, in their order.
func FuzzCutSelector(f *testing.F) {
	vary := []string{"a", "accept-encoding", "b"}
	f.Add(AppendSelector(nil, vary, askOf(fields("A: 1", "Accept-Encoding: gzip"))))
	f.Add([]byte{255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		before, value, behind, ok := CutSelector(b, vary, "accept-encoding")
		if ok && (!bytes.HasPrefix(b, before) || !bytes.HasSuffix(b, behind) || len(before)+4+len(value)+len(behind) != len(b)) {
			t.Errorf("%x is %x %x %x", b, before, value, behind)
		}
	})
}
