package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"edgecache/bench"
	"edgecache/bench/child"
	"edgecache/edge/admin"
)

// hostName is the site that requests and purges name.
const hostName = "kill.test"

// client talks to one edge. Every answer that it gets is judged.
type client struct {
	world *world
	edge  *child.Edge
	life  int // which start of edge it is
	http  *http.Client
}

func newClient(w *world, e *child.Edge, life, connections int) *client {
	return &client{w, e, life, &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: connections},
	}}
}

// answer is what came back for one object.
type answer struct {
	hit   bool
	bytes int64
	wrong error // not what is true
	err   error // no answer, or not all of it
}

// get asks for an object and compares every byte.
func (c *client) get(ctx context.Context, o uint32, buf []byte) (a answer) {
	object := &c.world.objects[o]
	floor, since := object.floor.Load(), object.begin()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.edge.Target+path(o), nil)
	if err != nil {
		return answer{err: err}
	}
	req.Host = hostName
	res, err := c.http.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	a.hit = bench.Hit(res.Header, "edge")
	claimed, version, ok := bench.VersionOf(res.Header.Get("ETag"))
	switch {
	case res.StatusCode != http.StatusOK:
		a.err = fmt.Errorf("object %d: status %d", o, res.StatusCode)
		return a
	case !ok || claimed != o:
		a.wrong = fmt.Errorf("object %d: ETag %q", o, res.Header.Get("ETag"))
		return a
	case version < floor:
		a.wrong = fmt.Errorf("object %d: version %d, but %d was purged for before the request", o, version, floor)
		return a
	case version > object.version.Load():
		a.wrong = fmt.Errorf("object %d: version %d is not there yet", o, version)
		return a
	}
	a.bytes, a.wrong, a.err = readBody(res.Body, o, version, buf)
	if a.wrong == nil && a.err == nil {
		object.answered(version, since, c.life, a.hit)
	}
	return a
}

// readBody reads to the end, into one half of buf; the other is for what should
// be there.
func readBody(body io.Reader, o uint32, version uint64, buf []byte) (n int64, wrong, err error) {
	check := bench.BodyCheck{Object: o, Version: version}
	half := len(buf) / 2
	for {
		n, err := body.Read(buf[:half-8])
		switch {
		case !check.Matches(buf[:n], buf[half:]):
			return check.Offset, fmt.Errorf("object %d: a byte before %d is not version %d's", o, check.Offset, version), nil
		case err == io.EOF && check.Offset != size(o):
			return check.Offset, fmt.Errorf("object %d: %d bytes, want %d", o, check.Offset, size(o)), nil
		case err == io.EOF:
			return check.Offset, nil, nil
		case err != nil:
			return check.Offset, nil, err
		}
	}
}

// purge tells edge to forget; nil is an acknowledgement.
func (c *client) purge(ctx context.Context, scope, selector string) error {
	body, err := json.Marshal(map[string]any{"type": scope, "selectors": []string{selector}, "purge": true})
	if err != nil {
		return err
	}
	var said struct {
		Applied bool `json:"applied"`
	}
	if err := c.admin(ctx, http.MethodPost, "/v1/purge", body, &said); err != nil {
		return err
	}
	if !said.Applied {
		return fmt.Errorf("purge of %s was not applied", selector)
	}
	return nil
}

// disk asks for the disk tier's statistics.
func (c *client) disk(ctx context.Context) (v admin.DiskView, err error) {
	err = c.admin(ctx, http.MethodGet, "/v1/disk", nil, &v)
	return v, err
}

func (c *client) admin(ctx context.Context, method, path string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.edge.Admin+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.edge.Token)
	req.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s: status %d: %.200q", path, res.StatusCode, said)
	}
	return json.Unmarshal(said, into)
}
