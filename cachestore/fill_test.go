package cachestore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"edgecache/cachestore"
	"edgecache/cachestore/storetest"
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

func TestFillShowsBytesAsTheyCome(t *testing.T) {
	f := cachestore.NewFill(cachestore.FillConfig{Length: -1})
	a := join(t, f)
	write(t, f, []byte("one"))
	next(t, a, "one")
	b := join(t, f)
	write(t, f, []byte("two"))
	next(t, a, "two")
	next(t, b, "onetwo")
	if _, err := f.Finish(http.Header{"X": {"y"}}); err != nil {
		t.Fatal(err)
	}
	nextFails(t, a, io.EOF)
	nextFails(t, b, io.EOF)
	if got := b.Trailer().Get("X"); got != "y" {
		t.Errorf("trailer %q, want y", got)
	}
	if f.Written() != 6 || f.Readers() != 2 {
		t.Errorf("%d bytes, %d readers, want 6 and 2", f.Written(), f.Readers())
	}
}

func TestFillStoresWhatItKept(t *testing.T) {
	for _, size := range []int{0, 1, 4096, 4097, 70_000, cachestore.ChunkSize, 300_000} {
		for _, length := range []int64{-1, int64(size)} {
			m := openMemory(t, 8<<20)
			content := storetest.Content(size, size)
			f := cachestore.NewFill(cachestore.FillConfig{Length: length, Account: m.Account()})
			f.Keep(m.Begin(storetest.Key(1), cachestore.Meta{Length: length}))
			write(t, f, content)
			r := join(t, f)
			body, err := f.Finish(http.Header{"X": {"y"}})
			if err != nil || body == nil || body.Size != int64(size) {
				t.Fatalf("finish: %v, %v", body, err)
			}
			v := storetest.Variant("")
			if err := f.Commit(v); err != nil {
				t.Fatalf("commit: %v", err)
			}
			if got, err := readAll(r); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes: read %d, %v", size, len(got), err)
			}
			var stored []byte
			for i := range v.Body.Chunks() {
				stored = append(stored, v.Body.Chunk(i)...)
			}
			if !bytes.Equal(stored, content) || !v.Body.InMemory() || v.Body.Trailer.Get("X") != "y" || v.Body.ID == 0 {
				t.Errorf("%d bytes: stored %d, trailer %v", size, len(stored), v.Body.Trailer)
			}
			if p := v.Body.Chunk(v.Body.Chunks() - 1); cap(p)-len(p) > 9*1024 {
				t.Errorf("%d bytes: the last chunk has %d in %d", size, len(p), cap(p))
			}
			if _, p := m.Peek(storetest.Key(1)); p != cachestore.InMemory {
				t.Errorf("%d bytes: not stored", size)
			}
			m.Delete(storetest.Key(1))
			if st := m.Stats(); st.Bytes != st.Fixed || st.FillBytes != 0 {
				t.Errorf("%d bytes: accounted in the end %+v", size, st)
			}
		}
	}
}

// Who has seen the whole of a kept answer finds it stored.
func TestFillHoldsTheEndBackUntilItIsStored(t *testing.T) {
	for _, length := range []int64{-1, 6} {
		synctest.Test(t, func(t *testing.T) {
			m := openMemory(t, 8<<20)
			f := cachestore.NewFill(cachestore.FillConfig{Length: length, Account: m.Account()})
			f.Keep(m.Begin(storetest.Key(1), cachestore.Meta{Length: length}))
			r := join(t, f)
			found := make(chan bool, 1)
			go func() {
				_, err := readAll(r)
				got, _ := m.Peek(storetest.Key(1))
				found <- err == nil && got != nil
			}()
			write(t, f, []byte("abc"))
			write(t, f, []byte("def"))
			if _, err := f.Finish(nil); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if len(found) > 0 {
				t.Fatal("a reader saw the end before the commit")
			}
			if err := f.Commit(storetest.Variant("")); err != nil {
				t.Fatal(err)
			}
			if !<-found {
				t.Error("the reader saw the end and found nothing stored")
			}
		})
	}
}

func TestFillThatDisagreesWithItsLengthIsBroken(t *testing.T) {
	for name, content := range map[string]string{"short": "abc", "long": "abcdefgh"} {
		m := openMemory(t, 8<<20)
		f := cachestore.NewFill(cachestore.FillConfig{Length: 5, Account: m.Account()})
		f.Keep(m.Begin(storetest.Key(1), cachestore.Meta{Length: 5}))
		r := join(t, f)
		err := f.Write(ctx, []byte(content))
		if err == nil {
			_, err = f.Finish(nil)
		}
		if !errors.Is(err, cachestore.ErrLength) {
			t.Errorf("%s: %v, want ErrLength", name, err)
		}
		if err := f.Commit(storetest.Variant("")); !errors.Is(err, cachestore.ErrLength) {
			t.Errorf("%s: commit %v, want ErrLength", name, err)
		}
		nextFails(t, r, cachestore.ErrLength)
		if _, err := f.Join(); !errors.Is(err, cachestore.ErrGone) {
			t.Errorf("%s: join %v, want ErrGone", name, err)
		}
		if st := m.Stats(); st.Resources != 0 || st.Bytes != st.Fixed {
			t.Errorf("%s: %+v, want nothing held", name, st)
		}
	}
}

func TestFillDiscardEndsCleanlyAndStoresNothing(t *testing.T) {
	m := openMemory(t, 8<<20)
	f := cachestore.NewFill(cachestore.FillConfig{Length: -1, Account: m.Account()})
	f.Keep(m.Begin(storetest.Key(1), cachestore.Meta{Length: -1}))
	r := join(t, f)
	content := storetest.Content(1, 200_000)
	write(t, f, content)
	if _, err := f.Finish(nil); err != nil {
		t.Fatal(err)
	}
	f.Discard()
	if got, err := readAll(r); err != nil || !bytes.Equal(got, content) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	if err := f.Commit(storetest.Variant("")); !errors.Is(err, cachestore.ErrNotKept) {
		t.Errorf("commit: %v, want ErrNotKept", err)
	}
	r.Close()
	if st := m.Stats(); st.Resources != 0 || st.Bytes != st.Fixed || st.FillBytes != 0 {
		t.Errorf("%+v, want nothing held", st)
	}
}

func TestFillIsDrawnByItsFastestReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ahead = 10_000
		account := &tally{}
		f := cachestore.NewFill(cachestore.FillConfig{Length: -1, Ahead: ahead, Account: account})
		content := storetest.Content(1, 1_000_000)
		fast, slow := join(t, f), join(t, f)
		go func() {
			if f.Write(ctx, content) == nil {
				f.Finish(nil)
			}
		}()
		synctest.Wait()
		if f.Written() != ahead {
			t.Fatalf("%d bytes came with no byte read, want %d", f.Written(), ahead)
		}
		var got []byte
		for {
			p, err := fast.Next(ctx)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // p is lent: its bytes are not consumed yet
			if w := f.Written(); w > int64(len(got)+ahead) {
				t.Fatalf("%d bytes came after %d read", w, len(got))
			}
			got = append(got, p...)
		}
		if !bytes.Equal(got, content) {
			t.Errorf("the fast reader read %d bytes, not the content", len(got))
		}
		nextFails(t, slow, cachestore.ErrSlow)
		if account.dropped[cachestore.DropSlowReader] != 1 {
			t.Errorf("drops %v, want one slow reader", account.dropped)
		}
		fast.Close()
		slow.Close()
		held, most := account.now()
		if held != 0 || most > ahead+4*65536 {
			t.Errorf("held %d in the end and %d at most", held, most)
		}
	})
}

func TestFillWithoutReadersEnds(t *testing.T) {
	f := cachestore.NewFill(cachestore.FillConfig{Length: -1})
	if err := f.Write(ctx, []byte("a")); !errors.Is(err, cachestore.ErrNoReaders) {
		t.Errorf("nobody ever joined: %v, want ErrNoReaders", err)
	}
	synctest.Test(t, func(t *testing.T) {
		f := cachestore.NewFill(cachestore.FillConfig{Length: -1, Ahead: 10})
		r := join(t, f)
		result := make(chan error, 1)
		go func() { result <- f.Write(ctx, make([]byte, 100)) }()
		synctest.Wait()
		r.Close()
		if err := <-result; !errors.Is(err, cachestore.ErrNoReaders) {
			t.Errorf("the last one left: %v, want ErrNoReaders", err)
		}
		if _, err := f.Join(); !errors.Is(err, cachestore.ErrGone) {
			t.Errorf("join afterwards: %v, want ErrGone", err)
		}
	})
}

func TestFillWaitsEndWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cachestore.NewFill(cachestore.FillConfig{Length: -1, Ahead: 10})
		r := join(t, f)
		short, cancel := context.WithCancel(ctx)
		results := make(chan error, 1)
		go func() { _, err := r.Next(short); results <- err }()
		synctest.Wait()
		cancel()
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("reader: %v, want canceled", err)
		}
		short, cancel = context.WithCancel(ctx)
		go func() { results <- f.Write(short, make([]byte, 100)) }()
		synctest.Wait()
		cancel()
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("writer: %v, want canceled", err)
		}
	})
}

func TestFillAbortBreaksEveryoneAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := &tally{}
		f := cachestore.NewFill(cachestore.FillConfig{Length: -1, Ahead: 10, Account: account})
		broken := errors.New("broken")
		results := make(chan error, 4)
		first := join(t, f)
		for range 3 {
			r := join(t, f)
			go func() {
				_, err := readAll(r)
				results <- err
			}()
		}
		go func() { results <- f.Write(ctx, make([]byte, 100)) }()
		synctest.Wait()
		first.Next(ctx)
		f.Abort(broken)
		f.Abort(errors.New("again"))
		nextFails(t, first, broken)
		for range 4 {
			if err := <-results; err != nil && !errors.Is(err, broken) {
				t.Errorf("%v, want broken", err)
			}
		}
		if held, _ := account.now(); held != 0 {
			t.Errorf("%d bytes are held", held)
		}
	})
}

func TestFillCanBeJoinedWhileTheBytesAreThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ahead = 200_000
		f := cachestore.NewFill(cachestore.FillConfig{Length: -1, Ahead: ahead})
		content := storetest.Content(1, 500_000)
		leader := join(t, f)
		go readAll(leader)
		write(t, f, content[:ahead])
		synctest.Wait()
		late := join(t, f)
		p, err := late.Next(ctx)
		if err != nil || !bytes.HasPrefix(content, p) {
			t.Fatalf("joined within the window: %d bytes, %v", len(p), err)
		}
		late.Close()
		write(t, f, content[ahead:])
		synctest.Wait()
		write(t, f, nil)
		if _, err := f.Join(); !errors.Is(err, cachestore.ErrGone) {
			t.Errorf("joined behind the window: %v, want ErrGone", err)
		}
		tail, err := f.JoinAt(499_990)
		if err != nil {
			t.Fatalf("join near the end: %v", err)
		}
		defer tail.Close()
		next(t, tail, string(content[499_990:]))
		f.Finish(nil)
		nextFails(t, tail, io.EOF)
	})
}

// A body that turns out too large for the store streams on, and its only reader
// loses nothing, however far behind it was.
func TestFillStreamsOnWhenTheStoreRefuses(t *testing.T) {
	for name, length := range map[string]int64{"announced": 3_000_000, "not announced": -1} {
		synctest.Test(t, func(t *testing.T) {
			m := openMemory(t, 8<<20) // stores bodies up to 1 MiB
			content := storetest.Content(1, 3_000_000)
			f := cachestore.NewFill(cachestore.FillConfig{Length: length, Ahead: 100_000, Account: m.Account()})
			f.Keep(m.Begin(storetest.Key(1), cachestore.Meta{Length: length}))
			r := join(t, f)
			go func() {
				if f.Write(ctx, content) == nil {
					f.Finish(nil)
				}
			}()
			synctest.Wait()
			if w := f.Written(); w == 3_000_000 {
				t.Errorf("%s: everything came with no byte read", name)
			}
			if kept, why := f.Kept(); kept || !errors.Is(why, cachestore.ErrTooLarge) {
				t.Errorf("%s: kept %v, %v, want ErrTooLarge", name, kept, why)
			}
			if got, err := readAll(r); err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s: read %d bytes, %v", name, len(got), err)
			}
			if err := f.Commit(storetest.Variant("")); !errors.Is(err, cachestore.ErrTooLarge) {
				t.Errorf("%s: commit %v, want ErrTooLarge", name, err)
			}
			r.Close()
			if st := m.Stats(); st.Bytes != st.Fixed || st.Resources != 0 || st.Dropped[cachestore.DropTooLarge] != 1 {
				t.Errorf("%s: %+v, want nothing held and one drop", name, st)
			}
		})
	}
}

func TestFillOverTheLimitIsNotKept(t *testing.T) {
	m := openMemory(t, 8<<20)
	f := cachestore.NewFill(cachestore.FillConfig{Length: -1, Limit: 1000, Account: m.Account()})
	f.Keep(m.Begin(storetest.Key(1), cachestore.Meta{Length: -1}))
	r := join(t, f)
	write(t, f, make([]byte, 1000))
	if kept, _ := f.Kept(); !kept {
		t.Fatalf("not kept at the limit")
	}
	write(t, f, make([]byte, 1))
	if kept, why := f.Kept(); kept || !errors.Is(why, cachestore.ErrTooLarge) {
		t.Errorf("over the limit: kept %v, %v", kept, why)
	}
	f.Finish(nil)
	if got, err := readAll(r); err != nil || len(got) != 1001 {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
}

// Without room in the account a stream goes on in a narrow window.
func TestFillWithoutRoomGoesOnNarrowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := &tally{room: 1}
		f := cachestore.NewFill(cachestore.FillConfig{Length: -1, Account: account})
		content := storetest.Content(1, 500_000)
		r := join(t, f)
		go func() {
			if f.Write(ctx, content) == nil {
				f.Finish(nil)
			}
		}()
		if got, err := readAll(r); err != nil || !bytes.Equal(got, content) {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
		r.Close()
		if held, most := account.now(); held != 0 || most > 24<<10 {
			t.Errorf("held %d in the end and %d at most, want 24 KiB", held, most)
		}
	})
}
