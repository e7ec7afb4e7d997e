package exit

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// ErrDeaf is the cause of a context that ended since nobody reads what the process
// prints any more.
var ErrDeaf = errors.New("nobody reads its lines any more")

// UntilDeaf is a context that ends, with [ErrDeaf], when the process prints something
// and nobody is there to read it. Without it that ends the process at once: it is for
// commands that have started other processes, or have temporary files. stop waits
// until the process is as before.
func UntilDeaf(ctx context.Context) (deaf context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	broken, ended := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(broken, syscall.SIGPIPE)
	go func() {
		defer close(ended)
		select {
		case <-broken:
			cancel(ErrDeaf)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil); <-ended; signal.Stop(broken) }
}
