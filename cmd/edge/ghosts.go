package main

import (
	"fmt"
	"io"
	"strconv"

	"edgecache/cachestore"
	"edgecache/edge"
)

// ghosts says of what store there are ghosts: of the one that was opened.
func (in *installation) ghosts(s *settings) edge.GhostConfig {
	if !s.ghosts {
		return edge.GhostConfig{}
	}
	st := in.store.Stats()
	return edge.GhostConfig{
		Store: cachestore.VirtualConfig{
			Memory: st.Limit, Disk: st.Disk.Limit,
			Objective: s.disk.objective, Admission: s.disk.admission, NoReturners: !s.disk.returners,
		},
		Queue: st.Disk.QueueLimit,
	}
}

// showGhosts writes what another store would bring, and how sure that is.
func showGhosts(w io.Writer, v *edge.GhostsView) {
	if len(v.Ghosts) == 0 {
		return
	}
	fmt.Fprintf(w, "\nof what can be stored %.0f/s, from cache %.1f%%, and would be (by %.0f requests for one object in %.0f, bias %+.1f):\n",
		v.PerSecond, 100*v.HitRatio, v.Samples, 1/v.Rate, 100*v.Bias)
	for i := range v.Ghosts[1:] { // the first is of the store as it is
		g := &v.Ghosts[1+i]
		fmt.Fprintf(w, "  with %-18s %s  bytes %s  to origins %+.0f/s\n", change(g),
			gained(g.HitRatio, g.Gain, g.Error), gained(g.ByteHitRatio, g.ByteGain, g.ByteError), -g.SparedPerSecond)
	}
}

// gained is a ratio in percent with what of it would be new.
func gained(ratio, gain, err float64) string {
	return fmt.Sprintf("%5.1f%% %-13s", 100*ratio, fmt.Sprintf("(%+.1f ±%.1f)", 100*gain, 100*err))
}

// change says in words what a ghost has that the store has not.
func change(g *edge.GhostView) string {
	switch {
	case g.Memory != 1:
		return times(g.Memory) + " the memory"
	case g.Disk != 1:
		return times(g.Disk) + " the disk"
	}
	return "objective " + g.Objective
}

func times(n float64) string { return strconv.FormatFloat(n, 'g', -1, 64) + "x" }
