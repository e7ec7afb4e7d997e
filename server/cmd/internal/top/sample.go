package top

import (
	"errors"
	"fmt"
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

// take asks all servers at once.
func take(sockets []string) sample {
	s := sample{time.Now(), make([]answer, len(sockets))}
	var all sync.WaitGroup
	for i, socket := range sockets {
		all.Go(func() {
			stats, err := server.Inspect(socket, patience)
			s.servers[i] = answer{socket, stats, explain(socket, err)}
		})
	}
	all.Wait()
	return s
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
