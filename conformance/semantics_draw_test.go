package conformance_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// one draws one of a list.
func one[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// often says true n times of ten.
func often(r *rand.Rand, n int) bool { return r.IntN(10) < n }

// drawCase draws an exchange. Most are ordinary, so that the two have much to
// agree on.
func drawCase(r *rand.Rand) exchangeCase {
	c := exchangeCase{Method: "GET", Status: 200, Later: time.Duration(r.IntN(400)) * time.Second}
	if r.IntN(30) == 0 {
		c.Method = one(r, "HEAD", "POST", "PUT", "DELETE")
	}
	if often(r, 2) {
		c.Status = one(r, 203, 204, 300, 301, 302, 303, 307, 308, 400, 403, 404, 405, 410, 414, 418, 500, 501, 502, 503, 599, 299)
	}
	c.Request = []string{"host: a.test"}
	if often(r, 1) {
		c.Request = append(c.Request, "authorization: Basic x")
	}
	if often(r, 1) {
		c.Request = append(c.Request, "cache-control: "+one(r, "no-store", "no-cache", "max-age=0"))
	}
	c.Again = append([]string{"host: a.test"}, drawAgain(r)...)
	c.Response = drawResponse(r)
	if often(r, 2) {
		c.Response = append(c.Response, "vary: "+one(r, "x-a", "X-A", "x-a, x-b", "x-a", "x-b,x-a", one(r, "*", "x-a,*", "x-a")))
		for _, name := range []string{"x-a: ", "x-b: "} {
			value := one(r, "1", "2")
			c.Request = append(c.Request, name+value)
			if often(r, 2) {
				value = one(r, "1", "2")
			}
			c.Again = append(c.Again, name+value)
		}
	}
	c.Confirm = drawConfirm(r)
	if often(r, 7) { // of the same answer
		for _, line := range c.Response {
			if strings.HasPrefix(line, "etag: ") || strings.HasPrefix(line, "last-modified: ") {
				c.Confirm = append(c.Confirm, line)
			}
		}
	}
	return c
}

func drawAgain(r *rand.Rand) (lines []string) {
	if often(r, 4) {
		lines = append(lines, "cache-control: "+one(r, "no-cache", "max-age=0", fmt.Sprint("max-age=", r.IntN(400)), fmt.Sprint("min-fresh=", r.IntN(200)),
			"max-stale", fmt.Sprint("max-stale=", r.IntN(400)), "max-stale=x", "foo", "foo=bar, max-age=5", "MAX-AGE=0", "max-age=x"))
	}
	if often(r, 1) {
		lines = append(lines, "pragma: no-cache")
	}
	return lines
}

// drawDirectives draws the value of one Cache-Control line: mostly one lifetime and
// something beside it.
func drawDirectives(r *rand.Rand) (value string) {
	span := func() int { return r.IntN(400) }
	for i := range 1 + r.IntN(3) {
		if value != "" {
			value += one(r, ", ", ", ", ", ", ",", " , ", ",,")
		}
		switch {
		case i == 0 && often(r, 8) || r.IntN(40) == 0:
			value += fmt.Sprint("max-age=", span())
		case r.IntN(12) == 0:
			value += one(r,
				fmt.Sprint("Max-Age=", span()), fmt.Sprintf(`max-age="%d"`, span()), "max-age=x", "max-age=-1", "max-age=1.5", "max-age=5x",
				fmt.Sprint("max-age =", span()), fmt.Sprint("max-age= ", span()), "max-age", "max-age=99999999999", "s-maxage=x",
				`no-cache="X-A"`, `private="X-A"`, `foo="a, max-age=7"`, "NO-STORE", "Private", "stale-while-revalidate=x", "stale-if-error")
		default:
			value += one(r,
				fmt.Sprint("s-maxage=", span()), "no-store", "no-cache", "private", "public", "must-revalidate", "proxy-revalidate",
				"immutable", fmt.Sprint("stale-while-revalidate=", span()), fmt.Sprint("stale-while-revalidate=", span()),
				fmt.Sprint("stale-if-error=", span()), "must-understand", "foo", "foo=bar")
		}
	}
	return value
}

// drawDate draws a date around the arrival, in one of the three forms or in none.
func drawDate(r *rand.Rand, around time.Duration) string {
	at := arrival.Add(time.Duration(r.Int64N(int64(2*around))) - around).UTC()
	switch r.IntN(12) {
	case 0:
		return at.Format("Monday, 02-Jan-06 15:04:05 GMT")
	case 1:
		return at.Format(time.ANSIC)
	case 2:
		return one(r, "0", "-1", "yesterday", "", at.Format(time.RFC1123), at.Format(time.RFC3339), at.Format("Mon, 02 Jan 06 15:04:05 GMT"))
	}
	return at.Format(http.TimeFormat)
}

func drawResponse(r *rand.Rand) (lines []string) {
	add := func(chance int, line string) {
		if often(r, chance) {
			lines = append(lines, line)
		}
	}
	add(8, "cache-control: "+drawDirectives(r))
	add(1, "cache-control: "+drawDirectives(r))
	if often(r, 8) {
		lines = append(lines, "date: "+arrival.Add(-time.Duration(one(r, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 100, -50))*time.Second).Format(http.TimeFormat))
	}
	add(2, "expires: "+drawDate(r, 300*time.Second))
	if often(r, 1) && often(r, 3) {
		lines = append(lines, "expires: "+drawDate(r, 300*time.Second), "expires: "+drawDate(r, 300*time.Second))
	}
	add(4, "last-modified: "+drawDate(r, 3000*time.Second))
	add(5, "etag: "+one(r, `"a"`, `W/"a"`, `"b"`))
	add(1, "age: "+one(r, "0", "7", "100", "x", "-5", "7, 9", "1.5", "99999999999"))
	add(1, "pragma: no-cache")
	add(one(r, 0, 1), "set-cookie: a=b")
	add(5, "x-a: old")
	add(1, "content-length: 5")
	add(8, "content-type: text/plain")
	return lines
}

func drawConfirm(r *rand.Rand) (lines []string) {
	add := func(chance int, line string) {
		if often(r, chance) {
			lines = append(lines, line)
		}
	}
	add(1, "etag: "+one(r, `"a"`, `W/"a"`, `"b"`, `"c"`))
	add(1, "last-modified: "+drawDate(r, 3000*time.Second))
	add(2, "cache-control: "+drawDirectives(r))
	add(1, "x-a: new")
	add(1, "content-length: 9")
	add(1, "content-encoding: gzip")
	add(1, "content-type: text/html")
	return lines
}
