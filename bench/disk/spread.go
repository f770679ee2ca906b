package main

import (
	"fmt"
	"slices"
)

// spread is a figure of each round.
type spread []float64

// String gives min, median and max.
func (s spread) String() string {
	if len(s) == 0 {
		return "nothing"
	}
	o := slices.Sorted(slices.Values(s))
	return fmt.Sprintf("%s / %s / %s", short(o[0]), short(o[len(o)/2]), short(o[len(o)-1]))
}

// short writes a number with three digits or more.
func short(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// over divides two spreads round by round.
func (s spread) over(o spread) (ratio spread) {
	for i := range s {
		ratio = append(ratio, s[i]/o[i])
	}
	return ratio
}

const mib = 1 << 20
