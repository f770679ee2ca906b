package h2test

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"

	"edgecache/edge/edgetest"
)

// without is a GET's head without one of its fields.
func without(name string, more ...string) []field {
	return slices.DeleteFunc(get("/bad", more...), func(f field) bool { return f.Name == name })
}

// with is a GET's head with one of its fields changed.
func with(name, value string, more ...string) []field {
	fields := get("/bad", more...)
	for i := range fields {
		if fields[i].Name == name {
			fields[i].Value = value
		}
	}
	return fields
}

// badRequests are malformed (RFC 9113, 8.1.1), by the case that they belong to.
var badRequests = map[string]map[string]struct {
	fields []field
	body   []string // DATA frames; none: the head ends the stream
}{
	"h2-downgrade-crlf": {
		"CR LF in :path":               {fields: with(":path", "/bad HTTP/1.1\r\nX-A: 1\r\n\r\n")},
		"LF in :path":                  {fields: with(":path", "/bad\nX")},
		"a blank in :path":             {fields: with(":path", "/bad x")},
		"NUL in :path":                 {fields: with(":path", "/bad\x00")},
		"a fragment in :path":          {fields: with(":path", "/bad#x")},
		"a :path without slash":        {fields: with(":path", "bad")},
		"an empty :path":               {fields: with(":path", "")},
		"CR LF in :method":             {fields: with(":method", "GET /bad HTTP/1.1\r\nX-A: 1")},
		"a blank in :method":           {fields: with(":method", "GET x")},
		"CR LF in :authority":          {fields: with(":authority", "a.test\r\nX-A: 1")},
		"CR LF in :scheme":             {fields: with(":scheme", "http\r\nX-A: 1")},
		"CR LF in a value":             {fields: get("/bad", "x-a: 1\r\nX-B: 2")},
		"LF in a value":                {fields: get("/bad", "x-a: 1\nX-B: 2")},
		"CR in a value":                {fields: get("/bad", "x-a: 1\r2")},
		"NUL in a value":               {fields: get("/bad", "x-a: 1\x002")},
		"a value that begins by blank": {fields: append(get("/bad"), field{Name: "x-a", Value: " 1"})},
		"a value that ends by a tab":   {fields: append(get("/bad"), field{Name: "x-a", Value: "1\t"})},
		"CR LF in a name":              {fields: append(get("/bad"), field{Name: "x-a: 1\r\nx-b", Value: "2"})},
		"a colon in a name":            {fields: append(get("/bad"), field{Name: "x-a:", Value: "2"})},
		"a blank in a name":            {fields: append(get("/bad"), field{Name: "x a", Value: "2"})},
		"an empty name":                {fields: append(get("/bad"), field{Name: "", Value: "2"})},
		"an upper-case name":           {fields: append(get("/bad"), field{Name: "X-A", Value: "2"})},
		"a name beyond ASCII":          {fields: append(get("/bad"), field{Name: "x-\xe9", Value: "2"})},
	},
	"h2-te-cl": {
		"transfer-encoding":                  {fields: head("POST", "/bad", "transfer-encoding: chunked"), body: []string{"0\r\n\r\nGET /hidden HTTP/1.1\r\n\r\n"}},
		"content-length above the body":      {fields: head("POST", "/bad", "content-length: 10"), body: []string{"short"}},
		"content-length below the body":      {fields: head("POST", "/bad", "content-length: 3"), body: []string{"longer"}},
		"content-length, two frames":         {fields: head("POST", "/bad", "content-length: 3"), body: []string{"ab", "cd"}},
		"content-length without a body":      {fields: head("POST", "/bad", "content-length: 3")},
		"content-length under GET, no body":  {fields: get("/bad", "content-length: 3")},
		"content-length 0 with a body":       {fields: head("POST", "/bad", "content-length: 0"), body: []string{"x"}},
		"content-length twice":               {fields: head("POST", "/bad", "content-length: 3", "content-length: 4"), body: []string{"abc"}},
		"content-length of no number":        {fields: head("POST", "/bad", "content-length: +3"), body: []string{"abc"}},
		"content-length of hex":              {fields: head("POST", "/bad", "content-length: 0x3"), body: []string{"abc"}},
		"content-length beyond 64 bits":      {fields: head("POST", "/bad", "content-length: 18446744073709551619"), body: []string{"abc"}},
		"content-length as a list":           {fields: head("POST", "/bad", "content-length: 3, 3"), body: []string{"abc"}},
		"transfer-encoding and a length":     {fields: head("POST", "/bad", "transfer-encoding: chunked", "content-length: 3"), body: []string{"abc"}},
		"transfer-encoding: identity in GET": {fields: get("/bad", "transfer-encoding: identity")},
	},
	"h2-authority-host": {
		"another host":                  {fields: get("/bad", "host: b.test")},
		"another port":                  {fields: get("/bad", "host: a.test:81")},
		"host twice":                    {fields: without(":authority", "host: a.test", "host: a.test")},
		"neither":                       {fields: without(":authority")},
		":path twice":                   {fields: append([]field{{Name: ":path", Value: "/good"}}, get("/bad")...)},
		":method twice":                 {fields: append([]field{{Name: ":method", Value: "GET"}}, get("/bad")...)},
		":scheme twice":                 {fields: append([]field{{Name: ":scheme", Value: "http"}}, get("/bad")...)},
		":authority twice":              {fields: append([]field{{Name: ":authority", Value: "a.test"}}, get("/bad")...)},
		"no :scheme":                    {fields: without(":scheme")},
		"no :method":                    {fields: without(":method")},
		"no :path":                      {fields: without(":path")},
		"no field at all":               {fields: nil},
		"userinfo in :authority":        {fields: with(":authority", "u@a.test")},
		"a path in :authority":          {fields: with(":authority", "a.test/x")},
		"an empty :authority":           {fields: with(":authority", "")},
		":status":                       {fields: append(get("/bad"), field{Name: ":status", Value: "200"})},
		"an unknown pseudo-header":      {fields: append([]field{{Name: ":what", Value: "1"}}, get("/bad")...)},
		"a pseudo-header behind fields": {fields: append(lines("x-a: 1"), get("/bad")...)},
		"CONNECT":                       {fields: []field{{Name: ":method", Value: "CONNECT"}, {Name: ":authority", Value: "a.test:80"}}},
		"CONNECT with a :path":          {fields: with(":method", "CONNECT")},
		":protocol without CONNECT":     {fields: append([]field{{Name: ":protocol", Value: "websocket"}}, get("/bad")...)},
	},
	"h2-connection": {
		"connection":             {fields: get("/bad", "connection: close")},
		"connection: host":       {fields: get("/bad", "connection: host")},
		"upgrade":                {fields: get("/bad", "upgrade: websocket")},
		"keep-alive":             {fields: get("/bad", "keep-alive: timeout=5")},
		"proxy-connection":       {fields: get("/bad", "proxy-connection: close")},
		"te other than trailers": {fields: get("/bad", "te: gzip")},
		"te: trailers and more":  {fields: get("/bad", "te: trailers, deflate")},
	},
}

func malformedRequests(t *testing.T, id string) {
	both(t, edgetest.Config{}, wireOptions{}, func(t *testing.T, r *room) {
		r.origin.On("*", edgetest.Text(200, "bad", fresh))
		r.origin.On("/fine", edgetest.Text(200, "fine", fresh))
		c := r.dial()
		for name, bad := range badRequests[id] {
			t.Run(name, func(t *testing.T) {
				r.origin.Drop()
				s := c.open(len(bad.body) == 0, bad.fields...)
				for i, p := range bad.body {
					c.data(s, i == len(bad.body)-1, []byte(p))
				}
				a := c.answered(s)
				refused := a.status == 400 || a.status == 405 || a.status == 501
				if a.reset && a.code != http2.ErrCodeProtocol && !refused || !a.reset && !refused {
					t.Errorf("%v, want it reset by PROTOCOL_ERROR", a)
				}
				// The connection goes on, and the next request is a whole one.
				c.want("fine", "/fine")
				for _, seen := range r.origin.Seen() {
					if !strings.HasPrefix(seen.Target, "/fine") {
						t.Errorf("the origin was asked: %s %s", seen.Method, seen.Target)
					}
				}
			})
		}
	})
}

// Crumbs of a cookie become one field (RFC 9113, 8.2.3); ten thousand are too many.
func cookieCrumbs(t *testing.T) {
	both(t, edgetest.Config{}, wireOptions{}, func(t *testing.T, r *room) {
		r.origin.On("/", edgetest.Text(200, "fine", "Cache-Control: no-store"))
		c := r.dial()
		c.want("fine", "/", "cookie: a=1", "x-between: 1", "cookie: b=2", "cookie: c=3")
		if got := r.origin.Seen()[0].Header["Cookie"]; len(got) != 1 || got[0] != "a=1; b=2; c=3" {
			t.Errorf("the origin got cookies %q, want one field", got)
		}
		r.origin.Drop()
		s, err := c.try(true, get("/", slices.Repeat([]string{"cookie: a=1"}, 10_000)...))
		if err == nil && c.wait(func() bool { return s.ended || s.reset }) == nil {
			if s.status != 431 && !s.reset {
				t.Errorf("ten thousand crumbs: %v, want 431", s)
			}
		}
		if n := len(r.origin.Seen()); n != 0 {
			t.Errorf("the origin was asked %d times", n)
		}
		r.answers()
	})
}
