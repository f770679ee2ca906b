package purge

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"edgecache/cachestore"
	"edgecache/policy"
)

// A model is all purges there ever were, and all that was ever stored.
type model struct {
	t       *rapid.T
	tb      testing.TB
	log     *Log
	store   *cachestore.Memory
	sweeper *Sweeper
	clock   atomic.Int64
	purges  []Entry
	stored  map[string]parcel // by name
	flying  []flyer
	names   int
}

type flyer struct {
	parcel
	end func()
}

var (
	modelURLs = []string{
		"http://a/", "http://a/x", "https://a/x", "http://a/x?", "http://a/x?q", "http://a/x/y", "http://a/xy",
		"http://b/x", "https://b/x/y/z", "http://b:81/x",
	}
	modelTags     = []string{"t", "u", "w"}
	modelEntities = map[Scope][]string{
		ScopeURL:    {"/x", "/x?q", "http://a/x", "http://b/x", "https://a/x?", "http://b:81/x"},
		ScopePrefix: {"/", "/x", "/x/", "http://a/x", "http://b/x/y", "http://b/"},
		ScopeTag:    {"t", "u", "w"},
		ScopeHost:   {"a", "b", "b:81"},
		ScopeAll:    {""},
	}
)

// matches is the naive reading of a selector, by text alone.
func (e Entry) matches(p parcel) bool {
	u, _ := policy.ParseURL(p.url)
	if e.Scope == ScopeHost {
		return string(u.Host) == e.Value
	}
	if e.Host != "" && e.Host != string(u.Host) {
		return false
	}
	switch e.Scope {
	case ScopeURL:
		return joinQuery(u) == e.Value
	case ScopePrefix:
		path := string(u.Path)
		return path == e.Value || len(path) > len(e.Value) && path[:len(e.Value)+1] == e.Value+"/"
	case ScopeTag:
		return slices.Contains(p.tags, e.Value)
	}
	return true
}

func (m *model) entry() Entry {
	scope := rapid.SampledFrom([]Scope{ScopeURL, ScopeURL, ScopePrefix, ScopeTag, ScopeTag, ScopeHost, ScopeAll}).Draw(m.t, "scope")
	host := ""
	if scope == ScopeTag {
		host = rapid.SampledFrom([]string{"", "a", "b"}).Draw(m.t, "host")
	}
	s := rapid.SampledFrom([]Strength{Soft, Revalidate, Hard}).Draw(m.t, "strength")
	return entryOf(m.tb, scope, rapid.SampledFrom(modelEntities[scope]).Draw(m.t, "selector"), host, s)
}

// note records applied entries, whose numbers end at last.
func (m *model) note(es []Entry, last uint64) {
	for i, e := range es {
		e.Seq, e.At = last-uint64(len(es)-1-i), m.clock.Load()
		m.purges = append(m.purges, e)
	}
}

func (m *model) purge(*rapid.T) {
	es := []Entry{m.entry()}
	m.note(es, mustPurge(m.tb, m.log, es...).Seq)
}

func (m *model) invalidate(*rapid.T) {
	es := []Entry{m.entry(), m.entry()}
	m.note(es, m.log.Invalidate(es))
}

func (m *model) begin(*rapid.T) {
	m.names++
	p := parcel{
		url:  rapid.SampledFrom(modelURLs).Draw(m.t, "url"),
		name: fmt.Sprint(m.names),
		tags: rapid.SliceOfNDistinct(rapid.SampledFrom(modelTags), 0, 2, rapid.ID).Draw(m.t, "tags"),
		life: policy.Life{Born: m.clock.Load(), Fresh: 100 * window, SWR: window, SIE: 2 * window, Dead: 3 * window},
	}
	seq, end := m.log.Index().Begin()
	p.seq = seq
	m.flying = append(m.flying, flyer{p, end.End})
}

func (m *model) land(t *rapid.T) {
	if len(m.flying) == 0 {
		t.Skip("nothing flies")
	}
	i := rapid.IntRange(0, len(m.flying)-1).Draw(t, "flyer")
	f := m.flying[i]
	m.flying = slices.Delete(m.flying, i, i+1)
	put(m.tb, m.store, f.parcel)
	m.stored[f.name] = f.parcel
	f.end()
}

func (m *model) sweep(*rapid.T) {
	if err := m.sweeper.Sweep(context.Background()); err != nil {
		m.t.Fatal(err)
	}
}

func (m *model) pass(t *rapid.T) {
	m.clock.Add(int64(rapid.SampledFrom([]time.Duration{1, time.Second, window, 5 * window}).Draw(t, "span")))
}

// restart closes the log and opens it again over the same store, as a disk
// tier does.
func (m *model) restart(t *rapid.T) {
	if len(m.flying) > 0 {
		t.Skip("fetches do not outlive a process")
	}
	m.sweeper.Close()
	if err := m.log.Close(); err != nil {
		t.Fatal(err)
	}
	m.open()
}

func (m *model) open() {
	l, err := Open(m.log.conf)
	if err != nil {
		m.t.Fatal(err)
	}
	m.log, m.sweeper = l, StartSweeper(l, m.store, SweepConfig{SoftWindow: window, Every: time.Hour})
}

// check looks every object up that was ever stored, in an order that a failure
// can be run again in.
func (m *model) check(*rapid.T) {
	for _, name := range slices.Sorted(maps.Keys(m.stored)) {
		p := m.stored[name]
		strength, life := m.truth(p)
		v := find(m.tb, m.store, p.url, name)
		if v == nil {
			if strength != Hard {
				m.t.Fatalf("%+v is gone and was not purged", p)
			}
			delete(m.stored, name)
			continue
		}
		now := m.log.Index().Now()
		c := m.log.Index().Covers(keyOf(m.tb, p.url), v.Tags, v.Checked())
		if c == (Cover{}) && rapid.Bool().Draw(m.t, "note") {
			v.SetChecked(now)
		}
		m.compare(p, strength, life, c, Weaken(v.Life, c, window))
	}
}

// compare holds what the index and the store say against the truth: never
// less, and of another strength never.
func (m *model) compare(p parcel, strength Strength, truth policy.Life, c Cover, got policy.Life) {
	said := c.Strength
	switch {
	case got.NoCache:
		said = max(said, Revalidate)
	case got.Soft:
		said = max(said, Soft)
	}
	if said != strength {
		m.t.Fatalf("%+v: %s with cover %+v, want %s\npurges %+v", p, said, c, strength, m.purges)
	}
	for _, later := range []time.Duration{0, 1, window / 2, window - 1, window, 2 * window, 3 * window, 99 * window, 102 * window} {
		at := m.clock.Load() + int64(later)
		if permits(got.At(at)) > permits(truth.At(at)) {
			m.t.Fatalf("%+v: in %s it is %d, want %d at most\ngot %+v, truth %+v", p, later, got.At(at), truth.At(at), got, truth)
		}
	}
}

// permits orders states by how much they allow.
func permits(s policy.State) int {
	return map[policy.State]int{policy.StateFresh: 4, policy.StateRefresh: 3, policy.StateOnError: 2, policy.StateOnDead: 1}[s]
}

// truth is what all purges after p's fetch make of it.
func (m *model) truth(p parcel) (s Strength, l policy.Life) {
	l = p.life
	for _, e := range m.purges {
		if e.Seq <= p.seq || !e.matches(p) {
			continue
		}
		s = max(s, e.Strength)
		l = Weaken(l, Cover{Strength: e.Strength, SoftAt: e.At}, window)
	}
	return s, l
}

// The index, the log, the sweeper and the store against the list of all
// purges there ever were.
func TestAgainstAllPurgesEver(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{t: rt, tb: t, store: openStore(t), stored: map[string]parcel{}}
		m.clock.Store(int64(time.Hour))
		m.log = &Log{conf: Config{Path: t.TempDir() + fmt.Sprintf("/%d.db", rand.Uint64()), Clock: m.clock.Load}}
		m.open()
		defer func() {
			m.sweeper.Close()
			m.log.Close()
			m.store.Close()
		}()
		// What the fresh log begins with covers nothing that comes later.
		rt.Repeat(map[string]func(*rapid.T){
			"": m.check, "purge": m.purge, "invalidate": m.invalidate, "begin": m.begin, "begin again": m.begin,
			"land": m.land, "land again": m.land, "sweep": m.sweep, "pass": m.pass, "restart": m.restart,
		})
	})
}
