package main

import (
	"strings"
	"testing"
	"time"

	"edgecache/edge"
)

func TestTopShowsRates(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	before := edge.Top{Now: at, Requests: map[string]uint64{"hit": 100, "miss": 50}, Reasons: map[string]uint64{"miss uri_miss": 50}, Sent: 0}
	now := edge.Top{
		Now: at.Add(2 * time.Second), Requests: map[string]uint64{"hit": 400, "miss": 150}, Sent: 4 << 20, Errors: 6,
		Reasons:   map[string]uint64{"miss uri_miss": 52, "miss expired": 98, "hit fresh": 0},
		Memory:    edge.TopTier{Bytes: 1 << 20, Limit: 8 << 20, Objects: 3},
		Disk:      &edge.TopTier{Bytes: 3 << 20, Limit: 1 << 30, Objects: 9},
		Hits:      map[string]uint64{"memory": 260, "disk": 40},
		Upstreams: []edge.TopPeer{{Upstream: "main", Peer: "a:1", InFlight: 2}},
		Hottest:   []edge.HotURI{{URI: "http://h/\x1b[2Jx", Requests: 5, Rate: 2.5}},
	}
	var b strings.Builder
	showTop(&b, &before, &now)
	for _, want := range []string{
		"requests 200/s", "from cache 75.0%", "hit 150/s  miss 50/s", "errors 3/s", "out 2MiB/s",
		"memory 1MiB of 8MiB   objects 3   hits 130/s", "disk   3MiB of 1GiB   objects 9   hits 20/s", "main  a:1  UNHEALTHY  2 in flight", "2.5/s  http://h/?[2Jx",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
	if expired, miss := strings.Index(b.String(), "miss expired"), strings.Index(b.String(), "miss uri_miss"); expired < 0 || miss < expired {
		t.Errorf("the faster reason does not come first:\n%s", b.String())
	}
	if strings.Contains(b.String(), "hit fresh") {
		t.Errorf("a reason that did not grow is shown:\n%s", b.String())
	}
	now.Disk = nil
	var idle strings.Builder
	showTop(&idle, &now, &now) // no time, no requests: no division by zero
	if !strings.Contains(idle.String(), "from cache -") || strings.Contains(idle.String(), "disk") {
		t.Errorf("an idle edge shows\n%s", idle.String())
	}
}

func TestTopFitsItsScreen(t *testing.T) {
	for _, c := range []struct {
		name, page     string
		columns, lines int
		want           string
	}{
		{"a page that fits stays", "ab\ncd\n", 2, 2, "ab\ncd"},
		{"long lines are cut by letters", "äbcd\ne\n", 3, 2, "äbc\ne"},
		{"the head stays when the page is long", "a\nb\nc\n", 80, 2, "a\nb"},
		{"an unknown screen cuts nothing", "abc\nd\n", 0, 0, "abc\nd"},
	} {
		if got := fit(c.page, c.columns, c.lines); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestLogColumns(t *testing.T) {
	var b strings.Builder
	line := `{"time":"2023-11-14T22:13:20.123456Z","method":"GET","host":"h\u001b","uri":"/a?\u202eb","status":200,"body_bytes":2048,"cache":"hit","reason":"fresh","duration_ms":0.25}`
	if err := showColumns(&b, []byte(line)); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); !strings.HasSuffix(got, "200 hit    fresh              2KiB      0.2ms GET h?/a??b\n") {
		t.Errorf("%q", got)
	}
	b.Reset()
	if err := showColumns(&b, []byte(`{"missed": 7}`)); err != nil || !strings.Contains(b.String(), "7 requests were not shown") {
		t.Errorf("%q, %v", b.String(), err)
	}
	if err := showColumns(&b, []byte("nonsense")); err == nil {
		t.Error("nonsense was shown")
	}
}

func TestQuoted(t *testing.T) {
	if got := quoted("a", "b c", "it's"); got != `a 'b c' 'it'\''s'` {
		t.Errorf("%s", got)
	}
}
