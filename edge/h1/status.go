package h1

import (
	"net/http"
	"strconv"
)

// statusLines are the first lines of answers with status 100 to 599 (RFC 9112, 4).
var statusLines = func() (lines [500]string) {
	for i := range lines {
		lines[i] = "HTTP/1.1 " + strconv.Itoa(i+100) + " " + http.StatusText(i+100) + "\r\n"
	}
	return lines
}()

// appendStatusLine appends the first line of an answer.
func appendStatusLine(dst []byte, status int) []byte {
	if i := status - 100; i >= 0 && i < len(statusLines) {
		return append(dst, statusLines[i]...)
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	return append(dst, " \r\n"...)
}
