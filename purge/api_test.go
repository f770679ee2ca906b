package purge

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"edgecache/policy"
)

// serve answers one request to the API and returns status, head and body.
func serve(t testing.TB, a http.Handler, method, path, body string) (int, http.Header, string) {
	t.Helper()
	w := httptest.NewRecorder()
	a.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w.Code, w.Result().Header, w.Body.String()
}

func selectors(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"/%d"`, i)
	}
	return b.String()[1:]
}

func TestAPIPurges(t *testing.T) {
	for _, c := range []struct {
		name, body string
		mode       string
		url        string // what it covers
		tags       []uint64
	}{
		{"a uri softly", `{"type":"uri","selectors":["http://h/x"]}`, "soft", "https://h/x", nil},
		{"a uri hard", `{"type":"uri","selectors":["/x"],"purge":true}`, "hard", "http://h/x", nil},
		{"two uris", `{"type":"uri","selectors":["/x","http://H/y"],"purge":true}`, "hard", "http://h/y", nil},
		{"a uri on a host", `{"type":"uri","selectors":["/x"],"host":"h"}`, "soft", "http://h/x", nil},
		{"a prefix", `{"type":"uri-prefix","selectors":["http://h/a/"]}`, "soft", "http://h/a/b", nil},
		{"an origin", `{"type":"origin","selectors":["https://h:443"]}`, "soft", "https://h/a", nil},
		{"a host", `{"type":"host","selectors":["h:81"],"purge":false}`, "soft", "http://h:81/a", nil},
		{"a tag", `{"type":"tag","selectors":["t"]}`, "soft", "http://h/", []uint64{policy.HashTag("t")}},
		{"a tag on a host", `{"type":"tag","selectors":["t"],"host":"h"}`, "soft", "http://h/", []uint64{policy.HashTag("t")}},
		{"a group", `{"type":"group","selectors":["g"],"host":"http://h"}`, "soft", "http://h/", []uint64{policy.HashGroup("http", "h", "g")}},
		{"everything", `{"type":"all","purge":true}`, "hard", "http://h/", nil},
		{"everything, said so", `{"type":"all","selectors":["*"]}`, "soft", "http://h/", nil},
		{"unknown members", `{"type":"uri","selectors":["/x"],"wait":"all","shape":{"a":[1]}}`, "soft", "http://h/x", nil},
		{"as many as are taken", `{"type":"uri","selectors":[` + selectors(MaxSelectors) + `]}`, "soft", "http://h/999", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := openLog(t, Config{})
			a := NewAPI(l, nil)
			since := l.Index().Now()
			status, h, body := serve(t, a, "POST", "/v1/purge", c.body)
			var got map[string]any
			if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 || h.Get("Content-Type") != "application/json" {
				t.Fatalf("%d %v %s", status, h, body)
			}
			if len(got) != 4 || got["applied"] != true || got["mode"] != c.mode || got["seq"] != float64(l.Index().Now()) {
				t.Errorf("%s", body)
			}
			if cover := l.Index().Covers(keyOf(t, c.url), c.tags, since); cover.Strength.String() != c.mode {
				t.Errorf("%s has %+v", c.url, cover)
			}
			status, _, one := serve(t, a, "GET", "/v1/purges/"+got["id"].(string), "")
			if status != 200 || !strings.Contains(one, `"mode":"`+c.mode+`"`) {
				t.Errorf("%d %s", status, one)
			}
			status, _, list := serve(t, a, "GET", "/v1/purges", "")
			if want := `{"purges":[` + strings.TrimSpace(one) + "]}\n"; status != 200 || list != want {
				t.Errorf("%d %s, want %s", status, list, want)
			}
		})
	}
}

func TestAPIRefusesAllOrNothing(t *testing.T) {
	l := openLog(t, Config{})
	a := NewAPI(l, nil)
	for _, c := range []struct {
		name, body string
		status     int
		detail     string
	}{
		{"no body", ``, 400, "JSON"},
		{"no object", `[1]`, 400, "JSON"},
		{"null", `null`, 400, "type is missing"},
		{"more after it", `{"type":"all"} {"type":"all"}`, 400, "JSON"},
		{"no type", `{"selectors":["/x"]}`, 400, "type is missing"},
		{"unknown type", `{"type":"regex","selectors":["(a+)+$"]}`, 501, "regex"},
		{"no selectors", `{"type":"uri"}`, 400, "selectors"},
		{"empty selectors", `{"type":"uri","selectors":[]}`, 400, "selectors"},
		{"a number as selector", `{"type":"uri","selectors":[1]}`, 400, "selectors"},
		{"purge is no bool", `{"type":"all","purge":"yes"}`, 400, "purge"},
		{"unknown wait", `{"type":"all","wait":"long"}`, 400, "wait"},
		{"one bad among good", `{"type":"uri","selectors":["/x","no url","/y"],"purge":true}`, 400, `no url`},
		{"a foreign host", `{"type":"uri","selectors":["http://h/x"],"host":"g"}`, 400, "http://h/x"},
		{"an origin with a path", `{"type":"origin","selectors":["http://h/x"]}`, 400, "http://h/x"},
		{"an origin beside a host", `{"type":"origin","selectors":["http://h"],"host":"h"}`, 400, "http://h"},
		{"a group of nobody", `{"type":"group","selectors":["g"]}`, 400, "give host"},
		{"all of something", `{"type":"all","selectors":["/x"]}`, 400, "/x"},
		{"too many selectors", `{"type":"uri","selectors":[` + selectors(MaxSelectors+1) + `]}`, 400, "1001"},
		{"not UTF-8", "{\"type\":\"tag\",\"selectors\":[\"a\xff\"]}", 400, "UTF-8"},
		{"nested deeply", `{"type":"all","x":` + strings.Repeat("[", 400_000) + strings.Repeat("]", 400_000) + `}`, 400, "JSON"},
		{"very many members", `{"type":"nothing"` + strings.Repeat(`,"a":1`, 150_000) + `}`, 501, "nothing"},
		{"too large", `{"type":"all","x":"` + strings.Repeat("x", MaxBodyBytes) + `"}`, 413, "1048576"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := l.Index().Now()
			status, h, body := serve(t, a, "POST", "/v1/purge", c.body)
			if status != c.status || !strings.Contains(body, c.detail) || h.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%d %v %.300s, want %d with %q", status, h, body, c.status, c.detail)
			}
			if !json.Valid([]byte(body)) || len(body) > 10_000 {
				t.Errorf("%d bytes: %.300s", len(body), body)
			}
			if l.Index().Now() != before || len(l.List(1)) != 0 {
				t.Error("something was purged")
			}
		})
	}
}

func TestAPIMethodsAndResources(t *testing.T) {
	a := NewAPI(openLog(t, Config{}), nil)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/v1/purge", 405, "POST"},
		{"DELETE", "/v1/purge", 405, "POST"},
		{"POST", "/v1/purges", 405, "GET, HEAD"},
		{"PURGE", "/v1/purges/x", 405, "GET, HEAD"},
		{"HEAD", "/v1/purges", 200, ""},
		{"GET", "/v1/purges/x", 404, ""},
		{"GET", "/v1/other", 404, ""},
		{"GET", "/v1/purges?limit=0", 400, ""},
		{"GET", "/v1/purges?limit=x", 400, ""},
		{"GET", "/v1/purges?limit=999999999", 200, ""},
	} {
		status, h, body := serve(t, a, c.method, c.path, "")
		if status != c.status || h.Get("Allow") != c.allow || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: %d %v %s", c.method, c.path, status, h, body)
		}
	}
}

func TestAPIListsTheLastOnesFirst(t *testing.T) {
	a := NewAPI(openLog(t, Config{}), nil)
	for i := range 3 {
		if status, _, body := serve(t, a, "POST", "/v1/purge", fmt.Sprintf(`{"type":"tag","selectors":["t%d","u"]}`, i)); status != 200 {
			t.Fatal(body)
		}
	}
	var got struct{ Purges []Record }
	_, _, body := serve(t, a, "GET", "/v1/purges?limit=2", "")
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Purges) != 2 || fmt.Sprint(got.Purges[0].Selectors, got.Purges[1].Selectors) != "[t2 u] [t1 u]" || got.Purges[0].Count != 2 {
		t.Errorf("%s", body)
	}
}

func TestAPIAtItsLimits(t *testing.T) {
	l := openLog(t, Config{Limit: 2})
	a := NewAPI(l, nil)
	purge := func(n int) (int, http.Header, string) {
		return serve(t, a, "POST", "/v1/purge", `{"type":"uri","selectors":[`+selectors(n)+`]}`)
	}
	if status, h, body := purge(3); status != 429 || h.Get("Retry-After") == "" {
		t.Errorf("%d %v %s", status, h, body)
	}
	if status, _, body := purge(2); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	l.Close()
	if status, _, body := purge(1); status != 503 || strings.Contains(body, l.conf.Path) {
		t.Errorf("closed: %d %s", status, body)
	}
	l = openLog(t, Config{})
	l.book.db.Close()
	if status, _, body := serve(t, NewAPI(l, nil), "POST", "/v1/purge", `{"type":"all"}`); status != 503 || strings.Contains(body, l.conf.Path) {
		t.Errorf("storage: %d %s", status, body)
	}
}

// A body whose end never comes, or comes too soon.
func TestAPIReadsBrokenBodies(t *testing.T) {
	a := NewAPI(openLog(t, Config{}), nil)
	for want, body := range map[int]io.Reader{
		400: io.MultiReader(strings.NewReader(`{"type":"all"`), brokenReader{}),
		413: io.MultiReader(strings.NewReader(`{"type":"all","x":"`), endless{}),
	} {
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequest("POST", "/v1/purge", body))
		if w.Code != want {
			t.Errorf("%d, want %d: %s", w.Code, want, w.Body)
		}
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestKeyRulesAreAppliedToUrls(t *testing.T) {
	l := openLog(t, Config{})
	drop := func(u policy.URL) []policy.URL {
		u.Query, u.HasQuery = nil, false
		return []policy.URL{u}
	}
	a := NewAPI(l, drop)
	since := l.Index().Now()
	if status, _, body := serve(t, a, "POST", "/v1/purge", `{"type":"uri","selectors":["http://h/x?utm=1"],"purge":true}`); status != 200 {
		t.Fatal(body)
	}
	u, err := policy.ParseURL("http://h:8080/y?utm=1")
	if err != nil {
		t.Fatal(err)
	}
	if r, err := a.PurgeURL(t.Context(), u, Soft); err != nil || !r.Applied || r.Seq != since+2 {
		t.Errorf("%+v, %v", r, err)
	}
	for url, want := range map[string]Strength{"http://h/x": Hard, "https://h:8080/y": Soft, "http://h/y": None} {
		if got := l.Index().CoversKnown(keyOf(t, url), since).Strength; got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}

func FuzzAPIBody(f *testing.F) {
	f.Add([]byte(`{"type":"uri","selectors":["http://h/x?y","/z"],"host":"h","purge":true,"wait":"all"}`))
	f.Add([]byte(`{"type":"group","selectors":["g"],"host":"https://h"}`))
	f.Add([]byte(`{"type":"all"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		es, err := readRequest(body)
		if err != nil {
			if es != nil {
				t.Fatal("entries and an error")
			}
			return
		}
		if len(es) == 0 || len(es) > MaxSelectors {
			t.Fatalf("%d entries", len(es))
		}
		for _, e := range es {
			s := stored{Entry: e}
			if _, err := decodeStored(idKey(0), s.encode()); err != nil || e.Strength == None || len(e.places()) == 0 {
				t.Fatalf("%+v: %v", e, err)
			}
		}
	})
}
