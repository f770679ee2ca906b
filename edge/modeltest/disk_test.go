package modeltest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"edgecache/cachestore"
	"edgecache/purge"
)

// The disk is so small, and so is its queue, that objects are evicted from it,
// dropped before it, and spilt to it while they come.
const (
	diskSize   = 5 << 20
	diskQueue  = 160 << 10
	diskShards = 2
)

// disturbances is how many operations in 1000 come with one. patience is for
// what waits for the disk: only what is stuck takes longer.
const (
	disturbances = 10
	patience     = time.Minute
)

// TestModelDisk: what TestModel says holds over restarts and crashes, under
// sweeps, checks and compactions, and when the files are damaged or cut.
//
// A crash is the files as they are at one moment, with the world standing still:
// what waits to be written is lost. A crash in the middle of an answer, of a
// commit or of a purge needs a process of its own: bench/kill does that.
func TestModelDisk(t *testing.T) {
	for _, c := range []struct {
		name    string
		disturb []disturbance
	}{
		{"sound files", sound},
		{"damaged files", append(damage, sound...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := &disk{dir: t.TempDir(), disturb: c.disturb, disturbed: map[string]int{}}
			m := newModel(t, d)
			m.run(*operations / 10)
			if m.failed.Load() > 0 {
				return
			}
			d.count(m.store.Stats().Disk)
			t.Logf("%d answers, %d from the store, of them %d from disk, %d broken visibly, %d purges, %d questions to the origin",
				m.answers.Load(), m.hits.Load(), m.diskHits.Load(), m.broken.Load(), m.purges.Load(), m.world.asked.Load())
			t.Logf("disturbed %v; disk: %d stored, %d evicted, %d dropped, %d shards given up", d.disturbed, d.stored, d.evicted, d.dropped, d.quarantined)
			if m.diskHits.Load()*100 < m.answers.Load() || d.evicted+d.dropped == 0 || (d.quarantined > 0) != d.scarred.Load() {
				t.Error("the run did not exercise what it is about")
			}
		})
	}
}

// disk is the directory under the model and what is done to it.
type disk struct {
	dir     string
	copies  int
	scarred atomic.Bool // the files were damaged at some time
	sweeper *purge.Sweeper
	disturb []disturbance

	mu                                    sync.Mutex
	disturbed                             map[string]int
	stored, evicted, dropped, quarantined uint64
}

// under puts the disk under memory.
func (d *disk) under(memory *cachestore.Memory, m *model) (cachestore.Store, error) {
	below, err := cachestore.OpenDisk(cachestore.DiskConfig{
		Dir: d.dir, Size: diskSize, Shards: diskShards, Queue: diskQueue, Seed: 1,
		PurgeEpoch: m.log.Epoch(), PurgeSeq: m.log.Index().Now, LastPurge: m.log.LastPurge, Now: m.world.now.Load,
		Log: slog.New(slog.NewTextHandler(m.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return nil, err
	}
	tiers, err := cachestore.NewTiers(memory, below)
	if err != nil {
		return nil, err
	}
	d.sweeper = purge.StartSweeper(m.log, tiers, purge.SweepConfig{SoftWindow: softWindow, Every: time.Hour})
	return tiers, nil
}

// away ends what stands beside the disk, and counts what it did.
func (d *disk) away(m *model) error {
	d.count(m.store.Stats().Disk)
	return d.sweeper.Close()
}

func (d *disk) count(st cachestore.DiskStats) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stored += st.Stored
	d.quarantined += st.Quarantined
	for _, n := range st.Evicted {
		d.evicted += n
	}
	for _, n := range st.Dropped {
		d.dropped += n
	}
}

// disturbance is something that can happen to a disk, and how often.
type disturbance struct {
	name   string
	weight int
	do     func(*model, *rand.Rand) error
}

var (
	sound = []disturbance{
		{"restarted", 15, restart},
		{"crashed", 15, crash},
		{"lost its log", 5, loseLog},
		{"swept", 38, sweep},
		{"checked", 7, checkDisk},
		{"compacted", 5, compact},
	}
	damage = []disturbance{
		{"flipped", 9, flip},
		{"cut", 4, cut},
		{"removed", 2, remove},
	}
)

// disturb does one of these things.
func disturb(m *model, r *rand.Rand) {
	all := 0
	for _, what := range m.disk.disturb {
		all += what.weight
	}
	p := r.IntN(all)
	for _, what := range m.disk.disturb {
		if p -= what.weight; p >= 0 {
			continue
		}
		m.disk.mu.Lock()
		m.disk.disturbed[what.name]++
		m.disk.mu.Unlock()
		if err := what.do(m, r); err != nil {
			m.failed.Add(1)
			m.t.Errorf("%s: %v", what.name, err)
		}
		return
	}
}

// alone runs f while nobody does anything else.
func alone(m *model, f func() error) error {
	m.life.Lock()
	defer m.life.Unlock()
	return f()
}

func restart(m *model, _ *rand.Rand) error {
	return alone(m, func() error {
		m.open()
		if err := m.stop(); err != nil {
			return err
		}
		return m.start(m.disk.dir)
	})
}

// loseLog is a restart without the purge log: the disk is older than the new one.
func loseLog(m *model, _ *rand.Rand) error {
	return alone(m, func() error {
		m.open()
		if err := m.stop(); err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(m.disk.dir, "purge.db")); err != nil {
			return err
		}
		return m.start(m.disk.dir)
	})
}

// crash goes on with the files as they are while the queue is being written.
func crash(m *model, _ *rand.Rand) error {
	return alone(m, func() error {
		m.open()
		old := m.disk.dir
		image := filepath.Join(m.t.TempDir(), "disk")
		if err := crashImage(old, image); err != nil {
			return err
		}
		if err := m.stop(); err != nil {
			return err
		}
		m.disk.dir = image
		return errors.Join(os.RemoveAll(old), m.start(image))
	})
}

// beside runs f while the others go on, with a context that nothing outlives
// but what is stuck.
func beside(m *model, f func(ctx context.Context) error) error {
	m.life.RLock()
	defer m.life.RUnlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := f(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("it is stuck: %w", err)
	}
	if m.disk.scarred.Load() {
		return nil
	}
	return err
}

func sweep(m *model, _ *rand.Rand) error {
	return beside(m, func(ctx context.Context) error { return m.disk.sweeper.Sweep(ctx) })
}

func checkDisk(m *model, _ *rand.Rand) error {
	return beside(m, func(ctx context.Context) error {
		report, err := m.store.(*cachestore.Tiers).Disk().Check(ctx)
		if err == nil && report.Broken > 0 {
			err = fmt.Errorf("%d objects are broken in files that nobody has damaged", report.Broken)
		}
		return err
	})
}

func compact(m *model, _ *rand.Rand) error {
	return beside(m, func(ctx context.Context) error {
		_, err := m.store.(*cachestore.Tiers).Disk().Compact(ctx)
		return err
	})
}
