package purge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The errors of a Log. A caller tells them apart with errors.Is.
var (
	ErrTooMany = errors.New("too many purges since the last sweep")
	ErrBusy    = errors.New("too many purges are waiting")
	ErrStorage = errors.New("the purge log cannot be written")
	ErrHeld    = errors.New("another process holds the purge log")
	ErrClosed  = errors.New("the purge log is closed")
)

// A Config says where a Log is and what bounds it. The zero value of each
// bound is its default.
type Config struct {
	Path string // of purge.db; missing directories are made

	// Limit is how many purges may be kept at once; beyond it new ones are
	// refused with ErrTooMany until a sweep has dropped old ones. 0 is
	// 1,000,000: about 42 MB of memory, and 100 MB of file that a start reads
	// in less than a second. As many again are for invalidations, which cannot
	// be refused.
	Limit int
	// Queue is how many entries may wait for the writer; beyond it ErrBusy.
	// As many invalidations may wait to be made durable. 0 is 65,536.
	Queue int
	// FlushEvery is how long an invalidation may wait to be made durable, so
	// what a crash can lose of them. 0 is a second.
	FlushEvery time.Duration
	// Clock tells the time in Unix nanoseconds, the same that lives are judged
	// by; nil is the system's. It only dates entries, it orders nothing.
	Clock func() int64
}

func (c Config) withDefaults() Config {
	if c.Limit <= 0 {
		c.Limit = 1_000_000
	}
	if c.Queue <= 0 {
		c.Queue = 65_536
	}
	if c.FlushEvery <= 0 {
		c.FlushEvery = time.Second
	}
	if c.Clock == nil {
		c.Clock = func() int64 { return time.Now().UnixNano() }
	}
	return c
}

// A Log is the durable, ordered list of purges and the Index over it. It is
// safe for many goroutines. One goroutine of its own writes the file.
type Log struct {
	index   Index
	history history
	conf    Config
	book    *book // the writer's
	lost    error
	wake    chan struct{} // something for the writer; one token is enough
	// halfFull asks for a sweep: half of what may be kept is there.
	halfFull chan struct{}
	stopped  chan struct{} // the writer has ended

	last atomic.Uint64 // the number of the last purge that a later start will know

	mu       sync.Mutex
	calls    []*call
	waiting  int // entries in calls
	late     unwritten
	lossy    uint64 // invalidations up to here could not be kept in late
	forget   uint64 // entries up to here may leave the file
	from     uint64 // where in the file forgetting goes on
	kept     int    // purges in the file
	keptLate int    // invalidations in the file
	failed   error  // of the last commit
	broken   bool   // the file is abandoned
	closed   bool
	stats    Stats
}

// A call is one Purge on its way.
type call struct {
	entries []Entry
	result  Result
	err     error
	done    chan struct{}
}

// A Result says what became of a purge. There is no count: a purge does not
// look at objects.
type Result struct {
	ID      string
	Seq     uint64 // the number of its last entry
	Applied bool   // durable, and no request that arrives now sees what it covers
}

// Open opens or makes the log, rebuilds the index from it and starts the
// writer. A log that is new, or that could not be read and was set aside as
// PATH.bad, has a new epoch and begins by revalidating everything.
func Open(c Config) (*Log, error) {
	l := &Log{
		conf:     c.withDefaults(),
		wake:     make(chan struct{}, 1),
		stopped:  make(chan struct{}),
		halfFull: make(chan struct{}, 1),
		late:     make(unwritten),
	}
	err := l.open()
	if errors.Is(err, errCorrupt) {
		l.lost = fmt.Errorf("purge log %s: %w", c.Path, err)
		err = l.openAfresh()
	}
	if err != nil {
		return nil, fmt.Errorf("open purge log %s: %w", c.Path, err)
	}
	go l.write()
	l.poke()
	return l, nil
}

// openAfresh puts a broken log out of the way and begins a new one.
func (l *Log) openAfresh() error {
	if err := setAside(l.conf.Path); err != nil {
		return err
	}
	l.index = Index{}
	l.history = history{}
	l.last.Store(0)
	l.kept, l.keptLate = 0, 0
	return l.open()
}

// open opens the file and replays it.
func (l *Log) open() (err error) {
	if l.book, err = openBook(l.conf.Path); err != nil {
		return err
	}
	if err = l.replay(); err != nil {
		return errors.Join(err, l.book.close())
	}
	return nil
}

// replay rebuilds the index, and starts at numbers that no run before used.
func (l *Log) replay() error {
	h := l.book.head
	if err := l.checkMark(); err != nil {
		return err
	}
	start := max(h.ceiling, 1)
	l.history.epoch = h.epoch
	first := &page{raise: start + ceilingStep}
	err := l.book.read(func(s stored) {
		if s.id >= h.unsure && s.Seq != start {
			s.Seq = start
			first.fixes = append(first.fixes, s)
		}
		l.index.restore(&s.Entry)
		l.count(s.volatile, 1)
		if !s.volatile {
			l.last.Store(max(l.last.Load(), s.Seq))
		}
	}, func(r Record) {
		l.history.add(r)
		l.last.Store(max(l.last.Load(), r.Seq))
	})
	if err != nil {
		return err
	}
	if h.lossy > 0 {
		l.index.restore(&Entry{Scope: ScopeAll, Strength: Revalidate, Seq: min(h.lossy, start)})
	}
	if l.book.fresh {
		all := Entry{Scope: ScopeAll, Strength: Revalidate, Seq: start, At: l.conf.Clock()}
		first.puts, first.sure = []stored{{Entry: all, volatile: true}}, 1
		l.index.restore(&all)
		l.count(true, 1)
	}
	if _, err := l.book.commit(first); err != nil {
		return err
	}
	l.index.start(start, l.conf.Clock())
	return nil
}

// count keeps account of the entries in the file.
func (l *Log) count(volatile bool, n int) {
	if volatile {
		l.keptLate += n
		return
	}
	l.kept += n
}

// lostMark is the file that says, beside a log that could not be written any
// more, that invalidations are missing from it.
func lostMark(path string) string { return path + ".lost" }

// checkMark refuses a log whose last run left the mark. Beside a new log the
// mark has done its work.
func (l *Log) checkMark() error {
	mark := lostMark(l.conf.Path)
	if _, err := os.Stat(mark); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if !l.book.fresh {
		return fmt.Errorf("%w: its last run could not write all that it invalidated", errCorrupt)
	}
	return os.Remove(mark)
}

// Index is the index over the log, for as long as the log lives.
func (l *Log) Index() *Index { return &l.index }

// Epoch names this life of the log: what is stored under another one must be
// revalidated.
func (l *Log) Epoch() Epoch { return l.history.epoch }

// LastPurge is the number of the last purge that this log knows, and will know
// after a crash. A store that has seen a later one belongs to a log that has lost
// purges since. Invalidations do not count: a crash may lose the last ones.
func (l *Log) LastPurge() uint64 { return l.last.Load() }

// Lost reports whether a log was there and could not be read.
func (l *Log) Lost() bool { return l.lost != nil }

// Trouble says what a person should know: why the last log was lost, or that
// this one cannot be written. Nil is well.
func (l *Log) Trouble() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.failed, l.lost)
}

// Purge makes the entries durable, applies them in order, and returns then:
// all of them or none. When ctx ends first they may still be applied.
func (l *Log) Purge(ctx context.Context, es []Entry) (Result, error) {
	if len(es) == 0 {
		return Result{}, errors.New("purge: nothing is named")
	}
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	c := &call{entries: slices.Clone(es), done: make(chan struct{})}
	if err := l.enqueue(c); err != nil {
		return Result{}, err
	}
	l.poke()
	select {
	case <-c.done:
		return c.result, c.err
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
}

// enqueue lets a call wait for the writer, within the bounds.
func (l *Log) enqueue(c *call) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(c.entries)
	switch {
	case l.closed:
		return ErrClosed
	case l.broken:
		return l.failed
	case l.kept+l.waiting+n > l.conf.Limit:
		l.stats.TooMany++
		return ErrTooMany
	case l.waiting > 0 && l.waiting+n > l.conf.Queue:
		l.stats.Busy++
		return ErrBusy
	}
	l.calls = append(l.calls, c)
	l.waiting += n
	return nil
}

// poke wakes the writer.
func (l *Log) poke() { token(l.wake) }

// token leaves one token in c, if there is none.
func token(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Invalidate applies entries at once and has them made durable within
// FlushEvery: what an unsafe method (RFC 9111, 4.4) or a
// Cache-Group-Invalidation (RFC 9875, 3) does, for which nobody waits on the
// disk. It returns the number of the last one.
func (l *Log) Invalidate(es []Entry) (seq uint64) {
	if len(es) == 0 {
		return l.index.Now()
	}
	es = slices.Clone(es)
	if int(l.index.places.Load()) >= 2*l.conf.Limit {
		es = l.coarsened(es)
	}
	l.index.apply(es, l.conf.Clock)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range es {
		l.stats.Applied[e.Scope][e.Strength]++
		l.keepLocked(e)
	}
	l.askForSweepLocked()
	l.poke()
	return es[len(es)-1].Seq
}

// coarsened stands for invalidations that the index has no room for: an
// invalidation can be neither refused nor forgotten, so everything is
// revalidated.
func (l *Log) coarsened(es []Entry) []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Coarsened += uint64(len(es))
	all := Entry{Scope: ScopeAll, Strength: Revalidate}
	for _, e := range es {
		all.Strength = max(all.Strength, e.Strength)
	}
	return []Entry{all}
}

// askForSweepLocked wakes the sweeper when a bound is half used.
func (l *Log) askForSweepLocked() {
	if 2*l.kept >= l.conf.Limit || 2*l.keptLate >= l.conf.Limit || int(l.index.places.Load()) >= l.conf.Limit {
		token(l.halfFull)
	}
}

// keepLocked notes an applied invalidation for the writer. When there is no
// room, the file will say that all up to its number is in doubt.
func (l *Log) keepLocked(e Entry) {
	full := len(l.late) >= l.conf.Queue || l.keptLate+len(l.late) >= l.conf.Limit
	if full && !l.late.has(e) {
		l.stats.Undurable++
		l.lossy = max(l.lossy, e.Seq)
		return
	}
	l.late.keep(e)
}

// List is the history of purge calls, newest first.
func (l *Log) List(limit int) []Record { return l.history.latest(limit) }

// Get finds a purge call by its ID among the last HistoryLimit.
func (l *Log) Get(id string) (Record, bool) { return l.history.get(id) }

// forgetTo drops what no object needs any more, from the index now and from
// the file by and by. What stays was applied at the time at, or later.
func (l *Log) forgetTo(number uint64, at int64) {
	l.index.drop(number, at)
	l.mu.Lock()
	defer l.mu.Unlock()
	if number > l.forget {
		l.forget, l.from = number, 0
	}
	l.poke()
}

// Close writes what waits, and closes the file. Purges that come later get
// ErrClosed; the index stays readable.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		<-l.stopped
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	l.poke()
	<-l.stopped
	if l.broken {
		return l.failed
	}
	return l.book.close()
}
