package policy

import (
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	asked    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	answered = Times{asked.UnixNano(), asked.UnixNano()}
	here     = place("http", "a.test", "/dir/x", "?q=1")
)

// headers makes a header of "Name: value" lines; {+60} stands for the date a
// minute after the request.
func headers(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if span, ok := strings.CutPrefix(value, "{"); ok {
			n, err := strconv.Atoi(strings.TrimSuffix(span, "}"))
			if err != nil {
				panic(err)
			}
			value = date(n)
		}
		h.Add(name, value)
	}
	return h
}

func date(seconds int) string {
	return asked.Add(time.Duration(seconds) * time.Second).Format(http.TimeFormat)
}

// judged is the decision about one answer to GET here.
type judged struct {
	rules   Rules
	method  string   // "" is GET
	request []string // lines
	body    bool
	status  int      // 0 is 200
	answer  []string // lines
	close   bool
}

func (c judged) decide() Decision {
	if c.method == "" {
		c.method = "GET"
	}
	if c.status == 0 {
		c.status = 200
	}
	a := ask(&c.rules, c.method, c.request...)
	a.Body = c.body
	return Judge(a, &c.rules, &Response{Status: c.status, Header: headers(c.answer...), CloseDelimited: c.close}, here, answered)
}

func lines(l ...string) []string { return l }

func TestWhatIsStored(t *testing.T) {
	fresh := lines("Cache-Control: max-age=60")
	cookie := lines("Cookie: a=b")
	auth := lines("Authorization: x")
	honor := Rules{HonorClient: true}
	long := "X-Long: " + strings.Repeat("x", oversizedHead)
	for _, c := range []struct {
		name string
		judged
		want Reason
	}{
		// RFC 9111, 3: the request.
		{"a fresh answer to GET", judged{answer: fresh}, Stored},
		{"HEAD", judged{method: "HEAD", answer: fresh}, Method},
		{"PUT", judged{method: "PUT", answer: fresh}, Method},
		{"an unknown method", judged{method: "get", answer: fresh}, Method},
		{"a route that bypasses", judged{rules: Rules{Bypass: true}, answer: fresh}, BypassRule},
		{"GET whose body went up", judged{body: true, answer: fresh}, FatGet},
		{"no-store of the client, honoured", judged{rules: honor, request: lines("Cache-Control: no-store"), answer: fresh}, ClientNoStore},
		{"no-store of the client, ignored", judged{request: lines("Cache-Control: no-store"), answer: fresh}, Stored},
		{"no-cache of the client", judged{rules: honor, request: lines("Cache-Control: no-cache"), answer: fresh}, Stored},

		// RFC 9110, 9.3.3: POST.
		{"POST", judged{method: "POST", body: true, answer: fresh}, Method},
		{"POST that names its place", judged{method: "POST", body: true, answer: append(lines("Content-Location: /dir/x?q=1"), fresh...)}, Stored},
		{"POST that names it relatively", judged{method: "POST", answer: append(lines("Content-Location: x?q=1"), fresh...)}, Stored},
		{"POST that names another", judged{method: "POST", answer: append(lines("Content-Location: /dir/x"), fresh...)}, Method},
		{"POST that names another origin", judged{method: "POST", answer: append(lines("Content-Location: https://a.test/dir/x?q=1"), fresh...)}, Method},
		{"POST without a lifetime", judged{rules: Rules{TTL: time.Hour}, method: "POST", answer: lines("Content-Location: /dir/x?q=1", "ETag: \"a\"")}, Method},
		{"POST with another status", judged{method: "POST", status: 201, answer: append(lines("Content-Location: /dir/x?q=1"), fresh...)}, Method},

		// The status.
		{"any final status with a lifetime", judged{status: 999, answer: fresh}, Stored},
		{"an error with a lifetime", judged{status: 503, answer: fresh}, Stored},
		{"an interim status", judged{status: 103, answer: fresh}, Status},
		{"a 304", judged{status: 304, answer: fresh}, Status},
		{"a 206", judged{status: 206, answer: fresh}, PartialAnswer},
		{"302 without a lifetime", judged{status: 302, answer: lines("ETag: \"a\"")}, Status},
		{"406 without a lifetime", judged{rules: Rules{TTL: time.Hour}, status: 406}, Status},
		{"302 that is public", judged{status: 302, answer: lines("Cache-Control: public", "ETag: \"a\"")}, Stored},
		{"must-understand with a status we know", judged{answer: lines("Cache-Control: no-store, must-understand, max-age=60")}, Stored},
		{"must-understand with one we do not", judged{status: 599, answer: lines("Cache-Control: must-understand, max-age=60")}, MustUnderstand},
		{"must-understand and no-store with one we do not", judged{status: 599, answer: lines("Cache-Control: no-store, must-understand, max-age=60")}, MustUnderstand},
		{"a body that the connection's end ends", judged{close: true, answer: fresh}, CloseDelimited},
		{"which the route allows", judged{rules: Rules{CloseDelimited: true}, close: true, answer: fresh}, Stored},

		// The directives.
		{"no-store", judged{answer: lines("Cache-Control: max-age=60, no-store")}, NoStore},
		{"no-store on a second line", judged{answer: lines("Cache-Control: max-age=60", "Cache-Control: no-store")}, NoStore},
		{"no-store beside a bad directive", judged{answer: lines("Cache-Control: max-age=100, s-maxage=abc, no-store")}, NoStore},
		{"private on a second line", judged{answer: lines("Cache-Control: max-age=60", "Cache-Control: private")}, Private},
		{"private for one field", judged{answer: lines(`Cache-Control: max-age=60, private="x-a"`)}, Stored},
		{"private for a field that is the answer", judged{answer: lines(`Cache-Control: max-age=60, private="content-type"`)}, Private},
		{"no-cache with a validator", judged{answer: lines("Cache-Control: no-cache", "ETag: \"a\"")}, Stored},
		{"no-cache without one", judged{answer: lines("Cache-Control: no-cache, max-age=60")}, NoCache},

		// RFC 9111, 3.5: Authorization.
		{"Authorization", judged{request: auth, answer: fresh}, Authorization},
		{"Authorization and Expires", judged{request: auth, answer: lines("Expires: {60}")}, Authorization},
		{"Authorization and public", judged{request: auth, answer: lines("Cache-Control: public, max-age=60")}, Stored},
		{"Authorization and s-maxage", judged{request: auth, answer: lines("Cache-Control: s-maxage=60")}, Stored},
		{"Authorization and must-revalidate", judged{request: auth, answer: lines("Cache-Control: must-revalidate, max-age=60")}, Stored},
		{"Authorization and proxy-revalidate", judged{request: auth, answer: lines("Cache-Control: proxy-revalidate, max-age=60")}, Authorization},
		{"Authorization, public, no lifetime but the route's", judged{rules: Rules{TTL: time.Hour}, request: auth, answer: lines("Cache-Control: public")}, NoFreshness},

		// Cookies.
		{"a cookie and a lifetime", judged{request: cookie, answer: fresh}, Stored},
		{"a cookie and none", judged{rules: Rules{Heuristic: true}, request: cookie, answer: lines("Last-Modified: {-1000}")}, CookieRequest},
		{"a cookie and the route's", judged{rules: Rules{TTL: time.Hour}, request: cookie}, CookieRequest},
		{"a cookie and the route's by status", judged{rules: Rules{TTLStatus: map[int]time.Duration{200: time.Hour}}, request: cookie}, CookieRequest},
		{"a cookie and the route's override", judged{rules: Rules{TTLOverride: time.Hour}, request: cookie}, CookieRequest},
		{"a cookie that is stripped, and the route's", judged{rules: Rules{TTL: time.Hour, Cookies: CookiesStrip}, request: cookie}, Stored},
		{"a cookie that bypasses", judged{rules: Rules{Cookies: CookiesBypass}, request: cookie, answer: fresh}, BypassRule},
		{"Set-Cookie", judged{answer: lines("Cache-Control: max-age=60", "Set-Cookie: a=b")}, SetCookieAnswer},
		{"Set-Cookie and s-maxage", judged{answer: lines("Cache-Control: s-maxage=60", "Set-Cookie: a=b")}, Stored},
		{"Set-Cookie and CDN-Cache-Control", judged{answer: lines("CDN-Cache-Control: max-age=60", "Set-Cookie: a=b")}, Stored},
		{"Set-Cookie and a bad CDN-Cache-Control", judged{answer: lines("CDN-Cache-Control: max-age=x", "Cache-Control: max-age=60", "Set-Cookie: a=b")}, SetCookieAnswer},
		{"Set-Cookie that is private", judged{answer: lines(`Cache-Control: max-age=60, private="set-cookie"`, "Set-Cookie: a=b")}, Stored},
		{"Set-Cookie, stored", judged{rules: Rules{SetCookie: SetCookieStore}, answer: lines("Cache-Control: max-age=60", "Set-Cookie: a=b")}, Stored},
		{"Set-Cookie, stripped", judged{rules: Rules{SetCookie: SetCookieStrip}, answer: lines("Cache-Control: max-age=60", "Set-Cookie: a=b")}, Stored},

		// What one client provokes (CPDoS).
		{"an error to a Range", judged{request: lines("Range: bytes=x"), status: 416, answer: fresh}, ErrorToRange},
		{"200 to a Range", judged{request: lines("Range: bytes=0-1"), answer: fresh}, Stored},
		{"an error to a long head", judged{request: lines(long), status: 400, answer: fresh}, ErrorToLongHead},
		{"200 to a long head", judged{request: lines(long), answer: fresh}, Stored},

		// Vary and tags.
		{"Vary: *", judged{answer: lines("Cache-Control: max-age=60", "Vary: Foo, *")}, VaryStar},
		{"Vary: * on a second line", judged{answer: lines("Cache-Control: max-age=60", "Vary:", "Vary: *")}, VaryStar},
		{"Vary with a bad name", judged{answer: lines("Cache-Control: max-age=60", "Vary: a b")}, BadVary},
		{"Vary by the client", judged{answer: lines("Cache-Control: max-age=60", "Vary: Accept, X-Real-IP")}, VaryClient},
		{"Vary by the way to the client", judged{answer: lines("Cache-Control: max-age=60", "Vary: x-forwarded-for")}, VaryClient},
		{"Vary by the request's id", judged{answer: lines("Cache-Control: max-age=60", "Vary: X-Request-ID")}, VaryClient},
		{"16 names of Vary", judged{answer: lines("Cache-Control: max-age=60", "Vary: "+names(16))}, Stored},
		{"17 names of Vary", judged{answer: lines("Cache-Control: max-age=60", "Vary: "+names(17))}, TooManyVary},
		{"1000 names of Vary", judged{answer: lines("Cache-Control: max-age=60", "Vary: "+names(1000))}, TooManyVary},

		// RFC 9111, 3: a lifetime, or a validator.
		{"neither", judged{}, NoFreshness},
		{"max-age=0", judged{answer: lines("Cache-Control: max-age=0")}, StaleOnArrival},
		{"an Expires that is over", judged{answer: lines("Expires: {-1}")}, StaleOnArrival},
		{"a lifetime that is malformed", judged{answer: lines("Cache-Control: max-age=x")}, BadFreshness},
		{"a malformed one beside a good one", judged{answer: lines("Cache-Control: s-maxage=x, max-age=60")}, BadFreshness},
		{"a malformed one that another outweighs", judged{answer: lines("Cache-Control: s-maxage=0, max-age=x")}, StaleOnArrival},
		{"Expires: 0", judged{answer: lines("Expires: 0")}, BadFreshness},
		{"two Expires", judged{answer: lines("Expires: {60}", "Expires: {60}")}, BadFreshness},
		{"a malformed one and a validator", judged{answer: lines("Cache-Control: max-age=x", "ETag: \"a\"")}, Stored},
		{"a heuristic lifetime that is over", judged{rules: Rules{Heuristic: true, TTL: time.Minute}, answer: lines("Age: 60")}, StaleOnArrival},
		{"max-age=0 and a validator", judged{answer: lines("Cache-Control: max-age=0", "ETag: \"a\"")}, Stored},
		{"an entity tag alone", judged{answer: lines("ETag: \"a\"")}, Stored},
		{"two entity tags", judged{answer: lines("ETag: \"a\"", "ETag: \"b\"")}, NoFreshness},
		{"a date of modification alone", judged{answer: lines("Last-Modified: {-10}")}, Stored},
		{"a bad date of modification", judged{answer: lines("Last-Modified: yesterday")}, NoFreshness},
		{"over at its arrival", judged{answer: lines("Cache-Control: max-age=60", "Age: 60")}, StaleOnArrival},
		{"over at its arrival, with a validator", judged{answer: lines("Cache-Control: max-age=60", "Age: 60", "ETag: \"a\"")}, Stored},
		{"over at its arrival, within its window", judged{answer: lines("Cache-Control: max-age=60, stale-while-revalidate=60", "Age: 60")}, Stored},
		{"over at its arrival, within its window for errors", judged{answer: lines("Cache-Control: max-age=60, stale-if-error=60", "Age: 60")}, Stored},
		{"a window if dead is no reason to store", judged{rules: Rules{StaleIfDead: time.Hour}, answer: lines("Cache-Control: max-age=0")}, StaleOnArrival},
	} {
		d := c.decide()
		if d.Why != c.want || d.Store != (c.want == Stored) {
			t.Errorf("%s: store %v because %v, want %v", c.name, d.Store, d.Why, c.want)
		}
		if !d.Store && d.Life != (Life{Born: d.Life.Born}) || d.Life.Born == 0 {
			t.Errorf("%s: lives %+v", c.name, d.Life)
		}
	}
	if d := (Decision{}); d.Store {
		t.Error("the zero decision stores")
	}
}

func names(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("x" + strconv.Itoa(i) + ",")
	}
	return b.String()
}

func TestWhatIsStripped(t *testing.T) {
	for _, c := range []struct {
		name string
		judged
		want    []string
		noCache bool
	}{
		{"nothing", judged{answer: lines("Cache-Control: max-age=60")}, nil, false},
		{"fields of private and no-cache", judged{answer: lines(`Cache-Control: max-age=60, private="x-b, x-a", no-cache="x-c"`)},
			lines("X-A", "X-B", "X-C"), false},
		{"not one that the answer needs: it is validated", judged{answer: lines(`Cache-Control: max-age=60, no-cache="content-type, a"`, "ETag: \"a\"")},
			lines("A"), true},
		{"Set-Cookie where the route says so", judged{rules: Rules{SetCookie: SetCookieStrip}, answer: lines("Cache-Control: max-age=60", "Set-Cookie: a")},
			lines("Set-Cookie", "Set-Cookie2"), false},
	} {
		d := c.decide()
		if !d.Store || !slices.Equal(d.Strip, c.want) || d.Life.NoCache != c.noCache {
			t.Errorf("%s: %v strips %q, no-cache %v", c.name, d.Why, d.Strip, d.Life.NoCache)
		}
	}
}

func TestSharedAuth(t *testing.T) {
	for cc, want := range map[string]bool{
		"max-age=60": false, "max-age=60, public": true, "s-maxage=60": true, "max-age=60, must-revalidate": true,
		"max-age=60, proxy-revalidate": false, "max-age=60, public=1": false,
	} {
		d := judged{answer: lines("Cache-Control: " + cc)}.decide()
		if d.SharedAuth != want || !d.Store {
			t.Errorf("%s: shared %v", cc, d.SharedAuth)
		}
	}
}

func TestVaryIsNormalised(t *testing.T) {
	d := judged{answer: lines("Cache-Control: max-age=60", "Vary: Foo ,BAR,,", "vary: foo, accept-Encoding, X-Forwarded-Proto")}.decide()
	if want := lines("accept-encoding", "bar", "foo"); !slices.Equal(d.Vary, want) {
		t.Errorf("Vary is %q, want %q", d.Vary, want)
	}
	if d = (judged{answer: lines("Cache-Control: no-store", "Vary: Foo")}).decide(); !slices.Equal(d.Vary, lines("foo")) {
		t.Errorf("what is not stored varies by %q", d.Vary)
	}
}

func TestTags(t *testing.T) {
	rules := Rules{Tags: []string{"route"}, TagHeaders: lines("Surrogate-Key", "Cache-Tag", "Cache-Groups")}
	many := func(n int) judged {
		return judged{rules: Rules{TagHeaders: lines("Surrogate-Key"), MaxTags: 0},
			answer: lines("Cache-Control: max-age=60", "Surrogate-Key: "+names(n))}
	}
	for _, c := range []struct {
		name string
		judged
		want []string
		why  Reason
	}{
		{"of all fields, once each", judged{rules: rules, answer: lines("Cache-Control: max-age=60",
			"Surrogate-Key: a b\tc", "Surrogate-Key: a,d", "Cache-Tag: e, f g,", `Cache-Groups: "a", "h";x=1, tok, 5`)},
			lines("route", "a", "b", "c", "d", "e", "f g", "a", "h"), Stored},
		{"malformed groups are ignored", judged{rules: rules, answer: lines("Cache-Control: max-age=60", `Cache-Groups: "a`)},
			lines("route"), Stored},
		{"fields that are not configured are none", judged{answer: lines("Cache-Control: max-age=60", "Surrogate-Key: a")}, nil, Stored},
		{"64 are taken", many(64), strings.Split(strings.TrimSuffix(names(64), ","), ","), Stored},
		{"65 are not", many(65), nil, TooManyTags},
		{"256 bytes are taken", judged{rules: rules, answer: lines("Cache-Control: max-age=60", "Cache-Tag: "+strings.Repeat("x", 256))},
			lines("route", strings.Repeat("x", 256)), Stored},
		{"257 are not", judged{rules: rules, answer: lines("Cache-Control: max-age=60", "Cache-Tag: "+strings.Repeat("x", 257))}, nil, TooManyTags},
		{"the route's own limit", judged{rules: Rules{MaxTags: 1, Tags: lines("a", "b")}, answer: lines("Cache-Control: max-age=60")}, nil, TooManyTags},
	} {
		d := c.decide()
		if d.Why != c.why || !slices.Equal(d.TagNames, c.want) || len(d.Tags) != len(d.TagNames) {
			t.Errorf("%s: %v, tags %q, want %v %q", c.name, d.Why, d.TagNames, c.why, c.want)
		}
	}
	d := judged{rules: rules, answer: lines("Cache-Control: max-age=60", "Cache-Tag: a", `Cache-Groups: "a"`)}.decide()
	want := []uint64{HashTag("route"), HashTag("a"), HashGroup("http", "a.test", "a")}
	if !reflect.DeepEqual(d.Tags, want) {
		t.Errorf("hashes %x, want %x", d.Tags, want)
	}
}

// TestJudgeChangesNothing holds the promise that a header may be shared while
// it is judged.
func TestJudgeChangesNothing(t *testing.T) {
	h := headers("Cache-Control: max-age=60, private=\"b, a\"", "Vary: B, A", "Cache-Tag: z, y", "Set-Cookie: a")
	before := h.Clone()
	r := Rules{SetCookie: SetCookieStrip, TagHeaders: lines("Cache-Tag"), Tags: lines("t")}
	Judge(ask(&r, "GET"), &r, &Response{Status: 200, Header: h}, here, answered)
	if !reflect.DeepEqual(h, before) {
		t.Errorf("%v became %v", before, h)
	}
}

// FuzzJudge: whatever an origin says, what it forbids is not stored, and no
// life is longer than the limits or begins in the future.
func FuzzJudge(f *testing.F) {
	f.Add(200, `max-age=60, private="a"`, "max-age=1", "0", "-5", "foo", "A, *", false, false)
	f.Add(404, "public", `max-age="1"`, date(60), "99999999999", date(-5), "A", true, true)
	f.Fuzz(func(t *testing.T, status int, cc, cdn, expires, age, made, vary string, auth, cookie bool) {
		r := Rules{Heuristic: true, StaleIfDead: time.Hour}
		h := http.Header{"Cache-Control": {cc}, "Expires": {expires}, "Age": {age}, "Date": {made}, "Vary": {vary},
			"Etag": {`"a"`}, "Last-Modified": {made}}
		if cdn != "" {
			h["Cdn-Cache-Control"] = []string{cdn}
		}
		a := ask(&r, "GET")
		if auth {
			a.Has |= HasAuthorization
		}
		if cookie {
			a.Has |= HasCookie
		}
		d := Judge(a, &r, &Response{Status: status, Header: h}, here, answered)
		l := d.Life
		if l.Born > answered.ResponseAt || l.Fresh < 0 || l.Fresh > defaultTTLMax ||
			l.SWR < 0 || l.SIE < 0 || max(l.SWR, l.SIE, l.Dead) > maxSpan {
			t.Errorf("a life of %+v", l)
		}
		if !d.Store {
			return
		}
		told, targeted := TargetedDirectives(h["Cdn-Cache-Control"])
		if !targeted {
			told = ReadDirectives(h["Cache-Control"])
		}
		switch {
		case told.Private, told.NoStore && !told.MustUnderstand, status < 200, status == 206, status == 304,
			strings.Contains(vary, "*") && isToken(vary) && len(vary) == 1,
			auth && !d.SharedAuth, cookie && !d.Explicit, auth && !d.Explicit && l.Fresh > 0,
			told.MustRevalidate && l.SWR+l.SIE+l.Dead > 0:
			t.Errorf("stored: %+v", d)
		}
	})
}
