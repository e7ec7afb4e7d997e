package shm

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Bell is an eventfd that wakes one sleeper. Rings that nobody answered yet
// count as one. Its methods may be called by several goroutines at once.
type Bell struct{ file *os.File }

// NewBell makes a doorbell.
func NewBell() (*Bell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("create doorbell: eventfd: %w", err)
	}
	return OpenBell(os.NewFile(uintptr(fd), "doorbell")), nil
}

// OpenBell gives the doorbell in file, an eventfd that came from another
// process. It owns file from then on.
func OpenBell(file *os.File) *Bell { return &Bell{file: file} }

// one is what a ring adds to the eventfd's count: 1 in memory order.
var one = [8]byte{1}

// Ring wakes the sleeper, now or when it next waits. It never blocks: a count
// at its limit, which only a hostile peer gets to, rings already.
func (b *Bell) Ring() error {
	err := withFD(b.file, func(fd int) error {
		_, err := unix.Write(fd, one[:])
		return err
	})
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		return fmt.Errorf("ring doorbell: %w", err)
	}
	return nil
}

// Wait parks the goroutine until somebody rings and takes all rings there are.
// It gives an error that wraps ErrClosed once the bell is closed.
func (b *Bell) Wait() error {
	var count [8]byte
	if _, err := b.file.Read(count[:]); err != nil {
		return fmt.Errorf("wait on doorbell: %w", err)
	}
	return nil
}

// Close closes the descriptor and ends a Wait in progress.
func (b *Bell) Close() error { return closeOnce(b.file) }
