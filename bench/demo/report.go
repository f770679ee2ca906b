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
	Tiers     tiers
	Wanted    bool // a restart
	Restart   restart
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
	fault(r.Restart.Err != nil, "the restart failed: %v", r.Restart.Err)
	fault(r.Wanted && !r.Restart.Done && r.Restart.Err == nil, "the replay ended before the restart")
	return faults
}

// tierText tells what memory and disk gave, both lives of a restarted edge
// together, and how full they are.
func (r *report) tierText(line func(name, format string, args ...any)) {
	all := r.Tiers.plus(r.Restart.Ended)
	for _, name := range []string{"memory", "disk"} {
		t, ok := all[name]
		if !ok {
			continue
		}
		line(name, "%.0f hits with %s of bodies; %s of %s in use at the end",
			t.Hits, bench.ByteText(int64(t.HitBytes)), bench.ByteText(int64(t.Bytes)), bench.ByteText(int64(t.Limit)))
	}
}

func (r *report) restartText(line func(name, format string, args ...any)) {
	again := &r.Restart
	if !again.Done {
		return
	}
	how := "SIGTERM"
	if again.Killed {
		how = "SIGKILL"
	}
	line("restart", "by %s in the middle, down for %.0f ms; %d requests of the replay found nobody",
		how, again.Down.Seconds()*1000, r.Replay.Away)
	line("over the restart", "hit ratio before it %.2f %%, right after it %.2f %%, at the end %.2f %%  (%d answers each)",
		100*again.Before, 100*again.After, 100*again.End, again.Window)
	if again.Early != nil {
		line("hits after it", "%s", fromDisk("of the first", again.Early))
	}
	line("", "%s", fromDisk("of all", r.Tiers))
}

// fromDisk says how many hits of a life came from disk.
func fromDisk(which string, t tiers) string {
	disk := t["disk"].Hits
	all := disk + t["memory"].Hits
	return fmt.Sprintf("%s %.0f, %.0f from disk (%.0f %%)", which, all, disk, 100*disk/max(all, 1))
}

// text is the report for people.
func (r *report) text() string {
	var out strings.Builder
	line := func(name, format string, args ...any) { bench.AppendLine(&out, name, format, args...) }
	p := &r.Purges
	r.Replay.WriteText(&out)
	r.tierText(line)
	r.restartText(line)
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
