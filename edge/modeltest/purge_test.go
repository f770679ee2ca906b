package modeltest

import (
	"context"
	"math/rand/v2"

	"edgecache/purge"
)

// purgeSomething purges something after the origin has changed it, and remembers what
// may not be served any more once the purge was answered.
func purgeSomething(m *model, r *rand.Rand) {
	o := m.world.objects[r.IntN(objects)]
	scope, selector, host, covers := target(r, o)
	strength := []purge.Strength{purge.Hard, purge.Revalidate, purge.Soft}[r.IntN(3)]
	entry, err := purge.ParseEntry(scope, selector, host, strength)
	if err != nil {
		m.t.Error(err)
		return
	}
	covered := map[*object]int64{}
	for _, x := range m.world.objects {
		if covers(x) {
			if r.IntN(2) == 0 {
				x.version.Add(1)
			}
			covered[x] = x.version.Load()
		}
	}
	m.clockMu.RLock() // the soft window runs from one known moment
	at := m.world.now.Load()
	_, err = m.log.Purge(context.Background(), []purge.Entry{entry})
	m.clockMu.RUnlock()
	if err != nil {
		m.t.Error(err)
		return
	}
	m.purges.Add(1)
	for x, version := range covered {
		x.mu.Lock()
		if strength == purge.Soft {
			x.soft = append(x.soft, softPurge{version, at + int64(softWindow)})
			if len(x.soft) > 64 {
				x.soft = x.soft[1:]
			}
		} else {
			x.gone = max(x.gone, version)
		}
		x.mu.Unlock()
	}
}

// target chooses what to purge, around an object.
func target(r *rand.Rand, o *object) (purge.Scope, string, string, func(*object) bool) {
	same := func(x *object) bool { return x == o }
	switch p := r.IntN(100); {
	case p < 50:
		return purge.ScopeURL, "http://" + o.host() + o.path(), "", same
	case p < 70:
		tag := o.tags()[r.IntN(2)]
		return purge.ScopeTag, tag, "", func(x *object) bool { return x.tags()[0] == tag || x.tags()[1] == tag }
	case p < 85:
		return purge.ScopePrefix, "http://" + o.host() + o.prefix(), "", func(x *object) bool {
			return x.host() == o.host() && x.prefix() == o.prefix()
		}
	case p < 92:
		return purge.ScopePrefix, o.prefix(), "", func(x *object) bool { return x.prefix() == o.prefix() }
	case p < 97:
		return purge.ScopeHost, o.host(), "", func(x *object) bool { return x.host() == o.host() }
	}
	return purge.ScopeAll, "", "", func(*object) bool { return true }
}
