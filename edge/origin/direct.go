package origin

import (
	"bufio"
	"context"
	"io"
	"net/http"
)

// answerBuffer is what one read of an answer brings at most, but for a large
// body, which is read past it.
const answerBuffer = 4 << 10

// converse sends a plain request and reads the head of its final answer, all on
// this goroutine. Interim answers are handed on as they come.
func (x exchange) converse(ctx context.Context) (*http.Response, error) {
	w := x.wire
	if w.in == nil {
		w.in = bufio.NewReaderSize(w.conn, answerBuffer)
	}
	_, err := w.conn.Write(x.head)
	// A peer that answers before it has read everything may close: its answer
	// is looked for all the same, unless it just does not read.
	if err != nil && (ctx.Err() != nil || isTimeout(err)) {
		return nil, err
	}
	for {
		res, rerr := w.readAnswer(x.method, x.req)
		switch {
		case rerr != nil && err != nil:
			return nil, err
		case rerr != nil:
			return nil, rerr
		case res.StatusCode == http.StatusSwitchingProtocols:
			w.keep = false
			res.Body = &rawConn{w.in, w.conn}
			return res, nil
		case res.StatusCode >= 200:
			w.keep = err == nil && !res.Close && !w.stacked
			return res, nil
		case res.StatusCode != http.StatusContinue && x.trace.Witness != nil:
			x.trace.Witness.Interim(res.StatusCode, res.Header)
		}
	}
}

// rawConn is a connection after a 101: what was read behind the head comes first.
type rawConn struct {
	in *bufio.Reader
	*checkedConn
}

var _ io.ReadWriteCloser = (*rawConn)(nil)

// Read reads what the peer sends.
func (c *rawConn) Read(p []byte) (int, error) { return c.in.Read(p) }
