package policies

// WTinyLFU is the policy of Einziger, Friedman and Manes, "TinyLFU: A Highly
// Efficient Cache Admission Policy", ACM ToS 2017. New objects enter a window,
// an LRU of 1 % of the capacity. What leaves it is a candidate for main, which
// is segmented: probation, and protected, 80 % of main, for what was hit in
// probation; both are LRU, and what protected has no room for goes back to
// probation. If there is no room for a candidate, the sketch "decides, based on
// the recent access history, whether it is worth admitting the new item into
// the cache at the expense of the eviction candidate". What that means for
// objects that differ in size is told by its two admissions.
type WTinyLFU struct {
	name                         string
	capacity                     int64
	windowShare, protectedShare  int64
	entries                      []entry
	window, probation, protected queue
	candidates                   []uint32 // out of the window, in no queue yet
	victims                      []uint32 // whom a candidate is compared with
	sketch                       *sketch
	admit                        func(candidate uint32) bool // makes room if so
	climber                      *climber                    // nil: the window stays as it is
}

var _ Policy = (*WTinyLFU)(nil)

const (
	inWindow place = 1 + iota
	inProbation
	inProtected
)

// windowParts is how many of the least window make the capacity.
const windowParts = 100

// NewWTinyLFU returns an empty WTinyLFU for ids below objects that compares as
// Caffeine does with a weigher, and whose window stays at 1 %.
func NewWTinyLFU(capacity int64, objects int) *WTinyLFU {
	entries := make([]entry, objects)
	p := &WTinyLFU{
		name: "w-tinylfu", capacity: capacity, entries: entries, window: newQueue(entries, inWindow),
		probation: newQueue(entries, inProbation), protected: newQueue(entries, inProtected), sketch: newSketch(),
	}
	p.admit = p.oneByOne
	p.share(capacity / windowParts)
	return p
}

// NewWTinyLFUAV returns an empty WTinyLFU for ids below objects with the
// admission AV, aggregated victims, and a window that adapts from 1 % upwards.
func NewWTinyLFUAV(capacity int64, objects int) *WTinyLFU {
	p := NewWTinyLFU(capacity, objects)
	p.name, p.admit, p.climber = "w-tinylfu-av", p.together, newClimber(capacity)
	return p
}

// share gives the window its part of the capacity.
func (p *WTinyLFU) share(window int64) {
	p.windowShare = window
	p.protectedShare = (p.capacity - window) / 10 * 8
}

// Name is w-tinylfu or w-tinylfu-av.
func (p *WTinyLFU) Name() string { return p.name }

// Has says whether the object is kept.
func (p *WTinyLFU) Has(id uint32) bool { return p.entries[id].in != outside }

// Bytes is how much is kept.
func (p *WTinyLFU) Bytes() int64 { return p.window.bytes + p.probation.bytes + p.protected.bytes }

// Hit counts; in the window and in protected it makes the object the newest, in
// probation it promotes it.
func (p *WTinyLFU) Hit(id uint32) {
	p.sketch.add(id)
	e := &p.entries[id]
	switch {
	case e.in == inWindow:
		p.window.toHead(id)
	case e.in == inProtected:
		p.protected.toHead(id)
	case e.size > p.protectedShare:
		p.probation.toHead(id)
	default:
		p.probation.remove(id)
		p.protected.push(id)
		p.demote()
	}
	p.adapt(true)
}

// Add counts, puts the object into the window, and lets go until all fits. An
// object larger than the window is a candidate at once.
func (p *WTinyLFU) Add(id uint32, size int64) bool {
	p.sketch.add(id)
	p.adapt(false)
	if size > p.capacity {
		return false
	}
	p.entries[id].size = size
	if size > p.windowShare {
		p.candidates = append(p.candidates, id)
	} else {
		p.window.push(id)
	}
	p.shrinkWindow()
	for p.Bytes() > p.capacity {
		p.evict(p.oldest())
	}
	for _, candidate := range p.candidates {
		if p.admit(candidate) {
			p.probation.push(candidate)
		}
	}
	p.candidates = p.candidates[:0]
	p.sketch.fit(p.window.count + p.probation.count + p.protected.count)
	return p.Has(id)
}

// shrinkWindow makes candidates of what the window has no room for.
func (p *WTinyLFU) shrinkWindow() {
	for p.window.bytes > p.windowShare {
		out := p.window.tail
		p.window.remove(out)
		p.candidates = append(p.candidates, out)
	}
}

// oneByOne compares the candidate with one victim after another until there is
// room; a victim must be less frequent to go. Those that have gone stay away
// even if the next one wins.
func (p *WTinyLFU) oneByOne(candidate uint32) bool {
	size := p.entries[candidate].size
	for p.Bytes()+size > p.capacity {
		victim := p.oldest()
		if victim == none || p.sketch.estimate(candidate) <= p.sketch.estimate(victim) {
			return false
		}
		p.evict(victim)
	}
	return true
}

// together is AV of Einziger, Eytan, Friedman and Manes, "Lightweight Robust
// Size Aware Cache Management", ACM ToS 2022: all victims that would have to go
// stand together. If the candidate is at least as frequent as they are in sum,
// they go; if not they stay and become probation's newest.
func (p *WTinyLFU) together(candidate uint32) bool {
	p.victims = p.victims[:0]
	room := p.capacity - p.Bytes() - p.entries[candidate].size
	left := p.sketch.estimate(candidate)
	victim := p.oldest()
	for room < 0 && left >= 0 && victim != none {
		p.victims = append(p.victims, victim)
		room += p.entries[victim].size
		left -= p.sketch.estimate(victim)
		victim = p.after(victim)
	}
	admitted := room >= 0 && left >= 0
	for _, victim := range p.victims {
		if admitted {
			p.evict(victim)
		} else {
			p.queueOf(victim).toHead(victim)
		}
	}
	return admitted
}

// oldest returns what main would let go first, none if it is empty.
func (p *WTinyLFU) oldest() uint32 {
	if p.probation.count > 0 {
		return p.probation.tail
	}
	return p.protected.tail
}

// after returns what main would let go after that victim.
func (p *WTinyLFU) after(victim uint32) uint32 {
	e := &p.entries[victim]
	if e.newer == none && e.in == inProbation {
		return p.protected.tail
	}
	return e.newer
}

// queueOf returns the part of main that an object is in.
func (p *WTinyLFU) queueOf(id uint32) *queue {
	if p.entries[id].in == inProbation {
		return &p.probation
	}
	return &p.protected
}

func (p *WTinyLFU) evict(victim uint32) { p.queueOf(victim).remove(victim) }

// demote moves protected's oldest to probation until it keeps its share.
func (p *WTinyLFU) demote() {
	for p.protected.bytes > p.protectedShare {
		out := p.protected.tail
		p.protected.remove(out)
		p.probation.push(out)
	}
}

// adapt tells the climber of a request and takes its step. A larger window
// fills by what comes next; of a smaller one the rest are candidates at the
// next Add.
func (p *WTinyLFU) adapt(hit bool) {
	if p.climber == nil {
		return
	}
	if step := p.climber.note(hit, sketchSample*p.sketch.entries); step != 0 {
		p.share(min(max(p.windowShare+step, p.capacity/windowParts), p.capacity*8/10))
		p.demote()
	}
}
