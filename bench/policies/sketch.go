package policies

// sketch estimates how often each object was asked for lately: TinyLFU's
// "approximate representation of the access frequency of a large sample of
// recently accessed items" (Einziger, Friedman and Manes, 2017). It is a
// count-min sketch of four rows of 4-bit counters behind a doorkeeper, a Bloom
// filter that takes each object's first request of a sample, so that what comes
// once costs bits only. After a sample of ten requests an entry all counters
// are halved and the doorkeeper is emptied.
type sketch struct {
	rows       [sketchDepth][]uint64 // 16 counters a word
	doorkeeper []uint64
	entries    int // for which the width is made
	added      int // of the sample
}

const (
	sketchDepth      = 4
	sketchSample     = 10 // requests an entry
	sketchMinEntries = 64
)

// newSketch returns one for 64 entries: a word of each row and eight bits of the
// doorkeeper an entry make 4 × 4 counters and a byte.
func newSketch() *sketch {
	s := &sketch{entries: sketchMinEntries, doorkeeper: make([]uint64, sketchMinEntries/8)}
	for r := range s.rows {
		s.rows[r] = make([]uint64, sketchMinEntries/4)
	}
	return s
}

// fit doubles the width until it is made for that many entries. A counter's
// value is right for both that come of it, as an upper bound.
func (s *sketch) fit(entries int) {
	for s.entries < entries {
		for r, row := range s.rows {
			s.rows[r] = append(row, row...)
		}
		s.doorkeeper = append(s.doorkeeper, s.doorkeeper...)
		s.entries *= 2
	}
}

// add notes one request.
func (s *sketch) add(id uint32) {
	h := mix(uint64(id))
	if !s.meet(h) {
		for r := range s.rows {
			word, shift := s.counter(r, h)
			if *word>>shift&15 < 15 {
				*word += 1 << shift
			}
		}
	}
	if s.added++; s.added >= sketchSample*s.entries {
		s.age()
	}
}

// estimate is how many requests the sample saw, up to 16.
func (s *sketch) estimate(id uint32) int {
	h := mix(uint64(id))
	least := uint64(15)
	for r := range s.rows {
		word, shift := s.counter(r, h)
		least = min(least, *word>>shift&15)
	}
	if s.met(h) {
		least++
	}
	return int(least)
}

// counter finds the object's counter in a row, by a hash of the row's own.
func (s *sketch) counter(r int, h uint64) (word *uint64, shift uint) {
	h = mix(h + uint64(r))
	row := s.rows[r]
	return &row[h>>4&uint64(len(row)-1)], uint(h&15) * 4
}

// meet shows an object to the doorkeeper and says whether it was new to it.
func (s *sketch) meet(h uint64) (isNew bool) {
	for range sketchDepth {
		word, bit := &s.doorkeeper[h>>6&uint64(len(s.doorkeeper)-1)], uint64(1)<<(h&63)
		isNew = isNew || *word&bit == 0
		*word |= bit
		h = mix(h)
	}
	return isNew
}

func (s *sketch) met(h uint64) bool {
	for range sketchDepth {
		if s.doorkeeper[h>>6&uint64(len(s.doorkeeper)-1)]>>(h&63)&1 == 0 {
			return false
		}
		h = mix(h)
	}
	return true
}

func (s *sketch) age() {
	for _, row := range s.rows {
		for i := range row {
			row[i] = row[i] >> 1 & 0x7777777777777777
		}
	}
	clear(s.doorkeeper)
	s.added /= 2
}

// mix is the finisher of splitmix64 (Steele, Lea and Flood, 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
