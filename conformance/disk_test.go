package conformance_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"
)

// The run with a disk: memory is small, and a flood drives out of it what the tests
// have stored. Its objects are as small as theirs: memory keeps those of other sizes apart. All goes to
// the disk, too.
const (
	floodBytes    = 3 << 10
	floodEvery    = 2 * time.Millisecond
	leastFromDisk = 15
)

// smallOverDisk are the changes to edge.yaml, with an origin for the flood.
func smallOverDisk(t *testing.T) map[string]string {
	t.Helper()
	body := bytes.Repeat([]byte("flood "), floodBytes/6)
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
		_, _ = w.Write(body)
	}))
	t.Cleanup(origin.Close)
	return map[string]string{
		`disk: {dir: "off"}`: fmt.Sprintf("memory: 8MiB\ndisk: {dir: %q, size: 256MiB, shards: 1, admission: always}", t.TempDir()),
		"upstreams:\n":       fmt.Sprintf("upstreams:\n  flood: {peers: [%q]}\n", origin.URL),
		"routes:\n":          "routes:\n  - match: {path: /flood}\n    upstream: flood\n",
	}
}

// flood asks for one object after the other until the returned function is called.
func flood(t *testing.T, addrs addresses) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		pace := time.NewTicker(floodEvery)
		defer pace.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-pace.C:
			}
			if _, err := fetch(ctx, fmt.Sprintf("http://%s/flood/%d", addrs.data, i)); err != nil && ctx.Err() == nil {
				t.Errorf("flood: %v", err)
				return
			}
		}
	})
	return func() { cancel(); running.Wait() }
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %d", url, res.StatusCode)
	}
	return io.ReadAll(res.Body)
}

// diskHits is how many answers came from disk, by edge's metrics.
func diskHits(t *testing.T, addrs addresses) int {
	t.Helper()
	text, err := fetch(t.Context(), "http://"+addrs.admin+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^edge_cache_hits_total\{tier="disk"\} (\d+)$`).FindSubmatch(text)
	if found == nil {
		t.Fatal("the metrics have no hits of the disk")
	}
	n, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d answers came from disk", n)
	return n
}
