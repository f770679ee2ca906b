package edge

import (
	"testing"
	"testing/synctest"
	"time"
)

// idling is how many goroutines wait for a fetch.
func (c *crew) idling() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.idle)
}

// TestCrew: goroutines are used again, at most so many wait, none for long, and the
// end waits for who still runs.
func TestCrew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c crew
		goOn, ran := make(chan struct{}), 0
		for range idleCrew + 10 {
			if !c.run(func() { <-goOn }) {
				t.Fatal("refused")
			}
		}
		synctest.Wait()
		if n := c.idling(); n != 0 {
			t.Errorf("%d idle while all run", n)
		}
		close(goOn)
		synctest.Wait()
		if n := c.idling(); n != idleCrew {
			t.Errorf("%d idle, want %d", n, idleCrew)
		}
		for range 5 { // one after another need one goroutine
			c.run(func() { ran++ })
			synctest.Wait()
		}
		if n := c.idling(); ran != 5 || n != idleCrew {
			t.Errorf("%d ran, %d idle", ran, n)
		}
		for range 3 {
			time.Sleep(crewRest * 3 / 4)
			c.run(func() {})
		}
		synctest.Wait()
		if n := c.idling(); n != 1 {
			t.Errorf("%d idle after a while, want the one that works", n)
		}
		time.Sleep(2*crewRest + 1)
		if n := c.idling(); n != 0 {
			t.Errorf("%d idle after a rest", n)
		}
		c.run(func() { time.Sleep(time.Minute); ran++ })
		c.close()
		if ran != 6 {
			t.Error("the end did not wait")
		}
		if c.run(func() { t.Error("ran after the end") }) {
			t.Error("it runs more after the end")
		}
		synctest.Wait()
	})
}
