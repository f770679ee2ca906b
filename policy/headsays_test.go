package policy

import (
	"net/http"
	"testing"
	"time"
)

func TestReadHead(t *testing.T) {
	modified := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	date, later := modified.Format(http.TimeFormat), modified.Add(time.Second).Format(http.TimeFormat)
	both := Validators{ETag: []byte(`"a"`), LastModified: []byte(date), Modified: modified.Unix()}
	tag := Validators{ETag: []byte(`"a"`)}
	none := Validators{}
	for name, c := range map[string]struct {
		v      Validators
		coding string
		h      http.Header
		want   HeadSays
	}{
		"all equal":                       {both, "", http.Header{"Etag": {`"a"`}, "Last-Modified": {date}, "Content-Length": {"5"}}, HeadSame},
		"a weak tag is as good":           {both, "", http.Header{"Etag": {`W/"a"`}}, HeadSame},
		"another tag":                     {both, "", http.Header{"Etag": {`"b"`}, "Last-Modified": {date}}, HeadOther},
		"another date":                    {both, "", http.Header{"Etag": {`"a"`}, "Last-Modified": {later}}, HeadOther},
		"another length":                  {both, "", http.Header{"Etag": {`"a"`}, "Content-Length": {"6"}}, HeadOther},
		"a length that is none":           {both, "", http.Header{"Etag": {`"a"`}, "Content-Length": {"x"}}, HeadSame},
		"only the length, equal":          {both, "", http.Header{"Content-Length": {"5"}}, HeadNothing},
		"only the length, another":        {none, "", http.Header{"Content-Length": {"6"}}, HeadOther},
		"a tag where none was":            {none, "", http.Header{"Etag": {`"a"`}}, HeadOther},
		"a date beside the tag":           {tag, "", http.Header{"Etag": {`"a"`}, "Last-Modified": {date}}, HeadSame},
		"a date where no validator was":   {none, "", http.Header{"Last-Modified": {date}}, HeadOther},
		"a date that is none":             {both, "", http.Header{"Last-Modified": {"yesterday"}}, HeadNothing},
		"nothing":                         {both, "", http.Header{}, HeadNothing},
		"another coding, whatever it has": {both, "gzip", http.Header{"Etag": {`"b"`}, "Content-Length": {"6"}}, HeadNothing},
	} {
		if got := ReadHead(&c.v, 5, c.coding, c.h); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if got := ReadHead(&both, -1, "", http.Header{"Etag": {`"a"`}, "Content-Length": {"6"}}); got != HeadSame {
		t.Errorf("of unknown length: %v, want same", got)
	}
}
