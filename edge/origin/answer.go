package origin

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"strings"
)

// readAnswer reads the head of an answer, interim or final, as net/http does,
// and gives it a body to read. Every byte has passed the scanner, so that
// the lines need only be taken apart. What is rare or has a coding is left to
// net/http's own reader. There may be no req.
func (w *wire) readAnswer(method string, req *http.Request) (*http.Response, error) {
	if err := w.gatherHead(); err != nil {
		return nil, err
	}
	a := &answer{body: body{in: w.in}}
	res := &a.head
	if rare := a.parse(string(w.head)); rare {
		connection := res.Header["Connection"]
		all := bufio.NewReader(io.MultiReader(bytes.NewReader(bytes.Clone(w.head)), w.in))
		res, err := http.ReadResponse(all, or(req, &http.Request{Method: method}))
		if err == nil && res.StatusCode < 200 {
			w.in, w.stacked = all, true // what follows is in its buffer
		}
		if err == nil && len(connection) > 0 {
			res.Header["Connection"] = connection // net/http drops all of it for the sake of close
		}
		return res, err
	}
	res.Request = req
	switch a.body.left = bodyLength(res, method); {
	case a.body.left == 0:
		res.Body = http.NoBody
	case a.body.left > 0:
		res.Body = &a.body
	default:
		res.Close, res.Body = true, io.NopCloser(w.in)
	}
	return res, nil
}

// gatherHead reads lines up to the empty one. The scanner bounds them.
func (w *wire) gatherHead() error {
	w.head = w.head[:0]
	if cap(w.head) > keptLine {
		w.head = nil
	}
	for line := 0; ; {
		part, err := w.in.ReadSlice('\n')
		w.head = append(w.head, part...)
		switch line += len(part); {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		case line == len("\r\n"):
			return nil
		}
		line = 0
	}
}

// answer is a head and its body in one piece.
type answer struct {
	head http.Response
	body body
}

// parse takes apart a head that passed the scanner. The fields' values are
// parts of head. A rare one is left to net/http: what it does with these fields
// is more than to hand them on.
func (a *answer) parse(head string) (rare bool) {
	line, rest, _ := strings.Cut(head, "\r\n")
	status, _ := parseDigits(line[9:12])
	n := strings.Count(rest, "\n")
	h, values := make(http.Header, n), make([]string, 0, n)
	for {
		line, rest, _ = strings.Cut(rest, "\r\n")
		if line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		name = textproto.CanonicalMIMEHeaderKey(name)
		value = strings.Trim(value, " \t")
		switch name {
		case "Transfer-Encoding", "Pragma":
			rare = true
		}
		if old := h[name]; old != nil {
			if name != "Content-Length" { // the same again, or it would not have passed
				h[name] = append(old, value)
			}
			continue
		}
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	minor := int(head[7] - '0')
	a.head = http.Response{
		Status: strings.TrimLeft(head[9:strings.IndexByte(head, '\r')], " "), StatusCode: int(status),
		Proto: head[:8], ProtoMajor: 1, ProtoMinor: minor,
		Header: h, Close: lastAnswer(h["Connection"], minor),
	}
	return rare
}

// lastAnswer says whether the peer closes after this answer (RFC 9112, 9.3).
func lastAnswer(connection []string, minor int) bool {
	var closing, keeping bool
	for _, line := range connection {
		for option := range strings.SplitSeq(line, ",") {
			option = strings.Trim(option, " \t")
			closing = closing || len(option) == len("close") && strings.EqualFold(option, "close")
			keeping = keeping || len(option) == len("keep-alive") && strings.EqualFold(option, "keep-alive")
		}
	}
	return closing || minor == 0 && !keeping
}

// bodyLength sets the announced length and returns how long the body is, -1 if
// it ends with the connection (RFC 9112, 6.3; there is no coding).
func bodyLength(res *http.Response, method string) int64 {
	announced := int64(-1)
	if length := res.Header["Content-Length"]; len(length) > 0 {
		announced, _ = parseDigits(length[0])
	}
	switch {
	case method == "HEAD":
		res.ContentLength = announced
		return 0
	case res.StatusCode < 200, res.StatusCode == http.StatusNoContent, res.StatusCode == http.StatusNotModified:
		return 0
	}
	res.ContentLength = announced
	return announced
}
