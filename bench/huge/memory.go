package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// resident is what a process has in memory, in MiB.
type resident struct{ rss, peak, anon, file int64 }

func (m resident) String() string {
	return fmt.Sprintf("VmRSS %d MiB (VmHWM %d): RssAnon %d, RssFile %d", m.rss, m.peak, m.anon, m.file)
}

// residentOf reads /proc/PID/status.
func residentOf(pid int) (m resident, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return m, err
	}
	into := map[string]*int64{"VmRSS": &m.rss, "VmHWM": &m.peak, "RssAnon": &m.anon, "RssFile": &m.file}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		p, fields := into[name], strings.Fields(rest)
		if p == nil || len(fields) != 2 {
			continue
		}
		kib, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil {
			return m, err
		}
		*p = kib >> 10
	}
	return m, nil
}

// watch looks at edge's memory until the context ends: every half second, and
// says so every second. It returns the most there was of each.
func watch(ctx context.Context, pid int, done *atomic.Int64, say func(string, ...any)) (most resident) {
	look := time.NewTicker(500 * time.Millisecond)
	defer look.Stop()
	began, last := time.Now(), int64(0)
	for n := 0; ; n++ {
		if m, err := residentOf(pid); err == nil {
			most = resident{max(most.rss, m.rss), max(most.peak, m.peak), max(most.anon, m.anon), max(most.file, m.file)}
			if now := done.Load(); n%2 == 0 && now > last {
				say("  %4.0f s  %6d MiB  %s", time.Since(began).Seconds(), now>>20, m)
				last = now
			}
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return most
		}
	}
}
