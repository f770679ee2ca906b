package edge

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrCut is the error of a wire's Shutdown when connections had to be cut.
var ErrCut = errors.New("connections were cut")

// cutGrace is what the goroutines of connections that were cut may take to end.
const cutGrace = 2 * time.Second

// Drain is the end of a wire's Shutdown, which has told its clients so: it waits for what
// runs. When most is over before, or ctx, it calls cut and is ErrCut.
func Drain(ctx context.Context, most time.Duration, running *sync.WaitGroup, cut func()) error {
	done := make(chan struct{})
	go func() {
		running.Wait()
		close(done)
	}()
	limit := time.NewTimer(most)
	defer limit.Stop()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	case <-limit.C:
	}
	cut()
	late := time.NewTimer(cutGrace)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
	}
	return ErrCut
}
