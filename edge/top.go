package edge

import (
	"maps"
	"slices"
	"time"

	"edgecache/policy"
)

// Top is what the engine did since its start and does now; the difference of
// two of them is a rate.
type Top struct {
	Now       time.Time         `json:"now"`
	Requests  map[string]uint64 `json:"requests"` // by cache result
	Reasons   map[string]uint64 `json:"reasons"`  // by cache result and reason, "miss expired"
	Hits      map[string]uint64 `json:"hits"`     // by the tier that gave the answer
	Errors    uint64            `json:"errors"`
	Sent      int64             `json:"sent_bytes"`
	Fills     int               `json:"fills_in_flight"`
	Memory    TopTier           `json:"memory"`
	Disk      *TopTier          `json:"disk,omitempty"` // nil when there is no disk tier
	Upstreams []TopPeer         `json:"upstreams"`
	PurgeSeq  uint64            `json:"purge_seq"`
	Hottest   []HotURI          `json:"hottest"`          // of the last 10 to 20 seconds
	Ghosts    *GhostsView       `json:"ghosts,omitempty"` // nil when there are none
}

// TopTier is a tier's fill level.
type TopTier struct {
	Bytes   int64 `json:"bytes"`
	Limit   int64 `json:"limit"`
	Objects int64 `json:"objects"`
}

// TopPeer is an origin's state.
type TopPeer struct {
	Upstream string `json:"upstream"`
	Peer     string `json:"peer"`
	Healthy  bool   `json:"healthy"`
	InFlight int64  `json:"in_flight"`
}

// Top sums up what runs, with the hottest uris.
func (e *Engine) Top(uris int) Top {
	t := e.metrics.sum()
	now := e.clock()
	st := e.cfg.Store.Stats()
	top := Top{
		Now: now.UTC(), Requests: map[string]uint64{}, Reasons: map[string]uint64{}, Hits: map[string]uint64{}, Sent: t.sent,
		Fills: e.flights.running(), PurgeSeq: e.index.Now(),
		Memory:  TopTier{Bytes: st.Bytes, Limit: st.Limit, Objects: st.Variants},
		Hottest: e.explain.hot.list(uris, now.UnixNano()),
		Ghosts:  e.Ghosts(),
	}
	top.Hits[TierMemory.String()] = t.hits[TierMemory]
	if d := &st.Disk; d.Limit > 0 {
		top.Disk = &TopTier{Bytes: d.Live, Limit: d.Limit, Objects: d.Objects}
		top.Hits[TierDisk.String()] = t.hits[TierDisk]
	}
	for c := CacheHit; c <= CacheBypass; c++ {
		top.Requests[c.String()] = t.byCache(c)
		for why, n := range t.reasons[c] {
			if n > 0 {
				top.Reasons[c.String()+" "+reasonLabel(policy.Reason(why))] += n
			}
		}
	}
	for _, n := range t.errors {
		top.Errors += n
	}
	for _, name := range slices.Sorted(maps.Keys(e.cfg.Upstreams)) {
		for _, p := range e.cfg.Upstreams[name].Peers() {
			top.Upstreams = append(top.Upstreams, TopPeer{name, p.Name(), p.Healthy(now), p.InFlight()})
		}
	}
	return top
}
