package h2

// dynamic is the dynamic table of a decoder (RFC 7541, 2.3.2): fields in the
// order they came, in one buffer of twice its size, so that moving what lives
// to the front is rare. It allocates nothing after its start.
type dynamic struct {
	data  []byte
	spans []line // oldest first, from first on
	first int
	size  int // as RFC 7541, 4.1 counts
	limit int
}

const tableEntries = tableBytes / 32

func newDynamic() dynamic {
	return dynamic{data: make([]byte, 0, 2*tableBytes), spans: make([]line, 0, 2*tableEntries), limit: tableBytes}
}

// get gives the i-th newest field, from 1: views until the next add.
func (d *dynamic) get(i int) (name, value []byte, ok bool) {
	if i < 1 || i > len(d.spans)-d.first {
		return nil, nil, false
	}
	s := d.spans[len(d.spans)-i]
	return d.data[s.name:s.value], d.data[s.value:s.end], true
}

// add takes a field in; one that is larger than the table empties it (4.4).
func (d *dynamic) add(name, value []byte) {
	n := len(name) + len(value)
	d.evict(d.limit - n - 32)
	if n+32 > d.limit {
		return
	}
	if len(d.data)+n > cap(d.data) || len(d.spans) == cap(d.spans) {
		d.compact()
	}
	from := len(d.data)
	d.data = append(append(d.data, name...), value...)
	d.spans = append(d.spans, line{from, from + len(name), len(d.data)})
	d.size += n + 32
}

// resize changes the limit (4.3).
func (d *dynamic) resize(limit int) {
	d.limit = limit
	d.evict(limit)
}

// evict drops the oldest until the table has at most that size.
func (d *dynamic) evict(size int) {
	for d.first < len(d.spans) && d.size > size {
		s := d.spans[d.first]
		d.size -= s.end - s.name + 32
		d.first++
	}
	if d.first == len(d.spans) {
		d.data, d.spans, d.first = d.data[:0], d.spans[:0], 0
	}
}

// compact moves what lives to the front.
func (d *dynamic) compact() {
	if d.first == 0 {
		return
	}
	from := d.spans[d.first].name
	d.data = d.data[:copy(d.data, d.data[from:])]
	n := copy(d.spans, d.spans[d.first:])
	d.spans, d.first = d.spans[:n], 0
	for i := range d.spans {
		s := &d.spans[i]
		s.name, s.value, s.end = s.name-from, s.value-from, s.end-from
	}
}
