package modeltest

import (
	"os"
	"testing"
)

const below = "../cachestore/"

// diskFences are what keeps the disk from giving back what a purge forbids, or
// other bytes. all says that it takes a soak to look at it.
//
// Three more the model cannot see missing, because what they keep apart is apart
// by less than a request takes: that a Load whose object changes begins again,
// that a sweep waits for what is being written, and that a start does not bring
// back what was replaced while it read. cachestore's own tests hold these.
var diskFences = []struct {
	fence
	why string
	all bool
}{
	{fence{"a sweep goes through the disk", below + "disksweep.go", "if err := t.sweepShard(ctx, s, judge); err != nil {", "if err := ctx.Err(); err != nil {"}, tooOld, false},
	{fence{"what was swept under another log counts for nothing", below + "diskload.go", "	s.Swept = 0\n", ""}, tooOld, false},
	{fence{"a shard of another log is not trusted", below + "diskload.go", "if s.PurgeEpoch != d.config.PurgeEpoch || d.lastPurge() < s.PurgeHigh {", "if d.config.Shards == 0 {"}, tooOld, true},
	{fence{"a record of another log is not trusted", below + "diskread.go", "if rec.PurgeGen != s.state.PurgeGen {", "if rec.PurgeGen > s.state.PurgeGen {"}, tooOld, true},
	{fence{"a chunk is checked", below + "diskread.go", "s.seal.chunk(id, uint32(n), value) != crc", "crc == 0 && value == nil"}, wrongBody, true},
	{fence{"what is replaced leaves the disk", below + "diskshard.go", "if !r.hasBody(s.bodyID(o)) {", "if r == nil && !r.hasBody(s.bodyID(o)) {"}, tooOld, true},
}

// TestModelDiskNeedsTheFences is TestModelNeedsTheFences for the disk.
func TestModelDiskNeedsTheFences(t *testing.T) {
	if os.Getenv("EDGE_MODEL_MUTANT") != "" {
		t.Skip("this is the mutant")
	}
	for _, c := range diskFences {
		t.Run(c.name, func(t *testing.T) {
			if c.all && os.Getenv("EDGE_MODEL_FENCES") != "all" {
				overlay(t, []fence{c.fence}) // it is still there
				t.Skip("EDGE_MODEL_FENCES=all takes all of them out")
			}
			mustNotice(t, []fence{c.fence}, "^TestModelDisk$", 200_000, c.why)
		})
	}
}
