package purge

// Stats are the counters and gauges of a Log; every bound has one.
type Stats struct {
	Applied [scopes][strengths]uint64 // by scope and strength, invalidations too

	Commits   uint64 // synced transactions
	TooMany   uint64 // calls refused at Limit
	Busy      uint64 // calls refused at Queue
	Failed    uint64 // commits that failed
	Undurable uint64 // invalidations that are not in the file by name; it says so
	Coarsened uint64 // invalidations that became a revalidation of everything
	Forgotten uint64 // entries that sweeps took out of the file

	Seq           uint64 // the last number
	Purges        int    // in the file
	Invalidations int    // in the file
	Waiting       int    // entries of calls that wait for the writer
	Late          int    // invalidations that wait for the writer
	Places        int    // slots of the index in use
	Limit         int
}

// EachApplied calls f for every scope and strength that was ever applied.
func (s *Stats) EachApplied(f func(scope Scope, mode Strength, n uint64)) {
	for scope := range s.Applied {
		for mode, n := range s.Applied[scope] {
			if n > 0 {
				f(Scope(scope), Strength(mode), n)
			}
		}
	}
}

// Stats is a copy of the counters now.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Seq = l.index.Now()
	s.Purges, s.Invalidations = l.kept, l.keptLate
	s.Waiting, s.Late = l.waiting, len(l.late)
	s.Places, s.Limit = int(l.index.places.Load()), l.conf.Limit
	return s
}
