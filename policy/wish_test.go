package policy

import (
	"fmt"
	"testing"
)

func TestFirstRange(t *testing.T) {
	for _, c := range []struct {
		field        string
		from, suffix int64
		ok           bool
	}{
		{"bytes=0-4", 0, 0, true},
		{"bytes=7-", 7, 0, true},
		{"bytes=-5", 0, 5, true},
		{" Bytes= , 3-4, 9-", 3, 0, true},
		{"bytes=99999999999999999999-", maxOffset/10 - 1, 0, true},
		{"bytes=-0", 0, 0, false},
		{"bytes=5-2", 0, 0, false},
		{"bytes=x", 0, 0, false},
		{"bytes=", 0, 0, false},
		{"bytes=1", 0, 0, false},
		{"bytes=1-2x", 0, 0, false},
		{"lines=1-2", 0, 0, false},
		{"", 0, 0, false},
	} {
		from, suffix, ok := FirstRange([]byte(c.field))
		if from != c.from || suffix != c.suffix || ok != c.ok {
			t.Errorf("%q: %d, %d, %v; want %d, %d, %v", c.field, from, suffix, ok, c.from, c.suffix, c.ok)
		}
	}
}

func TestReadContentRange(t *testing.T) {
	for _, c := range []struct {
		field string
		want  string
	}{
		{"bytes 0-4/10", "0 5 10 true"},
		{"BYTES 4-9/10", "4 10 10 true"},
		{"bytes 0-4/*", "0 5 -1 true"},
		{"bytes 0-9/9", "false"},
		{"bytes 5-4/9", "false"},
		{"bytes */9", "false"},
		{"bytes 0-4/", "false"},
		{"bytes 0-4", "false"},
		{"bytes=0-4/10", "false"},
		{"bytes 0-4/10 ", "0 5 10 true"},
		{"bytes 0-4/1x", "false"},
		{"bytes -4/10", "false"},
		{"lines 0-4/10", "false"},
		{"", "false"},
	} {
		got := "false"
		if r, ok := ReadContentRange([]string{c.field}); ok {
			got = fmt.Sprint(r.From, r.To, r.Total, ok)
		}
		if got != c.want {
			t.Errorf("%q: %s, want %s", c.field, got, c.want)
		}
	}
	if _, ok := ReadContentRange([]string{"bytes 0-4/10", "bytes 0-4/10"}); ok {
		t.Error("two lines are read as one")
	}
	if _, ok := ReadContentRange(nil); ok {
		t.Error("no line is read as one")
	}
}

// TestSameStrong: only what is strong in both ties parts together.
func TestSameStrong(t *testing.T) {
	tag := func(s string) Validators { return Validators{ETag: []byte(s), Modified: 5, Date: 9} }
	dated := func(modified, date int64) Validators { return Validators{Modified: modified, Date: date} }
	for _, c := range []struct {
		name string
		a, b Validators
		want bool
	}{
		{"the same strong tag", tag(`"a"`), tag(`"a"`), true},
		{"another tag, the same date", tag(`"a"`), tag(`"b"`), false},
		{"the same weak tag", tag(`W/"a"`), tag(`W/"a"`), false},
		{"a tag and none", tag(`"a"`), dated(5, 9), false},
		{"the same old date", dated(5, 9), dated(5, 20), true},
		{"another date", dated(5, 9), dated(6, 9), false},
		{"a date as young as the answer", dated(9, 9), dated(9, 9), false},
		{"nothing", Validators{}, Validators{}, false},
	} {
		if got := c.a.SameStrong(&c.b); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
