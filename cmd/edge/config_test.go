package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"edgecache/cachestore"
	"edgecache/edge/origin"
)

func mustParse(t *testing.T, text string) *settings {
	t.Helper()
	s, err := parseConfig("edge.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestReferenceIsTheDefaults reads the file that shows every key: what it says
// must be what holds without a file.
func TestReferenceIsTheDefaults(t *testing.T) {
	got, err := readConfig("testdata/reference.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := defaultSettings()
	want.admin.tokenFile, want.disk.dir = "token", "off"
	if !reflect.DeepEqual(got.limits, want.limits) {
		t.Errorf("limits %+v\nwant   %+v", got.limits, want.limits)
	}
	for name, pair := range map[string][2]any{
		"listen": {got.listen, want.listen}, "memory": {got.memory, want.memory}, "disk": {got.disk, want.disk},
		"purge.tag_headers": {got.purge.tagHeaders, want.purge.tagHeaders}, "purge.soft_window": {got.purge.softWindow, want.purge.softWindow},
		"log": {got.log, want.log}, "hit_for_miss": {got.hitForMiss, want.hitForMiss}, "cache_status.id": {got.cacheID, want.cacheID},
		"admin.listen": {got.admin.listen, want.admin.listen}, "admin.token_file": {got.admin.tokenFile, want.admin.tokenFile},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: %v, want %v", name, pair[0], pair[1])
		}
	}
	route := defaultRoute()
	r := got.routes[0]
	for name, pair := range map[string][2]any{
		"stale": {r.stale, route.stale}, "path": {r.path, route.path}, "set_cookie": {r.setCookie, route.setCookie},
		"cookies": {r.cookies, route.cookies}, "targeted": {r.targeted, route.targeted}, "vary": {r.languages, route.languages}, "ttl.max": {r.ttl.max, route.ttl.max}, "ttl.heuristic_max": {r.ttl.heuristicMax, route.ttl.heuristicMax},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("routes.%s: %v, want %v", name, pair[0], pair[1])
		}
	}
	up := got.upstreams["main"]
	wantUp := origin.Config{
		Name: "main", Peers: []string{"http://10.0.0.1:8000"}, Balance: "round_robin", Host: "client", Queue: 1024, Tries: 4,
		FailAfter: 3, FailFor: 10 * time.Second, TLS: origin.TLSConfig{Name: "origin.example"},
		Timeouts: origin.Timeouts{Connect: time.Second, FirstByte: 30 * time.Second, Idle: time.Minute},
	}
	if !reflect.DeepEqual(up, wantUp) {
		t.Errorf("upstream %+v\nwant     %+v", up, wantUp)
	}
}

// TestEveryKeyIsRead gives every key a value that is not its default.
func TestEveryKeyIsRead(t *testing.T) {
	s := mustParse(t, `
listen: ["127.0.0.1:1", ":2"]
tls: {listen: [":443"], certs: [{cert: a.pem, key: b.pem}], min_version: "1.3", acme: {names: [www.example], email: a@b.example, agree: true,
  directory: "https://ca.example/dir", ca: ca.pem, storage: /s, challenges: [http-01], renew_check: 1h}}
admin: {listen: ":9", token_file: tok, hosts: [Admin.Example]}
memory: 1.5GiB
disk: {dir: /d, size: 2GiB, sync: false, shards: 8, admission: always, objective: bytes, returners: false}
upstreams:
  a: {peers: ["http://a:1", "https://b"], balance: hash, host: origin, allow_private: true, max_conns: 7, queue: 0, tries: 2,
      fail: {after: 1, for: 1m}, tls: {name: n, insecure: true}, timeouts: {connect: 2s, first_byte: 3s, idle: 4s}}
  b: {peers: []}
routes:
  - match: {host: ["*.X.example", "y.example:81"], path: /p}
    upstream: a
    bypass: true
    ttl: {default: 1s, max: 2d, heuristic: false, heuristic_max: 3h, status: {404: 10s, 503: 0}, override: 4m}
    stale: {while_revalidate: 5s, if_error: 0, if_dead: 6s, strict_s_maxage: true}
    key: {query: {allow: [q], sort: true}, headers: [X-A], cookies: [sid], no_vary_search: true}
    client_cache_control: honor
    set_cookie: strip
    cookies: bypass
    close_delimited: store
    request_headers: {set: {x-b: "1 2"}, remove: [X-C]}
    response_headers: {set: {x-d: ""}, remove: [Server]}
    tags: [t1]
    targeted: [edge-cache-control, CDN-Cache-Control]
    vary: {accept_language: by_weight}
  - upstream: b
    targeted: []
    key: {query: {ignore: ["utm_*"]}}
hosts: [H.example]
trusted: [10.0.0.0/8, "::1"]
purge: {allow: [192.0.2.1], soft_window: 0, tag_headers: [X-Tags]}
log: {access: /l, format: combined}
limits: {head: 32KiB, head_lines: 1, h2_streams: 7, h2_resets: 8, h2_controls: 11, uri: 1KiB, origin_head: 2KiB, origin_head_lines: 2, body_buffer: 3B, object: 4KiB, ranges: 3,
  tags: 4, refreshes: 5, search_rules: 640, variants: 6, vary_names: 7, conns: 8, header_timeout: 250ms, idle: 1h30m, write_stall: 9s, body_min_rate: 1KiB/s, drain: 10s}
hit_for_miss: 0
ghosts: off
cache_status: {id: node-1, detail: true}
`)
	ms, hour := time.Millisecond, time.Hour
	want := limitSettings{32 << 10, 1, 1 << 10, 7, 8, 11, 2 << 10, 2, 3, 4 << 10, 3, 4, 5, 640, 6, 7, 8, 250 * ms, 90 * time.Minute, 9 * time.Second, 10 * time.Second, 1024}
	if s.limits != want {
		t.Errorf("limits %+v\nwant   %+v", s.limits, want)
	}
	r := s.routes[0]
	checks := map[string][2]any{
		"listen": {s.listen, []string{"127.0.0.1:1", ":2"}},
		"tls": {s.tls, tlsSettings{[]string{":443"}, []certSettings{{"a.pem", "b.pem"}}, tls.VersionTLS13, acmeSettings{
			true, []string{"www.example"}, "a@b.example", true, "https://ca.example/dir", "ca.pem", "/s", []string{"http-01"}, time.Hour}}},
		"admin":             {s.admin, adminSettings{":9", "tok", []string{"admin.example"}}},
		"memory":            {s.memory, memorySize{bytes: 3 << 29}},
		"disk":              {s.disk, diskSettings{"/d", 2 << 30, false, 8, cachestore.AdmitAlways, cachestore.ObjectiveBytes, false}},
		"ghosts":            {s.ghosts, false},
		"upstreams.a.queue": {s.upstreams["a"].Queue, -1},
		"upstreams.a.peers": {s.upstreams["a"].Peers, []string{"http://a:1", "https://b"}},
		"upstreams.a.tls":   {s.upstreams["a"].TLS, origin.TLSConfig{Name: "n", Insecure: true}},
		"match":             {[]any{r.hosts, r.path, r.upstream, r.bypass}, []any{[]string{"*.x.example", "y.example:81"}, "/p", "a", true}},
		"ttl": {r.ttl, ttlSettings{fallback: time.Second, max: 48 * hour, override: 4 * time.Minute, heuristicMax: 3 * hour,
			status: map[int]time.Duration{404: 10 * time.Second, 503: 0}}},
		"stale":            {r.stale, staleSettings{staleSpan{true, 5 * time.Second}, staleSpan{true, 0}, 6 * time.Second, true}},
		"key":              {r.key, keySettings{allow: []string{"q"}, sort: true, headers: []string{"X-A"}, cookies: []string{"sid"}, noVarySearch: true}},
		"switches":         {[]any{r.honorClient, r.setCookie, r.cookies, r.closeDelimited, r.languages}, []any{true, "strip", "bypass", true, "by_weight"}},
		"request_headers":  {[]any{r.request.Set, r.request.Remove}, []any{map[string]string{"X-B": "1 2"}, []string{"X-C"}}},
		"response_headers": {[]any{r.response.Set, r.response.Remove}, []any{map[string]string{"X-D": ""}, []string{"Server"}}},
		"targeted":         {r.targeted, []string{"Edge-Cache-Control", "Cdn-Cache-Control"}},
		"targeted: none":   {s.routes[1].targeted, []string{}},
		"tags":             {r.tags, []string{"t1"}},
		"ignore":           {s.routes[1].key.ignore, []string{"utm_*"}},
		"hosts":            {s.hosts, []string{"h.example"}},
		"trusted":          {s.trusted, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}},
		"purge":            {s.purge, purgeSettings{[]netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}, 0, []string{"X-Tags"}}},
		"log":              {s.log, logSettings{"/l", "combined"}},
		"rest":             {[]any{s.hitForMiss, s.cacheID, s.cacheMore}, []any{time.Duration(0), "node-1", true}},
	}
	for name, pair := range checks {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s: %+v, want %+v", name, pair[0], pair[1])
		}
	}
}

// TestWrongConfiguration wants each fault told with its place and what would
// be right.
func TestWrongConfiguration(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"an unknown key", "memroy: 1GiB", "edge.yaml:1:1: memroy: unknown key; did you mean memory?"},
		{"an unknown key deep inside", "log:\n  format: json\n  acess: off", "edge.yaml:3:3: log.acess: unknown key; did you mean access?"},
		{"an unknown key like nothing", "zzzzzzzz: 1", "edge.yaml:1:1: zzzzzzzz: unknown key; known here: admin, cache_status"},
		{"a size without unit", "memory: 64", "memory: \"64\" is not right; give a size like 64MiB"},
		{"a size of decimal units", "limits: {head: 16KB}", "edge.yaml:1:16: limits.head: \"16KB\" is not right; give a size with its unit"},
		{"a span without unit", "hit_for_miss: 10", "hit_for_miss: \"10\" is not right; give a span with its unit"},
		{"a negative span", "hit_for_miss: -10s", "give a span with its unit"},
		{"a rate without time", "limits: {body_min_rate: 100B}", "give a rate, like 100B/s"},
		{"a percentage beyond all", "memory: 120%", "give 1% to 90%"},
		{"too little", "limits: {head: 1B}", "give at least 1KiB"},
		{"too much", "limits: {head: 1GiB}", "give at most 1MiB"},
		{"a text for a number", "limits: {conns: many}", "give a whole number from 1 to"},
		{"a number with a fraction", "limits: {conns: 1.5}", "give a whole number from 1 to"},
		{"a text for a list", "listen: \":8080\"", "give a list, like [a, b]"},
		{"a list for a text", "memory: [1GiB]", "memory: is a list; give a size"},
		{"a mapping for a text", "memory: {a: 1}", "memory: is a mapping (a text with : in it goes into quotes); give a size"},
		{"a text for a mapping", "disk: off", "disk: \"off\" is not right; give a mapping"},
		{"a switch for a word", "ghosts: false", "ghosts: \"false\" is not right; give on or off"},
		{"a text for a switch", "disk: {sync: yes}", "disk.sync: \"yes\" is not right; give true or false"},
		{"nothing at all", "memory:", "memory: is empty; give a size"},
		{"another word", "log: {format: xml}", "log.format: \"xml\" is not right; give json or combined"},
		{"a star without quotes", "hosts: [*.example.com]", "put a text that begins with * into quotes"},
		{"an anchor", "listen: &a [\":1\"]", "anchors, tags and merge keys are not taken"},
		{"two documents", "memory: 1GiB\n---\nmemory: 2GiB", "more than one document"},
		{"the same key twice", "memory: 1GiB\nmemory: 2GiB", "edge.yaml:2:1: mapping key \"memory\" already defined"},
		{"no YAML", "listen: [", "edge.yaml:1:9:"},
		{"a list at the top", "- a", "edge.yaml:1:1: is a list; give a mapping"},
		{"an address without port", "admin: {listen: localhost}", "give HOST:PORT"},
		{"a port beyond all", "listen: [\":70000\"]", "listen[0]: \":70000\" is not right; give a port from 0 to 65535"},
		{"a network with host bits", "trusted: [10.0.0.1/8]", "has bits set beyond its length; give 10.0.0.0/8"},
		{"a network that is a name", "purge: {allow: [localhost]}", "give a network or an address"},
		{"a route to nowhere", "upstreams: {main: {peers: [\"http://a\"]}}\nroutes: [{upstream: mian}]", "edge.yaml:2:21: routes[0].upstream: no upstream is named \"mian\"; did you mean main?"},
		{"a route that does not say", "upstreams: {a: {peers: []}, b: {peers: []}}\nroutes: [{bypass: true}]", "routes[0]: names no upstream; give one of a, b"},
		{"a peer without a scheme", "upstreams: {main: {peers: [\"http://a\", \"10.0.0.1:8000\"]}}", "edge.yaml:1:40: upstreams.main.peers[1]: \"10.0.0.1:8000\" is not right; give http://HOST[:PORT]"},
		{"a peer with a path", "upstreams: {main: {peers: [\"http://a/b\"]}}", "upstreams.main: upstream main: peer \"http://a/b\": give scheme, host and port only"},
		{"a peer at the metadata service", "upstreams: {main: {peers: [\"http://169.254.169.254\"]}}", "169.254.169.254"},
		{"a status that is none", "routes: [{ttl: {status: {40: 1s}}}]", "routes[0].ttl.status.40: the key is not a final status"},
		{"allow and ignore together", "routes: [{key: {query: {allow: [a], ignore: [b]}}}]", "allow and ignore exclude each other"},
		{"a header that frames", "routes: [{response_headers: {set: {Content-Length: 1}}}]", "cannot be set"},
		{"a header value with a line end", "routes: [{response_headers: {set: {X: \"a\\r\\nb\"}}}]", "one line without control characters"},
		{"a header name with a blank", "routes: [{request_headers: {remove: [\"a b\"]}}]", "give a name"},
		{"a path that is none", "routes: [{match: {path: img}}]", "give a path that begins with /"},
		{"a tag with a blank", "routes: [{tags: [\"a b\"]}]", "without blanks and commas"},
		{"a targeted field that is no name", "routes:\n  - targeted:\n      - CDN-Cache-Control\n      - a b", "edge.yaml:4:9: routes[0].targeted[1]: \"a b\" is not right; give the name of a header field"},
		{"a targeted field that clients need", "routes: [{targeted: [Cache-Control]}]", "routes[0].targeted[0]: \"Cache-Control\" is not right; a targeted field is hidden"},
		{"a targeted field with a syntax of its own", "routes: [{targeted: [surrogate-control]}]", "a targeted field is hidden"},
		{"a targeted field twice", "routes: [{targeted: [a-cache-control, A-Cache-Control]}]", "routes[0].targeted[1]: \"A-Cache-Control\" is not right; it is in the list already"},
		{"too many targeted fields", "routes:\n  - targeted: [a, b, c, d, e, f, g, h,\n      i]", "edge.yaml:3:7: routes[0].targeted[8]: at most 8 fields"},
		{"targeted fields that are no list", "routes: [{targeted: CDN-Cache-Control}]", "give a list"},
		{"another way to compare languages", "routes: [{vary: {accept_language: weight}}]", "routes[0].vary.accept_language: \"weight\" is not right; give sent or by_weight"},
		{"a certificate without key", "tls: {certs: [{cert: a}]}", "tls.certs[0]: give both cert and key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseConfig("edge.yaml", []byte(tt.text))
			var all *faults
			if !errors.As(err, &all) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s\ngot  %v\nwant %s", tt.text, err, tt.want)
			}
		})
	}
}

func TestAllFaultsAreToldInOneGo(t *testing.T) {
	_, err := parseConfig("edge.yaml", []byte("memory: 1\nlog: {format: x}\nhit_for_miss: y\nmemroy: 2\n"))
	var all *faults
	if !errors.As(err, &all) {
		t.Fatal(err)
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines, want 4:\n%v", len(lines), err)
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, fmt.Sprintf("edge.yaml:%d:", i+1)) {
			t.Errorf("line %d is %q", i+1, line)
		}
	}
}

func TestFaultsAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 500 {
		fmt.Fprintf(&b, "key%d: 1\n", i)
	}
	_, err := parseConfig("edge.yaml", []byte(b.String()))
	if lines := strings.Split(err.Error(), "\n"); len(lines) != maxFaults+1 || lines[maxFaults] != "edge.yaml: and 450 more" {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
	if _, err := parseConfig("edge.yaml", make([]byte, maxConfigBytes+1)); err == nil || !strings.Contains(err.Error(), "larger than 1MiB") {
		t.Errorf("a file of more than 1 MiB: %v", err)
	}
}

func TestEmptyFileIsTheDefaults(t *testing.T) {
	for _, text := range []string{"", "# nothing\n"} {
		if s := mustParse(t, text); !reflect.DeepEqual(s, defaultSettings()) {
			t.Errorf("%q gives %+v", text, s)
		}
	}
}

func FuzzConfig(f *testing.F) {
	reference, err := os.ReadFile("testdata/reference.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(reference)
	f.Add([]byte("a: &x [*x]\n"))
	f.Add([]byte("listen: [*.x, {a: !!b c}]\n<<: {memory: 1}\n? [a]\n: b"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseConfig("edge.yaml", text)
		if err != nil {
			return
		}
		for name, n := range map[string]int64{"head": int64(s.limits.headBytes), "object": s.limits.object, "disk": s.disk.size, "rate": s.limits.bodyMinRate} {
			if n <= 0 {
				t.Errorf("%s is %d after %q", name, n, text)
			}
		}
	})
}

func TestUnits(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "0B": 0, "1B": 1, "64MiB": 64 << 20, "2GiB": 2 << 30, "1.5KiB": 1536, "0.5B": 1, "8191TiB": 8191 << 40,
		"": -1, "1": -1, "-1B": -1, "1 MiB": -1, "1mib": -1, "1MB": -1, "MiB": -1, ".5MiB": -1, "1e3B": -1, "9999999999TiB": -1, "0x1B": -1, "1_0B": -1,
	} {
		got, err := parseSize(text)
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("size %q: %d, %v; want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "250ms": 250 * time.Millisecond, "30s": 30 * time.Second, "5m": 5 * time.Minute, "24h": 24 * time.Hour,
		"365d": 365 * 24 * time.Hour, "1h30m": 90 * time.Minute, "1.5h": 90 * time.Minute, "1m5ms": time.Minute + 5*time.Millisecond,
		"": -1, "1": -1, "-1s": -1, "1s 2s": -1, "1w": -1, "s": -1, "1us": -1, "36501d": -1, "20000d20000d": -1, "1sm": -1, "1..5s": -1,
	} {
		got, err := parseSpan(text)
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("span %q: %v, %v; want %v", text, got, err, want)
		}
	}
	for text, ok := range map[string]bool{"100B/s": true, "1MiB/s": true, "100B": false, "100/s": false, "B/s": false, "1KiB/m": false} {
		if _, err := parseRate(text); (err == nil) != ok {
			t.Errorf("rate %q: %v", text, err)
		}
	}
	for text, ok := range map[string]bool{"1%": true, "90%": true, "0%": false, "91%": false, "+5%": false, "4MiB": true, "3MiB": false, "1.5%": false} {
		if _, err := parseMemory(text); (err == nil) != ok {
			t.Errorf("memory %q: %v", text, err)
		}
	}
	if got := (memorySize{percent: 25}).of(8 << 30); got/(1<<20) != 2047 {
		t.Errorf("25%% of 8 GiB is %d", got)
	}
}

func FuzzUnits(f *testing.F) {
	for _, s := range []string{"64MiB", "1h30m", "100B/s", "25%", "0.0000001TiB", "9223372036854775807B"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := parseSize(s); err == nil && (n < 0 || n == math.MaxInt64) {
			t.Errorf("size %q is %d", s, n)
		}
		if d, err := parseSpan(s); err == nil && (d < 0 || d > maxSpan) {
			t.Errorf("span %q is %v", s, d)
		}
		if n, err := parseRate(s); err == nil && n < 0 {
			t.Errorf("rate %q is %d", s, n)
		}
		if m, err := parseMemory(s); err == nil && m.of(1<<40) < minMemory {
			t.Errorf("memory %q is %+v", s, m)
		}
	})
}

func TestFormatSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0B", 100: "100B", 1024: "1KiB", 1536: "1.5KiB", 5 << 30: "5GiB"} {
		if got := formatSize(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"listen", "limits", "memory", "hosts"}
	for name, want := range map[string]string{"lisen": "listen", "limit": "limits", "MEMORY": "memory", "host": "hosts", "memroy": "memory", "colour": "", "x": ""} {
		if got := nearest(name, known); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
