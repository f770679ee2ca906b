package main

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"edgecache/bench"
)

// referee judges every answer by what is true in the world: an answer older
// than the last purge of its object that was acknowledged before the request
// was sent is wrong, and so is any byte that its version does not have.
type referee struct {
	world  *world
	course course
	asked  atomic.Uint64
	recent [1024]atomic.Uint32 // what was asked for lately, so popular ones most often
}

// replayReferee judges the replay's answers, and takes down their course.
type replayReferee struct{ *referee }

var _ bench.Referee = replayReferee{}

// Judge is the referee's.
func (r replayReferee) Judge(o uint32, floor uint64, res *http.Response, buf []byte) (int64, error) {
	n, err := r.referee.Judge(o, floor, res, buf)
	r.course.note(bench.Hit(res.Header, "edge"))
	return n, err
}

// Floor notes the request and returns the least version that may answer it.
func (r *referee) Floor(o uint32) uint64 {
	n := r.asked.Add(1) - 1
	r.recent[n%uint64(len(r.recent))].Store(o)
	return r.world.objects[o].floor.Load()
}

// Judge compares the answer, byte by byte, with the version that it claims to be.
func (r *referee) Judge(o uint32, floor uint64, res *http.Response, buf []byte) (int64, error) {
	if res.StatusCode != http.StatusOK {
		n, _ := io.Copy(io.Discard, res.Body)
		return n, fmt.Errorf("status %d", res.StatusCode)
	}
	claimed, version, ok := bench.VersionOf(res.Header.Get("ETag"))
	if !ok || claimed != o {
		return 0, wrong("ETag %q, want one of object %d", res.Header.Get("ETag"), o)
	}
	n, err := r.readBody(&bench.BodyCheck{Object: o, Version: version}, res.Body, buf)
	if err != nil {
		return n, err
	}
	switch now := r.world.objects[o].version.Load(); {
	case n != r.world.Sizes[o]:
		return n, wrong("%d bytes, want %d", n, r.world.Sizes[o])
	case version < floor:
		return n, wrong("version %d, but %d was purged for before the request", version, floor)
	case version > now:
		return n, wrong("version %d, but the origin is at %d", version, now)
	}
	return n, nil
}

// readBody reads to the end, using one half of buf for what comes and the
// other for what should.
func (r *referee) readBody(check *bench.BodyCheck, body io.Reader, buf []byte) (int64, error) {
	half := len(buf) / 2
	for {
		n, err := body.Read(buf[:half-8])
		if !check.Matches(buf[:n], buf[half:]) {
			return check.Offset, wrong("a byte before %d is not version %d's", check.Offset, check.Version)
		}
		if err == io.EOF {
			return check.Offset, nil
		}
		if err != nil {
			return check.Offset, err
		}
	}
}

func wrong(format string, args ...any) error {
	return &bench.WrongAnswer{Why: fmt.Sprintf(format, args...)}
}
