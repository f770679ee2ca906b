package h2

import "fmt"

// connError ends the connection with a GOAWAY (RFC 9113, 5.4.1).
type connError struct {
	code   code
	detail string
}

func (e connError) Error() string { return fmt.Sprintf("h2 connection error %d: %s", e.code, e.detail) }

// streamError ends one stream with a RST_STREAM (RFC 9113, 5.4.2).
type streamError struct {
	stream uint32
	code   code
	detail string
}

func (e streamError) Error() string {
	return fmt.Sprintf("h2 stream %d error %d: %s", e.stream, e.code, e.detail)
}
