package admin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"edgecache/cachestore"
)

// Disk is the disk tier as this port needs it. Check and Compact may take
// minutes; they end early, with an error, when their context does.
type Disk interface {
	// Stats is a snapshot of the counters.
	Stats() cachestore.DiskStats
	// Check reads all that is stored and takes out what is broken.
	Check(context.Context) (cachestore.CheckReport, error)
	// Compact makes the files as small as what they hold.
	Compact(context.Context) (cachestore.CompactReport, error)
}

// diskPort answers for the disk tier. One run is made at a time.
type diskPort struct {
	disk    Disk // nil: there is none
	running sync.Mutex
}

// stats answers GET /v1/disk.
func (d *diskPort) stats(w http.ResponseWriter, _ *http.Request) {
	if d.there(w) {
		reply(w, viewDisk(d.disk.Stats()))
	}
}

// check answers POST /v1/disk/check.
func (d *diskPort) check(w http.ResponseWriter, r *http.Request) {
	d.run(w, r, func(ctx context.Context) (any, error) { return d.disk.Check(ctx) })
}

// compact answers POST /v1/disk/compact.
func (d *diskPort) compact(w http.ResponseWriter, r *http.Request) {
	d.run(w, r, func(ctx context.Context) (any, error) { return d.disk.Compact(ctx) })
}

func (d *diskPort) there(w http.ResponseWriter) bool {
	if d.disk == nil {
		say(w, http.StatusNotFound, "there is no disk tier")
	}
	return d.disk != nil
}

// run does the work and answers with its report. A client that leaves ends it.
func (d *diskPort) run(w http.ResponseWriter, r *http.Request, work func(context.Context) (any, error)) {
	if !d.there(w) {
		return
	}
	if !d.running.TryLock() {
		say(w, http.StatusConflict, "a check or a compaction of the disk tier is running; try again when it has ended")
		return
	}
	defer d.running.Unlock()
	if !awaitEnd(w, r) {
		return
	}
	report, err := work(r.Context())
	if http.NewResponseController(w).SetWriteDeadline(time.Now().Add(requestTimeout)) != nil {
		return
	}
	switch {
	case r.Context().Err() != nil:
		say(w, http.StatusServiceUnavailable, "the run was cut short: edge is stopping")
	case err != nil:
		say(w, http.StatusInternalServerError, err.Error())
	default:
		reply(w, report)
	}
}

// awaitEnd reads the request to its end, because net/http sees only then that
// a client has left, and lifts the time limits from what follows.
func awaitEnd(w http.ResponseWriter, r *http.Request) (ok bool) {
	var large *http.MaxBytesError
	if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBodyBytes)); errors.As(err, &large) {
		say(w, http.StatusRequestEntityTooLarge, "no body is needed")
		return false
	} else if err != nil {
		say(w, http.StatusBadRequest, "the body did not arrive; none is needed")
		return false
	}
	control := http.NewResponseController(w)
	if errors.Join(control.SetReadDeadline(time.Time{}), control.SetWriteDeadline(time.Time{})) != nil {
		say(w, http.StatusInternalServerError, "this connection cannot wait for a run")
		return false
	}
	return true
}
