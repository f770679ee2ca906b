package policy

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestInvalidatedGroups(t *testing.T) {
	many := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(`"g%d"`, i))
		}
		return strings.Join(list, ", ")
	}
	for _, c := range []struct {
		lines []string
		want  int
		over  bool
	}{
		{nil, 0, false},
		{[]string{`"a"`}, 1, false},
		{[]string{`"a", "b"`, `"c";x=1`}, 3, false},
		{[]string{`"a", "a"`}, 1, false},
		{[]string{`"a", b, 3, ("c")`}, 1, false}, // other members are no groups
		{[]string{`"a`}, 0, false},
		{[]string{`"a"`, `b c`}, 0, false},
		{[]string{`"é"`}, 0, false},
		{[]string{`"` + strings.Repeat("a", 256) + `"`}, 1, false},
		{[]string{`"` + strings.Repeat("a", 257) + `"`}, 0, false},
		{[]string{many(64) + `, "g0"`}, 64, false},
		{[]string{many(65)}, 0, true},
	} {
		got, over := InvalidatedGroups(http.Header{"Cache-Group-Invalidation": c.lines})
		if len(got) != c.want || over != c.over {
			t.Errorf("%.60q: %d groups, over %v; want %d, %v", c.lines, len(got), over, c.want, c.over)
		}
	}
}

func FuzzInvalidatedGroups(f *testing.F) {
	f.Add(`"a", "b";p=1`)
	f.Add(`"a`)
	f.Fuzz(func(t *testing.T, line string) {
		groups, over := InvalidatedGroups(http.Header{"Cache-Group-Invalidation": {line}})
		if len(groups) > MaxInvalidatedGroups || over && groups != nil {
			t.Errorf("%d groups, over %v", len(groups), over)
		}
		for _, g := range groups {
			if len(g) > maxTagBytes {
				t.Errorf("a group of %d bytes", len(g))
			}
		}
	})
}
