package edge

import "strconv"

var (
	descGhostRatio     = desc("ghost_hit_ratio", "Hit ratio that a store with so many times the memory, the disk, or another objective would have.", "memory", "disk", "objective")
	descGhostByteRatio = desc("ghost_byte_hit_ratio", "The same of bytes.", "memory", "disk", "objective")
	descGhostError     = desc("ghost_hit_ratio_error", "Two standard deviations of what the choice of the sample does to ghost_hit_ratio.", "memory", "disk", "objective")
	descGhostByteError = desc("ghost_byte_hit_ratio_error", "The same of ghost_byte_hit_ratio.", "memory", "disk", "objective")
	descGhostBias      = desc("ghost_bias", "Hit ratio of the ghost of the store as it is, less the store's own.")
	descGhostRequests  = desc("ghost_requests_total", "Requests for what can be stored: counted (all), sampled (the ghosts were asked), dropped (of the sample, but their queue was full).", "outcome")
	descGhostWaiting   = desc("ghost_waiting", "Requests of the sample that wait for the ghosts.")
	descGhostRestarts  = desc("ghost_restarts_total", "How often the ghosts began anew with half the sample.")
	descGhostRate      = desc("ghost_sample_rate", "Share of the objects that is in the ghosts' sample.")
	descGhostBytes     = desc("ghost_bytes", "Bytes of memory that the ghosts take.")
	descGhostLimit     = desc("ghost_limit_bytes", "Bytes of memory that the ghosts may take.")
)

// ghosts sends what the ghosts say.
func (s scrape) ghosts(v *GhostsView) {
	for i := range v.Ghosts {
		g := &v.Ghosts[i]
		memory, disk := times(g.Memory), times(g.Disk)
		s.value(descGhostRatio, g.HitRatio, memory, disk, g.Objective)
		s.value(descGhostByteRatio, g.ByteHitRatio, memory, disk, g.Objective)
		s.value(descGhostError, g.Error, memory, disk, g.Objective)
		s.value(descGhostByteError, g.ByteError, memory, disk, g.Objective)
	}
	s.value(descGhostBias, v.Bias)
	s.count(descGhostRequests, float64(v.Requests), "counted")
	s.count(descGhostRequests, float64(v.Sampled), "sampled")
	s.count(descGhostRequests, float64(v.Dropped), "dropped")
	s.value(descGhostWaiting, float64(v.Waiting))
	s.count(descGhostRestarts, float64(v.Restarts))
	s.value(descGhostRate, v.Rate)
	s.value(descGhostBytes, float64(v.Bytes))
	s.value(descGhostLimit, float64(v.Limit))
}

// times is a multiple as a label gives it.
func times(n float64) string { return strconv.FormatFloat(n, 'g', -1, 64) }
