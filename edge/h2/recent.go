package h2

// recent remembers the streams that were closed last: a frame for one of them may
// have been on its way (RFC 9113, 5.1).
type recent struct {
	ids  [64]uint32
	at   int
	mine [64]bool // ended by a reset: frames are ignored
}

func (r *recent) add(id uint32, reset bool) {
	r.ids[r.at], r.mine[r.at] = id, reset
	r.at = (r.at + 1) % len(r.ids)
}

// find says whether a stream is among them, and whether it was reset.
func (r *recent) find(id uint32) (known, reset bool) {
	for i, one := range r.ids {
		if one == id && id != 0 {
			return true, r.mine[i]
		}
	}
	return false, false
}
