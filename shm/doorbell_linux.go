package shm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Bell wakes one sleeper: a pair of connected sockets, whose bytes are rings.
// Rings that nobody answered yet count as one. It is not an eventfd, which both
// sides would share, flags and all: a peer could make it blocking, and so hold
// whoever reads it, or writes to it when it is full. Of a pair each side has its
// own end. The methods may be called by several goroutines at once.
type Bell struct {
	file *os.File // this end: what Wait reads
	peer *os.File // the other end, which is handed over; nil if the bell came from a peer

	once   sync.Once
	closed chan struct{}
}

// NewBell makes a doorbell. Its other end rings it.
func NewBell() (*Bell, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("create doorbell: socketpair: %w", err)
	}
	b := OpenBell(os.NewFile(uintptr(fds[0]), "doorbell"))
	b.peer = os.NewFile(uintptr(fds[1]), "doorbell's other end")
	return b, nil
}

// OpenBell gives the end of a doorbell in file, a socket that came from another
// process. It owns file from then on. Its Ring wakes who waits at the other end,
// and its Wait waits for who rings there.
func OpenBell(file *os.File) *Bell { return &Bell{file: file, closed: make(chan struct{})} }

// one is a ring: the only thing that counts is that something comes.
var one = [1]byte{1}

// Ring wakes the sleeper, now or when it next waits. It never blocks, whatever
// the peer does to its end: an end that is full of rings rings already, and one
// that was hung up has nobody to wake.
func (b *Bell) Ring() error {
	file := b.peer
	if file == nil {
		file = b.file
	}
	err := withFD(file, func(fd int) error {
		_, err := unix.SendmsgN(fd, one[:], nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		return err
	})
	if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) {
		return fmt.Errorf("ring doorbell: %w", err)
	}
	return nil
}

// Wait parks the goroutine until somebody rings and takes rings that are there.
// It gives an error that wraps ErrClosed once the bell is closed. Where the peer
// hung up its end no more rings can come, and Wait waits for Close: that the
// peer is gone, others find out.
func (b *Bell) Wait() error {
	var rings [64]byte
	_, err := b.file.Read(rings[:])
	if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) {
		<-b.closed
		err = ErrClosed
	}
	if err != nil {
		return fmt.Errorf("wait on doorbell: %w", err)
	}
	return nil
}

// Close closes what the bell holds and ends a Wait in progress.
func (b *Bell) Close() error {
	b.once.Do(func() { close(b.closed) })
	err := closeOnce(b.file)
	if b.peer != nil {
		err = errors.Join(err, closeOnce(b.peer))
	}
	return err
}
