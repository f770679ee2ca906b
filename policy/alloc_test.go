package policy

import "testing"

// browser is a request as a browser sends it.
func browser() Fields {
	return fields("Host: WWW.a.test:80", "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "Accept-Language: de,en-US;q=0.7,en;q=0.3",
		"Accept-Encoding: gzip, deflate, br, zstd", "Connection: keep-alive", "Cookie: id=42; lang=de", "Pragma: foo",
		"Cache-Control: nothing-to-see-here", `If-None-Match: "x", W/"abc"`, "If-Modified-Since: "+date(-10),
		"Range: bytes=0-99", `If-Range: "abc"`)
}

// hotPaths are the steps of a hit, each with the benchmark of its name.
func hotPaths() map[string]func() {
	f := browser()
	rules := &Rules{HonorClient: true, Key: KeyRules{Ignore: []string{"utm_*"}, Sort: true,
		Headers: []string{"X-A", "Accept"}, Cookies: []string{"lang"}}}
	a := &Ask{}
	a.Read("GET", f, rules)
	weighed := &Ask{Fields: f, Languages: LanguagesByWeight}
	buf := make([]byte, 0, 4096)
	host, path, query := []byte("WWW.a.test:80"), []byte("/%61/../b//c%2f"), []byte("b=2&utm_source=x&a=1")
	u := place("http", "www.a.test", "/b//c%2F", "?a=1&b=2")
	k, _ := NewKey(nil, 1, u, nil)
	l := life(60, 30, 10, 100)
	v := stored(`"abc"`, 60)
	vary := []string{"accept-encoding", "accept-language", "user-agent"}
	dates := [][]byte{[]byte(date(0)), []byte("Wednesday, 18-Aug-50 02:01:18 GMT"), []byte("Sun Nov  6 08:49:37 1994")}
	return map[string]func(){
		"Fields.Get":                func() { f.Get("range") },
		"NormalizeHost":             func() { NormalizeHost(buf, host, "http") },
		"NormalizePath":             func() { NormalizePath(buf, path) },
		"KeyRules.Query":            func() { rules.Key.Query(buf, query) },
		"KeyRules.Extra":            func() { rules.Key.Extra(buf, f) },
		"NewKey":                    func() { NewKey(buf, 1, u, nil) },
		"Key.URL":                   func() { k.URL() },
		"Key.Equal":                 func() { k.Equal(k) },
		"Ask.Read":                  func() { a.Read("GET", f, rules) },
		"Ask.Lookup":                func() { a.Lookup(rules) },
		"Reuse":                     func() { Reuse(a, rules, &l, at(50)) },
		"AppendSelector":            func() { AppendSelector(buf, vary, a) },
		"AppendSelector, by weight": func() { AppendSelector(buf, vary, weighed) },
		"CanonicalEncodings":        func() { CanonicalEncodings(buf, f) },
		"Conditional":               func() { Conditional(a, v, 200) },
		"IfRange":                   func() { IfRange(a, v) },
		"ParseRange":                func() { ParseRange([]byte("bytes=0-99,200-299,-1"), 1000, 16) },
		"parseDate": func() {
			for _, d := range dates {
				if _, ok := parseDate(d); !ok {
					panic("not a date")
				}
			}
		},
	}
}

func TestAHitAllocatesNothing(t *testing.T) {
	for name, step := range hotPaths() {
		if got := testing.AllocsPerRun(100, step); got != 0 {
			t.Errorf("%s allocates %v times", name, got)
		}
	}
}

func TestALongKeyAllocatesNothing(t *testing.T) {
	buf := make([]byte, 0, 16<<10)
	long := make([]byte, 8<<10)
	if got := testing.AllocsPerRun(100, func() { NewKey(buf, 1, URL{Path: long}, nil) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkHit(b *testing.B) {
	for name, step := range hotPaths() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				step()
			}
		})
	}
}

func BenchmarkJudge(b *testing.B) {
	rules := &Rules{TagHeaders: []string{"Surrogate-Key"}}
	a := ask(rules, "GET", "Host: a.test")
	res := &Response{Status: 200, Header: headers("Cache-Control: public, max-age=60, stale-while-revalidate=30",
		"Date: {0}", "ETag: \"abc\"", "Vary: Accept-Encoding", "Surrogate-Key: a b c")}
	b.ReportAllocs()
	for b.Loop() {
		if d := Judge(a, rules, res, here, answered); !d.Store {
			b.Fatal(d.Why)
		}
	}
}
