package cachestore_test

import (
	"bytes"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"

	"edgecache/cachestore"
	"edgecache/cachestore/storetest"
)

func TestFillStoresWhatItKept(t *testing.T) {
	for _, size := range []int{0, 1, 4096, 4097, 70_000, cachestore.ChunkSize, cachestore.ChunkSize + 1, 2 * cachestore.ChunkSize, 300_000} {
		for _, length := range []int64{-1, int64(size)} {
			m := openMemory(t, 8<<20)
			content := storetest.Content(size, size)
			f := cachestore.NewFill(cachestore.FillConfig{Length: length, Account: m.Account()})
			f.Keep(m.Begin(storetest.Key(1), cachestore.Meta{Length: length}))
			write(t, f, content)
			if _, err := f.Space(t.Context()); err != nil { // the end is only found by asking for more
				t.Fatal(err)
			}
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
				for n := int64(0); n != length; {
					p, err := r.Next(ctx)
					n += int64(len(p))
					if err != nil {
						break
					}
				}
				got, _ := m.Peek(storetest.Key(1))
				found <- got != nil
			}()
			write(t, f, []byte("abc"))
			write(t, f, []byte("def"))
			if _, err := f.Finish(nil); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if len(found) > 0 {
				t.Fatal("a reader saw the whole before the commit")
			}
			if err := f.Commit(storetest.Variant("")); err != nil {
				t.Fatal(err)
			}
			if !<-found {
				t.Error("the reader saw the whole and found nothing stored")
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
		if st := m.Stats(); st.Resources != 0 || st.Bytes != st.Fixed || st.Dropped[cachestore.DropAborted] != 1 {
			t.Errorf("%s: %+v, want nothing held and one drop", name, st)
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
	st := m.Stats()
	if st.Dropped[cachestore.DropTooLarge] != 1 || st.Dropped[cachestore.DropAborted] != 0 {
		t.Errorf("drops %v, want one that is too large", st.Dropped)
	}
}

// An abort may come while the fill takes its bytes back from the store's writer.
func TestFillAbortWhileItStopsToBeKept(t *testing.T) {
	account := &tally{}
	f := cachestore.NewFill(cachestore.FillConfig{Account: account})
	w := &recorder{limit: 100_000}
	f.Keep(w)
	account.onForce = func() { f.Abort(errBroken) }
	join(t, f)
	if err := f.Write(ctx, storetest.Content(1, 300_000)); !errors.Is(err, errBroken) {
		t.Errorf("write: %v, want broken", err)
	}
	if held, _ := account.now(); held != 0 || w.aborts != 1 {
		t.Errorf("%d bytes held, aborted %d times", held, w.aborts)
	}
}

// A kept body that finds no room in the account becomes a stream.
func TestFillThatFindsNoRoomIsNotKept(t *testing.T) {
	account := &tally{room: 1000}
	f := cachestore.NewFill(cachestore.FillConfig{Account: account})
	w := &recorder{limit: 1 << 30}
	f.Keep(w)
	r := join(t, f)
	write(t, f, storetest.Content(1, 10_000))
	if kept, why := f.Kept(); kept || !errors.Is(why, cachestore.ErrNoRoom) {
		t.Errorf("kept %v, %v, want ErrNoRoom", kept, why)
	}
	f.Finish(nil)
	if got, err := readAll(r); err != nil || !bytes.Equal(got, storetest.Content(1, 10_000)) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	if account.dropped[cachestore.DropNoRoom] != 1 || w.aborts != 1 {
		t.Errorf("drops %v, aborted %d times, want one each", account.dropped, w.aborts)
	}
}
