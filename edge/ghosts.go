package edge

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"edgecache/cachestore"
	"edgecache/policy"
)

// GhostConfig says of what store the ghosts are. Its zero value is: there are none.
type GhostConfig struct {
	Store cachestore.VirtualConfig // as it is; Memory 0: no ghosts
	Queue int64                    // bytes that may wait to be written to its disk

	// Bytes of memory that the ghosts may take together; a sixteenth of the store's, at least
	// 32 MiB, at most 96 MiB. It is not part of the store's.
	Bytes   int64
	Samples int // requests a second that they may be told of; 250
	Span    int // requests that they were told of, after which those before count half; 32,768
}

func (c GhostConfig) withDefaults() GhostConfig {
	c.Bytes = or(c.Bytes, min(max(c.Store.Memory/16, 32<<20), 96<<20))
	c.Samples = or(c.Samples, 250)
	c.Span = or(c.Span, 1<<15)
	return c
}

// ghosts say what more or less memory or disk, and another objective, would bring: caches
// without bodies, which are asked for what clients ask for of a sample of the objects
// (Waldspurger et al., SHARDS, FAST '15). A request costs two atomic adds; one of the sample
// is handed to a goroutine that asks the ghosts, and what finds its queue full is counted
// and forgotten. The sample gets smaller, and the ghosts start anew, when they would take
// more memory or time than they may.
type ghosts struct {
	config  GhostConfig
	clock   func() time.Time
	log     *slog.Logger
	seed    maphash.Seed
	stripes *striped[ghostStripe]
	most    atomic.Uint64 // what hashes higher is not in the sample
	kick    chan struct{}

	mu       sync.Mutex
	set      *ghostSet // nil after close
	counted  ghostCounts
	at       int64  // Unix ns of the last look at the counts
	taken    uint64 // requests from the queues
	sampled  uint64 // of them, those that the ghosts were asked
	restarts uint64
	recent   int   // requests of the sample
	since    int64 // this moment, Unix ns
}

// busySpan is over how long the requests of the sample are counted for their bound.
const busySpan = 10 * time.Second

// newGhosts makes empty ghosts; nil when there are to be none. run must follow.
func newGhosts(c GhostConfig, clock func() time.Time, log *slog.Logger) (*ghosts, error) {
	if c.Store.Memory <= 0 {
		return nil, nil
	}
	c = c.withDefaults()
	set, err := newGhostSet(&c, firstShift(&c))
	if err != nil {
		return nil, fmt.Errorf("make ghosts: %w", err)
	}
	g := &ghosts{
		config: c, clock: clock, log: log, seed: maphash.MakeSeed(), stripes: newStriped[ghostStripe](),
		kick: make(chan struct{}, 1), set: set, at: clock().UnixNano(),
	}
	g.most.Store(math.MaxUint64 >> set.shift)
	return g, nil
}

// tell takes in a request that has been answered. It allocates nothing, and neither waits
// for a lock nor makes others wait.
func (g *ghosts) tell(s *Session) {
	size, hit, ok := s.wanted()
	if !ok {
		return
	}
	stripe := g.stripes.borrow()
	defer g.stripes.giveBack(stripe)
	stripe.count(size, hit)
	h := s.Cache.Key.Hash
	if h.Hi > g.most.Load() {
		return
	}
	v := s.Cache.Variant
	q := ghostRequest{hash: h.Hi, id: h.Lo, size: size, now: s.Timing.RequestStart, fresh: usableFor(v), hit: hit, purged: s.state.purged}
	if len(v.Selector) > 0 {
		q.id ^= maphash.Bytes(g.seed, v.Selector)
	}
	if stripe.put(&q) {
		select {
		case g.kick <- struct{}{}:
		default:
		}
	}
}

// wanted says how large the object is that a client's request asked for, and whether the
// request was answered without a question to an origin of its own. Not ok: it does not
// count, because what it asks for cannot be stored, or its size is not known.
func (s *Session) wanted() (size int64, hit, ok bool) {
	c := &s.Cache
	if s.Kind != KindClient || !s.state.shaped || s.Request.Method != "GET" || c.Variant == nil || c.Variant.Part != nil {
		return 0, false, false
	}
	switch c.Unstored {
	case policy.None, policy.TooLarge, policy.TierRefused: // a larger store might take it
	default:
		return 0, false, false
	}
	switch c.Status {
	case CacheHit, CacheStale:
		hit = true
	case CacheMiss:
		hit = s.state.followed
	default:
		return 0, false, false
	}
	size = s.state.size
	if view := &s.state.view; size < 0 && s.Err == nil && !view.NoBody && view.From == 0 {
		size = s.BodyBytes // it came to its end, and was counted on the way
	}
	return size, hit, size >= 0
}

// usableFor is how long an answer may be used that comes from the origin now, as far as
// the last one tells: as long as that could be when it came.
func usableFor(v *cachestore.Variant) time.Duration {
	if v.Life.NoCache {
		return 1
	}
	return max(time.Duration(v.Life.Born-v.StoredAt)+v.Life.Fresh+v.Life.SWR, 1)
}

// run asks the ghosts for what was told, until the context ends; then it closes them.
func (g *ghosts) run(ctx context.Context) {
	told := make([]ghostRequest, 0, ghostQueue)
	for {
		select {
		case <-g.kick:
		case <-ctx.Done():
			g.close()
			return
		}
		for _, stripe := range g.stripes.all {
			told = stripe.take(told[:0])
			for i := range told {
				if ctx.Err() != nil {
					break
				}
				g.ask(&told[i])
			}
		}
	}
}

// ask asks the ghosts for one object.
func (g *ghosts) ask(q *ghostRequest) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.taken++
	if g.set == nil || q.hash > g.most.Load() {
		return
	}
	g.lookLocked()
	g.sampled++
	if time.Duration(q.now-g.since) >= busySpan {
		g.recent, g.since = 0, q.now
	}
	g.recent++
	g.set.request(q)
	if g.set.shift < ghostShifts && (g.recent > g.config.Samples*int(busySpan/time.Second) || g.heavyLocked()) {
		g.thinLocked()
	}
}

// heavyLocked says whether the ghosts take more memory than they may. It looks now and then.
func (g *ghosts) heavyLocked() bool {
	return g.sampled%64 == 0 && g.set.bytes() > g.config.Bytes
}

// thinLocked halves the sample. The ghosts start anew: what they hold is of both halves.
func (g *ghosts) thinLocked() {
	set, err := newGhostSet(&g.config, g.set.shift+1)
	if err != nil {
		g.log.Error("no ghosts any more", "err", err)
		g.closeLocked()
		return
	}
	g.set.close()
	g.set, g.recent = set, 0
	g.restarts++
	g.most.Store(math.MaxUint64 >> set.shift)
}

// lookLocked takes in what was counted since the last look.
func (g *ghosts) lookLocked() {
	var now ghostCounts
	for _, stripe := range g.stripes.all {
		now.add(stripe)
	}
	at := g.clock().UnixNano()
	g.set.sums.add(&now, &g.counted, at-g.at)
	g.counted, g.at = now, at
}

func (g *ghosts) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closeLocked()
}

func (g *ghosts) closeLocked() {
	if g.set != nil {
		g.most.Store(0)
		g.set.close()
		g.set = nil
	}
}
