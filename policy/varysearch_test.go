package policy

import (
	"bytes"
	"testing"
)

func TestReadSearchRule(t *testing.T) {
	for field, rule := range map[string]bool{
		`params=("a")`: true, `params`: true, `params=?1`: true, `key-order`: true, `params, except=("a")`: true,
		`key-order, params=("a" "b")`: true, `params=("a"), foo=1`: true, `params, except=()`: true,
		``: false, `params=?0`: false, `params=()`: false, `params=(a)`: false, `params=1`: false, `params="a"`: false,
		`key-order=1`: false, `key-order=?0`: false, `except=("a")`: false, `params=("a"), except=("b")`: false,
		`params=?0, except=("b")`: false, `params, except="b"`: false, `params, except=(1)`: false, `params=("a"`: false, `PARAMS`: false,
	} {
		if got := ReadSearchRule([]string{field}); (got != nil) != rule {
			t.Errorf("%q is a rule: %v, want %v", field, got != nil, rule)
		}
	}
	if ReadSearchRule(nil) != nil {
		t.Error("no field is a rule")
	}
	a, b := ReadSearchRule([]string{`params=("a" "b" "a")`}), ReadSearchRule([]string{`params=("b"`, `"a")`})
	if b != nil {
		t.Error("a list over two lines is one")
	}
	if b = ReadSearchRule([]string{`params=("b" "a")`}); !a.Equal(b) {
		t.Error("the order of names makes two rules")
	}
	if a.Equal(nil) || a.Equal(ReadSearchRule([]string{`params=("a")`})) {
		t.Error("different rules are equal")
	}
}

// TestSearchRuleComparesQueries: the examples of the draft, and the edges.
func TestSearchRuleComparesQueries(t *testing.T) {
	for _, c := range []struct {
		rule, a, b string
		same       bool
	}{
		{`params=("utm")`, "id=1&utm=x", "id=1&utm=y", true},
		{`params=("utm")`, "id=1&utm=x", "id=1", true},
		{`params=("utm")`, "utm=1", "", true},
		{`params=("utm")`, "id=1", "id=2", false},
		{`params=("utm")`, "a=1&b=2", "b=2&a=1", false},
		{`params=("utm")`, "UTM=1", "", false},
		{`params`, "a=1", "b=2&c", true},
		{`params, except=("id")`, "id=1&x=2", "y=3&id=1", true},
		{`params, except=("id")`, "id=1", "id=2", false},
		{`params, except=("id")`, "id=1", "id=1&id=1", false},
		{`key-order`, "a=1&b=2", "b=2&a=1", true},
		{`key-order`, "a=1&a=2", "a=2&a=1", false},
		{`key-order`, "a=1&b=2", "a=1", false},
		{`key-order, params=("c")`, "c=0&a=1&b=2", "b=2&a=1", true},
		{`key-order`, "a=%20", "a=+", true},
		{`key-order`, "a=%2B", "a=+", false},
		{`key-order`, "%61=1", "a=1", true},
		{`key-order`, "a=%zz", "a=%zz", true},
		{`key-order`, "a=%zz", "a=%25zz", true},
		{`key-order`, "a", "a=", true},
		{`key-order`, "a=1&&b=2&", "a=1&b=2", true},
		{`key-order`, "a=1;b=2", "a=1&b=2", false},
		{`params=("a b")`, "a+b=1", "a%20b=2", true},
		{`key-order`, "ab=c", "a=bc", false},
	} {
		r := ReadSearchRule([]string{c.rule})
		got := bytes.Equal(r.AppendKey(nil, []byte(c.a)), r.AppendKey(nil, []byte(c.b)))
		if got != c.same {
			t.Errorf("%s: %q and %q are the same: %v, want %v", c.rule, c.a, c.b, got, c.same)
		}
	}
}

// A rule never fails, whatever the query; the same query is always the same; and
// the bytes of two rules never meet.
func FuzzSearchRule(f *testing.F) {
	f.Add(`params=("a")`, "a=1&b=2")
	f.Add(`key-order, params, except=("x y")`, "%zz&=&a=%2&+=%20")
	f.Fuzz(func(t *testing.T, field, query string) {
		r := ReadSearchRule([]string{field})
		if r == nil {
			return
		}
		key := r.AppendKey(nil, []byte(query))
		if again := r.AppendKey([]byte("x"), []byte(query)); !bytes.Equal(key, again[1:]) {
			t.Fatalf("%q twice: %q and %q", query, key, again)
		}
		if twin := r.AppendKey(nil, []byte("&"+query+"&")); !bytes.Equal(key, twin) {
			t.Fatalf("empty parameters count in %q", query)
		}
		if o := ReadSearchRule([]string{`params, except=("other")`}); !o.Equal(r) && bytes.Equal(key, o.AppendKey(nil, []byte(query))) {
			t.Fatalf("two rules have one key for %q", query)
		}
	})
}
