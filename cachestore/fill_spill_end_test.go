package cachestore_test

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"

	"edgecache/cachestore"
)

// After the commit the disk goes on giving back what readers have not read yet,
// those who join then among them, until the last has left.
func TestSpillIsReleasedWhenTheLastReaderLeaves(t *testing.T) {
	d := &disk{queue: 1}
	s := spillTo(d, 5*chunk+1, false)
	early := join(t, s.Fill)
	s.come(t, len(s.content))
	s.end(t)
	late := join(t, s.Fill)
	for name, r := range map[string]*cachestore.Reader{"early": early, "late": late} {
		d.is(t, true, 0, 0)
		if got, err := readAll(r); err != nil || !bytes.Equal(got, s.content) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		r.Close()
	}
	d.is(t, true, 0, 1)
	if _, err := s.Join(); !errors.Is(err, cachestore.ErrGone) {
		t.Errorf("join after the release: %v, want ErrGone", err)
	}
}

func TestSpillWithoutReadersIsReleasedByItsCommit(t *testing.T) {
	d := &disk{}
	s := spillTo(d, 5*chunk+1, true)
	s.come(t, len(s.content))
	s.end(t)
	d.is(t, true, 0, 1)
	if _, err := s.Join(); !errors.Is(err, cachestore.ErrGone) {
		t.Errorf("join: %v, want ErrGone", err)
	}
}

// What a commit leaves in memory the fill holds for its readers.
func TestSpillHoldsWhatACommitLeavesInMemory(t *testing.T) {
	d := &disk{queue: 2, lazy: true}
	s := spillTo(d, 5*chunk+1, false)
	r := join(t, s.Fill)
	s.come(t, len(s.content))
	s.end(t)
	if got, err := readAll(r); err != nil || !bytes.Equal(got, s.content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	r.Close()
	d.is(t, true, 0, 1)
	s.holds(t, 0)
}

// A whole body that is not stored after all comes to its readers' clean end.
func TestSpillThatIsNotStoredEndsCleanly(t *testing.T) {
	for name, c := range map[string]struct {
		limit int64
		onEnd func() error
		end   func(*spilling) error
		want  error
	}{
		"discarded":        {0, nil, func(s *spilling) error { s.Discard(); return s.Commit(nil) }, cachestore.ErrNotKept},
		"the commit fails": {0, func() error { return errBroken }, func(s *spilling) error { return s.Commit(&cachestore.Variant{}) }, errBroken},
		"the last chunk is refused": {5 * chunk, nil,
			func(s *spilling) error { return s.Commit(&cachestore.Variant{}) }, cachestore.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			d := &disk{queue: 2, limit: c.limit, onEnd: c.onEnd}
			s := spillTo(d, 5*chunk+1, true)
			r := join(t, s.Fill)
			s.come(t, len(s.content))
			if _, err := s.Finish(nil); err != nil {
				t.Fatal(err)
			}
			if err := c.end(s); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if kept, why := s.Kept(); kept || !errors.Is(why, c.want) {
				t.Errorf("kept %v, %v", kept, why)
			}
			late := join(t, s.Fill)
			for _, r := range []*cachestore.Reader{r, late} {
				d.is(t, false, 0, 0)
				if got, err := readAll(r); err != nil || !bytes.Equal(got, s.content) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				r.Close()
			}
			d.is(t, false, 1, 1)
			s.holds(t, 0)
			if _, err := s.Join(); !errors.Is(err, cachestore.ErrGone) {
				t.Errorf("join: %v, want ErrGone", err)
			}
			s.Abort(errBroken) // which changes nothing
			d.is(t, false, 1, 1)
		})
	}
}

// One that never spilled is held whole by its fill: the Writer ends at once.
func TestSpillThatNeverSpilledIsAbortedAtOnce(t *testing.T) {
	d := &disk{small: 9 * chunk}
	s := spillTo(d, 5*chunk+1, true)
	r := join(t, s.Fill)
	s.come(t, len(s.content))
	s.Finish(nil)
	s.Discard()
	d.is(t, false, 1, 1)
	if got, err := readAll(r); err != nil || !bytes.Equal(got, s.content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	r.Close()
	s.holds(t, 0)
}

// A writer that refuses in the middle gives back what it has spilled until all who
// are behind have passed it; nobody joins there any more.
func TestSpillThatIsRefusedGoesOnAsAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		d := &disk{queue: 1, limit: 4 * chunk}
		d.onRead = func(int) error { <-gate; return nil }
		s := spillTo(d, 9*chunk+1, true)
		behind, inside := join(t, s.Fill), join(t, s.Fill)
		s.come(t, 4*chunk)
		near := at(t, s.Fill, 3*chunk)
		result := make(chan error, 1)
		go func() {
			got, err := readAll(inside)
			if err == nil && !bytes.Equal(got, s.content) {
				err = errBroken
			}
			inside.Close()
			result <- err
		}()
		synctest.Wait()
		s.come(t, 4*chunk+1)
		write(t, s.Fill, s.content[s.Written():5*chunk])
		if _, err := s.Space(ctx); err != nil { // the fifth chunk is over the limit
			t.Fatal(err)
		}
		d.is(t, false, 0, 0) // two are behind
		if _, err := s.Join(); !errors.Is(err, cachestore.ErrGone) {
			t.Errorf("join: %v, want ErrGone", err)
		}
		s.holds(t, 4*65536+chunk) // the fourth and fifth, one that grows, one for who is inside Read, and what the writer has not let go
		if got, err := near.Next(ctx); err != nil || !bytes.Equal(got, s.content[3*chunk:4*chunk]) {
			t.Errorf("from memory: %d bytes, %v", len(got), err)
		}
		near.Close()
		behind.Close() // a window waits for its fastest reader alone
		d.is(t, false, 0, 0)
		close(gate)
		go func() {
			if s.Write(ctx, s.content[5*chunk:]) == nil {
				s.Finish(nil)
			}
		}()
		if err := <-result; err != nil {
			t.Errorf("inside Read: %v", err)
		}
		d.is(t, false, 1, 1)
		if n := s.account.dropped[cachestore.DropSlowReader]; n != 0 {
			t.Errorf("%d slow readers are counted", n)
		}
		s.holds(t, 0)
		if err := s.Commit(nil); !errors.Is(err, cachestore.ErrTooLarge) {
			t.Errorf("commit: %v, want ErrTooLarge", err)
		}
		d.is(t, false, 1, 1)
	})
}

// A reader that holds the last chunk that was read back when the writer refuses
// has missed nothing.
func TestSpillRefusedBehindALentViewLosesNothing(t *testing.T) {
	d := &disk{queue: 1, limit: 2 * chunk}
	s := spillTo(d, 3*chunk+1, true)
	r := join(t, s.Fill)
	s.come(t, 2*chunk)
	next(t, r, string(s.content[:chunk]))
	s.come(t, 3*chunk) // the third one is refused
	d.is(t, false, 1, 1)
	s.come(t, 3*chunk+1)
	s.Finish(nil)
	if got, err := readAll(r); err != nil || !bytes.Equal(got, s.content[chunk:]) {
		t.Errorf("the rest has %d bytes, %v", len(got), err)
	}
}

// A body that gets over the limit with its last bytes breaks nobody either.
func TestSpillOverTheLimitAtItsEnd(t *testing.T) {
	d := &disk{}
	s := spillTo(d, 3*chunk+1, false, 3*chunk)
	behind, near := join(t, s.Fill), at(t, s.Fill, 3*chunk)
	s.come(t, 3*chunk)
	write(t, s.Fill, s.content[3*chunk:])
	s.Finish(nil)
	d.is(t, false, 0, 0)
	next(t, near, string(s.content[3*chunk:]))
	if got, err := readAll(behind); err != nil || !bytes.Equal(got, s.content) {
		t.Errorf("from the beginning: %d bytes, %v", len(got), err)
	}
	d.is(t, false, 1, 1)
}

// An abort ends the Writer once and releases it once, whatever goes on.
func TestSpillIsAborted(t *testing.T) {
	for name, c := range map[string]struct {
		come   int
		finish bool
	}{
		"before the first byte":    {0, false},
		"before anything spilled":  {chunk / 2, false},
		"when most is spilled":     {5 * chunk, false},
		"between end and commit":   {8*chunk + 1, true},
		"by a length that differs": {8 * chunk, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := &disk{queue: 1}
			s := spillTo(d, 8*chunk+1, true)
			r := join(t, s.Fill)
			s.come(t, c.come)
			want := errBroken
			if c.finish {
				if _, err := s.Finish(nil); err != nil {
					want = cachestore.ErrLength
				}
			}
			s.Abort(errBroken)
			d.is(t, false, 1, 1)
			nextFails(t, r, want)
			s.holds(t, 0)
			if _, err := s.Join(); !errors.Is(err, cachestore.ErrGone) {
				t.Errorf("join: %v, want ErrGone", err)
			}
			if err := s.Commit(nil); !errors.Is(err, want) && c.finish {
				t.Errorf("commit: %v, want %v", err, want)
			}
			r.Close()
			s.Discard()
			d.is(t, false, 1, 1)
		})
	}
}

func TestSpillIsAbortedWhileAReaderWaitsForTheDisk(t *testing.T) {
	for _, finish := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			gate := make(chan struct{})
			d := &disk{onRead: func(int) error { <-gate; return nil }}
			s := spillTo(d, 5*chunk, true)
			r := join(t, s.Fill)
			s.come(t, 5*chunk)
			result := make(chan error, 1)
			go func() { _, err := r.Next(ctx); result <- err }()
			synctest.Wait()
			if finish {
				s.Finish(nil)
			}
			s.Abort(errBroken)
			d.is(t, false, 1, 0)
			close(gate)
			if err := <-result; !errors.Is(err, errBroken) {
				t.Errorf("reader: %v, want broken", err)
			}
			d.is(t, false, 1, 1)
			r.Close()
			s.holds(t, 0)
		})
	}
}

func TestSpillIsAbortedWhileItsWriterWorks(t *testing.T) {
	for name, commits := range map[string]bool{"takes a chunk": false, "commits": true} {
		synctest.Test(t, func(t *testing.T) {
			gate := make(chan struct{})
			d := &disk{queue: 1}
			s := spillTo(d, 5*chunk, true)
			r := join(t, s.Fill)
			s.come(t, 4*chunk)
			next(t, r, string(s.content[:chunk]))
			aborts := 1
			if commits {
				d.onEnd = func() error { <-gate; return nil }
				aborts = 0 // it came too late for what is stored
			} else {
				d.onChunk = func() { <-gate }
			}
			result := make(chan error, 1)
			go func() {
				err := s.Write(ctx, s.content[4*chunk:])
				if err == nil {
					s.Finish(nil)
					err = s.Commit(&cachestore.Variant{})
				}
				result <- err
			}()
			synctest.Wait()
			s.Abort(errBroken)
			nextFails(t, r, errBroken)
			d.is(t, false, 0, 0)
			close(gate)
			if err := <-result; !errors.Is(err, errBroken) {
				t.Errorf("%s: %v, want broken", name, err)
			}
			d.is(t, commits, aborts, 1)
			r.Close()
			s.holds(t, 0)
		})
	}
}
