package casetest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"edgecache/edge/edgetest"
	"edgecache/purge"
)

// TestSparseModel changes and purges a large object in any order while parts of
// it are asked for. Whatever comes has the bytes of one version, the one that its
// ETag names, never one from before the last hard purge, and a range is never a
// whole that is dressed as one.
func TestSparseModel(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := newSparseWorld(t, seed)
			for range 60 {
				w.step()
			}
		})
	}
}

type sparseWorld struct {
	*site
	t        *testing.T
	random   *rand.Rand
	media    *media
	versions []string // by number
	floor    int      // no version before it may be served
	changed  bool     // since the last answer: one may break off
}

func newSparseWorld(t *testing.T, seed uint64) *sparseWorld {
	w := &sparseWorld{t: t, random: rand.New(rand.NewPCG(seed, 9))}
	w.versions = []string{noise(int(seed), 2*slice+w.random.IntN(slice))}
	w.media = newMedia(t, w.versions[0], `"0"`)
	c := edgetest.Config{MemoryBytes: 12 << 20}
	if seed%2 == 1 {
		c.Disk = t.TempDir()
	}
	w.site = openMedia(t, w.media, c)
	return w
}

func (w *sparseWorld) step() {
	switch n := w.random.IntN(40); {
	case n < 3:
		w.change()
	case n < 5:
		w.purge("/v")
		w.floor = len(w.versions) - 1
	case n < 7:
		w.purgeAs(purge.ScopeURL, purge.Revalidate, "/v")
		w.floor = len(w.versions) - 1
	case n < 8:
		w.advance(w.random.IntN(100))
	case n < 12:
		w.get("")
	case n < 16:
		w.get(fmt.Sprintf("-%d", 1+w.random.IntN(slice)))
	case n < 20:
		w.get(fmt.Sprintf("%d-", w.random.IntN(3*slice)))
	default:
		from := w.random.IntN(3 * slice)
		w.get(fmt.Sprintf("%d-%d", from, from+w.random.IntN(slice)))
	}
}

// change gives the origin another version, sometimes of the same length,
// sometimes one that is tied by no strong validator.
func (w *sparseWorld) change() {
	size := len(w.versions[len(w.versions)-1])
	if w.random.IntN(2) == 0 {
		size = w.random.IntN(3*slice) + 1
	}
	n := len(w.versions)
	w.versions = append(w.versions, noise(1000*n+w.random.IntN(1000), size))
	tag := fmt.Sprintf("%q", fmt.Sprint(n))
	if w.random.IntN(4) == 0 {
		tag = "W/" + tag
	}
	w.media.becomes(w.versions[n], tag)
	w.changed = true
}

func (w *sparseWorld) get(spec string) {
	w.t.Helper()
	var lines []string
	if spec != "" {
		lines = append(lines, "Range: bytes="+spec)
	}
	r := w.Get("/v", lines...)
	w.settled()
	broke := r.Err != nil && w.changed
	w.changed = false
	if r.Status == 416 && r.Header.Get("Etag") == "" { // the origin's own
		r.Header.Set("Etag", fmt.Sprintf("%q", fmt.Sprint(len(w.versions)-1)))
	}
	var version, from, to, total int
	if _, err := fmt.Sscanf(strings.TrimPrefix(r.Header.Get("Etag"), "W/"), `"%d"`, &version); err != nil || version < w.floor || version >= len(w.versions) {
		w.t.Errorf("%q: version %d, want %d to %d: %s", spec, version, w.floor, len(w.versions)-1, show(r))
		return
	}
	body := w.versions[version]
	switch r.Status {
	case 200:
		from, to, total = 0, len(body), len(body)
		if spec != "" && !strings.HasPrefix(r.Body, body[:min(len(r.Body), len(body))]) {
			w.t.Errorf("%q: a 200 that is not the whole: %s", spec, show(r))
		}
	case 206:
		if _, err := fmt.Sscanf(r.Header.Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &total); err != nil {
			w.t.Errorf("%q: Content-Range %q", spec, r.Header.Get("Content-Range"))
			return
		}
		to++
		w.rightPart(spec, from, to, total)
	case 416:
		if want := fmt.Sprintf("bytes */%d", len(body)); r.Header.Get("Content-Range") != want {
			w.t.Errorf("%q: 416 with %q, want %s", spec, r.Header.Get("Content-Range"), want)
		}
		return
	default:
		w.t.Errorf("%q: %s", spec, show(r))
		return
	}
	if total != len(body) || to > total || r.Err == nil && r.Body != body[from:to] || broke && !strings.HasPrefix(body[from:to], r.Body) || r.Err != nil && !broke {
		w.t.Errorf("%q: not the bytes %d to %d of version %d: %s", spec, from, to, version, show(r))
	}
}

// rightPart demands that a 206 has what was asked for.
func (w *sparseWorld) rightPart(spec string, from, to, total int) {
	w.t.Helper()
	first, last, _ := strings.Cut(spec, "-")
	var a, b int
	fmt.Sscan(first, &a)
	switch {
	case first == "":
		fmt.Sscan(last, &b)
		a, b = max(total-b, 0), total
	case last == "":
		b = total
	default:
		fmt.Sscan(last, &b)
		b = min(b+1, total)
	}
	if from != a || to != b {
		w.t.Errorf("%q: bytes %d to %d of %d, want %d to %d", spec, from, to, total, a, b)
	}
}
