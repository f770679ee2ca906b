package h2

import "time"

// budget is a bucket of what a client may do that costs us and brings nothing.
// It fills by a hundredth of its size a second.
type budget struct {
	size, left float64
	at         time.Time
}

func newBudget(size int, now time.Time) budget {
	return budget{float64(size), float64(size), now}
}

// spend takes one out and says whether there was one.
func (b *budget) spend(now time.Time) bool {
	if passed := now.Sub(b.at); passed > 0 {
		b.left = min(b.size, b.left+b.size/100*passed.Seconds())
		b.at = now
	}
	b.left--
	return b.left >= 0
}
