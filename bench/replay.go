package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// ReplayConfig says what is asked of whom, and how fast.
type ReplayConfig struct {
	Workload    *Workload
	Target      string        // URL that the requests go to, http://host:port
	Host        string        // Host of the requests, default the target's
	Rate        float64       // requests a second; 0: each connection sends as soon as it has its answer
	Connections int           // default 32
	Timeout     time.Duration // of one request from its sending, default 30 s
	MaxBytes    int64         // no request is sent after as many body bytes; 0: no bound
	MaxTime     time.Duration // no request is sent after that; 0: no bound
	Logged      bool          // an access log's requests go out with the host and uri that they had
	CacheID     string        // the target's name in Cache-Status, default edge
	Progress    io.Writer     // where a bar is shown, if that is a terminal; may be nil

	// Path names the path and query that stand for an object; nil is ObjectPath,
	// or the log's own uri when Logged.
	Path func(object uint32) string
	// Away says of a request that was sent at some moment and failed whether the
	// target was down on purpose meanwhile. Such a request is counted apart, and
	// is no error; a wrong answer always is one. nil is never.
	Away func(sent time.Time) bool
	// Referee judges the answers; nil expects 200, or anything under 500 when Logged.
	Referee Referee
}

// Referee knows what a right answer is. It is used by all connections at once.
type Referee interface {
	// Floor is called right before a request is sent. What it returns is given
	// to Judge: what the answer must at least know.
	Floor(object uint32) uint64
	// Judge reads the whole body, with the help of buf, and returns its bytes.
	// An answer that is whole but not the right one is a *WrongAnswer.
	Judge(object uint32, floor uint64, res *http.Response, buf []byte) (int64, error)
}

// WrongAnswer is an answer that arrived and must not have been given.
type WrongAnswer struct{ Why string }

func isWrong(err error) bool {
	var wrong *WrongAnswer
	return errors.As(err, &wrong)
}

func (e *WrongAnswer) Error() string { return "wrong answer: " + e.Why }

// ObjectPath is the path that stands for an object of a trace. The size goes
// along, so that an origin can answer without having read the trace.
func (w *Workload) ObjectPath(object uint32) string {
	id := url.PathEscape(w.IDs[object])
	if id == "." || id == ".." {
		id = url.PathEscape(strings.ReplaceAll(id, ".", "%2E")) // else it is a step in the path
	}
	return "/o/" + id + "?size=" + strconv.FormatInt(w.Sizes[object], 10)
}

// logged splits the id that an access log's line got into host and uri; a host
// that the log does not tell is empty.
func (w *Workload) logged(object uint32) (host, uri string) {
	if strings.HasPrefix(w.IDs[object], "/") {
		return "", w.IDs[object]
	}
	_, rest, _ := strings.Cut(w.IDs[object], "://")
	slash := strings.IndexByte(rest, '/')
	if slash < 0 {
		return rest, "/"
	}
	return rest[:slash], rest[slash:]
}

func (c ReplayConfig) withDefaults() (ReplayConfig, error) {
	target, err := url.Parse(c.Target)
	if err != nil {
		return c, fmt.Errorf("replay: target: %w", err)
	}
	if target.Scheme != "http" && target.Scheme != "https" || target.Host == "" {
		return c, fmt.Errorf("replay: target %q is not like http://host:port", c.Target)
	}
	if c.Workload == nil || len(c.Workload.Requests) == 0 {
		return c, fmt.Errorf("replay: %w", ErrEmpty)
	}
	if c.Logged && !c.Workload.Format.IsLog() {
		return c, errors.New("replay: only an access log has uris of its own")
	}
	if !(c.Rate >= 0 && c.Rate <= 1e7) || c.Connections < 0 || c.Connections > 10_000 {
		return c, fmt.Errorf("replay: rate %v, connections %d: want 0 to 1e7 and up to 10,000", c.Rate, c.Connections)
	}
	c.Target = target.Scheme + "://" + target.Host + strings.TrimSuffix(target.EscapedPath(), "/")
	if c.Connections == 0 {
		c.Connections = 32
	}
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	if c.CacheID == "" {
		c.CacheID = "edge"
	}
	if c.Path == nil && !c.Logged {
		c.Path = c.Workload.ObjectPath
	}
	if c.Referee == nil {
		c.Referee = statusReferee{c.Logged}
	}
	return c, nil
}

// statusReferee judges by the status alone.
type statusReferee struct{ logged bool }

func (statusReferee) Floor(uint32) uint64 { return 0 }

func (r statusReferee) Judge(_ uint32, _ uint64, res *http.Response, buf []byte) (int64, error) {
	n, err := drain(res.Body, buf)
	if err != nil {
		return n, err
	}
	if res.StatusCode != http.StatusOK && !(r.logged && res.StatusCode < 500) {
		return n, fmt.Errorf("status %d", res.StatusCode)
	}
	return n, nil
}

// drain reads a body to its end.
func drain(body io.Reader, buf []byte) (n int64, err error) {
	for {
		m, err := body.Read(buf)
		n += int64(m)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// replay is one run: what its connections share.
type replay struct {
	ReplayConfig
	start   time.Time
	next    atomic.Int64 // the next request to send
	bytes   atomic.Int64
	stopped atomic.Pointer[string]
	bar     *Progress
}

// Replay sends a workload's requests at a steady rate that does not wait for
// the answers: request i is due at i/Rate, and its latency counts from then,
// also when all connections were busy. It returns the result so far with the
// context's error when that ends the run.
func Replay(ctx context.Context, c ReplayConfig) (*Result, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	run := &replay{ReplayConfig: c, bar: NewProgress(c.Progress, len(c.Workload.Requests), "replaying")}
	connections := make([]*connection, c.Connections)
	for i := range connections {
		connections[i] = newConnection(run)
	}
	run.start = time.Now()
	var all sync.WaitGroup
	for _, conn := range connections {
		all.Go(func() { conn.serve(ctx) })
	}
	all.Wait()
	took := time.Since(run.start)
	run.bar.Done()
	return summarize(run, connections, took), ctx.Err()
}

// take hands out the next request and the moment it is due; ok is false when
// the run is over.
func (r *replay) take(ctx context.Context) (object uint32, due time.Time, ok bool) {
	if r.stopped.Load() != nil || ctx.Err() != nil {
		return 0, due, false
	}
	i := r.next.Add(1) - 1
	if i >= int64(len(r.Workload.Requests)) {
		return 0, due, false
	}
	due = time.Now()
	if r.Rate > 0 {
		due = r.start.Add(time.Duration(float64(i) / r.Rate * 1e9))
	}
	if r.MaxBytes > 0 && r.bytes.Load() >= r.MaxBytes {
		r.stop(fmt.Sprintf("after %s of bodies", ByteText(r.MaxBytes)))
		return 0, due, false
	}
	if r.MaxTime > 0 && max(due.Sub(r.start), time.Since(r.start)) >= r.MaxTime {
		r.stop("after " + r.MaxTime.String())
		return 0, due, false
	}
	return r.Workload.Requests[i], due, true
}

func (r *replay) stop(why string) { r.stopped.CompareAndSwap(nil, &why) }

// request is what is sent for an object.
func (r *replay) request(ctx context.Context, object uint32) (*http.Request, error) {
	host, path := r.Host, ""
	if r.Path != nil {
		path = r.Path(object)
	} else {
		var own string
		own, path = r.Workload.logged(object)
		host = cmp.Or(own, host)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Target+path, nil)
	if err != nil {
		return nil, err
	}
	if host != "" {
		req.Host = host
	}
	req.Header.Set("User-Agent", "edge-bench")
	return req, nil
}

// connection sends one request after the other; one goroutine owns it.
type connection struct {
	run       *replay
	transport *http.Transport
	timer     *time.Timer
	buf       []byte
	tally     tally
}

func newConnection(run *replay) *connection {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return &connection{
		run: run,
		transport: &http.Transport{
			MaxConnsPerHost:    1,
			DisableCompression: true, // bodies are measured as they are
		},
		timer: timer,
		buf:   make([]byte, 64<<10),
	}
}

func (c *connection) serve(ctx context.Context) {
	defer c.transport.CloseIdleConnections()
	for {
		object, due, ok := c.run.take(ctx)
		if !ok || !c.wait(ctx, due) {
			return
		}
		sent := time.Now()
		said, n, err := c.ask(ctx, object)
		if ctx.Err() != nil {
			return // cut by us: not the target's fault
		}
		c.run.bytes.Add(n)
		if err != nil && c.run.Away != nil && !isWrong(err) && c.run.Away(sent) {
			c.tally.away++
		} else {
			c.tally.count(said, n, err, time.Since(due))
		}
		c.run.bar.Step()
	}
}

// wait returns at the moment that a request is due, false when the run ended.
func (c *connection) wait(ctx context.Context, due time.Time) bool {
	ahead := time.Until(due)
	if ahead <= 0 {
		return true
	}
	c.timer.Reset(ahead)
	select {
	case <-c.timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// ask sends one request and reads and judges its answer.
func (c *connection) ask(ctx context.Context, object uint32) (cacheSaid, int64, error) {
	ctx, cancel := context.WithTimeout(ctx, c.run.Timeout)
	defer cancel()
	req, err := c.run.request(ctx, object)
	if err != nil {
		return saidNothing, 0, err
	}
	floor := c.run.Referee.Floor(object)
	res, err := c.transport.RoundTrip(req)
	if err != nil {
		return saidNothing, 0, err
	}
	defer res.Body.Close()
	n, err := c.run.Referee.Judge(object, floor, res, c.buf)
	if err != nil {
		err = fmt.Errorf("GET %s: %w", req.URL.RequestURI(), err)
	}
	return readCacheStatus(res.Header.Values("Cache-Status"), c.run.CacheID), n, err
}
