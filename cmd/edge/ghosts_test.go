package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"edgecache/edge"
)

func TestTopShowsGhosts(t *testing.T) {
	v := &edge.GhostsView{Rate: 1. / 64, Samples: 2000, PerSecond: 500, HitRatio: 0.692, Bias: -0.004}
	var b strings.Builder
	showGhosts(&b, v)
	if b.Len() > 0 {
		t.Errorf("nothing was asked of the ghosts, and shown is\n%s", b.String())
	}
	v.Ghosts = []edge.GhostView{
		{Memory: 1, Disk: 1, Objective: "objects", HitRatio: 0.692},
		{Memory: 2, Disk: 1, Objective: "objects", HitRatio: 0.713, Gain: 0.021, Error: 0.0042, ByteHitRatio: 0.5, ByteGain: 0.01, ByteError: 0.02, SparedPerSecond: 10.4},
		{Memory: 1, Disk: 0.5, Objective: "objects", HitRatio: 0.592, Gain: -0.1, SparedPerSecond: -50},
		{Memory: 1, Disk: 1, Objective: "bytes", HitRatio: 0.6, Gain: -0.092, ByteHitRatio: 0.55, ByteGain: 0.06, SparedPerSecond: -46},
	}
	showGhosts(&b, v)
	for _, want := range []string{
		"of what can be stored 500/s, from cache 69.2%", "by 2000 requests for one object in 64, bias -0.4",
		"with 2x the memory       71.3% (+2.1 ±0.4)    bytes  50.0% (+1.0 ±2.0)    to origins -10/s",
		"with 0.5x the disk       59.2% (-10.0 ±0.0)   bytes   0.0% (+0.0 ±0.0)    to origins +50/s",
		"with objective bytes     60.0% (-9.2 ±0.0)    bytes  55.0% (+6.0 ±0.0)    to origins +46/s",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
	if n := strings.Count(b.String(), "\n"); n != 5 {
		t.Errorf("%d lines, want a blank one, a head and three: the store as it is is not shown beside itself\n%s", n, b.String())
	}
}

// TestGhostsOfTheBinary: they are there unless switched off, of both tiers when there is a
// disk, and are told of what clients ask.
func TestGhostsOfTheBinary(t *testing.T) {
	for _, c := range []struct {
		name, lines string
		status      int
		ghosts      int
	}{
		{"by default", "", 200, 9},
		{"of memory alone", `disk: {dir: "off"}`, 200, 4},
		{"off", "ghosts: off", 404, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Write([]byte("text"))
			}))
			defer origin.Close()
			config := filepath.Join(t.TempDir(), "edge.yaml")
			text := "upstreams: {main: {peers: [\"" + origin.URL + "\"]}}\n" + c.lines + "\n"
			if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			p := start(t, []string{"HOME=" + t.TempDir()}, anywhere("--config", config)...)
			const objects = 60 // the sample has some of them
			for i := range 3 * objects {
				get(t, fmt.Sprintf("http://%s/%d", p.said.Listen[0], i%objects))
			}
			deadline := time.Now().Add(10 * time.Second)
			for {
				status, v := askGhosts(t, p)
				if status == c.status && len(v.Ghosts) == c.ghosts && (status != 200 || v.Requests == 3*objects && v.HitRatio == 2./3) {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("%d %+v, want %d and %d ghosts of %d requests", status, v, c.status, c.ghosts, 3*objects)
				}
			}
			if code := p.end(syscall.SIGTERM); code != 0 {
				t.Errorf("exit code %d: %s", code, p.err)
			}
		})
	}
}

// askGhosts asks a process what its ghosts say.
func askGhosts(t *testing.T, p *process) (status int, v edge.GhostsView) {
	t.Helper()
	token, err := readToken(p.said.TokenFile)
	if err != nil {
		t.Fatal(err)
	}
	q, err := http.NewRequest(http.MethodGet, "http://"+p.said.Admin+"/v1/ghosts", nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK {
		if err := json.NewDecoder(res.Body).Decode(&v); err != nil {
			t.Fatal(err)
		}
	}
	return res.StatusCode, v
}
