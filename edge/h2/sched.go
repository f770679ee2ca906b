package h2

import "bytes"

// urgencies is how many there are (RFC 9218, 4.1); 0 goes first.
const urgencies = 8

// sched says whose turn it is: the most urgent first; of one urgency those that are
// incremental in turn, the others one after the other (RFC 9218, 10).
type sched struct {
	queues [urgencies]queue
	n      int
}

type queue struct{ first, last *stream }

// add puts a stream that has something to send behind those of its urgency.
func (s *sched) add(st *stream) {
	if st.queued {
		return
	}
	st.queued, st.next = true, nil
	q := &s.queues[st.urgency]
	if q.last == nil {
		q.first = st
	} else {
		q.last.next = st
	}
	q.last = st
	s.n++
}

// first is the stream whose turn it is, nil when nothing waits.
func (s *sched) first() *stream {
	for i := range s.queues {
		if st := s.queues[i].first; st != nil {
			return st
		}
	}
	return nil
}

// rotate puts a stream that had its turn behind the others.
func (s *sched) rotate(st *stream) {
	if q := &s.queues[st.urgency]; q.first == st && q.last != st {
		s.remove(st)
		s.add(st)
	}
}

func (s *sched) remove(st *stream) {
	if !st.queued {
		return
	}
	q := &s.queues[st.urgency]
	var before *stream
	for at := q.first; at != nil; before, at = at, at.next {
		if at != st {
			continue
		}
		if before == nil {
			q.first = st.next
		} else {
			before.next = st.next
		}
		if q.last == st {
			q.last = before
		}
		break
	}
	st.queued, st.next = false, nil
	s.n--
}

// parsePriority reads a priority field value (RFC 9218, 4). It knows the two
// parameters; what it cannot read is as if it were not there (8: "ignored").
func parsePriority(value []byte) (urgency uint8, incremental bool) {
	urgency = defaultUrgency
	for len(value) > 0 {
		var member []byte
		member, value, _ = bytes.Cut(value, []byte{','})
		member = bytes.Trim(member, " \t")
		switch {
		case len(member) == 3 && member[0] == 'u' && member[1] == '=' && '0' <= member[2] && member[2] <= '7':
			urgency = member[2] - '0'
		case string(member) == "i", string(member) == "i=?1":
			incremental = true
		case string(member) == "i=?0":
			incremental = false
		}
	}
	return urgency, incremental
}
