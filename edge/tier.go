package edge

// Tier says which tier of the store an answer came from.
type Tier uint8

// An answer came from no tier (it was fetched, relayed or our own), or from
// memory or disk. What was validated first counts, too: its body was stored.
const (
	TierNone Tier = iota
	TierMemory
	TierDisk

	tiers
)

// String gives the tier as log, metrics and explain print it; none is "".
func (t Tier) String() string { return [...]string{"", "memory", "disk"}[t] }
