package top

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/shm"
)

// patience is how long a server may take to answer.
const patience = 2 * time.Second

// sample is what the servers said at one time, in the order of the sockets.
type sample struct {
	at      time.Time
	servers []answer
}

type answer struct {
	socket string
	stats  server.Stats
	err    error
}

// lookout looks at servers. From its first sample on they measure how long events
// take, until this process ends.
type lookout struct {
	sockets []string
	watches []watch // of each server
}

// watch has a server measure.
type watch struct {
	pid  int // of the server
	conn io.Closer
}

func newLookout(sockets []string) *lookout {
	return &lookout{sockets, make([]watch, len(sockets))}
}

// take asks all servers at once. It is called by one goroutine at a time.
func (l *lookout) take() sample {
	s := sample{time.Now(), make([]answer, len(l.sockets))}
	var all sync.WaitGroup
	for i, socket := range l.sockets {
		all.Go(func() {
			stats, err := server.Inspect(socket, patience)
			s.servers[i] = answer{socket, stats, explain(socket, err)}
			if err == nil {
				l.watches[i].keep(socket, stats.PID)
			}
		})
	}
	all.Wait()
	return s
}

// keep watches the server of a process, in the place of the one that was there
// before. Without it only the times are missing, so an error is none.
func (w *watch) keep(socket string, pid int) {
	if w.conn != nil && w.pid == pid {
		return
	}
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
	if conn, err := server.Watch(socket, patience); err == nil {
		*w = watch{pid, conn}
	}
}

// explain says what to do about a server that does not answer.
func explain(socket string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no plugin server listens at %s: start it, or name its -socket", socket)
	case errors.Is(err, shm.ErrVersion):
		return fmt.Errorf("%w: take the kongring command of the server's version", err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, shm.ErrRefused):
		return fmt.Errorf("%w: run this as root or as the server's user", err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no answer from %s within %v: is its process stopped?", socket, patience)
	}
	return fmt.Errorf("%w: is it the socket of a plugin server of kongring?", err)
}
