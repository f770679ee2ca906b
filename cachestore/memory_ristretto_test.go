package cachestore

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dgraph-io/ristretto/v2"
)

// The facts about Ristretto that the memory tier is built around. A new version
// of the library that changes one of them makes the tier's assumptions wrong,
// and a test here fails.

// facts is a Ristretto cache of cost 100 that remembers its callbacks. Its one
// goroutine can be stopped by hold.
type facts struct {
	*ristretto.Cache[uint64, *int]
	mu       sync.Mutex
	evicted  []*int
	rejected []*int
	exited   []*int
	held     chan struct{} // the goroutine waits until it is closed
	inside   chan struct{}
}

func newFacts(t *testing.T) *facts {
	t.Helper()
	f := &facts{held: make(chan struct{}), inside: make(chan struct{}, 1)}
	c, err := ristretto.NewCache(&ristretto.Config[uint64, *int]{
		NumCounters: 1000, MaxCost: 100, BufferItems: 64, IgnoreInternalCost: true, Metrics: true,
		OnEvict: func(i *ristretto.Item[*int]) { f.note(&f.evicted, i.Value) },
		OnExit:  func(v *int) { f.note(&f.exited, v) },
		OnReject: func(i *ristretto.Item[*int]) {
			f.note(&f.rejected, i.Value)
			if i.Key == holdKey {
				f.inside <- struct{}{}
				<-f.held
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Cache = c
	t.Cleanup(c.Close)
	return f
}

const holdKey = 1 << 40

// hold stops the goroutine that drains the buffer of Sets, inside a callback,
// until release.
func (f *facts) hold() {
	f.Set(holdKey, new(int), 1000) // larger than all: refused
	<-f.inside
}

func (f *facts) release() { close(f.held) }

func (f *facts) note(list *[]*int, v *int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*list = append(*list, v)
}

// times says how often v is in a list.
func (f *facts) times(list *[]*int, v *int) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, o := range *list {
		if o == v {
			n++
		}
	}
	return n
}

func (f *facts) has(list *[]*int, v *int) bool { return f.times(list, v) > 0 }

func TestRistrettoKeepsTheFirstOfTwoSets(t *testing.T) {
	f := newFacts(t)
	f.hold()
	first, second := new(int), new(int)
	f.Set(1, first, 10)
	f.Set(1, second, 10)
	if _, ok := f.Get(1); ok {
		t.Errorf("a Set was applied at once")
	}
	f.release()
	f.Wait()
	if got, _ := f.Get(1); got != first {
		t.Errorf("kept %p, want the first, %p", got, first)
	}
	if !f.has(&f.rejected, second) {
		t.Errorf("no verdict on the second")
	}
}

func TestRistrettoRefusesAndEvictsOthers(t *testing.T) {
	if RaceEnabled {
		t.Skip("Gets are not counted: the race detector makes sync.Pool forget")
	}
	f := newFacts(t)
	for range 200 {
		cold, hot, new := new(int), new(int), new(int)
		f.Set(1, cold, 50)
		f.Set(2, hot, 50)
		f.Wait()
		for range 640 {
			f.Get(2)
		}
		f.Set(3, new, 100)
		f.Wait()
		if f.has(&f.rejected, new) && f.has(&f.evicted, cold) {
			return
		}
		f.Clear() // the counts of hot were lost, or had not arrived
	}
	t.Errorf("a refused Set never evicted another")
}

func TestRistrettoUpdateEvictsNothing(t *testing.T) {
	f := newFacts(t)
	a, b := new(int), new(int)
	f.Set(1, a, 50)
	f.Set(2, b, 50)
	f.Wait()
	f.Set(1, a, 500)
	f.Wait()
	if got, _ := f.Get(2); got != b || f.RemainingCost() >= 0 {
		t.Errorf("after an update: %p, %d left, want %p and less than nothing", got, f.RemainingCost(), b)
	}
	if !f.has(&f.exited, a) {
		t.Errorf("OnExit did not come for a value that was only updated")
	}
	for _, most := range []int64{10, 0} {
		f.UpdateMaxCost(most)
		f.Wait()
		if got, _ := f.Get(2); got != b || f.MaxCost() != most {
			t.Errorf("MaxCost %d became %d, or evicted", most, f.MaxCost())
		}
	}
	c := new(int)
	f.Set(3, c, 1)
	f.Wait()
	if !f.has(&f.rejected, c) {
		t.Error("with room for nothing something was taken")
	}
}

func TestRistrettoDropsSetsWhenItsBufferIsFull(t *testing.T) {
	f := newFacts(t)
	f.hold()
	for i := range uint64(32 << 10) {
		if !f.Set(10+i, new(int), 1) {
			t.Fatalf("set %d was dropped", i)
		}
	}
	if f.Set(5, new(int), 1) {
		t.Errorf("a set was taken into a full buffer")
	}
	f.release()
}

func TestRistrettoExitsWithNil(t *testing.T) {
	f := newFacts(t)
	v := new(int)
	f.Set(1, v, 1)
	f.Wait()
	f.Del(1)
	f.Wait()
	f.Del(2)
	f.Wait()
	if !f.has(&f.exited, v) || !f.has(&f.exited, nil) {
		t.Errorf("exits %v, want %p and nil", f.exited, v)
	}
}

func TestRistrettoCountsGetsInBatches(t *testing.T) {
	f := newFacts(t)
	for range 63 {
		f.Get(1)
	}
	if kept, dropped := f.Metrics.GetsKept(), f.Metrics.GetsDropped(); kept+dropped != 0 {
		t.Errorf("of 63 Gets %d are kept and %d dropped, want neither before the 64th", kept, dropped)
	}
}

func TestRistrettoComparesNoIntegerKeys(t *testing.T) {
	f := newFacts(t)
	a, b := new(int), new(int)
	f.Set(1, a, 1) // of one object
	f.Wait()
	f.Set(1, b, 1) // of another one with the same id
	f.Wait()
	if got, _ := f.Get(1); got != b {
		t.Errorf("got %p, want %p: the id alone counts", got, b)
	}
	if ttl, ok := f.GetTTL(1); !ok || ttl != 0 {
		t.Errorf("time to live %v, %v, want none", ttl, ok)
	}
}

// A callback runs on the goroutine that carries out the Sets: as long as it waits,
// no Set is carried out, no other callback comes, and whoever Waits waits.
func TestRistrettoWaitsForItsCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFacts(t)
		f.hold()
		refused := new(int)
		f.Set(1, new(int), 1)
		f.Set(2, refused, 1000)
		waited := make(chan struct{})
		go func() {
			f.Wait()
			close(waited)
		}()
		synctest.Wait() // nobody can go on any more
		select {
		case <-waited:
			t.Error("Wait came back while a callback waited")
		default:
		}
		if _, ok := f.Get(1); ok || f.has(&f.rejected, refused) {
			t.Errorf("while a callback waited: set %t, another callback %t, want neither", ok, f.has(&f.rejected, refused))
		}
		f.release()
		<-waited
		if _, ok := f.Get(1); !ok || !f.has(&f.rejected, refused) {
			t.Errorf("after it: set %t, the other callback %t, want both", ok, f.has(&f.rejected, refused))
		}
	})
}

// OnExit comes for what a reader has got and still uses.
func TestRistrettoExitsUnderItsReaders(t *testing.T) {
	for name, end := range map[string]func(f *facts){
		"deleted": func(f *facts) { f.Del(1) },
		"updated": func(f *facts) { f.Set(1, new(int), 1) },
		"cleared": func(f *facts) { f.Clear() },
		"evicted": func(f *facts) { f.Set(2, new(int), 100); f.Wait() }, // neither was counted
	} {
		t.Run(name, func(t *testing.T) {
			f := newFacts(t)
			f.Set(1, new(int), 1)
			f.Wait()
			mine, ok := f.Get(1)
			if !ok {
				t.Fatal("not set")
			}
			end(f)
			if !f.has(&f.exited, mine) {
				t.Errorf("no OnExit for what was %s", name)
			}
		})
	}
}

// Of two Sets of one value the second is refused and exits it, though it is there;
// it exits again when it goes.
func TestRistrettoExitsTwice(t *testing.T) {
	f := newFacts(t)
	v := new(int)
	f.hold()
	f.Set(1, v, 10)
	f.Set(1, v, 10)
	f.release()
	f.Wait()
	if got, _ := f.Get(1); got != v || f.times(&f.exited, v) != 1 {
		t.Errorf("there: %t, exited %d times, want it there after one", got == v, f.times(&f.exited, v))
	}
	f.Del(1)
	if n := f.times(&f.exited, v); n != 2 {
		t.Errorf("exited %d times, want 2", n)
	}
}

// With a time to live what is stale is gone: nobody gets it, and it leaves by
// itself. It could not be revalidated, nor served while it is.
func TestRistrettoForgetsWhatHasATimeToLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFacts(t)
		mortal, immortal := new(int), new(int)
		f.SetWithTTL(1, mortal, 10, time.Minute)
		f.Set(2, immortal, 10)
		f.Wait()
		if got, _ := f.Get(1); got != mortal {
			t.Fatal("not set")
		}
		time.Sleep(time.Minute + time.Second)
		if _, ok := f.Get(1); ok {
			t.Error("it was given out after its time")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if !f.has(&f.exited, mortal) || !f.has(&f.evicted, mortal) {
			t.Errorf("exited %t, evicted %t, want both", f.has(&f.exited, mortal), f.has(&f.evicted, mortal))
		}
		if got, _ := f.Get(2); got != immortal {
			t.Error("what has none is gone, too")
		}
	})
}

// Gets that come faster than they are counted are not counted.
func TestRistrettoCountsGetsLossily(t *testing.T) {
	if RaceEnabled {
		t.Skip("Gets are not counted: the race detector makes sync.Pool forget")
	}
	f := newFacts(t)
	for range 100_000_000 {
		if f.Get(1); f.Metrics.GetsDropped() > 0 {
			return
		}
	}
	t.Errorf("of 100,000,000 Gets none was dropped: %d counted", f.Metrics.GetsKept())
}
