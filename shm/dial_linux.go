package shm

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrRefused is wrapped by Dial when the server answered and said no; the text
// carries its reason. Where it is the version, the error wraps ErrVersion too.
var ErrRefused = errors.New("refused by the server")

// Attachment is the attaching side of a session in Go: what the Lua bridge is
// inside nginx, for tests and tools.
type Attachment struct {
	Welcome Welcome
	Segment *Segment // of a HelloAttach, or a private one of a HelloAttachSocket
	Bell    *Bell    // rings the server; nil unless the hello was HelloAttach

	socket *net.UnixConn
}

// Dial says hello to the server at path and waits up to timeout for its
// welcome. Magic and Version of the hello are filled in where they are 0.
func Dial(path string, h Hello, timeout time.Duration) (*Attachment, error) {
	a, err := dial(path, h, timeout)
	if err != nil {
		return nil, fmt.Errorf("attach to %s: %w", path, err)
	}
	return a, nil
}

func dial(path string, h Hello, timeout time.Duration) (*Attachment, error) {
	conn, err := net.DialTimeout("unix", path, timeout)
	if err != nil {
		return nil, err
	}
	a := &Attachment{socket: conn.(*net.UnixConn)}
	if err := a.greet(h, timeout); err != nil {
		_ = a.Close()
		return nil, err
	}
	return a, nil
}

func (a *Attachment) greet(h Hello, timeout time.Duration) error {
	if h.Magic == 0 {
		h.Magic = Magic
	}
	if h.Version == 0 {
		h.Version = Version
	}
	if err := a.socket.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if _, err := a.socket.Write(bytesOf(&h)); err != nil {
		return fmt.Errorf("send hello: %w", err)
	}
	files, err := a.receive()
	if err != nil {
		return err
	}
	defer func() {
		for _, f := range files {
			_ = closeOnce(f)
		}
	}()
	w := &a.Welcome
	if w.Magic != Magic || w.ReasonSize > uint32(len(w.Reason)) {
		return fmt.Errorf("%w: magic %#x, reason of %d bytes", ErrRefused, w.Magic, w.ReasonSize)
	}
	if w.Status == WelcomeVersion {
		return fmt.Errorf("%w: status %d: %w: this side %v, server %v", ErrRefused, w.Status, ErrVersion, version{h.Version, h.App}, version{w.Version, w.App})
	}
	if w.Status != WelcomeOK {
		return fmt.Errorf("%w: status %d: %s", ErrRefused, w.Status, w.Reason[:w.ReasonSize])
	}
	if h.Kind == HelloAttach {
		if len(files) != 2 {
			return fmt.Errorf("%w: welcome with %d descriptors, want 2", ErrSegment, len(files))
		}
		if a.Segment, err = Attach(files[0], h.App); err != nil {
			return err
		}
		a.Bell = OpenBell(files[1])
		files = nil
	}
	if h.Kind == HelloAttachSocket {
		if a.Segment, err = a.imitate(h.App); err != nil {
			return err
		}
	}
	return a.socket.SetDeadline(time.Time{})
}

// imitate makes a private segment like the server's.
func (a *Attachment) imitate(app uint32) (*Segment, error) {
	var h Header
	if _, err := io.ReadFull(a.socket, bytesOf(&h)); err != nil {
		return nil, fmt.Errorf("read segment header: %w", err)
	}
	if err := h.check(a.Welcome.SegmentSize, app); err != nil {
		return nil, err
	}
	return private(h), nil
}

// receive reads the welcome and the descriptors that came with it.
func (a *Attachment) receive() ([]*os.File, error) {
	oob := make([]byte, unix.CmsgSpace(4*4))
	buf := bytesOf(&a.Welcome)
	n, oobn, flags, _, err := a.socket.ReadMsgUnix(buf, oob)
	if err != nil {
		return nil, fmt.Errorf("read welcome: %w", err)
	}
	files, err := descriptors(oob[:oobn])
	if err == nil && flags&unix.MSG_CTRUNC != 0 {
		err = errors.New("descriptors were cut off")
	}
	if err == nil {
		_, err = io.ReadFull(a.socket, buf[n:])
	}
	if err != nil {
		for _, f := range files {
			_ = f.Close()
		}
		return nil, fmt.Errorf("read welcome: %w", err)
	}
	return files, nil
}

func descriptors(oob []byte) ([]*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // not descriptors: nothing to own
		}
		for _, fd := range fds {
			// Non-blocking before os.NewFile, so that waits go through the poller.
			_ = unix.SetNonblock(fd, true)
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files, nil
}

// WaitRing waits on a doorbell connection for the next ring. It gives io.EOF
// when the server hangs up and ErrClosed after Close.
func (a *Attachment) WaitRing() error {
	var b [64]byte
	_, err := a.socket.Read(b[:])
	return closed(err)
}

// Read implements io.Reader for what follows the welcome of a
// HelloAttachSocket. It gives io.EOF when the server hangs up and ErrClosed
// after Close. It may run beside a Write.
func (a *Attachment) Read(b []byte) (int, error) {
	n, err := a.socket.Read(b)
	return n, closed(err)
}

// Write implements io.Writer likewise.
func (a *Attachment) Write(b []byte) (int, error) {
	n, err := a.socket.Write(b)
	return n, closed(err)
}

// Leave tells the server that this side shuts down: see LeaveByte.
func (a *Attachment) Leave() error {
	_, err := a.socket.Write([]byte{LeaveByte})
	return err
}

// ReadAll reads what follows the welcome of a HelloInspect.
func (a *Attachment) ReadAll(timeout time.Duration) ([]byte, error) {
	if err := a.socket.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	return io.ReadAll(a.socket)
}

// Close hangs up and gives back what the attachment holds. As with
// [Segment.Close], no goroutine uses a region any more.
func (a *Attachment) Close() error {
	err := closeOnce(a.socket)
	if a.Segment != nil {
		err = errors.Join(err, a.Segment.Close())
	}
	if a.Bell != nil {
		err = errors.Join(err, a.Bell.Close())
	}
	return err
}
