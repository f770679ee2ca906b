package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// each runs a test for an empty cache of every kind.
func each(t *testing.T, objects int, test func(t *testing.T, c cache)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			c, err := k.open(objects, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := c.close(); err != nil {
					t.Error(err)
				}
			}()
			test(t, c)
		})
	}
}

func body(i int) []byte { return bytes.Repeat([]byte{byte(i), byte(i >> 8)}, bodyBytes/2) }

func TestGetReturnsWhatWasPut(t *testing.T) {
	const objects, some = 2000, 125 // few enough for the smallest part of any cache
	each(t, objects, func(t *testing.T, c cache) {
		w := c.worker()
		if _, from := w.get(urlOf(1)); from != nowhere {
			t.Errorf("an empty cache has an object, at %d", from)
		}
		for i := range some {
			if !w.put(urlOf(i), body(i)) {
				t.Fatalf("object %d is refused", i)
			}
		}
		if !w.put(urlOf(7), body(7000)) {
			t.Fatal("a second body is refused")
		}
		for i := range some {
			want := body(i)
			if i == 7 {
				want = body(7000)
			}
			if got, from := w.get(urlOf(i)); from != inMemory || !bytes.Equal(got, want) {
				t.Errorf("object %d: %d bytes from %d, want its %d from memory", i, len(got), from, len(want))
			}
		}
		if memory, _ := c.objects(); memory != some {
			t.Errorf("%d objects, want %d", memory, some)
		}
	})
}

// Several goroutines store four times what there is room for.
func TestBoundIsKept(t *testing.T) {
	const objects, workers = 4000, 4
	each(t, objects, func(t *testing.T, c cache) {
		var running sync.WaitGroup
		for g := range workers {
			running.Go(func() {
				w := c.worker()
				for i := g; i < 4*objects; i += workers {
					w.put(urlOf(i), body(i))
					if got, from := w.get(urlOf(i)); from != nowhere && !bytes.Equal(got, body(i)) {
						t.Errorf("object %d has a body of others", i)
					}
				}
			})
		}
		running.Wait()
		memory, disk := c.objects()
		if memory < objects/2 || memory > objects*107/100 { // memory is bounded in bytes, with 5 % of slack
			t.Errorf("%d objects in memory, want %d", memory, objects)
		}
		s, tiers := c.(*stored)
		if tiers = tiers && s.disk != nil; tiers != (disk > 0) || disk > diskTimes*objects*105/100 {
			t.Errorf("%d objects on disk, want at most %d", disk, diskTimes*objects)
		}
	})
}

// What memory has let go comes from disk, and is the same.
func TestTiersReadTheDisk(t *testing.T) {
	const objects = 2000
	c, err := openTiers(objects, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	w := c.worker()
	for i := range 3 * objects {
		w.put(urlOf(i), body(i))
	}
	c.objects()
	below := 0
	for i := range 3 * objects {
		got, from := w.get(urlOf(i))
		if from != nowhere && !bytes.Equal(got, body(i)) {
			t.Errorf("object %d has another body, from %d", i, from)
		}
		if from == onDisk {
			below++
		}
	}
	if below == 0 {
		t.Error("nothing came from disk")
	}
}

// SIEVE keeps what is asked for, and evicts in the order of arrival what is not.
func TestSieveSparesWhatWasVisited(t *testing.T) {
	c, err := openSieve(4*sieveShards, "")
	if err != nil {
		t.Fatal(err)
	}
	s := c.(*sieve)
	h := &s.shards[0]
	var urls []string
	for i := 0; len(urls) < 6; i++ {
		if u := urlOf(i); s.shard(u) == h {
			urls = append(urls, u)
		}
	}
	for _, u := range urls[:4] {
		s.put(u, body(0))
	}
	s.get(urls[0])
	s.get(urls[2])
	s.put(urls[4], body(0)) // the hand passes 0 and takes 1
	s.put(urls[5], body(0)) // it goes on: it passes 2 and takes 3
	for i, want := range []bool{true, false, true, false, true, true} {
		if _, from := s.get(urls[i]); (from != nowhere) != want {
			t.Errorf("object %d is kept: %t, want %t", i, from != nowhere, want)
		}
	}
}

// TestThroughput measures everything once, too short for the figures to mean anything.
func TestThroughput(t *testing.T) {
	dir := t.TempDir()
	result := filepath.Join(dir, "result.txt")
	var out, bad bytes.Buffer
	code := run(context.Background(), []string{
		"-dir", dir, "-out", result, "-rounds", "1", "-span", "20ms", "-keys", "10000",
	}, &out, &bad)
	if code != 0 {
		t.Fatalf("exit code %d: %s\n%s", code, bad.String(), out.String())
	}
	kept, err := os.ReadFile(result)
	if err != nil || !bytes.HasSuffix(kept, out.Bytes()) {
		t.Errorf("the result was not kept as it was printed: %v", err)
	}
	for _, want := range []string{"GOMAXPROCS", "hits:", "mix:", "stores:", "memory ", "tiers ", "otter ", "sieve "} {
		if !strings.Contains(string(kept), want) {
			t.Errorf("no %q in\n%s", want, kept)
		}
	}
	before, _, _ := strings.Cut(out.String(), "mix:")
	if n := strings.Count(before, "  100 / 100 / 100 % hits in memory"); n != len(kinds) {
		t.Errorf("all that is asked for is in memory in %d of %d caches:\n%s", n, len(kinds), before)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "edge-throughput-*")); len(left) > 0 {
		t.Errorf("%q is left", left)
	}
	if code := run(context.Background(), []string{"-rounds", "0"}, &out, &bad); code != 2 {
		t.Errorf("no round: exit code %d, want 2", code)
	}
}
