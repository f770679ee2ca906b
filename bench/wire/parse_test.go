package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const wrkSaid = `Running 1s test @ http://127.0.0.1:18098/
  1 threads and 4 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.85ms    1.09ms  10.42ms   75.46%
    Req/Sec     1.38k   166.56     1.55k    70.00%
  1375 requests in 1.00s, 545.32KB read
Requests/sec:   1374.69
Transfer/sec:    545.20KB
`

const h2loadSaid = `starting benchmark...
Application protocol: h2
finished in 1.97s, 1436.50 req/s, 140.92KB/s
requests: 1436 total, 1437 started, 1436 done, 1436 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 1436 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 140.92KB (144305) total, 359.30KB (367920) headers (space savings 0.00%), 751.53KB (769566) data
`

func TestParseTools(t *testing.T) {
	for _, c := range []struct {
		name  string
		parse func(string) (loaded, error)
		said  string
		want  loaded
		fails bool
	}{
		{"wrk", parseWrk, wrkSaid, loaded{1375, 1374.69}, false},
		{"wrk with answers that are errors", parseWrk, wrkSaid + "  Non-2xx or 3xx responses: 85\n", loaded{}, true},
		{"wrk with broken connections", parseWrk, wrkSaid + "  Socket errors: connect 0, read 122, write 0, timeout 0\n", loaded{}, true},
		{"wrk without an answer", parseWrk, strings.Replace(wrkSaid, "1375 requests", "0 requests", 1), loaded{}, true},
		{"wrk that says nothing", parseWrk, "", loaded{}, true},
		{"h2load", parseH2load, h2loadSaid, loaded{1436, 1436.50}, false},
		{"h2load over HTTP/1.1", parseH2load, strings.Replace(h2loadSaid, "protocol: h2", "protocol: http/1.1", 1), loaded{}, true},
		{"h2load with answers that are errors", parseH2load, strings.Replace(h2loadSaid, "1436 succeeded, 0 failed", "1400 succeeded, 36 failed", 1), loaded{}, true},
		{"h2load that says nothing", parseH2load, "", loaded{}, true},
		{"h3load", parseH3load, `{"requests":1436,"failed":0,"hits":1436,"seconds":1,"per_second":1436.5}` + "\n", loaded{1436, 1436.50}, false},
		{"h3load that failed", parseH3load, `{"requests":1436,"failed":2,"per_second":1436.5}` + "\n", loaded{}, true},
		{"h3load that said nothing", parseH3load, h2loadSaid, loaded{}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.parse(c.said)
			if (err != nil) != c.fails {
				t.Fatalf("error %v, want one: %v", err, c.fails)
			}
			if err == nil && got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// stand-in for /proc: a server with a child, a grandchild, and a stranger.
func fakeProc(t *testing.T) proc {
	dir := t.TempDir()
	for pid, p := range map[int]struct{ stat, status string }{
		10: {"10 (nginx) S 1 10 10 0 -1 0 0 0 0 0 7 3 20 0 20 0 1 0 5 0 0", "Name:\tnginx\nVmRSS:\t     100 kB\n"},
		11: {"11 (a) name) (x) R 10 10 10 0 -1 0 0 0 0 0 100 50 0 0 20 0 1 0 5 0 0", "Name:\ta\nVmRSS:\t    2000 kB\nVmData:\t 9 kB\n"},
		12: {"12 (grandchild) Z 11 10 10 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 5 0 0", "Name:\tgrandchild\n"},
		13: {"13 (stranger) S 1 13 13 0 -1 0 0 0 0 0 900 900 0 0 20 0 1 0 5 0 0", "Name:\tstranger\nVmRSS:\t 777 kB\n"},
	} {
		sub := filepath.Join(dir, strconv.Itoa(pid))
		if err := errors.Join(os.Mkdir(sub, 0o700), os.WriteFile(filepath.Join(sub, "stat"), []byte(p.stat), 0o600),
			os.WriteFile(filepath.Join(sub, "status"), []byte(p.status), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return proc(dir)
}

func TestProcCountsTheFamily(t *testing.T) {
	p := fakeProc(t)
	cpu, err := p.cpu(10)
	if want := 1820 * time.Millisecond; err != nil || cpu != want {
		t.Errorf("cpu %v, %v, want %v: own, waited for, child and grandchild", cpu, err, want)
	}
	memory, err := p.resident(10)
	if want := int64(2100 << 10); err != nil || memory != want {
		t.Errorf("memory %d, %v, want %d", memory, err, want)
	}
	if _, err := p.cpu(99); err == nil {
		t.Error("a process that is not there has a cpu time")
	}
	for _, bad := range []string{"", "1 (x) S", "1 (x) S one 1 1 0 -1 0 0 0 0 0 7 3 2 0 20", "1 (x) S 1 1 1 0 -1 0 0 0 0 0 x 3 2 0 20"} {
		if s, err := parseStat(bad); err == nil {
			t.Errorf("stat %q reads as %+v", bad, s)
		}
	}
}

func TestTableDividesMedians(t *testing.T) {
	r := &result{trial: trial{name: "x", says: "y", goals: []goal{{cpuName, "nginx", 0.55}, {"slowest", "", 220}}}}
	for _, v := range []float64{6, 4, 100} {
		r.add("edge", cpuName, "µs", v)
		r.add("edge", "slowest", "ms", 36*v)
	}
	for _, v := range []float64{12, 10, 1} {
		r.add("nginx", cpuName, "µs", v)
		r.add("varnish", cpuName, "µs", 2*v)
	}
	if text := r.String(); !strings.Contains(text, "edge     cpu        6.00 4.00 100 = 4.00 / 6.00 / 100 µs\n") {
		t.Errorf("not each round and their spread:\n%s", text)
	}
	h2 := &result{trial: trial{name: "h2", goals: []goal{{cpuName, "nginx", 0.3}}}}
	h2.of("edge").absent = "not spoken"
	h2.add("nginx", cpuName, "µs", 3)
	blank := regexp.MustCompile(`  +`)
	text := blank.ReplaceAllString(table([]*result{r, h2}), "|")
	for _, want := range []string{
		"x|cpu|6.00|10.0|20.0|0.60|0.30|≤ 0.55 NOT reached|µs\n",
		"x|slowest|216|-|-|-|-|≤ 220 reached|ms\n",
		"h2|cpu|not spoken|3.00|-|-|-|µs\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("table lacks %q:\n%s", want, text)
		}
	}
}

func TestLostLinesAreSaid(t *testing.T) {
	for _, c := range []struct {
		asked, lines int64
		want         string
	}{{5, 5, "5 of 5 requests answered\n"}, {5, 7, "7 of 5 requests answered\n"}, {5, 3, "3 of 5 requests answered (2 LOST)\n"}} {
		r := &result{}
		row := r.of("edge")
		row.asked, row.lines = c.asked, c.lines
		if text := r.String(); !strings.Contains(text, c.want) {
			t.Errorf("lacks %q:\n%s", c.want, text)
		}
	}
}

func TestRoundsLeaveOutARivalThatFails(t *testing.T) {
	all := []*server{{name: "edge"}, {name: "nginx"}}
	asked := map[string]int{}
	r := &result{}
	fail := "nginx"
	part := func(_ int, s *server) error {
		asked[s.name]++
		if s.name == fail {
			return errors.New("no")
		}
		return nil
	}
	if err := rounds(options{rounds: 3}, all, r, part); err != nil {
		t.Fatal(err)
	}
	if asked["edge"] != 3 || asked["nginx"] != 1 || len(r.notes) != 1 {
		t.Errorf("asked %v, notes %q; want edge 3 times, nginx once, and a note", asked, r.notes)
	}
	fail = "edge"
	if err := rounds(options{rounds: 3}, all, r, part); err == nil {
		t.Error("edge fails and nobody hears of it")
	}
}

func TestMissingTools(t *testing.T) {
	there := func(name string) (string, error) {
		if name == "wrk" {
			return "/usr/bin/wrk", nil
		}
		return "", errors.New("not found")
	}
	absent := missing([]string{"wrk", "varnishncsa", "h2load", "varnishd", "h2load"}, there)
	if want := []string{"h2load", "varnishd", "varnishncsa"}; !slices.Equal(absent, want) {
		t.Errorf("missing %q, want %q", absent, want)
	}
	if got, want := packagesOf(absent), []string{"nghttp2-client", "varnish"}; !slices.Equal(got, want) {
		t.Errorf("packages %q, want %q", got, want)
	}
	all := options{servers: []string{"edge", "nginx", "varnish"}, pin: true}
	for _, c := range commandsOf(all, trials(all)) {
		if packages[c] == "" {
			t.Errorf("%s is in no package", c)
		}
	}
}

func TestParsePath(t *testing.T) {
	if kind, size, err := parsePath("/slowkept/1024/x-1"); kind != slowKept || size != 1024 || err != nil {
		t.Errorf("got %q %d %v", kind, size, err)
	}
	for _, bad := range []string{"/", "/kept/1024", "/kept/-1/x", "/kept/1048577/x", "/other/1/x", "/kept/1/x/y"} {
		if _, _, err := parsePath(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestParseMetric(t *testing.T) {
	text := "# TYPE a counter\na{tier=\"memory\"} 5\na{tier=\"disk\"} 1.5e+06\n"
	if v, err := parseMetric(text, `a{tier="disk"}`); v != 1.5e6 || err != nil {
		t.Errorf("got %v, %v", v, err)
	}
	if _, err := parseMetric(text, "a"); err == nil {
		t.Error("a name that no line has is found")
	}
}

func TestCountLines(t *testing.T) {
	if n, err := countLines(strings.NewReader("a\nb\n" + strings.Repeat("x", 3<<20) + "\nno end")); n != 3 || err != nil {
		t.Errorf("%d lines, %v, want 3", n, err)
	}
}
