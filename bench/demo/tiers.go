package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// tier is what edge's metrics say of one of its tiers, since its start.
type tier struct {
	Hits     float64 // answers that it gave
	HitBytes float64 // of bodies
	Bytes    float64 // that are stored now
	Limit    float64
}

// plus adds the counters of an earlier life of the same edge.
func (t tier) plus(earlier tier) tier {
	t.Hits += earlier.Hits
	t.HitBytes += earlier.HitBytes
	return t
}

// tiers are both, by name; what edge does not have is not there.
type tiers map[string]tier

func (t tiers) plus(earlier tiers) tiers {
	sum := tiers{}
	for name, now := range t {
		sum[name] = now.plus(earlier[name])
	}
	return sum
}

// readTiers asks edge's /metrics.
func readTiers(ctx context.Context, client *http.Client, admin string) (tiers, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, admin+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("/metrics answers %d", res.StatusCode)
	}
	return parseTiers(io.LimitReader(res.Body, 4<<20))
}

// parseTiers takes the lines that have a tier for their only label.
func parseTiers(r io.Reader) (tiers, error) {
	found := tiers{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		name, rest, ok := strings.Cut(lines.Text(), `{tier="`)
		which, number, closed := strings.Cut(rest, `"} `)
		if !ok || !closed {
			continue
		}
		value, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return nil, fmt.Errorf("metric %s: %w", name, err)
		}
		t := found[which]
		switch name {
		case "edge_cache_hits_total":
			t.Hits = value
		case "edge_cache_hit_bytes_total":
			t.HitBytes = value
		case "edge_cache_bytes":
			t.Bytes = value
		case "edge_cache_limit_bytes":
			t.Limit = value
		}
		found[which] = t
	}
	return found, lines.Err()
}
