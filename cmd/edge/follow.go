package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/signal"
	"syscall"
	"time"
)

// logVerb is edge log.
type logVerb struct {
	adminFlags
	Reason string `placeholder:"R" help:"Only requests with this reason, like expired or no_store."`
	Cache  string `placeholder:"C" enum:",hit,miss,stale,bypass" default:"" help:"Only requests with this result: hit, miss, stale or bypass."`
}

// maxLineBytes bounds one line of the log.
const maxLineBytes = 256 << 10

// Run follows the requests: JSON lines, or columns on a terminal.
func (v *logVerb) Run(ctx context.Context, t terminal) error {
	c, err := v.client()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	query := url.Values{}
	for name, value := range map[string]string{"reason": v.Reason, "cache": v.Cache} {
		if value != "" {
			query.Set(name, value)
		}
	}
	res, err := c.do(ctx, http.MethodGet, "/v1/log?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	show := showJSON
	if isTerminal(t.stdout) {
		show = showColumns
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(make([]byte, 0, 64<<10), maxLineBytes)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue // a sign of life
		}
		if err := show(t.stdout, lines.Bytes()); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("follow the log of edge at %s: %w", c.base, err)
	}
	return errors.New("edge ended the log; it was stopped, or this reader was too slow")
}

func showJSON(w io.Writer, line []byte) error {
	_, err := w.Write(append(line[:len(line):len(line)], '\n'))
	return err
}

// shownLine is what the columns show of a line.
type shownLine struct {
	Time      time.Time `json:"time"`
	Method    string    `json:"method"`
	Host      string    `json:"host"`
	URI       string    `json:"uri"`
	Status    int       `json:"status"`
	BodyBytes int64     `json:"body_bytes"`
	Cache     string    `json:"cache"`
	Reason    string    `json:"reason"`
	Duration  float64   `json:"duration_ms"`
	Missed    uint64    `json:"missed"`
}

func showColumns(w io.Writer, line []byte) error {
	var l shownLine
	if err := json.Unmarshal(line, &l); err != nil {
		return fmt.Errorf("a line of the log is not JSON: %w", err)
	}
	if l.Missed > 0 {
		_, err := fmt.Fprintf(w, "… %d requests were not shown: this terminal is too slow\n", l.Missed)
		return err
	}
	_, err := fmt.Fprintf(w, "%s %3d %-6s %-14s %8s %8.1fms %s %s%s\n", l.Time.Local().Format("15:04:05.000"), l.Status,
		l.Cache, l.Reason, formatSize(l.BodyBytes), l.Duration, printable(l.Method), printable(l.Host), printable(l.URI))
	return err
}
