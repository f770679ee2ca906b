package policy

import (
	"strings"
	"testing"
)

// stored are validators of an answer that was modified so many seconds before
// it was made; 0 means that it does not say.
func stored(etag string, modified int) *Validators {
	v := &Validators{ETag: []byte(etag), Date: asked.Unix()}
	if modified != 0 {
		v.LastModified = []byte(date(-modified))
		v.Modified = asked.Unix() - int64(modified)
	}
	return v
}

func TestConditional(t *testing.T) {
	abc, weak := stored(`"abc"`, 0), stored(`W/"abc"`, 0)
	for _, c := range []struct {
		name   string
		v      *Validators
		status int
		lines  []string
		want   Outcome
	}{
		{"no precondition", abc, 200, nil, Full},

		// RFC 9110, 13.1.2.
		{"the same tag", abc, 200, lines(`If-None-Match: "abc"`), NotModified},
		{"another tag", abc, 200, lines(`If-None-Match: "abd"`), Full},
		{"a weak tag for a strong one", abc, 200, lines(`If-None-Match: W/"abc"`), NotModified},
		{"a strong tag for a weak one", weak, 200, lines(`If-None-Match: "abc"`), NotModified},
		{"two weak ones", weak, 200, lines(`If-None-Match: W/"abc"`), NotModified},
		{"first of a list", abc, 200, lines(`If-None-Match: "abc", "1", "2"`), NotModified},
		{"middle of a list", abc, 200, lines(`If-None-Match: "1","abc" , "2"`), NotModified},
		{"last of a list", abc, 200, lines(`If-None-Match: "1", "2", "abc"`), NotModified},
		{"on a second line", abc, 200, lines(`If-None-Match: "1"`, `if-none-match: "abc"`), NotModified},
		{"a comma in a tag", stored(`"a,b"`, 0), 200, lines(`If-None-Match: "1", "a,b"`), NotModified},
		{"a part of a tag with a comma", stored(`"b"`, 0), 200, lines(`If-None-Match: "a,"b","`), Full},
		{"any", abc, 200, lines("If-None-Match: *"), NotModified},
		{"any, of an answer without a tag", stored("", 0), 200, lines("If-None-Match: *"), NotModified},
		{"a star in a list is none", abc, 200, lines(`If-None-Match: *, "1"`), Full},
		{"an empty tag", stored(`""`, 0), 200, lines(`If-None-Match: ""`), NotModified},
		{"a tag and an answer without", stored("", 0), 200, lines(`If-None-Match: "abc"`), Full},
		{"an empty value and an answer without", stored("", 0), 200, lines(`If-None-Match:`), Full},
		{"an unquoted tag is not the quoted one", abc, 200, lines(`If-None-Match: abc`), Full},
		{"two unquoted ones are equal", stored("abc", 0), 200, lines(`If-None-Match: abc`), NotModified},
		{"an open quotation mark", abc, 200, lines(`If-None-Match: "abc`), Full},
		{"text above ASCII", stored("\"\xc3\xbc\"", 0), 200, lines("If-None-Match: \"\xc3\xbc\""), NotModified},
		{"an error has no preconditions", abc, 404, lines(`If-None-Match: "abc"`), Full},
		{"a redirect has none", abc, 301, lines(`If-None-Match: *`), Full},
		{"a megabyte", abc, 200, lines("If-None-Match: " + strings.Repeat(`"1",`, 1<<18)), Full},

		// RFC 9110, 13.1.3; RFC 9111, 4.3.2.
		{"not modified since", stored("", 3000), 200, lines("If-Modified-Since: {-3000}"), NotModified},
		{"nor since later", stored("", 3000), 200, lines("If-Modified-Since: {-2000}"), NotModified},
		{"modified since", stored("", 3000), 200, lines("If-Modified-Since: {-3001}"), Full},
		{"a bad date is ignored", stored("", 3000), 200, lines("If-Modified-Since: yesterday"), Full},
		{"two dates are ignored", stored("", 3000), 200, lines("If-Modified-Since: {-3000}", "If-Modified-Since: {-3000}"), Full},
		{"without Last-Modified, Date counts", stored("", 0), 200, lines("If-Modified-Since: {0}"), NotModified},
		{"and it is later", stored("", 0), 200, lines("If-Modified-Since: {-1}"), Full},
		{"a bad Last-Modified is no Date", &Validators{LastModified: []byte("x"), Date: asked.Unix()}, 200, lines("If-Modified-Since: {0}"), Full},
		{"a tag comes before a date", stored(`"abc"`, 5000), 200, lines(`If-None-Match: "abc"`, "If-Modified-Since: {-6000}"), NotModified},
		{"a date does not mend a tag", stored(`"abc"`, 5000), 200, lines(`If-None-Match: "x"`, "If-Modified-Since: {0}"), Full},

		// RFC 9110, 13.1.1 and 13.1.4.
		{"If-Match", abc, 200, lines(`If-Match: "abc"`), Full},
		{"If-Match any", abc, 200, lines(`If-Match: *`), Full},
		{"If-Match another", abc, 200, lines(`If-Match: "x"`), PreconditionFailed},
		{"If-Match is strong", weak, 200, lines(`If-Match: W/"abc"`), PreconditionFailed},
		{"If-Match comes first", abc, 200, lines(`If-Match: "x"`, `If-None-Match: "abc"`), PreconditionFailed},
		{"If-Match holds, then the next", abc, 200, lines(`If-Match: "abc"`, `If-None-Match: "abc"`), NotModified},
		{"unmodified since", stored("", 3000), 200, lines("If-Unmodified-Since: {-3000}"), Full},
		{"modified since then", stored("", 3000), 200, lines("If-Unmodified-Since: {-3001}"), PreconditionFailed},
		{"If-Match comes before it", stored(`"abc"`, 3000), 200, lines(`If-Match: "abc"`, "If-Unmodified-Since: {-9000}"), Full},
		{"a bad one is ignored", stored("", 3000), 200, lines("If-Unmodified-Since: x"), Full},
	} {
		request := make([]string, 0, 2)
		for name, values := range headers(c.lines...) {
			for _, v := range values {
				request = append(request, name+": "+v)
			}
		}
		if got := Conditional(ask(&Rules{}, "GET", request...), c.v, c.status); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestIfRange(t *testing.T) {
	for _, c := range []struct {
		name  string
		v     *Validators
		lines []string
		want  bool
	}{
		{"none", stored(`"abc"`, 0), nil, true},
		{"the same tag", stored(`"abc"`, 0), lines(`If-Range: "abc"`), true},
		{"another tag", stored(`"abc"`, 0), lines(`If-Range: "x"`), false},
		{"a weak tag", stored(`W/"abc"`, 0), lines(`If-Range: W/"abc"`), false},
		{"no tag stored", stored("", 0), lines(`If-Range: ""`), false},
		{"the same date", stored("", 60), lines("If-Range: " + date(-60)), true},
		{"a later date", stored("", 60), lines("If-Range: " + date(-59)), false},
		{"a date within its second", &Validators{LastModified: []byte(date(0)), Modified: asked.Unix(), Date: asked.Unix()},
			lines("If-Range: " + date(0)), false},
		{"no date stored", stored("", 0), lines("If-Range: " + date(0)), false},
		{"empty", stored(`"abc"`, 60), lines("If-Range:"), false},
		{"two", stored(`"abc"`, 0), lines(`If-Range: "abc"`, `If-Range: "abc"`), false},
	} {
		if got := IfRange(ask(&Rules{}, "GET", c.lines...), c.v); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// FuzzConditional: a 304 needs the tag, or its opaque part, in the field.
func FuzzConditional(f *testing.F) {
	f.Add([]byte(`"a", W/"b"`), []byte(`"b"`))
	f.Add([]byte(`W/`), []byte(`W/`))
	f.Fuzz(func(t *testing.T, value, etag []byte) {
		a := &Ask{Has: HasIfNoneMatch, Fields: Fields{{[]byte("if-none-match"), value}}}
		got := Conditional(a, &Validators{ETag: etag}, 200)
		if string(trim(value)) == "*" {
			if got != NotModified {
				t.Errorf("* is %d", got)
			}
			return
		}
		opaque := strings.TrimPrefix(string(etag), "W/")
		if got == NotModified && (opaque == "" || !strings.Contains(string(value), opaque)) {
			t.Errorf("%q matches %q", value, etag)
		}
	})
}
