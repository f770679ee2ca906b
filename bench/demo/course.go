package main

import "sync"

// courseWindow is how many answers a hit ratio of the course is taken over, at
// most.
const courseWindow = 2000

// course is what the answers of the replay were, one after the other, so that a
// restart shows.
type course struct {
	mu      sync.Mutex
	hits    []bool
	restart int // answers before it; -1 while there was none
}

func (c *course) note(hit bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hits = append(c.hits, hit)
}

// cut says that the restart is now.
func (c *course) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.restart = len(c.hits)
}

// since is how many answers there were since the restart.
func (c *course) since() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.restart < 0 {
		return 0
	}
	return len(c.hits) - c.restart
}

// ratios are the hit ratios right before the restart, right after it, and at the
// end; window is over how many answers each.
func (c *course) ratios() (before, after, end float64, window int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.restart < 0 {
		return 0, 0, 0, 0
	}
	window = min(courseWindow, c.restart, len(c.hits)-c.restart)
	return hitRatio(c.hits[c.restart-window : c.restart]), hitRatio(c.hits[c.restart : c.restart+window]), hitRatio(c.hits[len(c.hits)-window:]), window
}

func hitRatio(hits []bool) float64 {
	n := 0
	for _, hit := range hits {
		if hit {
			n++
		}
	}
	return float64(n) / float64(max(len(hits), 1))
}
