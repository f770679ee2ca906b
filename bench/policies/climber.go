package policies

// climber adapts the size of a window by hill climbing, as Einziger, Eytan,
// Friedman and Manes, "Adaptive Software Cache Management", Middleware 2018,
// and Caffeine do: after each sample of requests the window takes a step in the
// same direction if the hit ratio rose, back if it fell. Steps begin with
// 1/16 of the capacity, shrink by 2 % each, and begin anew when the hit ratio
// changes by .05.
type climber struct {
	whole, step    float64
	last           float64 // hit ratio
	hits, requests int
}

const (
	climbFirst   = 1.0 / 16
	climbDecay   = 0.98
	climbRestart = 0.05
)

func newClimber(capacity int64) *climber {
	whole := climbFirst * float64(capacity)
	return &climber{whole: whole, step: -whole}
}

// note counts a request and returns how the window changes after it.
func (c *climber) note(hit bool, sample int) (step int64) {
	c.requests++
	if hit {
		c.hits++
	}
	if c.requests < sample {
		return 0
	}
	now := float64(c.hits) / float64(c.requests)
	change := now - c.last
	if change < 0 {
		c.step = -c.step
	}
	step = int64(c.step)
	c.step *= climbDecay
	if change >= climbRestart || change <= -climbRestart {
		c.step = c.whole
		if step < 0 {
			c.step = -c.whole
		}
	}
	c.last, c.hits, c.requests = now, 0, 0
	return step
}
