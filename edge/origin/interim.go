package origin

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
)

// interims hands 1xx answers on while Do runs.
type interims struct {
	told Witness // nil: nobody

	mu    sync.Mutex // held while it is told, so that none runs when end returns
	ended bool
}

func (i *interims) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: i.got})
}

func (i *interims) got(status int, h textproto.MIMEHeader) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.told != nil && !i.ended && status != http.StatusContinue {
		i.told.Interim(status, http.Header(h))
	}
	return nil
}

func (i *interims) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.ended = true
}
