package program

import (
	"fmt"
	"slices"
	"strings"
)

// Spread is a figure of each round, in their order.
type Spread []float64

// String gives min, median and max.
func (s Spread) String() string {
	if len(s) == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%s / %s / %s", Short(slices.Min(s)), Short(s.Median()), Short(slices.Max(s)))
}

// Raw gives all in their order.
func (s Spread) Raw() string {
	var all []string
	for _, v := range s {
		all = append(all, Short(v))
	}
	return strings.Join(all, " ")
}

// Median is 0 when there was no round.
func (s Spread) Median() float64 {
	o := slices.Sorted(slices.Values(s))
	switch n := len(o); {
	case n == 0:
		return 0
	case n%2 == 1:
		return o[n/2]
	default:
		return (o[n/2-1] + o[n/2]) / 2
	}
}

// Over divides two spreads round by round.
func (s Spread) Over(o Spread) (ratio Spread) {
	for i := range s {
		ratio = append(ratio, s[i]/o[i])
	}
	return ratio
}

// Short writes a number with three digits or more.
func Short(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 1 || v == 0:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}
