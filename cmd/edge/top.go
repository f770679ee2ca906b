package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"edgecache/edge"
)

// topVerb is edge top.
type topVerb struct {
	adminFlags
}

// clearScreen brings the cursor home and wipes what is below.
const clearScreen = "\x1b[H\x1b[2J"

// Run shows what the edge does: on a terminal each second anew, else once.
func (v *topVerb) Run(ctx context.Context, t terminal) error {
	c, err := v.client()
	if err != nil {
		return err
	}
	var before, now edge.Top
	if err := c.ask(ctx, http.MethodGet, "/v1/top", nil, &before); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
		now = edge.Top{}
		if err := c.ask(ctx, http.MethodGet, "/v1/top", nil, &now); err != nil {
			return err
		}
		var b strings.Builder
		showTop(&b, &before, &now)
		page := b.String()
		columns, lines, onTerminal := screen(t.stdout)
		if onTerminal {
			page = clearScreen + fit(page, columns, lines)
		}
		if _, err := io.WriteString(t.stdout, page); err != nil || !onTerminal {
			return err
		}
		before = now
	}
}

// fit cuts a page to a screen, so that its head neither wraps nor scrolls away.
// A measure of 0 or less is unknown and cuts nothing.
func fit(page string, columns, lines int) string {
	rows := strings.Split(strings.TrimSuffix(page, "\n"), "\n")
	if lines > 0 {
		rows = rows[:min(len(rows), lines)]
	}
	for i, row := range rows {
		if r := []rune(row); columns > 0 && len(r) > columns {
			rows[i] = string(r[:columns])
		}
	}
	return strings.Join(rows, "\n")
}

// cacheStates are the columns of the second line.
var cacheStates = []string{"hit", "miss", "stale", "bypass"}

// showTop writes the rates between two looks, and what is now.
func showTop(w io.Writer, before, now *edge.Top) {
	seconds := max(now.Now.Sub(before.Now).Seconds(), 0.001)
	rate := func(a, b uint64) float64 { return float64(b-min(a, b)) / seconds }
	all, served := 0.0, 0.0
	var parts []string
	for _, c := range cacheStates {
		r := rate(before.Requests[c], now.Requests[c])
		all += r
		if c == "hit" || c == "stale" {
			served += r
		}
		parts = append(parts, fmt.Sprintf("%s %.0f/s", c, r))
	}
	ratio := "-"
	if all > 0 {
		ratio = fmt.Sprintf("%.1f%%", 100*served/all)
	}
	fmt.Fprintf(w, "requests %.0f/s   from cache %s   errors %.0f/s   out %s/s\n%s\n",
		all, ratio, rate(before.Errors, now.Errors),
		formatSize(int64(float64(max(now.Sent-before.Sent, 0))/seconds)), strings.Join(parts, "  "))
	hits := func(tier string) float64 { return rate(before.Hits[tier], now.Hits[tier]) }
	fmt.Fprintf(w, "memory %s of %s   objects %d   hits %.0f/s   fetches %d   purge number %d\n",
		formatSize(now.Memory.Bytes), formatSize(now.Memory.Limit), now.Memory.Objects, hits("memory"), now.Fills, now.PurgeSeq)
	if d := now.Disk; d != nil {
		fmt.Fprintf(w, "disk   %s of %s   objects %d   hits %.0f/s\n",
			formatSize(d.Bytes), formatSize(d.Limit), d.Objects, hits("disk"))
	}
	if now.Ghosts != nil {
		showGhosts(w, now.Ghosts)
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, p := range now.Upstreams {
		state := "healthy"
		if !p.Healthy {
			state = "UNHEALTHY"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d in flight\n", p.Upstream, p.Peer, state, p.InFlight)
	}
	fmt.Fprintln(table)
	for _, why := range busiest(before.Reasons, now.Reasons) {
		fmt.Fprintf(table, "%s\t%.0f/s\n", why, rate(before.Reasons[why], now.Reasons[why]))
	}
	fmt.Fprintln(table)
	for _, u := range now.Hottest {
		fmt.Fprintf(table, "%.1f/s\t%s\n", u.Rate, printable(u.URI))
	}
	table.Flush()
}

// busiest gives the reasons that grew, the fastest first.
func busiest(before, now map[string]uint64) []string {
	var names []string
	for name := range now {
		if now[name] > before[name] {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		da, db := now[a]-before[a], now[b]-before[b]
		if da != db {
			return int(min(db, 1<<30)) - int(min(da, 1<<30))
		}
		return strings.Compare(a, b)
	})
	return names
}

// printable makes what a client wrote safe for a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\ufffd' || r >= 0x200b && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '?'
		}
		return r
	}, s)
}
