package admin

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"edgecache/edge"
)

// views shows what the engine knows.
type views struct{ engine *edge.Engine }

// explain answers GET /v1/explain/{request-id}.
func (v views) explain(w http.ResponseWriter, r *http.Request) {
	e, ok := v.engine.Explain().Find(r.PathValue("id"))
	if !ok {
		say(w, http.StatusNotFound, "that request is not among the last ones")
		return
	}
	reply(w, e)
}

// hottestShown is how many uris GET /v1/top shows.
const hottestShown = 20

// top answers GET /v1/top.
func (v views) top(w http.ResponseWriter, _ *http.Request) { reply(w, v.engine.Top(hottestShown)) }

// ghosts answers GET /v1/ghosts.
func (v views) ghosts(w http.ResponseWriter, _ *http.Request) {
	ghosts := v.engine.Ghosts()
	if ghosts == nil {
		say(w, http.StatusNotFound, "there are no ghosts: ghosts is off")
		return
	}
	reply(w, ghosts)
}

func reply(w http.ResponseWriter, value any) {
	body, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		say(w, http.StatusInternalServerError, "cannot be shown")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n'))
}

// A follower of GET /v1/log may be so many lines behind, and each write to it
// may take so long.
const (
	followBehind = 1024
	followStall  = 10 * time.Second
	followPulse  = 15 * time.Second // an empty line when nothing happens, so that the dead are found
)

// log answers GET /v1/log: one JSON line a request, from now on, until the
// client leaves. What it is too slow for is dropped, and at the end of a gap a
// line {"missed": N} says how many in all.
func (v views) log(w http.ResponseWriter, r *http.Request) {
	want := edge.Want{Reason: r.URL.Query().Get("reason"), Cache: r.URL.Query().Get("cache")}
	f, err := v.engine.Explain().Follow(want, followBehind)
	if err != nil {
		say(w, http.StatusTooManyRequests, err.Error())
		return
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/jsonl")
	s := stream{w: w, control: http.NewResponseController(w), follower: f}
	if s.begin() != nil {
		return
	}
	pulse := time.NewTicker(followPulse)
	defer pulse.Stop()
	for {
		select {
		case line := <-f.C:
			err = s.send(line)
		case <-pulse.C:
			err = s.send(nil)
		case <-r.Context().Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// stream writes lines to one follower.
type stream struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	follower *edge.Follower
	missed   uint64
}

// begin sends the head, so that the client knows that it listens.
func (s *stream) begin() error {
	if err := s.control.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	if err := s.control.SetWriteDeadline(time.Now().Add(followStall)); err != nil {
		return err
	}
	return s.control.Flush()
}

// send writes one line, and all that wait behind it, in one go.
func (s *stream) send(line []byte) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(followStall)); err != nil {
		return err
	}
	for {
		if _, err := s.w.Write(append(line[:len(line):len(line)], '\n')); err != nil {
			return err
		}
		select {
		case line = <-s.follower.C:
			continue
		default:
		}
		break
	}
	if now := s.follower.Missed(); now != s.missed {
		s.missed = now
		if _, err := s.w.Write([]byte(`{"missed": ` + strconv.FormatUint(now, 10) + "}\n")); err != nil {
			return err
		}
	}
	return s.control.Flush()
}
