package cachestore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"

	"edgecache/cachestore"
	"edgecache/cachestore/storetest"
)

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

func TestFillExpectsALengthThatComesWithTheHead(t *testing.T) {
	for name, c := range map[string]struct {
		length int64
		want   error
	}{
		"unknown": {-1, nil}, "as it was": {5, nil}, "longer": {6, cachestore.ErrLength},
		"shorter": {4, cachestore.ErrLength}, "empty": {0, cachestore.ErrLength},
	} {
		f := cachestore.NewFill(cachestore.FillConfig{})
		r := join(t, f)
		f.Expect(c.length)
		err := f.Write(ctx, []byte("12345"))
		if err == nil {
			_, err = f.Finish(nil)
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if _, err := readAll(r); !errors.Is(err, c.want) {
			t.Errorf("%s: reader %v, want %v", name, err, c.want)
		}
	}
}

func TestReaderIsReadyWhenNextWouldNotWait(t *testing.T) {
	f := cachestore.NewFill(cachestore.FillConfig{})
	r := join(t, f)
	steps := []struct {
		name string
		do   func()
		want bool
	}{
		{"nothing came", func() {}, false},
		{"bytes came", func() { write(t, f, []byte("abc")) }, true},
		{"they are lent", func() { next(t, r, "abc") }, false},
		{"the end came", func() { f.Finish(nil) }, true},
	}
	for _, s := range steps {
		s.do()
		if got := r.Ready(); got != s.want {
			t.Errorf("%s: ready %v", s.name, got)
		}
	}
	if r.Offset() != 0 {
		t.Errorf("offset %d before the view is given back, want 0", r.Offset())
	}
	nextFails(t, r, io.EOF)
	if r.Offset() != 3 {
		t.Errorf("offset %d, want 3", r.Offset())
	}
	broken := cachestore.NewFill(cachestore.FillConfig{})
	b := join(t, broken)
	broken.Abort(errBroken)
	if !b.Ready() {
		t.Errorf("not ready after an abort")
	}
}

// Once nobody can join any more, only what a reader still needs is held.
func TestFillHoldsLittleBehindItsReaders(t *testing.T) {
	account := &tally{}
	f := cachestore.NewFill(cachestore.FillConfig{Ahead: 1 << 20, Account: account})
	r := join(t, f)
	content := storetest.Content(1, 50_000)
	for range 40 {
		write(t, f, content)
		for r.Ready() {
			if _, err := r.Next(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := f.Join(); !errors.Is(err, cachestore.ErrGone) {
		t.Fatalf("the first byte is still there: %v", err)
	}
	if held, _ := account.now(); held > 4*65536 {
		t.Errorf("%d bytes are held, want four chunks at most", held)
	}
}
