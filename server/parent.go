package server

import (
	"context"
	"fmt"
	"os"
	"time"
)

// Kong's worker 0 starts a plugin server and ends it, at a reload too. When that
// worker is killed, nobody ends the server; nginx starts another worker 0, which
// starts another server, which takes the socket over. The first one would stay
// for ever with the workers that it has, and of an nginx that was killed as a
// whole, it would stay with none.

// parentToWatch gives the pid of the process without which this server is to
// end, by the flag -watch-parent, or 0. Unless told otherwise, that is an nginx:
// whoever starts a server by hand, from a shell that may end, or from systemd,
// means it to stay.
func parentToWatch(flag string) int {
	parent := os.Getppid()
	if flag == "off" || parent <= 1 {
		return 0
	}
	if flag == "auto" && nameOf(parent) != "nginx" {
		return 0
	}
	return parent
}

// outlive waits until the parent is gone, and then calls stop: as soon as
// another server has the socket, to which the workers go; or when nobody was
// attached for a while. Until then the workers that are left have a server. It
// returns with ctx.
func (s *Server) outlive(ctx context.Context, parent int, stop func()) {
	log := s.options.logger
	log.Info("ends some time after its parent", "parent", parent)
	tick := time.NewTicker(s.options.alone / 10) // a second
	defer tick.Stop()
	var used time.Time // zero as long as the parent is there
	for {
		var now time.Time
		select {
		case <-ctx.Done():
			return
		case now = <-tick.C:
		}
		if used.IsZero() {
			if os.Getppid() == parent {
				continue
			}
			log.Warn("the process that started this server is gone", "parent", parent)
			used = now
		}
		s.mu.Lock()
		listener, connections := s.listener, len(s.conns)
		s.mu.Unlock()
		if listener == nil {
			continue
		}
		if successor, ok := listener.Successor(); ok {
			log.Warn(fmt.Sprintf("leaves the socket to pid %d", successor.PID))
			stop()
			return
		}
		if connections > 0 {
			used = now
		} else if now.Sub(used) >= s.options.alone {
			log.Warn("nobody is attached, and no parent there")
			stop()
			return
		}
	}
}
