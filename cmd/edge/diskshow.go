package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"edgecache/cachestore"
	"edgecache/edge/admin"
)

// showDisk writes what a disk tier holds and does, a table of its shards, and
// what troubles them.
func showDisk(w io.Writer, d *admin.DiskView) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	line("directory", "%s", printable(d.Dir))
	line("stored", "%s of %s, %d objects", formatSize(d.Live), formatSize(d.Limit), d.Objects)
	line("files", "%s of at most %s", formatSize(d.File), formatSize(d.Most))
	line("index", "%s of memory", formatSize(d.Index))
	line("queue", "%s of %s wait to be written", formatSize(d.Queued), formatSize(d.QueueLimit))
	line("written", "%d objects, %s, in %d commits; the longest took %.1fms", d.Stored, formatSize(int64(d.StoredBytes)), d.Commits, d.LongestCommit)
	line("read", "%d chunks, %s; %d bodies came up to memory", d.Reads, formatSize(int64(d.ReadBytes)), d.Promoted)
	line("readers", "%d bodies are being read", d.Leases)
	if d.Deferred > 0 {
		line("deferred", "%d deleted objects, %s, wait for their readers", d.Deferred, formatSize(d.DeferredBytes))
	}
	if d.Kept > 0 {
		line("kept", "%d objects as they left memory", d.Kept)
	}
	if d.Quarantined > 0 {
		line("set aside", "%d broken shards", d.Quarantined)
	}
	if some := nonzero(d.Evicted); some != "" {
		line("evicted", "%s", some)
	}
	if some := nonzero(d.Dropped); some != "" {
		line("dropped", "%s", some)
	}
	table.Flush()
	showShards(w, d.Shards)
	showTroubles(w, d.Shards)
}

// nonzero lists the counts that are not zero, by name.
func nonzero(counts map[string]uint64) string {
	var some []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if counts[name] > 0 {
			some = append(some, fmt.Sprintf("%s %d", name, counts[name]))
		}
	}
	return strings.Join(some, ", ")
}

func showShards(w io.Writer, list []admin.ShardView) {
	if len(list) == 0 {
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "\nshard\tfile\tsize\tstored\tobjects\tstate\n")
	for i, s := range list {
		state := "ready"
		if !s.Loaded {
			state = "loading"
		}
		if s.Trouble != "" {
			state += ", IN TROUBLE"
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%d\t%s\n", i, printable(s.File), formatSize(s.Bytes), formatSize(s.Live), s.Objects, state)
	}
	table.Flush()
}

// showTroubles says why shards do not store.
func showTroubles(w io.Writer, list []admin.ShardView) {
	if troubled(list) {
		fmt.Fprintln(w)
	}
	for i, s := range list {
		if s.Trouble != "" {
			fmt.Fprintf(w, "shard %d stores nothing for now: %s\n", i, printable(s.Trouble))
		}
	}
}

// troubled says whether a shard does not store.
func troubled(list []admin.ShardView) bool {
	return slices.ContainsFunc(list, func(s admin.ShardView) bool { return s.Trouble != "" })
}

// showCheck says what a check found.
func showCheck(w io.Writer, r *cachestore.CheckReport) {
	fmt.Fprintf(w, "%d objects, %s read\n", r.Objects, formatSize(r.Bytes))
	if r.Broken > 0 {
		fmt.Fprintf(w, "%d objects were broken and are gone\n", r.Broken)
	}
	if r.Orphans > 0 {
		fmt.Fprintf(w, "%d chunks belonged to no object and are gone\n", r.Orphans)
	}
	if r.Broken == 0 {
		fmt.Fprintln(w, "nothing is broken")
	}
}
