package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// coldTime bounds one answer.
const coldTime = 60 * time.Second

// cold asks for one new object over many connections at once: how long the last
// waits, and how often the origin hears of it.
func cold(ctx context.Context, s *stand, t trial, r *result) error {
	return rounds(s.o, s.servers, r, func(round int, one *server) error {
		path := fmt.Sprintf("%s/%d/%s-%s-%d", t.kind, t.size, t.name, one.name, round)
		took, err := crowd(ctx, one.plain, path, t.many, s.env.origin.body(t.size))
		if err != nil {
			return err
		}
		one.sent += int64(t.many)
		r.add(one.name, "slowest", "ms", slices.Max(took).Seconds()*1e3)
		r.add(one.name, "median", "ms", slices.Sorted(slices.Values(took))[len(took)/2].Seconds()*1e3)
		a := s.env.origin.askedFor(path)
		r.add(one.name, "released", "ms", a.last.Sub(a.first).Seconds()*1e3)
		r.add(one.name, "asked", "times at the origin", float64(a.many))
		return nil
	})
}

// crowd asks for a path over many connections, which are there before the first
// one asks.
func crowd(ctx context.Context, addr, path string, many int, want []byte) ([]time.Duration, error) {
	conns := make([]net.Conn, many)
	for i := range conns {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(coldTime))
		conns[i] = c
	}
	took, failed := make([]time.Duration, many), make([]error, many)
	var running sync.WaitGroup
	begin := make(chan struct{})
	for i, c := range conns {
		running.Go(func() {
			<-begin
			start := time.Now()
			failed[i] = exchange(c, addr, path, want)
			took[i] = time.Since(start)
		})
	}
	close(begin)
	running.Wait()
	return took, errors.Join(failed...)
}

// exchange asks once.
func exchange(c net.Conn, host, path string, want []byte) error {
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return fmt.Errorf("get %s: %w", path, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("get %s: %w", path, err)
	}
	if res.StatusCode != http.StatusOK || !bytes.Equal(body, want) {
		return fmt.Errorf("get %s: status %d, %d bytes that are not the %d expected", path, res.StatusCode, len(body), len(want))
	}
	return nil
}
