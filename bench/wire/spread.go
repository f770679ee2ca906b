package main

import (
	"fmt"
	"slices"
	"strings"
)

// spread is a figure of each round.
type spread []float64

// String gives min, median and max.
func (s spread) String() string {
	if len(s) == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%s / %s / %s", short(slices.Min(s)), short(s.median()), short(slices.Max(s)))
}

// raw gives all in their order.
func (s spread) raw() string {
	var all []string
	for _, v := range s {
		all = append(all, short(v))
	}
	return strings.Join(all, " ")
}

// median is 0 when there was no round.
func (s spread) median() float64 {
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

// short writes a number with three digits or more.
func short(v float64) string {
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
