package edgetest

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// Log is a slog.Handler that keeps every message with its attributes.
type Log struct {
	mu    sync.Mutex
	lines []string
}

var _ slog.Handler = (*Log)(nil)

// Enabled implements slog.Handler.
func (l *Log) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (l *Log) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, b.String())
	return nil
}

// WithAttrs implements slog.Handler; nothing here uses it.
func (l *Log) WithAttrs([]slog.Attr) slog.Handler { return l }

// WithGroup implements slog.Handler; nothing here uses it.
func (l *Log) WithGroup(string) slog.Handler { return l }

// Matching lists the lines that have all the words.
func (l *Log) Matching(words ...string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
next:
	for _, line := range l.lines {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue next
			}
		}
		found = append(found, line)
	}
	return found
}

// Drop forgets all lines so far.
func (l *Log) Drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = nil
}
