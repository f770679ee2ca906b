package main

import (
	"encoding/binary"
	"fmt"
)

// Bodies are rows of words, each its place times an odd constant: cheap to make,
// and a byte that is lost, doubled or of another place shows.
const (
	wordStep = 0x9e3779b97f4a7c15
	wordSize = 8
)

// fillBody writes the bytes from offset on.
func fillBody(p []byte, offset int64) {
	for offset%wordSize != 0 && len(p) > 0 {
		p[0] = byteAt(offset)
		p, offset = p[1:], offset+1
	}
	word := uint64(offset/wordSize) * wordStep
	for len(p) >= wordSize {
		binary.LittleEndian.PutUint64(p, word)
		p, word, offset = p[wordSize:], word+wordStep, offset+wordSize
	}
	for i := range p {
		p[i] = byteAt(offset + int64(i))
	}
}

func byteAt(offset int64) byte {
	return byte(uint64(offset/wordSize) * wordStep >> (offset % wordSize * 8))
}

// checkBody says what is wrong with bytes from offset on.
func checkBody(p []byte, offset int64) error {
	at := offset
	wrong := func() error { return fmt.Errorf("the byte at %d, or one close by, is wrong", at) }
	for ; at%wordSize != 0 && len(p) > 0; p, at = p[1:], at+1 {
		if p[0] != byteAt(at) {
			return wrong()
		}
	}
	word := uint64(at/wordSize) * wordStep
	for ; len(p) >= wordSize; p, at, word = p[wordSize:], at+wordSize, word+wordStep {
		if binary.LittleEndian.Uint64(p) != word {
			return wrong()
		}
	}
	for ; len(p) > 0; p, at = p[1:], at+1 {
		if p[0] != byteAt(at) {
			return wrong()
		}
	}
	return nil
}
