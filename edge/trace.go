package edge

// Phase is one step of a request. The first eight are the seed's, in its order.
type Phase uint8

// The phases. delivery is ours: it runs between cache_lookup or cache_store
// and logging, once for every answer.
const (
	PhaseRequestFilter Phase = iota + 1
	PhaseCacheLookup
	PhaseUpstreamPeer
	PhaseUpstreamRequestFilter
	PhaseConnectedToUpstream
	PhaseResponseFilter
	PhaseCacheStore
	PhaseLogging
	PhaseDelivery
)

var phaseNames = [...]string{"", "request_filter", "cache_lookup", "upstream_peer", "upstream_request_filter",
	"connected_to_upstream", "response_filter", "cache_store", "logging", "delivery"}

// String gives the seed's name of the phase.
func (p Phase) String() string { return phaseNames[p] }

// trace is the list of phases that a request went through. Retries repeat
// some; what does not fit is left out, never the last one.
type trace struct {
	n      int
	phases [24]Phase
}

// mark appends a phase.
func (t *trace) mark(p Phase) {
	if t.n == len(t.phases) {
		t.n--
	}
	t.phases[t.n] = p
	t.n++
}

// list is a view, valid until the next mark.
func (t *trace) list() []Phase { return t.phases[:t.n] }

// splice puts in a fetch's phases.
func (t *trace) splice(fetch []Phase) {
	for _, p := range fetch {
		t.mark(p)
	}
}

// forget leaves only what came up to cache_lookup: a fetch's phases, when the
// request then goes alone.
func (t *trace) forget() {
	for t.n > 0 && t.phases[t.n-1] != PhaseCacheLookup {
		t.n--
	}
}
