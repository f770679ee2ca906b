package h2

import (
	"golang.org/x/net/http2/hpack"
)

// entry is a field of the static or the dynamic table.
type entry struct{ name, value []byte }

// size is what it counts in a table (RFC 7541, 4.1).
func (e *entry) size() int { return len(e.name) + len(e.value) + 32 }

const staticEntries = 61

// static is the static table (RFC 7541, appendix A), from 1, as the library has
// it.
var static = func() (t [staticEntries + 1]entry) {
	for i := 1; i <= staticEntries; i++ {
		fields, err := hpack.NewDecoder(0, nil).DecodeFull([]byte{0x80 | byte(i)})
		if err != nil || len(fields) != 1 {
			panic("h2: no static table")
		}
		t[i] = entry{[]byte(fields[0].Name), []byte(fields[0].Value)}
	}
	return t
}()

// huffStep is what one nibble does in one state of the Huffman decoder: the
// next state, and a symbol if one is complete.
type huffStep struct {
	next   uint16
	symbol byte
	emits  bool
	fails  bool // EOS, which must not be there (RFC 7541, 5.2)
}

// huffNode is an inner node of the code's tree.
type huffNode struct {
	child [2]int16 // inner nodes; 0 = none
	leaf  [2]int16 // symbols + 1; 0 = none
}

// huffTable decodes four bits at a time: no code is shorter than five, so a
// nibble completes one symbol at most. accepts says which states may be the
// last: nothing but up to seven bits of EOS, all ones, since the last symbol.
var huffTable, huffAccepts = buildHuffman()

func buildHuffman() (table [][16]huffStep, accepts []bool) {
	nodes := []huffNode{{}}
	for s := range 256 {
		bits, n := huffCode(byte(s))
		at := int16(0)
		for i := n - 1; i >= 0; i-- {
			bit := bits >> i & 1
			if i == 0 {
				nodes[at].leaf[bit] = int16(s) + 1
				break
			}
			if nodes[at].child[bit] == 0 {
				nodes = append(nodes, huffNode{})
				nodes[at].child[bit] = int16(len(nodes) - 1)
			}
			at = nodes[at].child[bit]
		}
	}
	table, accepts = make([][16]huffStep, len(nodes)), make([]bool, len(nodes))
	for at := range nodes {
		for nibble := range 16 {
			table[at][nibble] = huffWalk(nodes, int16(at), nibble)
		}
	}
	for at, n := int16(0), 0; n < 8; n++ { // the path of ones
		accepts[at] = true
		at = nodes[at].child[1]
	}
	return table, accepts
}

// huffWalk goes down from a node by four bits.
func huffWalk(nodes []huffNode, at int16, nibble int) (s huffStep) {
	for i := 3; i >= 0; i-- {
		bit := nibble >> i & 1
		switch n := nodes[at]; {
		case n.leaf[bit] > 0:
			s.symbol, s.emits, at = byte(n.leaf[bit]-1), true, 0
		case n.child[bit] > 0:
			at = n.child[bit]
		default:
			return huffStep{fails: true}
		}
	}
	s.next = uint16(at)
	return s
}

// huffCode is a symbol's code (RFC 7541, appendix B), learned from the library:
// eight times the symbol has as many bytes as one has bits.
func huffCode(symbol byte) (bits uint32, n int) {
	one := string([]byte{symbol})
	eight := one + one + one + one + one + one + one + one
	n = int(hpack.HuffmanEncodeLength(eight))
	for i, c := range hpack.AppendHuffmanString(nil, eight) {
		if i < 4 {
			bits |= uint32(c) << (24 - 8*i)
		}
	}
	return bits >> (32 - n), n
}

// appendHuffman decodes a Huffman-coded string. It fails where the string ends
// inside a symbol or in padding that is none (RFC 7541, 5.2).
func appendHuffman(dst, src []byte) ([]byte, bool) {
	state := uint16(0)
	for _, c := range src {
		s := huffTable[state][c>>4]
		if s.emits {
			dst = append(dst, s.symbol)
		}
		if s.fails {
			return dst, false
		}
		s = huffTable[s.next][c&15]
		if s.emits {
			dst = append(dst, s.symbol)
		}
		if s.fails {
			return dst, false
		}
		state = s.next
	}
	return dst, huffAccepts[state]
}
