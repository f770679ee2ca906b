package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// forgetPages takes what is clean of a part of a file out of the page cache. What
// was touched through a mapping stays.
func forgetPages(f *os.File, at, n int64) error {
	const dontNeed = 4 // POSIX_FADV_DONTNEED
	if _, _, errno := syscall.Syscall6(syscall.SYS_FADVISE64, f.Fd(), uintptr(at), uintptr(n), dontNeed, 0, 0); errno != 0 {
		return fmt.Errorf("fadvise %s: %w", f.Name(), errno)
	}
	return nil
}

func syncData(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }

// writtenBelow is how many bytes the device that holds a directory has been given to write
// since the machine started, by whomever. It fails where there is no such device, as of a tmpfs.
func writtenBelow(dir string) (bytes int64, err error) {
	var st syscall.Stat_t
	if err := syscall.Stat(dir, &st); err != nil {
		return 0, fmt.Errorf("stat %s: %w", dir, err)
	}
	dev := uint64(st.Dev)
	major, minor := dev>>8&0xfff|dev>>32&^0xfff, dev&0xff|dev>>12&^0xff
	text, err := os.ReadFile(fmt.Sprintf("/sys/dev/block/%d:%d/stat", major, minor))
	if err != nil {
		return 0, err
	}
	const written, sector = 6, 512 // Documentation/block/stat.rst
	fields := strings.Fields(string(text))
	if len(fields) <= written {
		return 0, fmt.Errorf("stat of device %d:%d has %d fields", major, minor, len(fields))
	}
	sectors, err := strconv.ParseInt(fields[written], 10, 64)
	return sectors * sector, err
}

// traffic is what was moved so far, in bytes; by the process, but for what was written.
type traffic struct {
	calls   int64 // handed to write calls, whatever became of it
	written int64 // given to a device, by whomever; 0: none was asked for, or is known
	fetch   int64 // read from the device
	faults  int64 // of pages that had to come from the device; not in bytes
}

// trafficTo is trafficNow with what was given to the device that holds a directory. On a
// machine that does nothing else that is what the process has written. What Linux says of the process,
// write_bytes, is more: it counts the whole folio that a page is part of, which may be ten times as large.
func trafficTo(dir string) (t traffic, err error) {
	if t, err = trafficNow(); err != nil {
		return t, err
	}
	if t.written, err = writtenBelow(dir); errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return t, err
}

// trafficNow reads /proc/self/io, and asks for the faults.
func trafficNow() (t traffic, err error) {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return t, err
	}
	into := map[string]*int64{"wchar": &t.calls, "read_bytes": &t.fetch}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if p := into[name]; p != nil {
			if *p, err = strconv.ParseInt(value, 10, 64); err != nil {
				return t, err
			}
		}
	}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return t, fmt.Errorf("getrusage: %w", err)
	}
	t.faults = usage.Majflt
	return t, nil
}

// since is what was moved between two looks.
func (t traffic) since(before traffic) traffic {
	return traffic{t.calls - before.calls, t.written - before.written, t.fetch - before.fetch, t.faults - before.faults}
}

func (t *traffic) add(o traffic) {
	t.calls, t.written, t.fetch, t.faults = t.calls+o.calls, t.written+o.written, t.fetch+o.fetch, t.faults+o.faults
}
