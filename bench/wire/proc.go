package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// proc is where the kernel tells of processes.
type proc string

const system proc = "/proc"

// tick is the unit of utime and stime: USER_HZ, which is 100 on every port of
// Linux that Go has.
const tick = 10 * time.Millisecond

// stat is what is needed of /proc/PID/stat.
type stat struct {
	parent int
	cpu    time.Duration // its own, and of children that it has waited for
}

// parseStat reads the line. The name in it may hold blanks and parentheses.
func parseStat(text string) (s stat, err error) {
	_, rest, _ := cut(text, ") ")
	f := strings.Fields(rest)
	if len(f) < 15 {
		return s, fmt.Errorf("stat is too short: %q", text)
	}
	if s.parent, err = strconv.Atoi(f[1]); err != nil {
		return s, fmt.Errorf("parent in stat: %w", err)
	}
	for _, field := range f[11:15] { // utime, stime, cutime, cstime
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return s, fmt.Errorf("times in stat: %w", err)
		}
		s.cpu += time.Duration(ticks) * tick
	}
	return s, nil
}

// cut is strings.Cut at the last place.
func cut(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func (p proc) stat(pid int) (stat, error) {
	text, err := os.ReadFile(filepath.Join(string(p), strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, err
	}
	return parseStat(string(text))
}

// family is a process with all below it. Who ends meanwhile is left out: its
// parent has its times.
func (p proc) family(root int) (map[int]stat, error) {
	names, err := os.ReadDir(string(p))
	if err != nil {
		return nil, err
	}
	all := map[int]stat{}
	for _, n := range names {
		if pid, err := strconv.Atoi(n.Name()); err == nil {
			if s, err := p.stat(pid); err == nil {
				all[pid] = s
			}
		}
	}
	if _, ok := all[root]; !ok {
		return nil, fmt.Errorf("process %d has ended", root)
	}
	family := map[int]stat{root: all[root]}
	for grown := true; grown; {
		grown = false
		for pid, s := range all {
			_, in := family[pid]
			if _, below := family[s.parent]; below && !in {
				family[pid], grown = s, true
			}
		}
	}
	return family, nil
}

// cpu is what a process and all below it have used.
func (p proc) cpu(root int) (sum time.Duration, err error) {
	family, err := p.family(root)
	for _, s := range family {
		sum += s.cpu
	}
	return sum, err
}

// resident is the memory that a process and all below it have in use, in bytes.
// What they share counts once for each.
func (p proc) resident(root int) (sum int64, err error) {
	family, err := p.family(root)
	if err != nil {
		return 0, err
	}
	for pid := range family {
		text, err := os.ReadFile(filepath.Join(string(p), strconv.Itoa(pid), "status"))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return 0, err
		}
		n, err := parseResident(string(text))
		if err != nil {
			return 0, fmt.Errorf("process %d: %w", pid, err)
		}
		sum += n
	}
	return sum, nil
}

// parseResident finds VmRSS; a process that is ending has none.
func parseResident(status string) (int64, error) {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, nil
}
