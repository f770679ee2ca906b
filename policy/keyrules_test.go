package policy

import (
	"fmt"
	"strings"
	"testing"
)

func TestQueryRules(t *testing.T) {
	ignore := KeyRules{Ignore: []string{"utm_*", "fbclid"}}
	for _, c := range []struct {
		name  string
		rules KeyRules
		raw   string
		want  string
	}{
		{"by default nothing changes", KeyRules{}, "b=2&a=1&&", "b=2&a=1&&"},
		{"ignored names go", ignore, "utm_source=x&a=1&fbclid=2&b", "a=1&b"},
		{"a name that only begins like one stays", ignore, "fbclids=1&utm=2", "fbclids=1&utm=2"},
		{"a semicolon is data", ignore, "x=1&utm_content=a;x=2", "x=1"},
		{"a semicolon does not hide a name", ignore, "x=1;utm_content=a", "x=1;utm_content=a"},
		{"only what is allowed stays", KeyRules{Allow: []string{"q", "page"}}, "q=1&z=2&page=3&&%71=4", "q=1&page=3"},
		{"ignore beats allow", KeyRules{Allow: []string{"*"}, Ignore: []string{"a"}}, "a=1&b=2", "b=2"},
		{"sorted by name, equal names keep their order", KeyRules{Sort: true}, "b=2&a=9&a=1&c", "a=9&a=1&b=2&c"},
		{"all gone", ignore, "utm_a=1", ""},
		{"more than fit on the stack", KeyRules{Sort: true}, strings.Repeat("b&", 80) + "a", "a" + strings.Repeat("&b", 80)},
	} {
		got, buf := c.rules.Query([]byte("kept"), []byte(c.raw))
		if string(got) != c.want || !strings.HasPrefix(string(buf), "kept") {
			t.Errorf("%s: %q is %q, want %q", c.name, c.raw, got, c.want)
		}
	}
}

func TestAQueryOfWhichNothingIsLeftIsNone(t *testing.T) {
	k := KeyRules{Ignore: []string{"a"}}
	for in, want := range map[string]string{"/x?a=1": "/x", "/x": "/x", "/x?": "/x?", "/x?a&b": "/x?b"} {
		u, err := ParseURL(in)
		if err != nil {
			t.Fatal(err)
		}
		if u, _ = k.Reduce(nil, u); u.String() != want {
			t.Errorf("%s is %s, want %s", in, u, want)
		}
	}
}

func TestExtraTellsRequestsApart(t *testing.T) {
	k := KeyRules{Headers: []string{"X-A", "X-B"}, Cookies: []string{"lang"}}
	same := [][2][]string{
		{{"X-A: 1", "Other: 2"}, {"x-a: 1"}},
		{{"Cookie: lang=de; id=5"}, {"Cookie: id=6; lang=de"}},
		{{"Cookie: a=b; lang=de"}, {"Cookie: a=b", "Cookie: lang=de"}},
	}
	for _, c := range same {
		if a, b := k.Extra(nil, fields(c[0]...)), k.Extra(nil, fields(c[1]...)); string(a) != string(b) {
			t.Errorf("%q and %q are different keys", c[0], c[1])
		}
	}
	seen := map[string][]string{}
	for _, c := range [][]string{
		{}, {"X-A:"}, {"X-A: 1"}, {"X-A: 1, 2"}, {"X-A: 1", "X-A: 2"}, {"X-B: 1"}, {"X-A: 1", "X-B: 1"},
		{"Cookie: lang=de"}, {"Cookie: lang="}, {"Cookie: lang=en"}, {"Cookie: lang=de; lang=en"},
		{"Cookie: lang=en; lang=de"},
	} {
		key := string(k.Extra(nil, fields(c...)))
		if other, double := seen[key]; double {
			t.Errorf("%q and %q are one key", c, other)
		}
		seen[key] = c
	}
}

func FuzzQueryRules(f *testing.F) {
	f.Add("a=1&utm_x=2;b&&=")
	k := KeyRules{Ignore: []string{"utm_*"}, Sort: true}
	f.Fuzz(func(t *testing.T, raw string) {
		got, _ := k.Query(nil, []byte(raw))
		for p := range strings.SplitSeq(string(got), "&") {
			if strings.HasPrefix(p, "utm_") {
				t.Errorf("%q leaves %q", raw, got)
			}
		}
		if again, _ := k.Query(nil, got); string(again) != string(got) {
			t.Errorf("%q is %q, that again %q", raw, got, again)
		}
	})
}

func ExampleKeyRules_Reduce() {
	rules := KeyRules{Ignore: []string{"utm_*"}, Sort: true}
	u, _ := ParseURL("http://a.test/news?utm_source=mail&page=2&lang=en")
	u, _ = rules.Reduce(nil, u)
	fmt.Println(u)
	// Output: http://a.test/news?lang=en&page=2
}
