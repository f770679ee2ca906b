package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"edgecache/bench"
	"edgecache/bench/child"
	"edgecache/cachestore"
)

// leastKept is the share of what was kept that must be there after a kill, what
// the disk had dropped or evicted counted out.
const leastKept = 0.99

// shown is how many complaints are kept to be shown.
const shown = 10

// report is what all rounds saw.
type report struct {
	rounds                             int
	answers, purges                    int
	written, read                      int64 // bytes of bodies
	kept, hits, gone                   int   // of all rounds
	gentleKept, gentleHits, gentleGone int   // of those that were written gently
	older, olderHits                   int
	worst                              float64 // share of what was kept, in the worst round that kept 100
	checks                             cachestore.CheckReport
	longestCommit                      float64 // ms
	ready, first, loaded               []time.Duration
	noHit                              int // starts with something kept, and no hit
	wrong                              int // faults
	complaints                         []string
}

// wrote adds a spell of work.
func (r *report) wrote(w *writing) {
	r.answers += int(w.fetched.Load())
	r.purges += int(w.purges.Load())
	r.written += w.bytes.Load()
	for _, s := range w.samples {
		r.longestCommit = max(r.longestCommit, s.longestCommit)
	}
}

// found adds what a start brought back, and says it in a line.
func (r *report) found(v *verifying, last *killed) string {
	f := &v.found
	r.answers += f.answers
	r.read += f.bytes
	missing := f.kept - f.hits
	gone := min(int(last.gone.gone), missing)
	r.kept += f.kept
	r.hits += f.hits
	r.gone += gone
	if last.gently {
		r.gentleKept += f.kept
		r.gentleHits += f.hits
		r.gentleGone += gone
	}
	r.older += f.older
	r.olderHits += f.olderHits
	r.ready = append(r.ready, f.ready)
	r.loaded = append(r.loaded, f.loaded)
	switch {
	case f.firstHit > 0:
		r.first = append(r.first, f.firstHit)
	case f.kept > 0:
		r.noHit++
	}
	if f.kept >= 100 && missing > 0 {
		r.worst = max(r.worst, float64(missing-gone)/float64(f.kept))
	}
	return fmt.Sprintf("%d of %d kept are there (%d drops and evictions until then), %d of %d older ones; ready after %v, first hit %v, loaded %v",
		f.hits, f.kept, last.gone.gone, f.olderHits, f.older,
		f.ready.Round(time.Millisecond), f.firstHit.Round(time.Millisecond), f.loaded.Round(time.Millisecond))
}

// checked adds what a check of the disk found.
func (r *report) checked(c cachestore.CheckReport) {
	r.checks.Objects += c.Objects
	r.checks.Bytes += c.Bytes
	r.checks.Broken += c.Broken
	r.checks.Orphans += c.Orphans
}

// said keeps faults, with what edge said.
func (r *report) said(faults []error, e *child.Edge) {
	r.wrong += len(faults)
	for _, err := range faults {
		if len(r.complaints) < shown {
			r.complaints = append(r.complaints, err.Error())
		}
	}
	if len(faults) > 0 && len(r.complaints) < shown {
		r.complaints = append(r.complaints, e.Said())
	}
}

// faults says what keeps the run from being a success.
func (r *report) faults() (faults []string) {
	fault := func(is bool, format string, args ...any) {
		if is {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	missing := r.kept - r.hits - r.gone
	fault(r.wrong > 0, "%d wrong or failed answers", r.wrong)
	fault(r.kept == 0, "nothing was kept long enough before a kill")
	fault(float64(missing) > (1-leastKept)*float64(r.kept), "%d of %d that were kept are gone", missing, r.kept)
	missing = r.gentleKept - r.gentleHits - r.gentleGone
	fault(float64(missing) > (1-leastKept)*float64(r.gentleKept), "%d of %d that were kept in gentle rounds are gone", missing, r.gentleKept)
	fault(float64(r.older-r.olderHits) > (1-leastKept)*float64(r.older), "%d of %d older ones are gone", r.older-r.olderHits, r.older)
	fault(r.checks.Broken > 0, "%d objects on disk are broken", r.checks.Broken)
	fault(r.checks.Orphans > 0, "%d chunks on disk have no object", r.checks.Orphans)
	fault(r.noHit > 0, "%d starts without a hit", r.noHit)
	fault(r.purges == 0, "nothing was purged")
	return faults
}

// text is the report for people.
func (r *report) text() string {
	var out strings.Builder
	line := func(name, format string, args ...any) { bench.AppendLine(&out, name, format, args...) }
	line("rounds", "%d, each a SIGKILL under load and a start", r.rounds)
	line("answers", "%d, each compared byte by byte; %d MiB fetched, %d MiB read after starts", r.answers, r.written>>20, r.read>>20)
	line("purges", "%d acknowledged", r.purges)
	line("kept", "%d of %d that were complete 1 s before the kill; %d that are not there count as dropped or evicted; at worst %.2f %% are missing",
		r.hits, r.kept, r.gone, 100*r.worst)
	line("", "%d of %d in the rounds that were written gently; %d count as dropped", r.gentleHits, r.gentleKept, r.gentleGone)
	line("older", "%d of %d from earlier rounds", r.olderHits, r.older)
	line("on disk", "%d objects with %d MiB checked, %d broken, %d chunks without an object", r.checks.Objects, r.checks.Bytes>>20, r.checks.Broken, r.checks.Orphans)
	line("longest commit", "%.0f ms", r.longestCommit)
	line("start to ready", "%s", spread(r.ready))
	line("to first hit", "%s", spread(r.first))
	line("to all loaded", "%s", spread(r.loaded))
	for _, complaint := range r.complaints {
		line("", "%s", complaint)
	}
	verdict := "nothing was wrong"
	if faults := r.faults(); len(faults) > 0 {
		verdict = "FAILED: " + strings.Join(faults, "; ")
	}
	line("result", "%s", verdict)
	return out.String()
}

// spread gives the least, the median and the most.
func spread(list []time.Duration) string {
	if len(list) == 0 {
		return "none"
	}
	list = slices.Sorted(slices.Values(list))
	ms := func(d time.Duration) float64 { return float64(d) / 1e6 }
	return fmt.Sprintf("min %.0f ms, median %.0f ms, max %.0f ms", ms(list[0]), ms(list[len(list)/2]), ms(list[len(list)-1]))
}
