package cachestore_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"edgecache/cachestore"
)

var ctx = context.Background()

// tally is an Account that remembers the most it has held.
type tally struct {
	mu      sync.Mutex
	room    int64 // Reserve refuses over it; 0 = no limit
	held    int64
	most    int64
	forced  int64
	dropped map[cachestore.Drop]int
	onForce func() // runs before a Force counts
}

func (a *tally) Reserve(n int64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.room > 0 && a.held+n > a.room {
		return false
	}
	a.held += n
	a.most = max(a.most, a.held)
	return true
}

func (a *tally) Force(n int64) {
	if a.onForce != nil {
		a.onForce()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held += n
	a.forced += n
	a.most = max(a.most, a.held)
}

func (a *tally) Release(n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held -= n
}

func (a *tally) Dropped(d cachestore.Drop) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.dropped == nil {
		a.dropped = map[cachestore.Drop]int{}
	}
	a.dropped[d]++
}

func (a *tally) now() (held, most int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.held, a.most
}

func join(t *testing.T, f *cachestore.Fill) *cachestore.Reader {
	t.Helper()
	r, err := f.Join()
	if err != nil {
		t.Fatalf("join: %v", err)
	}
	t.Cleanup(r.Close)
	return r
}

// at joins at an offset.
func at(t *testing.T, f *cachestore.Fill, off int64) *cachestore.Reader {
	t.Helper()
	r, err := f.JoinAt(off)
	if err != nil {
		t.Fatalf("join at %d: %v", off, err)
	}
	t.Cleanup(r.Close)
	return r
}

func write(t *testing.T, f *cachestore.Fill, p []byte) {
	t.Helper()
	if err := f.Write(ctx, p); err != nil {
		t.Fatalf("write: %v", err)
	}
}

// readAll reads to the end or an error.
func readAll(r *cachestore.Reader) ([]byte, error) {
	var all []byte
	for {
		p, err := r.Next(ctx)
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, p...)
	}
}

func next(t *testing.T, r *cachestore.Reader, want string) {
	t.Helper()
	p, err := r.Next(ctx)
	if err != nil || string(p) != want {
		t.Fatalf("next: %q, %v, want %q", p, err, want)
	}
}

func nextFails(t *testing.T, r *cachestore.Reader, want error) {
	t.Helper()
	if p, err := r.Next(ctx); !errors.Is(err, want) {
		t.Fatalf("next: %q, %v, want %v", p, err, want)
	}
}
