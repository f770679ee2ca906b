package purge

// unwritten are the invalidations that are applied and not in the file yet,
// one for each thing that they are about.
type unwritten map[invalidated]stored

// invalidated names what an invalidation is about.
type invalidated struct {
	scope       Scope
	strength    Strength
	value, host string
}

func aboutOf(e Entry) invalidated { return invalidated{e.Scope, e.Strength, e.Value, e.Host} }

// has reports whether one about the same thing is there.
func (u unwritten) has(e Entry) bool {
	_, found := u[aboutOf(e)]
	return found
}

// keep adds an invalidation. Of two about the same thing the later number
// stays, whichever is noted first, and the earlier time: a soft window begins
// with the first and ends none the later for the second.
func (u unwritten) keep(e Entry) {
	about := aboutOf(e)
	if have, found := u[about]; found {
		e.Seq, e.At = max(e.Seq, have.Seq), min(e.At, have.At)
	}
	u[about] = stored{Entry: e, volatile: true}
}
