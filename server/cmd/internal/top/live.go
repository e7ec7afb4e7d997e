package top

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/kongring/kongring/server/cmd/internal/exit"
)

// Keys.
const (
	ctrlC = 3
	ctrlD = 4
)

// taken is a sample, or the panic that there was instead.
type taken struct {
	sample
	panicked any
}

// live shows samples until the operator leaves, or ctx ends. It leaves the
// terminal as it was, whatever happens.
func live(ctx context.Context, in, out *os.File, v view, interval time.Duration, take func() sample) (err error) {
	s, err := open(in, out)
	if err != nil {
		return fmt.Errorf("take over the terminal: %w", err)
	}
	defer func() {
		if failed := s.close(); err == nil {
			err = failed
		}
	}()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	samples := make(chan taken, 1)
	ask := func() {
		defer func() {
			if p := recover(); p != nil {
				samples <- taken{panicked: p}
			}
		}()
		samples <- taken{sample: take()}
	}
	keys := s.keys()
	next := time.NewTimer(interval)
	defer next.Stop()
	for {
		if err := s.draw(v.frame(s.size())); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case key, there := <-keys:
			switch {
			case !there || key == 'q' || key == 'Q' || key == ctrlD:
				return nil
			case key == ctrlC:
				return exit.Interrupted
			case key == 's':
				v.next()
			case key == 't':
				v.turn()
			}
		case <-resized:
		case <-next.C:
			go ask()
		case t := <-samples:
			if t.panicked != nil {
				panic(t.panicked) // here, where the terminal is given back
			}
			v.before, v.now = v.now, t.sample
			next.Reset(interval)
		}
	}
}
