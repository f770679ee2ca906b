package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"edgecache/bench"
)

// kind is what a purge names.
type kind int

const (
	byURL   kind = iota
	midFill      // one url, while the cache is fetching it
	byTag
	byPrefix
	kinds // how many there are
)

func (k kind) String() string { return [kinds]string{"url", "url during its fill", "tag", "prefix"}[k] }

// round is the order of purges: mostly urls, which is what sites purge.
var round = [...]kind{byURL, byURL, midFill, byTag, byURL, byURL, midFill, byPrefix, byURL, byURL}

// Bounds of one purge and what is read around it.
const (
	urlsAPurge = 4
	rereads    = 4         // purged objects that are read again, at most
	bystanders = 2         // other objects that are read before and after
	probeBytes = 512 << 10 // larger objects are purged, but not read by the purger
)

// purger changes objects at the origin and purges them, one purge after the
// other, and looks at what that did. One goroutine owns it.
type purger struct {
	*plan
	referee *referee
	rnd     *rand.Rand
	client  *http.Client
	buf     []byte
	tally   purgeTally

	turn      uint64 // requests of the replay after which edge is restarted; 0 is never
	down      outage
	restarted restart
}

// purgeTally counts what the purger did and saw.
type purgeTally struct {
	Purges        [kinds]int // acknowledged, by kind
	Objects       int        // that those covered
	Failed        int        // not acknowledged
	Reread        int        // purged objects read again after the acknowledgement
	Others        int        // that were in the cache before a purge of something else, and read again after
	Refetched     int        // of those, fetched again from the origin
	RefetchedURLs []string   // the first of them
	Reads         int        // requests of the purger
	Bytes         int64      // that those brought
	Wrong         int        // of those
	Errors        int        // of those
	Complaints    []string   // the first failures, errors and wrong answers
}

const shown = 5 // complaints and urls that are kept to be shown

func newPurger(p *plan, r *referee) *purger {
	return &purger{
		plan: p, referee: r,
		rnd:    rand.New(rand.NewPCG(1, 2)),
		client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableCompression: true}},
		buf:    make([]byte, 64<<10),
	}
}

// run purges at a steady pace until done is closed, but never fewer than one
// whole round, so that every kind is seen; it stays within its share of bytes.
// In the middle it restarts edge.
func (p *purger) run(ctx context.Context, done <-chan struct{}) {
	pace := time.NewTicker(max(time.Duration(1e9/p.purgeRate), time.Microsecond))
	defer pace.Stop()
	over := false
	for n := 0; !over || n < len(round); n++ {
		p.atTurn(ctx)
		select {
		case <-done:
			over = true
		case <-pace.C:
		case <-ctx.Done():
			return
		}
		if p.tally.Bytes < p.purgerBytes() {
			p.purge(ctx, round[n%len(round)])
		}
	}
	p.atTurn(ctx)
}

// atTurn does what is due at some point of the replay: the restart, and the look
// at the tiers behind it.
func (p *purger) atTurn(ctx context.Context) {
	if p.turn > 0 && p.referee.asked.Load() >= p.turn {
		p.turn = 0
		p.restart(ctx)
	}
	p.look(ctx)
}

// purge changes some objects, purges them, and reads them and others again.
func (p *purger) purge(ctx context.Context, k kind) {
	if k == midFill {
		p.purgeMidFill(ctx)
		return
	}
	victims, selectors := p.choose(k)
	watched := p.watch(ctx, victims)
	p.read(ctx, victims[0]) // so that there is something to forget
	if !p.change(ctx, k, victims, selectors) {
		return
	}
	for _, o := range victims[:min(len(victims), rereads)] {
		p.readAgain(ctx, o)
	}
	for _, b := range watched {
		p.lookAgain(ctx, b, k)
	}
}

// purgeMidFill purges an object while the origin holds back its old version.
// A reader that comes after that must not get the old fill, neither by joining
// it nor, when it has ended, from the store.
func (p *purger) purgeMidFill(ctx context.Context) {
	o := p.popular()
	selectors := []string{"http://" + hostName + p.world.path(o)}
	if p.world.Sizes[o] > probeBytes || !p.change(ctx, byURL, []uint32{o}, selectors) {
		return
	}
	g := p.world.hold(o)
	defer g.release()
	first := make(chan answer, 1)
	go func() { first <- p.ask(ctx, o, make([]byte, len(p.buf))) }()
	select {
	case <-g.arrived:
	case a := <-first: // somebody else's fill was quicker
		p.count(ctx, a)
		return
	}
	if p.change(ctx, midFill, []uint32{o}, selectors) {
		p.readAgain(ctx, o)
	}
	g.release()
	p.count(ctx, <-first)
	p.readAgain(ctx, o)
}

// change gives objects a new version and purges the old ones; true means that
// the purge was acknowledged, so that from now on an older answer is wrong.
func (p *purger) change(ctx context.Context, k kind, victims []uint32, selectors []string) bool {
	newest := make([]uint64, len(victims))
	for i, o := range victims {
		newest[i] = p.world.objects[o].version.Add(1)
	}
	if err := p.send(ctx, k, selectors); err != nil {
		if ctx.Err() == nil {
			p.tally.Failed++
			p.complain(fmt.Errorf("purge by %s: %w", k, err))
		}
		return false
	}
	for i, o := range victims {
		p.world.objects[o].floor.Store(newest[i])
	}
	p.tally.Purges[k]++
	p.tally.Objects += len(victims)
	return true
}

func (p *purger) readAgain(ctx context.Context, o uint32) {
	if p.read(ctx, o) != unread {
		p.tally.Reread++
	}
}

// choose draws what is purged next, from what is asked for now. The first
// victim is the one that was drawn.
func (p *purger) choose(k kind) (victims []uint32, selectors []string) {
	first := p.popular()
	victims = append(victims, first)
	total := uint32(len(p.world.objects))
	switch k {
	case byTag:
		for o := first % p.world.tags; o < total; o += p.world.tags {
			victims = append(victims, o)
		}
		selectors = []string{p.world.tag(first)}
	case byPrefix:
		group := first / prefixObjects
		for o := group * prefixObjects; o < min((group+1)*prefixObjects, total); o++ {
			victims = append(victims, o)
		}
		selectors = []string{"http://" + hostName + prefixOf(group)}
	default:
		for range urlsAPurge - 1 {
			victims = append(victims, p.popular())
		}
	}
	slices.Sort(victims[1:])
	victims = append(victims[:1], slices.DeleteFunc(slices.Compact(victims[1:]), func(o uint32) bool { return o == first })...)
	if k == byURL {
		for _, o := range victims {
			selectors = append(selectors, "http://"+hostName+p.world.path(o))
		}
	}
	return victims, selectors
}

// popular draws an object that was asked for lately.
func (p *purger) popular() uint32 {
	n := min(p.referee.asked.Load(), uint64(len(p.referee.recent)))
	if n == 0 {
		return p.world.Requests[0]
	}
	return p.referee.recent[p.rnd.Uint64N(n)].Load()
}

// bystander is an object that is in the cache while others are purged.
type bystander struct {
	object  uint32
	fetched uint32 // whole answers of the origin so far
}

// watch brings objects that will not be purged into the cache, and returns
// those that then came from there.
func (p *purger) watch(ctx context.Context, victims []uint32) (watched []bystander) {
	for range bystanders {
		o := p.popular()
		if slices.Contains(victims, o) || shortLived(o) || p.world.Sizes[o] > probeBytes {
			continue
		}
		p.read(ctx, o)
		if p.read(ctx, o) == fromCache {
			watched = append(watched, bystander{o, p.world.objects[o].fetched.Load()})
		}
	}
	return watched
}

// lookAgain reads a bystander after the purge and notes whether the cache had
// forgotten it.
func (p *purger) lookAgain(ctx context.Context, b bystander, k kind) {
	if p.read(ctx, b.object) == unread {
		return
	}
	p.tally.Others++
	if p.world.objects[b.object].fetched.Load() == b.fetched {
		return
	}
	p.tally.Refetched++
	if len(p.tally.RefetchedURLs) < shown {
		p.tally.RefetchedURLs = append(p.tally.RefetchedURLs, p.world.path(b.object)+" after a purge by "+k.String())
	}
}

// source is where an answer came from.
type source int

const (
	unread source = iota // not asked for, or no right answer
	fromOrigin
	fromCache
)

// answer is what came of one request of the purger.
type answer struct {
	source source
	bytes  int64
	err    error
}

// read asks for an object, unless it is large, and counts what comes.
func (p *purger) read(ctx context.Context, o uint32) source {
	if p.world.Sizes[o] > probeBytes {
		return unread
	}
	a := p.ask(ctx, o, p.buf)
	p.count(ctx, a)
	return a.source
}

// ask sends one request and has its answer judged; any goroutine may do that
// with a buffer of its own.
func (p *purger) ask(ctx context.Context, o uint32, buf []byte) answer {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.target+p.world.path(o), nil)
	if err != nil {
		return answer{err: err}
	}
	req.Host = hostName
	fetched := p.world.objects[o].fetched.Load()
	floor := p.world.objects[o].floor.Load()
	res, err := p.client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	n, err := p.referee.Judge(o, floor, res, buf)
	if err != nil {
		return answer{bytes: n, err: fmt.Errorf("GET %s: %w", p.world.path(o), err)}
	}
	if p.world.objects[o].fetched.Load() != fetched || !bench.Hit(res.Header, "edge") {
		return answer{source: fromOrigin, bytes: n}
	}
	return answer{source: fromCache, bytes: n}
}

// count adds an answer to the tally, unless the demo itself cut it off.
func (p *purger) count(ctx context.Context, a answer) {
	if ctx.Err() != nil {
		return
	}
	p.tally.Reads++
	p.tally.Bytes += a.bytes
	if a.err == nil {
		return
	}
	var wrong *bench.WrongAnswer
	if errors.As(a.err, &wrong) {
		p.tally.Wrong++
	} else {
		p.tally.Errors++
	}
	p.complain(a.err)
}

func (p *purger) complain(err error) {
	if len(p.tally.Complaints) < shown {
		p.tally.Complaints = append(p.tally.Complaints, err.Error())
	}
}
