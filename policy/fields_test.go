package policy

import "testing"

// fields makes Fields of "Name: value" lines.
func fields(lines ...string) Fields {
	var f Fields
	for _, line := range lines {
		for i := range line {
			if line[i] == ':' {
				f = append(f, Field{[]byte(line[:i]), []byte(line[i+1:])})
				break
			}
		}
	}
	for i := range f {
		f[i].Value = trim(f[i].Value)
	}
	return f
}

func TestFieldsAreFoundWithoutRegardToCase(t *testing.T) {
	f := fields("Host: a", "X-A: 1", "x-b: 2", "X-a: 3")
	if v, ok := f.Get("x-A"); !ok || string(v) != "1" {
		t.Errorf("Get: %q %v, want the first line", v, ok)
	}
	if v, ok := f.Get("x-c"); ok || v != nil {
		t.Errorf("Get of an absent name: %q %v", v, ok)
	}
	if !f.Has("HOST") || f.Has("hos") || f.Has("hostx") {
		t.Error("Has compares wrongly")
	}
	var at []int
	for i := f.Next("x-a", 0); i >= 0; i = f.Next("x-a", i+1) {
		at = append(at, i)
	}
	if len(at) != 2 || at[0] != 1 || at[1] != 3 {
		t.Errorf("Next visits %v, want [1 3]", at)
	}
	if f.Next("x-a", 9) != -1 || f.Next("x-a", -5) != 1 {
		t.Error("Next does not mind its bounds")
	}
}

func TestEqualFoldFoldsOnlyASCIILetters(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"ETag", "etag", true}, {"", "", true}, {"a", "", false},
		{"@", "`", false}, {"[", "{", false}, {"K", "\u212a", false}, {"\xc4", "\xe4", false},
	} {
		if got := EqualFold([]byte(c.a), c.b); got != c.want {
			t.Errorf("EqualFold(%q, %q) = %v", c.a, c.b, got)
		}
	}
}
