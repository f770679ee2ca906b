package ratio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"edgecache/bench"
	"edgecache/bench/policies"
)

// Input is a trace or a log, or a sample of one that is too long to be held.
type Input struct {
	*bench.Workload
	Name string
	Rate float64 // share of the objects that are in it; 1 is all
	// Asked is the requests of the whole, of which a sample has about Rate.
	Asked int64
}

// The bounds of a sample: 40 bytes an object, 4 a request.
const (
	SampleObjects  = 4 << 20
	SampleRequests = 64 << 20
)

// Load reads a file. When it has more than limits allow a sample of its objects
// is taken: in the order of its lines, and without lifetimes.
func Load(path string, limits bench.Limits) (*Input, error) {
	w, err := bench.LoadFile(path, limits)
	if errors.Is(err, bench.ErrTooManyLines) || errors.Is(err, bench.ErrTooManyIDs) {
		return sampleFile(path, limits, policies.NewSampler(SampleObjects, SampleRequests))
	}
	if err != nil {
		return nil, err
	}
	return &Input{Workload: w, Name: path, Rate: 1, Asked: int64(len(w.Requests))}, nil
}

func sampleFile(path string, limits bench.Limits, s *policies.Sampler) (*Input, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open trace: %w", err)
	}
	defer f.Close()
	limits.Lines = math.MaxInt
	reader, err := bench.NewReader(f, limits)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	in := &Input{Workload: &bench.Workload{Format: reader.Format(), Unsized: true}, Name: path}
	from, to := math.Inf(1), math.Inf(-1)
	for {
		q, err := reader.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		in.Unsized = in.Unsized && q.Size == 1
		from, to = min(from, q.Time), max(to, q.Time)
		s.Add([]byte(q.ID), q.Size)
	}
	in.Seconds = to - from
	in.take(s)
	return in, nil
}

// take makes a sample the input's.
func (in *Input) take(s *policies.Sampler) {
	sample := s.Sample()
	in.Requests, in.Sizes, in.Rate, in.Asked = sample.Requests, sample.Sizes, sample.Rate, sample.Asked
	if in.Unsized {
		for i := range in.Sizes {
			in.Sizes[i] = bench.UnsizedBytes
		}
	}
}

// curveObjects is how many objects a sample has that a curve is drawn of: some
// 16 sizes are then a matter of seconds. See policies.Sampler on its error.
const curveObjects = 16 << 10

// sampled is the input, or a sample of it that has at most so many objects. What no
// cache may keep is left out of a sample, and so is when things happen.
func (in *Input) sampled(objects int) *Input {
	t, _ := timeless(in.Workload)
	if len(t.Sizes) <= objects {
		return in
	}
	s := policies.NewSampler(objects, SampleRequests)
	for _, object := range t.Requests {
		s.Add(binary.BigEndian.AppendUint32(nil, object), t.Sizes[object])
	}
	out := &Input{Workload: &bench.Workload{Format: in.Format, Seconds: in.Seconds}, Name: in.Name}
	out.take(s)
	out.Rate *= in.Rate
	return out
}

// adjust adds to what a sample's counts lack of the requests: they are those for a few
// popular objects, and so hits (SHARDS, FAST 2015, 3.2).
func (in *Input) adjust(c *policies.Counts) {
	if in.Rate >= 1 {
		return
	}
	lacks := int64(in.Rate*float64(in.Asked)) - c.Requests.Objects
	lacks = max(lacks, -c.MemoryHits.Objects)
	c.Requests.Objects += lacks
	c.MemoryHits.Objects += lacks
}

// scaled is the size that stands for one of the whole.
func (in *Input) scaled(bytes int64) int64 { return int64(float64(bytes) * min(in.Rate, 1)) }

// UniqueBytes is what all objects have together, those that are not in the sample, too.
func (in *Input) UniqueBytes() int64 {
	return int64(float64(policies.Trace{Sizes: in.Sizes}.UniqueBytes()) / in.Rate)
}

// Objects is how many there are, about, where this is a sample.
func (in *Input) Objects() int64 { return int64(float64(len(in.Sizes)) / in.Rate) }
