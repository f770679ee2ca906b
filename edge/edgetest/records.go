package edgetest

import (
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"edgecache/edge"
)

// patience bounds the wait for what must happen; a test that gets there fails.
// EDGETEST_PATIENCE makes it shorter where tests are meant to fail.
var patience = func() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("EDGETEST_PATIENCE")); err == nil && d > 0 {
		return d
	}
	return 20 * time.Second
}()

// Records is an access log that keeps a copy of every record.
type Records struct {
	mu      sync.Mutex
	list    []edge.Record
	changed chan struct{} // closed at the next record; nil while nobody waits
}

var _ edge.AccessLog = (*Records)(nil)

// Write implements edge.AccessLog.
func (l *Records) Write(r *edge.Record) {
	c := *r
	for _, b := range []*[]byte{&c.ID, &c.Client, &c.Host, &c.Path, &c.Query, &c.UserAgent, &c.Referer} {
		*b = slices.Clone(*b)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, c)
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// All copies the list of the records so far.
func (l *Records) All() []edge.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.list)
}

// Drop forgets all records so far.
func (l *Records) Drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = nil
}

// Of copies the records of one request; more than one is a bug.
func (l *Records) Of(id string) []edge.Record {
	return slices.DeleteFunc(l.All(), func(r edge.Record) bool { return string(r.ID) != id || r.Kind != edge.KindClient })
}

// Wait returns the records as soon as ok accepts them.
func (l *Records) Wait(t testing.TB, what string, ok func([]edge.Record) bool) []edge.Record {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		l.mu.Lock()
		list := slices.Clone(l.list)
		if l.changed == nil {
			l.changed = make(chan struct{})
		}
		changed := l.changed
		l.mu.Unlock()
		if ok(list) {
			return list
		}
		select {
		case <-changed:
		case <-deadline.C:
			t.Fatalf("%s: not within %v; %d records", what, patience, len(list))
		}
	}
}

// Wait returns as soon as ok is true; it looks again and again, and fails the
// test after a while.
func Wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// Receive waits for a channel to be closed or to give something.
func Receive[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: not within %v", what, patience)
		panic("unreachable")
	}
}
