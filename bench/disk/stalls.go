package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"edgecache/bench/program"
)

const (
	coldSize    = 9 << 20 // over what comes up to memory while it is read
	storedSize  = 64 << 10
	coldReaders = 2
	forgetEvery = 10 * time.Millisecond
	forgetParts = 16 // of each file; all of it is forgotten within forgetParts × forgetEvery
)

// stalls measures hits of memory over HTTP/1.1 in three ways, in turn: alone;
// while the disk tier is read cold and written as fast as it goes; and while a
// plain file is, by as many goroutines, which shows what of it is the machine's.
func stalls(ctx context.Context, o options, dir string, out *strings.Builder) error {
	m, err := openMix(ctx, o, filepath.Join(dir, "stalls"))
	if err != nil {
		return err
	}
	defer m.close()
	ways := []struct {
		name string
		load func(context.Context) error
	}{{"alone", nil}, {"with the disk tier", m.tierLoad}, {"with a plain file", m.plainLoad}}
	results := make([]stallFigures, len(ways))
	for range o.rounds {
		for i, w := range ways {
			if err := m.round(ctx, w.load, &results[i]); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
		}
	}
	line(out, "hits", "%d a second asked for on %d connections, each of %d KiB; µs from when each was due", o.rate, hotConns, hotSize>>10)
	for i, w := range ways {
		results[i].report(out, w.name)
	}
	if n := m.site.elsewhere.Load(); n > 0 {
		line(out, "not hits of memory", "%d", n)
	}
	return nil
}

// stallFigures are what one way gave, a round each.
type stallFigures struct {
	latencies
	hits          program.Spread // a second
	reads, writes program.Spread // MiB/s of the load
	device        program.Spread // MiB/s that were read from the device
	faults        program.Spread // page faults a second that waited for the device: each holds up a thread and its P
}

func (s *stallFigures) report(out *strings.Builder, name string) {
	line(out, name, "")
	s.latencies.report(out)
	line(out, "  hits a second", "%s", s.hits)
	line(out, "  major faults", "%s a second", s.faults)
	line(out, "  load", "%s MiB/s read, of it %s from the device, %s MiB/s written", s.reads, s.device, s.writes)
}

// mix is an edge with hot objects in memory, and cold ones on disk.
type mix struct {
	o       options
	s       *shelf
	site    *site
	plain   *plain
	scratch string // where the plain load writes
	files   []coldFile
	cold    int // objects
	next    int // the one that is stored next

	read, written atomic.Int64
}

func openMix(ctx context.Context, o options, dir string) (m *mix, err error) {
	m = &mix{o: o, cold: int(o.bytes) / coldSize, scratch: dir + ".written"}
	if m.s, err = openShelf(dir, 128<<20, 3*o.bytes); err != nil {
		return nil, err
	}
	if err = m.s.fillUp(ctx, 0, m.cold, coldSize); err != nil {
		return nil, err
	}
	m.next = m.cold
	if m.plain, err = writePlain(dir+".plain", m.s, m.cold*coldSize/storedSize, storedSize); err != nil {
		return nil, err
	}
	files, err := m.s.files()
	for _, f := range files {
		info, statErr := f.Stat()
		if statErr != nil {
			return nil, statErr
		}
		m.files = append(m.files, coldFile{f, info.Size()})
	}
	if err != nil {
		return nil, err
	}
	m.site, err = openSite(ctx, siteConfig{shelf: m.s, purges: filepath.Join(dir, "purge.db")})
	return m, err
}

func (m *mix) close() {
	m.site.close()
	for _, f := range m.files {
		_ = f.file.Close()
	}
	_ = m.plain.remove()
	_ = m.s.close()
}

// round measures hits while a load runs; nil is none.
func (m *mix) round(ctx context.Context, load func(context.Context) error, to *stallFigures) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	m.read.Store(0)
	m.written.Store(0)
	failed := make(chan error, 1)
	if load == nil {
		failed <- nil
	} else {
		go func() { failed <- load(ctx) }()
	}
	before, err := trafficNow()
	if err != nil {
		return err
	}
	began := time.Now()
	h, err := m.site.hit(ctx, m.o.rate, 4*m.o.span)
	took := time.Since(began).Seconds()
	after, _ := trafficNow()
	stop()
	if err := errors.Join(err, <-failed); err != nil {
		return err
	}
	to.latencies.add(h)
	to.hits = append(to.hits, float64(m.o.rate)*(4*m.o.span).Seconds()/took)
	to.reads = append(to.reads, float64(m.read.Load())/mib/took)
	to.writes = append(to.writes, float64(m.written.Load())/mib/took)
	to.device = append(to.device, float64(after.since(before).fetch)/mib/took)
	to.faults = append(to.faults, float64(after.since(before).faults)/took)
	return nil
}

// together runs readers, a writer, and what makes the page cache forget, until
// the context ends.
func (m *mix) together(ctx context.Context, files []coldFile, read func(*rand.Rand) error, write func() error) error {
	var running sync.WaitGroup
	errs := make(chan error, coldReaders+2)
	loop := func(do func() error) {
		running.Go(func() {
			for ctx.Err() == nil {
				if err := do(); err != nil && ctx.Err() == nil {
					errs <- err
					return
				}
			}
		})
	}
	for g := range coldReaders {
		random := rand.New(rand.NewPCG(uint64(g), 5))
		loop(func() error { return read(random) })
	}
	loop(write)
	part := 0
	loop(func() error {
		t := time.NewTimer(forgetEvery)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		part++
		return forgetPart(files, int64(part%forgetParts))
	})
	running.Wait()
	close(errs)
	return <-errs
}

// coldFile is a file of which the first bytes hold what is read cold. What is
// written behind them meanwhile stays in the page cache, as what was just written
// does.
type coldFile struct {
	file *os.File
	cold int64
}

// forgetPart takes one part of what is cold of each file out of the page cache,
// as memory that is needed elsewhere would.
func forgetPart(files []coldFile, part int64) error {
	for _, f := range files {
		n := f.cold/forgetParts + 1
		if err := forgetPages(f.file, part*n, n); err != nil {
			return err
		}
	}
	return nil
}

// tierLoad reads chunks here and there of large objects, which never come up to
// memory, and stores small ones.
func (m *mix) tierLoad(ctx context.Context) error {
	return m.together(ctx, m.files, func(random *rand.Rand) error {
		r, err := m.s.tiers.Load(ctx, keyOf(random.IntN(m.cold)))
		if err != nil {
			return err
		}
		l := m.s.tiers.Open(r, r.Variants[0])
		defer l.Close()
		c, err := l.Chunk(ctx, random.IntN(r.Variants[0].Body.Chunks()))
		m.read.Add(int64(len(c)))
		return err
	}, func() error {
		m.written.Add(storedSize)
		i := m.next
		m.next++
		return m.s.put(ctx, i, storedSize)
	})
}

// plainLoad does the same to plain files.
func (m *mix) plainLoad(ctx context.Context) error {
	out, err := os.Create(m.scratch)
	if err != nil {
		return err
	}
	defer os.Remove(m.scratch)
	defer out.Close()
	at := int64(0)
	return m.together(ctx, []coldFile{{m.plain.f, int64(m.cold) * coldSize}}, func(random *rand.Rand) error {
		var sum uint32
		buf := buffers.Get().(*[]byte)
		defer buffers.Put(buf)
		m.read.Add(storedSize)
		return m.plain.read(random, *buf, &sum)
	}, func() error {
		if _, err := out.WriteAt(m.s.body(int(at/storedSize), storedSize), at%m.o.bytes); err != nil {
			return err
		}
		m.written.Add(storedSize)
		if at += storedSize; at%plainSync == 0 {
			return syncData(out)
		}
		return nil
	})
}

var buffers = sync.Pool{New: func() any { p := make([]byte, storedSize); return &p }}
