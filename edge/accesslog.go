package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// LogConfig says how a FileLog buffers; a zero is its default.
type LogConfig struct {
	Format LogFormat
	// Buffer bounds the bytes that wait to be written; 4 MiB. Lines beyond it
	// are dropped and counted.
	Buffer int
	// Delay is how long a line may wait; 200 ms. It is never more than 1 s.
	Delay time.Duration
	Log   *slog.Logger // says, at most once a minute, that lines are lost; nil = discard
}

// LogStats are a FileLog's counters since its start.
type LogStats struct {
	Lines   int64 // taken
	Dropped int64 // not taken: the buffer was full
	Lost    int64 // taken, but could not be written
}

// FileLog is an access log that never makes a request wait: records are
// formatted into a bounded buffer that one goroutine writes out.
type FileLog struct {
	conf    LogConfig
	path    string // "" for a log that cannot be opened again
	shards  *striped[logShard]
	room    int           // bytes a shard may hold
	early   int           // bytes of a shard that are written at once
	wake    chan struct{} // a shard has a first line
	urgent  chan struct{} // a shard has a write's worth
	reopen  chan chan error
	closing chan struct{}
	done    chan struct{}
	once    sync.Once
	lost    atomic.Int64
	out     io.Writer // the writer goroutine's, like all below
	file    io.Closer // what out is and has to be closed; nil for standard output
	torn    bool      // the last write ended inside a line
	full    []*logBatch
	run     []byte
	warned  time.Time
}

var _ AccessLog = (*FileLog)(nil)

// logShard holds the lines of some processors.
type logShard struct {
	mu      sync.Mutex
	batch   logBatch
	lines   int64
	dropped int64
	spare   logBatch // the writer goroutine's
	_       [64]byte // keeps neighbours off each other's cache line
}

// NewAccessLog starts a log that writes to w, which stays the caller's.
func NewAccessLog(w io.Writer, c LogConfig) *FileLog {
	l := newFileLog(c)
	l.out = w
	go l.serve()
	return l
}

// OpenAccessLog starts a log at the end of a file, which Reopen opens again.
func OpenAccessLog(path string, c LogConfig) (*FileLog, error) {
	f, err := openLogFile(path)
	if err != nil {
		return nil, err
	}
	l := newFileLog(c)
	l.path, l.out, l.file = path, f, f
	go l.serve()
	return l, nil
}

func openLogFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open access log: %w", err)
	}
	return f, nil
}

func newFileLog(c LogConfig) *FileLog {
	c.Buffer = or(c.Buffer, 4<<20)
	c.Delay = min(or(c.Delay, 200*time.Millisecond), time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	l := &FileLog{
		conf: c, shards: newStriped[logShard](),
		wake: make(chan struct{}, 1), urgent: make(chan struct{}, 1),
		reopen: make(chan chan error), closing: make(chan struct{}), done: make(chan struct{}),
	}
	l.room = c.Buffer / len(l.shards.all)
	l.early = min(l.room/2, writeBytes)
	for _, s := range l.shards.all {
		s.batch.text = make([]byte, 0, min(l.room, firstRoom))
		s.spare.text = make([]byte, 0, min(l.room, firstRoom))
	}
	return l
}

// writeBytes of one shard are written without waiting for more: they are still in
// the processor's cache then.
const writeBytes = 128 << 10

// firstRoom is what a shard's buffers start with; they grow to their bound.
const firstRoom = 64 << 10

// Write takes one record. It never waits for the file.
func (l *FileLog) Write(r *Record) {
	s := l.shards.borrow()
	if !s.mu.TryLock() {
		s = l.other(s)
	}
	before := len(s.batch.text)
	if before+r.bound() > l.room {
		s.dropped++
	} else {
		s.batch.text = l.conf.Format.append(s.batch.text, r)
		s.batch.ends = append(s.batch.ends, logLine{r.Time + r.Duration, len(s.batch.text)})
		s.lines++
	}
	after := len(s.batch.text)
	s.mu.Unlock()
	l.shards.giveBack(s)
	if before == 0 {
		signal(l.wake)
	}
	if before < l.early && after >= l.early || after > l.room/2 {
		signal(l.urgent)
	}
}

// other locks a shard in place of a busy one, which is somebody else's or is being
// emptied: any that is free, else that one. From then on it is this processor's.
func (l *FileLog) other(busy *logShard) *logShard {
	for _, s := range l.shards.all {
		if s != busy && s.mu.TryLock() {
			return s
		}
	}
	busy.mu.Lock()
	return busy
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Stats reads the counters.
func (l *FileLog) Stats() LogStats {
	st := LogStats{Lost: l.lost.Load()}
	for _, s := range l.shards.all {
		s.mu.Lock()
		st.Lines += s.lines
		st.Dropped += s.dropped
		s.mu.Unlock()
	}
	return st
}

// Reopen writes what waits, opens the file's path again and goes on there, so
// that a rotated file gets nothing more. On an error it stays with the old one.
func (l *FileLog) Reopen(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case l.reopen <- answer:
	case <-l.done:
		return errors.New("reopen access log: it is closed")
	case <-ctx.Done():
		return fmt.Errorf("reopen access log: it is stuck in a write: %w", ctx.Err())
	}
	return <-answer
}

// Close writes what waits and ends the log. It waits until ctx ends for a
// reader that does not read.
func (l *FileLog) Close(ctx context.Context) error {
	l.once.Do(func() { close(l.closing) })
	select {
	case <-l.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close access log: lines are left over: %w", ctx.Err())
	}
}

// serve writes the shards out, at the latest Delay after a first line.
func (l *FileLog) serve() {
	defer close(l.done)
	timer := time.NewTimer(l.conf.Delay)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case <-l.wake:
			timer.Reset(l.conf.Delay)
			continue
		case <-timer.C:
		case <-l.urgent:
		case answer := <-l.reopen:
			l.flush()
			answer <- l.turn()
			continue
		case <-l.closing:
			l.flush()
			if l.file != nil {
				l.file.Close()
			}
			return
		}
		l.flush()
	}
}

// flush writes every shard's lines, in the order in which the requests ended.
// The shards take new ones meanwhile.
func (l *FileLog) flush() {
	for _, s := range l.shards.all {
		s.mu.Lock()
		s.batch, s.spare = s.spare, s.batch
		s.mu.Unlock()
		if len(s.spare.ends) > 0 {
			l.full = append(l.full, &s.spare)
		}
	}
	if len(l.full) == 1 {
		l.put(l.full[0].text)
	} else {
		l.merge()
	}
	for _, b := range l.full {
		b.reset()
	}
	l.full = l.full[:0]
}

// merge writes the lines of several shards as one sequence.
func (l *FileLog) merge() {
	for {
		var first *logBatch
		for _, b := range l.full {
			if !b.read() && (first == nil || b.next().at < first.next().at) {
				first = b
			}
		}
		if first == nil {
			break
		}
		l.run = append(l.run, first.take()...)
		if len(l.run) >= firstRoom {
			l.put(l.run)
			l.run = l.run[:0]
		}
	}
	l.put(l.run)
	l.run = l.run[:0]
}

// put writes whole lines. What cannot be written is lost, not kept: a full disk
// must not become full memory.
func (l *FileLog) put(lines []byte) {
	if len(lines) == 0 {
		return
	}
	if l.torn {
		if _, err := l.out.Write([]byte{'\n'}); err != nil {
			l.lose(lines, err)
			return
		}
		l.torn = false
	}
	n, err := l.out.Write(lines)
	if err != nil {
		n = max(n, 0)
		l.torn = n > 0 && lines[n-1] != '\n'
		l.lose(lines[n:], err)
	}
}

func (l *FileLog) lose(lines []byte, err error) {
	l.lost.Add(int64(bytes.Count(lines, []byte{'\n'})))
	if now := time.Now(); now.Sub(l.warned) >= time.Minute {
		l.warned = now
		l.conf.Log.Error("access log cannot be written; lines are lost", "err", err, "lost", l.lost.Load())
	}
}

// turn opens the path again.
func (l *FileLog) turn() error {
	if l.path == "" {
		return nil
	}
	f, err := openLogFile(l.path)
	if err != nil {
		return err
	}
	err = l.file.Close()
	l.out, l.file, l.torn = f, f, false
	if err != nil {
		return fmt.Errorf("close the old access log: %w", err)
	}
	return nil
}
