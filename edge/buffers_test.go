package edge

import (
	"strings"
	"testing"
)

// TestBufferRequestBodyTooLate: once the request is on its way the transport
// reads the body; a hook that asks then gets an error, not a share of it.
func TestBufferRequestBodyTooLate(t *testing.T) {
	e := newTestEngine(t)
	for _, sent := range []bool{false, true} {
		s := e.NewSession(nil)
		s.Request.Body, s.RequestSent = strings.NewReader("hello"), sent
		b, err := s.BufferRequestBody()
		if sent != (err != nil) || !sent && string(b) != "hello" {
			t.Errorf("sent %v: %q, %v", sent, b, err)
		}
	}
}
