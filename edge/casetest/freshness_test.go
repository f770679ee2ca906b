package casetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"edgecache/edge/edgetest"
)

var _ = register(map[string]func(*testing.T){
	"age-lie":     ageLie,
	"cc-weird":    ccWeird,
	"etag-inject": etagInject,
	"304-poison":  poison304,
	"304-unasked": unasked304,
})

func ageLie(t *testing.T) {
	for _, c := range []struct {
		name   string
		lines  []string
		stored bool // fresh at once
	}{
		{"immense", []string{"Age: 99999999999"}, false},
		{"beyond 64 bits", []string{"Age: 99999999999999999999999"}, false},
		{"at the border of 31 bits", []string{"Age: 2147483648"}, false},
		{"negative", []string{"Age: -1"}, true},
		{"two lines", []string{"Age: 0", "Age: 5"}, true},
		{"two lines, the first too old", []string{"Age: 700", "Age: 0"}, false},
		{"no number", []string{"Age: abc"}, true},
	} {
		s := open(t, edgetest.Config{})
		s.origin.On("/x", edgetest.Text(200, "page", append(c.lines, fresh)...))
		s.miss("page", "/x")
		if got := s.want("page", "/x"); isHit(got) != c.stored {
			t.Errorf("%s: %s; want a hit: %v", c.name, show(got), c.stored)
		}
		s.advance(601)
		before := s.origin.Asked("/x")
		s.want("page", "/x")
		if now := s.origin.Asked("/x"); now != before+1 {
			t.Errorf("%s: after its life the origin was asked %d times", c.name, now-before)
		}
	}
	s := open(t, edgetest.Config{})
	s.origin.On("/x", edgetest.Text(200, "page", fresh, "Date: "+time.Now().Add(1000*time.Hour).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")))
	s.miss("page", "/x")
	if got := s.hit("page", "/x"); got.Header.Get("Age") != "0" {
		t.Errorf("a Date in the future: Age %q", got.Header.Get("Age"))
	}
	s.advance(601)
	s.miss("page", "/x")
}

func ccWeird(t *testing.T) {
	for _, c := range []struct {
		control string
		life    int // seconds; 0 is stale at once
	}{
		{"max-age=18446744073709551616", 365 * 24 * 3600},
		{`max-age="60"`, 60},
		{"max-age=60;", 0},
		{"max-age=-1", 0},
		{"max-age=60, s-maxage=a", 0},
		{"max-age=60, max-age=0", 60},
		{"max-age=", 0},
		{"max-age", 0},
		{"MAX-AGE=60", 60},
		{`private="x, max-age=60`, 0},
	} {
		s := open(t, edgetest.Config{})
		s.origin.On("/x", edgetest.Text(200, "page", "Cache-Control: "+c.control))
		s.miss("page", "/x")
		if got := s.want("page", "/x"); isHit(got) != (c.life > 0) {
			t.Errorf("%s: %s; want a hit: %v", c.control, show(got), c.life > 0)
		}
		if c.life > 0 {
			s.advance(c.life - 2)
			s.hit("page", "/x")
			s.advance(3)
			s.miss("page", "/x")
		}
	}
}

func etagInject(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.On("/x", edgetest.Text(200, "page", fresh, `ETag: W/"a,b"`))
	s.miss("page", "/x")
	for condition, status := range map[string]int{
		`W/"a,b"`:           304,
		`"a,b"`:             304, // weak comparison
		`*`:                 304,
		`"x", W/"a,b"`:      304,
		`"a", "b"`:          200, // a comma inside a tag parts nothing
		`a,b`:               200,
		`W/"A,B"`:           200,
		`"a,b`:              200,
		`"*"`:               200,
		``:                  200,
		"\"a\" \t, W/\"b\"": 200,
	} {
		if got := s.Get("/x", "If-None-Match: "+condition); got.Status != status || status == 304 && got.Body != "" {
			t.Errorf("If-None-Match %s: %s, want %d", condition, show(got), status)
		}
	}
	s.status(431, "/x", `If-None-Match: "`+strings.Repeat("a", 1<<20)+`"`)
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprintf(`"%d"`, i))
	}
	s.status(200, "/x", "If-None-Match: "+strings.Join(many, ", "))
	s.asked(1, "/x")
}

// poison304: a validation changes what a stored answer says of itself, never
// how its body is framed or coded.
func poison304(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.On("/x",
		edgetest.Text(200, "page", "Cache-Control: max-age=10", tagged, "X-Old: 1", "Content-Type: text/plain"),
		edgetest.Text(304, "", fresh, tagged, "Content-Length: 9999", "Content-Encoding: gzip", "Content-Range: bytes 0-1/9",
			"Set-Cookie: evil=1", "X-New: 1"))
	s.miss("page", "/x")
	s.advance(11)
	for i := range 2 {
		got := s.want("page", "/x")
		for name, want := range map[string]string{
			"Content-Length": "4", "Content-Encoding": "", "Content-Range": "", "Set-Cookie": "",
			"X-New": "1", "X-Old": "1", "Content-Type": "text/plain",
		} {
			if v := got.Header.Get(name); v != want {
				t.Errorf("answer %d: %s is %q, want %q", i, name, v, want)
			}
		}
	}
	s.asked(2, "/x")
	s.hit("page", "/x")
}

func unasked304(t *testing.T) {
	s := open(t, edgetest.Config{})
	s.origin.On("/x", edgetest.Text(304, "", fresh, tagged), edgetest.Text(200, "page", fresh))
	s.status(502, "/x")
	s.miss("page", "/x")
	s.origin.On("/y", edgetest.Text(304, "", fresh, tagged), edgetest.Text(200, "page", fresh))
	s.status(502, "/y", `If-None-Match: "v1"`) // the client's condition stays here: the origin was not asked one
	s.miss("page", "/y")
}
