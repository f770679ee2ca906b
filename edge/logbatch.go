package edge

// logBatch is lines of the access log with the moment each request ended.
type logBatch struct {
	text []byte
	ends []logLine
	done int // lines that were taken
	from int // where the next one begins
}

// logLine says when a request ended and where its line does.
type logLine struct {
	at  int64 // Unix nanoseconds
	end int
}

// read says whether all lines were taken.
func (b *logBatch) read() bool { return b.done == len(b.ends) }

// next is the line that take would give.
func (b *logBatch) next() logLine { return b.ends[b.done] }

// take gives the next line.
func (b *logBatch) take() []byte {
	line := b.text[b.from:b.ends[b.done].end]
	b.from = b.ends[b.done].end
	b.done++
	return line
}

func (b *logBatch) reset() {
	b.text, b.ends, b.done, b.from = b.text[:0], b.ends[:0], 0, 0
}
