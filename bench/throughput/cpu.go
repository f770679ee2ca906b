package main

import (
	"syscall"
	"time"
)

// cpuNow is the time that the process has computed, on all cores.
func cpuNow() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic("getrusage: " + err.Error()) // of oneself it cannot fail
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
