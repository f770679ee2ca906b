package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"time"
)

// checker is a client that looks at answers: it speaks HTTP/1.1, believes every
// certificate, and keeps its connections.
var checker = &http.Client{
	Timeout: 30 * time.Second,
	Transport: &http.Transport{
		TLSClientConfig:    &tls.Config{InsecureSkipVerify: true},
		DisableCompression: true, MaxIdleConnsPerHost: 8,
	},
}

// ask gets a url from a server and compares the body.
func (s *server) ask(ctx context.Context, url string, want []byte) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := checker.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	s.sent++
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", url, err)
	}
	if res.StatusCode != http.StatusOK || !bytes.Equal(body, want) {
		return nil, fmt.Errorf("get %s: status %d, %d bytes that are not the %d expected", url, res.StatusCode, len(body), len(want))
	}
	return res.Header, nil
}

// warm asks for a url until the answer is a hit.
func (s *server) warm(ctx context.Context, url string, want []byte) error {
	var last http.Header
	for range 50 {
		h, err := s.ask(ctx, url, want)
		if err != nil {
			return err
		}
		if last = h; s.hit(h) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return fmt.Errorf("get %s: never a hit, last %v", url, last)
}
