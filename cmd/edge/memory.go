package main

import (
	"bufio"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// assumedMemory is what a machine is taken to have when it does not say.
const assumedMemory = 2 << 30

// totalMemory is how many bytes edge may use: the least of the machine's
// memory and the limits of its cgroup and of those above it.
func totalMemory() int64 {
	total := int64(math.MaxInt64)
	if f, err := os.Open("/proc/meminfo"); err == nil {
		total = min(total, machineMemory(f))
		f.Close()
	}
	if f, err := os.Open("/proc/self/cgroup"); err == nil {
		total = min(total, cgroupMemory(f, "/sys/fs/cgroup"))
		f.Close()
	}
	if total == math.MaxInt64 {
		return assumedMemory
	}
	return total
}

// machineMemory reads /proc/meminfo.
func machineMemory(r io.Reader) int64 {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 3 && fields[0] == "MemTotal:" && fields[2] == "kB" {
			if n, err := strconv.ParseInt(fields[1], 10, 64); err == nil && n > 0 && n < math.MaxInt64/1024 {
				return n * 1024
			}
		}
	}
	return math.MaxInt64
}

// cgroupMemory reads /proc/self/cgroup and gives the least limit of the groups
// that it names and of their ancestors, for version 2 and version 1.
func cgroupMemory(r io.Reader, root string) int64 {
	least := int64(math.MaxInt64)
	for lines := bufio.NewScanner(r); lines.Scan(); {
		parts := strings.SplitN(lines.Text(), ":", 3)
		if len(parts) != 3 {
			continue
		}
		dir, file := root, "memory.max"
		if parts[1] != "" {
			if parts[1] != "memory" {
				continue
			}
			dir, file = filepath.Join(root, "memory"), "memory.limit_in_bytes"
		}
		for group := filepath.Clean("/" + parts[2]); ; group = filepath.Dir(group) {
			least = min(least, limitIn(filepath.Join(dir, group, file)))
			if group == "/" {
				break
			}
		}
	}
	return least
}

func limitIn(path string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return math.MaxInt64
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n <= 0 {
		return math.MaxInt64 // "max"
	}
	return n
}

// ballast is memory that is never touched, so it costs address space only. It
// counts as living for the collector, which by that leaves a small cache some
// room for garbage instead of running all the time.
var ballast []byte

// maxBallast times 0.3 is the garbage that is always allowed.
const maxBallast = 200 << 20

// tuneCollector sets the garbage collector so that garbage stays near 0.3 of
// what lives and the process below 0.9 of its memory. The operator's own GOGC
// and GOMEMLIMIT are left alone.
func tuneCollector(total int64) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(30)
		ballast = make([]byte, min(total/16, maxBallast))
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(total/10*9 + int64(len(ballast)))
	}
}
