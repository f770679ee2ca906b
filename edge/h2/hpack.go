package h2

import "errors"

// tableBytes is the size of the decoder's dynamic table: the default, which our
// SETTINGS leave as it is (RFC 9113, 6.5.2).
const tableBytes = 4096

var (
	errInteger = errors.New("malformed HPACK integer")
	errString  = errors.New("malformed HPACK string")
	errIndex   = errors.New("HPACK index of nothing")
	errUpdate  = errors.New("HPACK table update that is too large or too late")
)

// decoder decodes the header blocks of one connection (RFC 7541). What it decodes
// is copied into the block it is given: views of a table would not live as long as
// a request. A common request allocates nothing.
type decoder struct{ table dynamic }

func newDecoder() decoder { return decoder{newDynamic()} }

// block is a decoded header list: names and values one after the other.
type block struct {
	buf   []byte
	lines []line
	size  int  // as SETTINGS_MAX_HEADER_LIST_SIZE counts: 32 more a field
	over  bool // a field did not fit: it is left out
}

// line says where in a block's buffer a field is; its value ends where the next begins.
type line struct{ name, value, end int }

func (b *block) reset() { b.buf, b.lines, b.size, b.over = b.buf[:0], b.lines[:0], 0, false }

// field is a field's name and value: views, until the block is decoded into again.
func (b *block) field(i int) (name, value []byte) {
	l := b.lines[i]
	return b.buf[l.name:l.value:l.value], b.buf[l.value:l.end:l.end]
}

// decode decodes a whole header block behind what is in dst. Beyond limit bytes
// and lines fields it only keeps its own table right. An error ends the
// connection: the table is not the client's any more.
func (d *decoder) decode(src []byte, dst *block, limit, lines int) error {
	for begun := false; len(src) > 0; {
		var err error
		switch b := src[0]; {
		case b&0x80 != 0:
			src, err = d.indexed(src, dst, limit, lines)
		case b&0xe0 == 0x20:
			if begun {
				return errUpdate
			}
			if src, err = d.update(src); err == nil {
				continue
			}
		case b&0x40 != 0:
			src, err = d.literal(src, 6, dst, limit, lines)
		default:
			src, err = d.literal(src, 4, dst, limit, lines)
		}
		if err != nil {
			return err
		}
		begun = true
	}
	return nil
}

// indexed is a field that a table has (6.1).
func (d *decoder) indexed(src []byte, dst *block, limit, lines int) ([]byte, error) {
	i, src, err := integer(src, 7)
	if err != nil {
		return nil, err
	}
	name, value, ok := d.get(i)
	if !ok {
		return nil, errIndex
	}
	if !dst.fits(len(name)+len(value), limit, lines) {
		return src, nil
	}
	from := len(dst.buf)
	dst.buf = append(append(dst.buf, name...), value...)
	dst.lines = append(dst.lines, line{from, from + len(name), len(dst.buf)})
	return src, nil
}

// literal is a field of which at most the name is in a table (6.2). With a
// prefix of 6 bits it goes into the table.
func (d *decoder) literal(src []byte, prefix uint, dst *block, limit, lines int) ([]byte, error) {
	i, src, err := integer(src, prefix)
	if err != nil {
		return nil, err
	}
	from := len(dst.buf)
	if i > 0 {
		name, _, ok := d.get(i)
		if !ok {
			return nil, errIndex
		}
		dst.buf = append(dst.buf, name...)
	} else if dst.buf, src, err = text(dst.buf, src); err != nil {
		return nil, err
	}
	mid := len(dst.buf)
	if dst.buf, src, err = text(dst.buf, src); err != nil {
		return nil, err
	}
	if prefix == 6 {
		d.table.add(dst.buf[from:mid], dst.buf[mid:])
	}
	if !dst.fits(len(dst.buf)-from, limit, lines) {
		dst.buf = dst.buf[:from]
		return src, nil
	}
	dst.lines = append(dst.lines, line{from, mid, len(dst.buf)})
	return src, nil
}

// fits says whether a field is kept, and counts it.
func (b *block) fits(n, limit, lines int) bool {
	b.size += n + 32
	b.over = b.over || b.size > limit || len(b.lines) >= lines
	return !b.over
}

// update changes the table's size (6.3).
func (d *decoder) update(src []byte) ([]byte, error) {
	n, src, err := integer(src, 5)
	if err != nil {
		return nil, err
	}
	if n > tableBytes {
		return nil, errUpdate
	}
	d.table.resize(n)
	return src, nil
}

// get looks an index up (2.3.3): views.
func (d *decoder) get(i int) (name, value []byte, ok bool) {
	if i >= 1 && i <= staticEntries {
		return static[i].name, static[i].value, true
	}
	return d.table.get(i - staticEntries)
}

// integer decodes an integer with a prefix of so many bits (5.1), below 2^28.
func integer(src []byte, prefix uint) (int, []byte, error) {
	most := 1<<prefix - 1
	n := int(src[0]) & most
	src = src[1:]
	if n < most {
		return n, src, nil
	}
	for shift := 0; len(src) > 0 && shift < 28; shift += 7 {
		b := src[0]
		src = src[1:]
		n += int(b&0x7f) << shift
		if b&0x80 == 0 {
			return n, src, nil
		}
	}
	return 0, nil, errInteger
}

// text decodes a string literal (5.2) behind dst.
func text(dst, src []byte) (out, rest []byte, err error) {
	if len(src) == 0 {
		return dst, nil, errString
	}
	coded := src[0]&0x80 != 0
	n, src, err := integer(src, 7)
	if err != nil {
		return dst, nil, err
	}
	if n > len(src) {
		return dst, nil, errString
	}
	if !coded {
		return append(dst, src[:n]...), src[n:], nil
	}
	dst, ok := appendHuffman(dst, src[:n])
	if !ok {
		return dst, nil, errString
	}
	return dst, src[n:], nil
}
