package bench

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// combinedTime is how the combined format writes the time, within brackets.
const combinedTime = "02/Jan/2006:15:04:05 -0700"

// looksCombined says whether a trace's first line is of the combined format,
// by what only that has: a time in brackets before a request in quotes.
func looksCombined(line []byte) bool {
	_, rest, found := bytes.Cut(line, []byte(" ["))
	return found && bytes.Contains(rest, []byte(`] "`))
}

// parseCombined takes one line of the combined or common log format, as edge,
// nginx and Apache write it: host ident user [time] "method uri proto" status
// bytes "referer" "user agent". It names no host, so the uri is the id. What
// counts as asked is the same as in a JSON log; a request that is none, such as
// "-" or a TLS hello, does not.
func parseCombined(line []byte) (rec record, asked bool, err error) {
	_, rest, _ := bytes.Cut(line, []byte(" ["))
	at, rest, found := bytes.Cut(rest, []byte(`] "`))
	if !found {
		return record{}, false, errors.New(`not a line of a combined log: no [time] "request"`)
	}
	end := closingQuote(rest)
	if end < 0 {
		return record{}, false, errors.New("the request's quote is not closed")
	}
	request, numbers := rest[:end], bytes.Fields(rest[end+1:])
	if len(numbers) < 2 {
		return record{}, false, errors.New("status or bytes are missing")
	}
	status, err := strconv.Atoi(string(numbers[0]))
	if err != nil {
		return record{}, false, fmt.Errorf("status %.40q is not a number", numbers[0])
	}
	uri := getURI(request)
	if len(uri) == 0 || !worthKeeping(status) {
		return record{}, false, nil
	}
	size, err := parseBytes(numbers[1])
	if err != nil {
		return record{}, false, err
	}
	when, err := time.Parse(combinedTime, string(at))
	if err != nil {
		return record{}, false, fmt.Errorf("time %.40q is not like %s", at, combinedTime)
	}
	return record{time: float64(when.Unix()), id: uri, size: size}, true, nil
}

// closingQuote returns the index of the first quote that no backslash stands
// before: nginx writes one in the request as \x22, Apache as \".
func closingQuote(b []byte) int {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// getURI returns the uri of a request line with GET, else nothing. There may be
// blanks in it.
func getURI(request []byte) []byte {
	rest, isGet := bytes.CutPrefix(request, []byte(http.MethodGet+" "))
	end := bytes.LastIndex(rest, []byte(" HTTP/"))
	if !isGet || end < 0 {
		return nil
	}
	return bytes.TrimSpace(rest[:end])
}

// parseBytes takes a number of body bytes; - stands for none.
func parseBytes(text []byte) (int64, error) {
	if string(text) == "-" {
		return 0, nil
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%.40q is not a number of bytes", text)
	}
	return n, nil
}
