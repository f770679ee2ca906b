package cachestore

import "edgecache/policy"

// ghosts are objects that were asked for and are not on disk, by a part of their hash: how
// often they were asked for, and how large they are. The first that came in is the first that
// goes, when they have more bytes, or are more, than they may. An equal part of the hash makes
// two objects one, which costs at most a wrong guess.
type ghosts struct {
	bytes, most int64 // of the objects that they stand for
	limit       int   // how many there may be
	known       map[uint64]ghost
	line        ghostLine
	turn        uint32
}

// ghost is what is known of one.
type ghost struct {
	size int64
	uses uint32
	turn uint32 // of its place in the line: an older one is void
}

// ghostBytes is what a ghost takes in memory: its line of 16 bytes, its part of a map that
// is seven eighths full.
const ghostBytes = 48

// take removes what is known of an object.
func (g *ghosts) take(h policy.Hash) (known ghost, ok bool) {
	known, ok = g.known[h.Lo]
	if ok {
		delete(g.known, h.Lo)
		g.bytes -= known.size
	}
	return known, ok
}

// put makes an object the youngest ghost.
func (g *ghosts) put(h policy.Hash, size int64, uses uint32) {
	g.take(h)
	if size > g.most || g.limit == 0 {
		return
	}
	if g.known == nil {
		g.known = make(map[uint64]ghost)
	}
	g.turn++
	g.known[h.Lo] = ghost{size, uses, g.turn}
	g.bytes += size
	g.line.push(ghostPlace{h.Lo, g.turn})
	for g.bytes > g.most || len(g.known) > g.limit || g.line.len > 2*g.limit {
		old := g.line.pop()
		if known, ok := g.known[old.hash]; ok && known.turn == old.turn {
			delete(g.known, old.hash)
			g.bytes -= known.size
		}
	}
}

// add counts uses of an object that is known; it keeps its place.
func (g *ghosts) add(h policy.Hash, uses uint32) {
	if known, ok := g.known[h.Lo]; ok {
		known.uses += uses
		g.known[h.Lo] = known
	}
}

// memory is how many bytes the ghosts take.
func (g *ghosts) memory() int64 { return int64(max(len(g.known), g.line.len/2)) * ghostBytes }

// ghostPlace is the place of a ghost in the line.
type ghostPlace struct {
	hash uint64
	turn uint32
}

// ghostLine is a queue in blocks: nothing is copied when it grows.
type ghostLine struct {
	blocks []*[ghostBlock]ghostPlace
	from   int // the first in the first block
	len    int
}

const ghostBlock = 1024

func (l *ghostLine) push(p ghostPlace) {
	at := l.from + l.len
	if at == len(l.blocks)*ghostBlock {
		l.blocks = append(l.blocks, new([ghostBlock]ghostPlace))
	}
	l.blocks[at/ghostBlock][at%ghostBlock] = p
	l.len++
}

func (l *ghostLine) pop() ghostPlace {
	p := l.blocks[0][l.from]
	l.from++
	l.len--
	if l.from == ghostBlock {
		l.blocks[0] = nil
		l.blocks = l.blocks[1:]
		l.from = 0
	}
	return p
}
