package purge

import (
	"errors"
	"fmt"
	"os"
	"time"
)

const (
	ceilingStep = 1 << 20 // the ceiling is raised by so much
	ceilingNear = 1 << 19 // when the numbers are so near
	batchLimit  = 8_192   // entries of calls in one commit, but for the first call's
	forgetLimit = 4_096   // entries that one commit looks at to forget them
)

// A writer is the state of the goroutine that writes the file: the entries of
// its last commit whose number turned out to be another than was written.
type writer struct {
	log       *Log
	fixes     []stored
	again     []Record
	unsettled bool // the file still calls the last commit unsure
}

// write serves the queue until the log is closed.
func (l *Log) write() {
	defer close(l.stopped)
	w := writer{log: l}
	var flush <-chan time.Time
	for {
		select {
		case <-l.wake:
		case <-flush:
			flush = nil
			w.turn(true)
		}
		for w.turn(false) {
		}
		if l.finished() {
			w.finish()
			return
		}
		if flush == nil && w.restless() {
			flush = time.After(l.conf.FlushEvery)
		}
	}
}

// finished reports whether the log is closed and no call waits.
func (l *Log) finished() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed && len(l.calls) == 0
}

// restless reports whether something is to be written that can wait a little.
func (w *writer) restless() bool {
	l := w.log
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.broken && (w.unsettled || len(l.late) > 0 || l.lossy > 0)
}

// A work is what one commit is to write.
type work struct {
	calls []*call
	late  unwritten
	page  page
}

// turn does one commit, if there is something to do: calls, or forgetting, or
// with flush what could wait. It reports whether there is more to do at once.
func (w *writer) turn(flush bool) (more bool) {
	k, found := w.log.takeWork(flush)
	if !found {
		return false
	}
	w.compose(&k)
	d, err := w.log.book.commit(&k.page)
	if err != nil {
		w.fail(&k, err)
		return w.log.called()
	}
	w.settle(&k, d)
	w.answer(&k)
	return w.log.urgent()
}

// urgent reports whether there is something that does not wait.
func (l *Log) urgent() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.broken && (len(l.calls) > 0 || l.forget > 0)
}

// called reports whether calls wait: each of them is to get its answer, but
// what nobody waits for is not tried again at once.
func (l *Log) called() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.calls) > 0
}

// takeWork takes as many calls as fit a commit, and everything that is late.
func (l *Log) takeWork(flush bool) (k work, found bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken || !flush && len(l.calls) == 0 && l.forget == 0 {
		return work{}, false
	}
	n := 0
	for len(l.calls) > 0 && (n == 0 || n+len(l.calls[0].entries) <= batchLimit) {
		n += len(l.calls[0].entries)
		k.calls = append(k.calls, l.calls[0])
		l.calls = l.calls[1:]
	}
	k.late, l.late = l.late, make(unwritten)
	k.page.lossy, l.lossy = l.lossy, 0
	k.page.forget, k.page.from, k.page.toForget = l.forget, l.from, forgetLimit
	return k, true
}

// compose fills the page, first with invalidations, whose numbers are known. The numbers of the calls' entries are those that
// they get if no invalidation comes in between; until it is known whether they
// did, the file calls them unsure.
func (w *writer) compose(k *work) {
	l, p := w.log, &k.page
	now := l.index.Now()
	at := l.conf.Clock()
	number := now
	swept := l.index.swept.Load()
	for _, s := range k.late {
		if s.Seq > swept {
			p.puts = append(p.puts, s)
		}
	}
	p.sure = len(p.puts)
	for _, c := range k.calls {
		for _, e := range c.entries {
			number++
			e.Seq, e.At = number, at
			p.puts = append(p.puts, stored{Entry: e})
		}
		r := recordOf(c.entries)
		r.Seq, r.At = number, at
		p.records = append(p.records, r)
		p.lasts = append(p.lasts, len(p.puts)-1)
	}
	p.fixes, p.again = w.fixes, w.again
	if number+ceilingNear > l.book.head.ceiling {
		p.raise = number + ceilingStep
	}
	p.trim = max(0, l.history.size()+len(p.records)-HistoryLimit)
}

// fail answers that nothing was written, and keeps what nobody waits for. A
// book that panicked is given up, with all that waits.
func (w *writer) fail(k *work, err error) {
	l := w.log
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Failed++
	l.failed = fmt.Errorf("%w: %s: %w", ErrStorage, l.conf.Path, err)
	for _, s := range k.late {
		l.late.keep(s.Entry)
	}
	l.lossy = max(l.lossy, k.page.lossy)
	if errors.Is(err, errCorrupt) {
		l.broken = true
		k.calls = append(k.calls, l.calls...)
		l.calls = nil
		w.mark()
	}
	for _, c := range k.calls {
		l.waiting -= len(c.entries)
		c.err = l.failed
		close(c.done)
	}
}

// mark notes beside the file that it lacks invalidations, as well as it can.
func (w *writer) mark() {
	_ = os.WriteFile(lostMark(w.log.conf.Path), nil, 0o600)
}

// settle takes account of what was written.
func (w *writer) settle(k *work, d done) {
	w.fixes, w.again = nil, nil
	w.unsettled = len(k.calls) > 0
	l := w.log
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = nil
	l.stats.Commits++
	l.stats.Forgotten += uint64(d.purges + d.volatiles)
	for _, s := range k.page.puts {
		l.count(s.volatile, 1)
	}
	for _, c := range k.calls {
		l.waiting -= len(c.entries)
	}
	l.kept -= d.purges
	l.keptLate -= d.volatiles
	if k.page.forget == l.forget {
		l.from = d.next
		if d.next == 0 {
			l.forget = 0
		}
	}
}

// answer applies the calls, which are durable now, in order.
func (w *writer) answer(k *work) {
	l := w.log
	for i, c := range k.calls {
		l.index.apply(c.entries, l.conf.Clock)
		first := k.page.lasts[i] + 1 - len(c.entries)
		w.compare(c.entries, k.page.puts[first:], k.page.records[i])
	}
	l.mu.Lock()
	for _, c := range k.calls {
		for _, e := range c.entries {
			l.stats.Applied[e.Scope][e.Strength]++
		}
	}
	l.askForSweepLocked()
	l.mu.Unlock()
	for i, c := range k.calls {
		r := k.page.records[i]
		r.Seq = c.entries[len(c.entries)-1].Seq
		l.history.add(r)
		l.last.Store(r.Seq)
		c.result = Result{ID: l.history.name(r.id), Seq: r.Seq, Applied: true}
		close(c.done)
	}
}

// compare notes for the next commit which entries got another number than
// was written.
func (w *writer) compare(applied []Entry, written []stored, r Record) {
	for i, e := range applied {
		if s := written[i]; s.Seq != e.Seq {
			s.Entry = e
			w.fixes = append(w.fixes, s)
		}
	}
	if last := applied[len(applied)-1].Seq; last != r.Seq {
		r.Seq = last
		w.again = append(w.again, r)
	}
}

// finish writes what could wait, or marks that it could not.
func (w *writer) finish() {
	if w.restless() {
		w.turn(true)
	}
	l := w.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.broken && (len(l.late) > 0 || l.lossy > 0) {
		w.mark()
	}
}
