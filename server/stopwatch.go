package server

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// stopwatch tells how long events take, which costs each two looks at the clock:
// some 50 ns. So it runs while somebody wants to know: with metrics always, else
// as long as a watcher is connected.
type stopwatch struct {
	watchers atomic.Int32
}

// moment is a time in nanoseconds, 0 where the stopwatch did not run.
type moment int64

var epoch = time.Now()

// now gives the time, if anybody wants to know.
func (w *stopwatch) now() moment {
	if w.watchers.Load() == 0 {
		return 0
	}
	return moment(time.Since(epoch)) | 1 // never 0
}

// since gives the time that has passed, and false where that was not measured.
func (m moment) since() (time.Duration, bool) {
	if m == 0 {
		return 0, false
	}
	return time.Since(epoch) - time.Duration(m), true
}

// maxWatchers bounds the connections that keep the stopwatch running.
const maxWatchers = 64

// serveWatcher has events measured until who watches hangs up.
func (s *Server) serveWatcher(conn *shm.Conn) {
	defer s.stopwatch.watchers.Add(-1)
	if s.stopwatch.watchers.Add(1) > maxWatchers {
		s.refuse(conn, shm.WelcomeExhausted, fmt.Sprintf("%d connections watch: that is the limit", maxWatchers))
		return
	}
	if conn.Welcome(wire.Version, shm.Welcome{}, nil, nil) == nil {
		_ = conn.Watch(nil)
	}
}

// Watch has the server that listens at socket measure how long events take, for
// its [Stats], until the connection that it gives is closed or this process ends.
// The timeout is for the answer. Events that began before it are not measured.
func Watch(socket string, timeout time.Duration) (io.Closer, error) {
	a, err := shm.Dial(socket, shm.Hello{Kind: shm.HelloWatch, App: wire.Version}, timeout)
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	return a, nil
}
