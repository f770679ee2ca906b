package main

import (
	"fmt"
	"strings"

	"edgecache/bench"
)

// report is what one run of the demo found.
type report struct {
	Replay    *bench.Result
	Purges    purgeTally
	Objects   int // of the workload
	Fetched   int // whole answers of the origin
	Confirmed int // 304 answers of the origin
}

// wrongAnswers counts both the replay's and the purger's.
func (r *report) wrongAnswers() int { return int(r.Replay.Wrong) + r.Purges.Wrong }

// faults says what keeps the run from being a success; nothing: it is one.
func (r *report) faults() (faults []string) {
	fault := func(is bool, format string, args ...any) {
		if is {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	acknowledged := 0
	for _, n := range r.Purges.Purges {
		acknowledged += n
	}
	failed := int(r.Replay.Errors) + r.Purges.Errors
	fault(r.wrongAnswers() > 0, "%d wrong answers", r.wrongAnswers())
	fault(failed > 0, "%d failed requests", failed)
	fault(r.Purges.Failed > 0, "%d purges were not acknowledged", r.Purges.Failed)
	fault(r.Replay.Requests == 0, "nothing was asked")
	fault(r.Replay.Hits == 0, "nothing came from the cache")
	fault(acknowledged == 0, "nothing was purged")
	fault(r.Purges.Reread == 0, "nothing that was purged was read again")
	return faults
}

// text is the report for people.
func (r *report) text() string {
	var out strings.Builder
	line := func(name, format string, args ...any) { bench.AppendLine(&out, name, format, args...) }
	p := &r.Purges
	r.Replay.WriteText(&out)
	line("origin requests", "%d for %d objects, and %d answered 304", r.Fetched, r.Objects, r.Confirmed)
	line("purges", "%d by url and %d more during its fill, %d by tag, %d by prefix: %d objects changed and purged",
		p.Purges[byURL], p.Purges[midFill], p.Purges[byTag], p.Purges[byPrefix], p.Objects)
	line("read again", "%d purged urls, %d others, of which %d were fetched again", p.Reread, p.Others, p.Refetched)
	for _, url := range p.RefetchedURLs {
		line("", "%s", url)
	}
	line("wrong answers", "%d  (of %d, each compared byte by byte)", r.wrongAnswers(), int(r.Replay.Requests)+p.Reads)
	for _, complaint := range p.Complaints {
		line("", "%s", complaint)
	}
	verdict := "nothing was wrong"
	if faults := r.faults(); len(faults) > 0 {
		verdict = "FAILED: " + strings.Join(faults, "; ")
	}
	line("result", "%s", verdict)
	return out.String()
}
