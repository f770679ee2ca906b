package bench

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strconv"
)

// GenConfig describes a made CDN workload; a zero field means its default.
// The defaults are those of the traces that the eviction policy was measured
// with: a million requests at 500 a second.
type GenConfig struct {
	Requests   int     // how many requests, default 1,000,000
	Seed       uint64  // the same seed makes the same bytes
	Zipf       float64 // exponent of popularity, default 0.8; under 1 is allowed
	Objects    int     // objects that are popular at one time, default a tenth of the requests
	OneTimers  float64 // share of requests for what is never asked for again, default 0.10; negative: none
	Churn      float64 // chance that a request sees a popular object replaced, default 0.02; negative: none
	MedianSize float64 // bytes, of the lognormal sizes, default 14 KiB
	Sigma      float64 // of the lognormal sizes, default 1.6
	HeavyShare float64 // share of objects with Pareto sizes, default 0.02; negative: none
	HeavyMin   float64 // bytes, the least of the Pareto sizes, default 1 MiB
	HeavyAlpha float64 // exponent of the Pareto sizes, default 1.2
	MaxSize    int64   // bytes, the largest object, default 256 MiB
	Rate       float64 // requests a second, for the time column, default 500
}

func (c GenConfig) withDefaults() GenConfig {
	setDefault(&c.Requests, 1_000_000)
	setDefault(&c.Zipf, 0.8)
	setDefault(&c.Objects, max(1, c.Requests/10))
	setDefault(&c.OneTimers, 0.10)
	setDefault(&c.Churn, 0.02)
	setDefault(&c.MedianSize, 14<<10)
	setDefault(&c.Sigma, 1.6)
	setDefault(&c.HeavyShare, 0.02)
	setDefault(&c.HeavyMin, 1<<20)
	setDefault(&c.HeavyAlpha, 1.2)
	setDefault(&c.MaxSize, 256<<20)
	setDefault(&c.Rate, 500)
	return c
}

func setDefault[T int | int64 | float64](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// check refuses what would make no workload; the names are the flags'.
func (c GenConfig) check() error {
	for _, f := range []struct {
		name          string
		value         float64
		least, utmost float64
	}{
		{"requests", float64(c.Requests), 1, 1e9},
		{"objects", float64(c.Objects), 1, 1e9},
		{"zipf", c.Zipf, 0, 10},
		{"one-timers", c.OneTimers, math.Inf(-1), 1},
		{"churn", c.Churn, math.Inf(-1), 1},
		{"median size", c.MedianSize, 1, 1 << 40},
		{"sigma", c.Sigma, 0, 10},
		{"heavy share", c.HeavyShare, math.Inf(-1), 1},
		{"heavy minimum", c.HeavyMin, 1, 1 << 40},
		{"heavy alpha", c.HeavyAlpha, 0.01, 100},
		{"max size", float64(c.MaxSize), 1, 1 << 40},
		{"rate", c.Rate, 1e-6, 1e9},
	} {
		if !(f.value >= f.least && f.value <= f.utmost) {
			return fmt.Errorf("generate workload: %s is %v, want %v to %v", f.name, f.value, f.least, f.utmost)
		}
	}
	return nil
}

// generator holds the state of a workload while it is made.
type generator struct {
	GenConfig
	rnd     *rand.Rand
	zipf    *Zipf
	objects []object // what stands at each rank of popularity
	next    int      // the next new id: ids count up in order of first sight
}

type object struct {
	id   int // -1 until it is first asked for
	size int64
}

// Gen writes a workload as a trace, a line `time id size` a request. Popularity
// is Zipf's; a share of the requests is for objects that come once; and one by
// one popular objects are replaced by new ones, so yesterday's favourites fade.
func Gen(w io.Writer, c GenConfig) error {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return err
	}
	g := &generator{
		GenConfig: c,
		rnd:       rand.New(rand.NewPCG(c.Seed, 0x9e3779b97f4a7c15)),
		zipf:      NewZipf(c.Objects, c.Zipf),
		objects:   make([]object, c.Objects),
	}
	for rank := range g.objects {
		g.objects[rank].id = -1
	}
	out := bufio.NewWriterSize(w, 64<<10)
	var line []byte
	for i := range c.Requests {
		o := g.ask()
		line = strconv.AppendInt(line[:0], int64(float64(i)/c.Rate), 10)
		line = append(line, ' ')
		line = strconv.AppendInt(line, int64(o.id), 10)
		line = append(line, ' ')
		line = strconv.AppendInt(line, o.size, 10)
		line = append(line, '\n')
		if _, err := out.Write(line); err != nil {
			return fmt.Errorf("write workload: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write workload: %w", err)
	}
	return nil
}

// ask draws the next request.
func (g *generator) ask() object {
	if g.rnd.Float64() < g.Churn {
		g.objects[g.rnd.IntN(len(g.objects))] = object{id: -1}
	}
	if g.rnd.Float64() < g.OneTimers {
		return g.fresh()
	}
	o := &g.objects[g.zipf.Draw(g.rnd)]
	if o.id < 0 {
		*o = g.fresh()
	}
	return *o
}

// fresh makes an object that was never asked for.
func (g *generator) fresh() object {
	o := object{id: g.next, size: g.size()}
	g.next++
	return o
}

func (g *generator) size() int64 {
	var bytes float64
	if g.rnd.Float64() < g.HeavyShare {
		bytes = g.HeavyMin / math.Pow(1-g.rnd.Float64(), 1/g.HeavyAlpha)
	} else {
		bytes = g.MedianSize * math.Exp(g.Sigma*g.rnd.NormFloat64())
	}
	return int64(min(max(bytes, 1), float64(g.MaxSize)))
}
