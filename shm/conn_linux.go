package shm

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrHello is wrapped by ReadHello: what came is not a hello of this version.
var ErrHello = errors.New("not a usable hello")

// Peer is who is at the other end of a connection, in the kernel's word.
type Peer struct {
	PID int
	UID uint32
	GID uint32
}

func (p Peer) String() string { return fmt.Sprintf("pid %d uid %d", p.PID, p.UID) }

// Conn is the server's end of a connection. Ring and Close may be called by
// any goroutine; the rest by one at a time.
type Conn struct {
	Peer Peer

	socket *net.UnixConn
	raw    syscall.RawConn

	ringing sync.Mutex
	rang    error         // by ring, under ringing
	ring    func(uintptr) // made once: a closure for each ring would be garbage
}

func newConn(socket *net.UnixConn) (*Conn, error) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	var inner error
	err = raw.Control(func(fd uintptr) {
		cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, inner); err != nil {
		return nil, fmt.Errorf("read peer credentials: %w", err)
	}
	c := &Conn{
		Peer:   Peer{PID: int(cred.Pid), UID: cred.Uid, GID: cred.Gid},
		socket: socket, raw: raw,
	}
	c.ring = func(fd uintptr) {
		_, c.rang = unix.SendmsgN(int(fd), one[:], nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	}
	return c, nil
}

// Peek waits for the first byte within the timeout and gives it; what reads next
// reads it again.
func (c *Conn) Peek(timeout time.Duration) (byte, error) {
	var b [1]byte
	var n int
	var failed error
	err := c.socket.SetReadDeadline(time.Now().Add(timeout))
	if err == nil {
		err = c.raw.Read(func(fd uintptr) bool {
			for {
				n, _, failed = unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
				if failed != unix.EINTR {
					return failed != unix.EAGAIN
				}
			}
		})
	}
	if err = errors.Join(closed(err), failed); err == nil && n == 0 {
		err = io.EOF
	}
	if err == nil {
		err = closed(c.socket.SetReadDeadline(time.Time{}))
	}
	if err != nil {
		return 0, fmt.Errorf("read first byte: %w", err)
	}
	return b[0], nil
}

// Read implements io.Reader for connections that do not say hello, and for what
// follows a HelloAttachSocket. It gives ErrClosed when this side closed.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.socket.Read(b)
	return n, closed(err)
}

// helloHead is what all versions of a hello begin with: magic, version, app.
const helloHead = 12

// ReadHello reads the first message and checks it, within the timeout. The
// error wraps ErrVersion when versions differ, whatever follows then, else
// ErrHello when what came makes no sense.
func (c *Conn) ReadHello(app uint32, timeout time.Duration) (Hello, error) {
	var h Hello
	if err := c.socket.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return h, fmt.Errorf("read hello: %w", closed(err))
	}
	if _, err := io.ReadFull(c.socket, bytesOf(&h)[:helloHead]); err != nil {
		return h, fmt.Errorf("read hello: %w", closed(err))
	}
	if h.Magic == Magic && (h.Version != Version || h.App != app) {
		c.drain()
		return h, differ(version{h.Version, h.App}, version{Version, app})
	}
	if _, err := io.ReadFull(c.socket, bytesOf(&h)[helloHead:]); err != nil {
		return h, fmt.Errorf("read hello: %w", noEOF(closed(err)))
	}
	if err := c.socket.SetReadDeadline(time.Time{}); err != nil {
		return h, fmt.Errorf("read hello: %w", closed(err))
	}
	switch {
	case h.Magic != Magic:
		return h, fmt.Errorf("%w: magic %#x, want %#x", ErrHello, h.Magic, Magic)
	case h.Kind < HelloAttach || h.Kind > HelloWatch:
		return h, fmt.Errorf("%w: kind %d", ErrHello, h.Kind)
	}
	return h, nil
}

// drain takes what has come and was not read: closing on it would be a reset for
// the peer, which is to read why it is refused.
func (c *Conn) drain() {
	var rest [4096]byte
	_ = c.raw.Read(func(fd uintptr) bool {
		_, _, _ = unix.Recvfrom(int(fd), rest[:], unix.MSG_DONTWAIT)
		return true
	})
}

// noEOF is for the end of a stream within a message.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Welcome accepts the peer. w says what it is told; magic and version are
// filled in. seg and bell, both or neither, are handed over: the peer gets
// descriptors of its own, of bell that of its other end. A private seg comes without a bell, and the peer gets
// its header.
func (c *Conn) Welcome(app uint32, w Welcome, seg *Segment, bell *Bell) error {
	w.Magic, w.Version, w.App, w.Status = Magic, Version, app, WelcomeOK
	if seg == nil {
		return c.send(&w, nil)
	}
	w.SegmentSize = seg.header.Size
	if seg.file == nil {
		return c.send(&w, nil, bytesOf(&seg.header)...)
	}
	return withFD(seg.file, func(segment int) error {
		return withFD(bell.peer, func(doorbell int) error {
			return c.send(&w, unix.UnixRights(segment, doorbell))
		})
	})
}

// Refuse tells the peer why it is not accepted. reason is cut to what a
// welcome holds.
func (c *Conn) Refuse(app, status uint32, reason string) error {
	w := Welcome{Magic: Magic, Version: Version, App: app, Status: status}
	w.ReasonSize = uint32(copy(w.Reason[:], reason))
	return c.send(&w, nil)
}

// send writes a welcome and what belongs to it. It cannot block: it is the first
// that is written to the connection, and shorter than any socket buffer.
func (c *Conn) send(w *Welcome, rights []byte, more ...byte) error {
	message := append(bytesOf(w), more...) // a copy, if there is more
	n, _, err := c.socket.WriteMsgUnix(message, rights, nil)
	if err == nil && n != len(message) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("send welcome: %w", err)
	}
	return nil
}

// Write sends text, behind a welcome or where there is no welcome, within the
// timeout. 0 waits as long as it takes, on a connection where no call before had
// a timeout. It may run beside a Read.
func (c *Conn) Write(text []byte, timeout time.Duration) error {
	if timeout > 0 {
		if err := c.socket.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
			return fmt.Errorf("write: %w", closed(err))
		}
	}
	if _, err := c.socket.Write(text); err != nil {
		return fmt.Errorf("write: %w", closed(err))
	}
	return nil
}

// Watch returns when the peer hangs up, or with an error that wraps ErrClosed
// when this side closed. It calls leave, if it is not nil, when the peer sends
// LeaveByte; other bytes are a peer's fault and give ErrHello.
func (c *Conn) Watch(leave func()) error {
	var b [1]byte
	for {
		_, err := c.socket.Read(b[:])
		switch {
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("watch %s: %w", c.Peer, ErrClosed)
		case err != nil: // EOF, or reset by a peer that died with bytes unread
			return nil
		case b[0] != LeaveByte || leave == nil:
			return fmt.Errorf("%w: byte %#x behind the hello", ErrHello, b[0])
		}
		leave()
	}
}

// Ring sends one byte down a doorbell connection. It never blocks: a
// connection that is full of rings has not been answered yet.
func (c *Conn) Ring() error {
	c.ringing.Lock()
	defer c.ringing.Unlock()
	c.rang = nil
	err := c.raw.Control(c.ring)
	if errors.Is(c.rang, unix.EAGAIN) {
		c.rang = nil
	}
	if err := errors.Join(closed(err), c.rang); err != nil {
		return fmt.Errorf("ring %s: %w", c.Peer, err)
	}
	return nil
}

// Close hangs up: the peer notices at once.
func (c *Conn) Close() error { return closeOnce(c.socket) }

// closed gives ErrClosed for what package net says instead.
func closed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return ErrClosed
	}
	return err
}
