package modeltest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// check holds one answer against the model.
type check struct {
	m                   *model
	o                   *object
	l                   *lane
	now, floor          int64
	selected, condition string
	from, to            int
	head                bool
}

func (c *check) run() error {
	l := c.l
	if l.broken || !l.whole {
		c.m.broken.Add(1)
		return nil // the client sees that it has nothing
	}
	switch l.status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return nil
	case http.StatusOK, http.StatusPartialContent, http.StatusNotModified, http.StatusRequestedRangeNotSatisfiable:
	default:
		return errors.New("a status that no origin and no rule gives")
	}
	version, err := strconv.ParseInt(l.header.Get("X-Version"), 10, 64)
	if err != nil {
		return fmt.Errorf("no version: %w", err)
	}
	if version < c.floor {
		return fmt.Errorf("version %d is purged, the floor is %d", version, c.floor)
	}
	if err := c.age(); err != nil {
		return err
	}
	if l.status == http.StatusNotModified {
		if c.condition == "" || c.condition != c.o.etag(version, c.selected) {
			return fmt.Errorf("304 to another validator, version %d", version)
		}
		return nil
	}
	return c.body(version)
}

// age checks answers from the store against the life that they announce.
func (c *check) age() error {
	if !strings.Contains(c.l.header.Get("Cache-Status"), "; hit") {
		return nil
	}
	c.m.hits.Add(1)
	born, err := strconv.ParseInt(c.l.header.Get("X-Born"), 10, 64)
	if err != nil {
		return err
	}
	span, err := strconv.ParseInt(c.l.header.Get("X-Span"), 10, 64)
	if err != nil {
		return err
	}
	if age := c.now - born; age > span+int64(time.Second) { // Date has whole seconds
		return fmt.Errorf("served %v old, it lives %v", time.Duration(age), time.Duration(span))
	}
	if c.o.kind() == private {
		return errors.New("a private answer came from the store")
	}
	return nil
}

func (c *check) body(version int64) error {
	l := c.l
	if l.header.Get("X-Selected") != c.selected {
		return fmt.Errorf("variant %q, asked for %q", l.header.Get("X-Selected"), c.selected)
	}
	want := c.o.body(version, c.selected)
	if l.status == http.StatusRequestedRangeNotSatisfiable {
		if c.from < len(want) {
			return fmt.Errorf("416 for a range inside %d bytes", len(want))
		}
		return nil
	}
	if l.status == http.StatusPartialContent {
		if c.from < 0 || c.from >= len(want) {
			return errors.New("a 206 that nobody asked for")
		}
		total := len(want)
		want = want[c.from:min(c.to+1, total)]
		if got, expect := l.header.Get("Content-Range"), fmt.Sprintf("bytes %d-%d/%d", c.from, c.from+len(want)-1, total); got != expect {
			return fmt.Errorf("Content-Range %q, want %q", got, expect)
		}
	}
	if n := l.header.Get("Content-Length"); n != "" && n != strconv.Itoa(len(want)) {
		return fmt.Errorf("Content-Length %s, want %d", n, len(want))
	}
	if c.head {
		return nil
	}
	if !bytes.Equal(l.body, want) {
		return fmt.Errorf("the body is wrong: %d bytes, want %d; it begins %.60q", len(l.body), len(want), l.body)
	}
	return nil
}
