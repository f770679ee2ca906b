package cachestore

import "sort"

// segment is a run of a body's bytes in one buffer.
type segment struct {
	at      int64 // offset of its first byte in the body
	buf     []byte
	counted bool // by the fill's account; not once a Writer has it
	handed  bool // to a Writer, maybe only for a time: never used for other bytes
	lent    int  // readers that hold a view of it
}

func (s *segment) end() int64  { return s.at + int64(len(s.buf)) }
func (s *segment) held() int64 { return rounded(int64(cap(s.buf))) }

// strip is the part of a body that a fill still holds: segments without gaps.
// It belongs to its fill and is guarded by its mutex.
type strip struct {
	account Account
	segs    []*segment
	own     segment     // most bodies need no other
	room    [1]*segment // for segs
	spare   []byte      // a whole chunk to use again, counted
}

// first is the offset of the first byte that is held, of a body of which
// written bytes came.
func (s *strip) first(written int64) int64 {
	if len(s.segs) == 0 {
		return written
	}
	return s.segs[0].at
}

// last is the segment that grows, nil when there is none.
func (s *strip) last() *segment {
	if len(s.segs) == 0 {
		return nil
	}
	return s.segs[len(s.segs)-1]
}

// free is the room behind written in the last segment.
func (s *strip) free(written int64) []byte {
	l := s.last()
	if l == nil || written >= l.end() {
		return nil
	}
	return l.buf[written-l.at:]
}

// find returns the segment that holds offset off, which must be held.
func (s *strip) find(off int64) *segment {
	i := sort.Search(len(s.segs), func(i int) bool { return s.segs[i].end() > off })
	return s.segs[i]
}

// add puts a counted buffer behind what is held.
func (s *strip) add(at int64, buf []byte) {
	g := &s.own
	if at > 0 {
		g = new(segment)
	} else {
		s.segs = s.room[:0]
	}
	*g = segment{at: at, buf: buf, counted: true}
	s.segs = append(s.segs, g)
}

// enlarge moves the last segment, of which used bytes are filled, into a counted
// buffer. Views of the old one stay valid.
func (s *strip) enlarge(buf []byte, used int64) {
	l := s.last()
	copy(buf, l.buf[:used])
	s.account.Release(l.held())
	l.buf = buf
}

// drop forgets the segments that end at or before off.
func (s *strip) drop(off int64) {
	n := 0
	for n < len(s.segs) && s.segs[n].end() <= off {
		s.forget(s.segs[n])
		if s.segs[n] == &s.own {
			s.own.buf = nil // it stays with the fill, what it held does not
		}
		s.segs[n] = nil
		n++
	}
	s.segs = s.segs[n:]
}

// dropAll forgets everything.
func (s *strip) dropAll() {
	for _, g := range s.segs {
		g.handed = true // no spare for what has ended
		s.forget(g)
	}
	s.segs = nil
	if s.spare != nil {
		s.account.Release(rounded(int64(cap(s.spare))))
		s.spare = nil
	}
}

func (s *strip) forget(g *segment) {
	if !g.counted {
		return
	}
	if s.spare == nil && !g.handed && g.lent == 0 && len(g.buf) == ChunkSize {
		s.spare = g.buf
		return
	}
	s.account.Release(g.held())
}

// uncounted is how many bytes are held that a Writer counts.
func (s *strip) uncounted() (n int64) {
	for _, g := range s.segs {
		if !g.counted {
			n += g.held()
		}
	}
	return n
}

// count says that the account counts them now.
func (s *strip) count() {
	for _, g := range s.segs {
		g.counted = true
	}
}

// hand says that a Writer counts g from now on.
func (s *strip) hand(g *segment) {
	s.account.Release(g.held())
	g.counted, g.handed = false, true
}
