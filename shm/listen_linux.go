package shm

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// MaxPath is the longest path of a socket in bytes (sun_path, less its zero).
const MaxPath = 107

// ErrInUse is wrapped by Listen when a live process listens on the path.
var ErrInUse = errors.New("a live server listens there")

// Listener accepts control connections on a Unix socket.
type Listener struct {
	socket *net.UnixListener
	path   string
	stat   fs.FileInfo // of the socket file that is ours
	closed atomic.Bool
}

// Listen listens on a Unix socket at path with the given file mode. A socket
// that a dead process left there is removed; a live one gives ErrInUse, and
// whatever else stands there is left alone.
func Listen(path string, mode fs.FileMode) (*Listener, error) {
	if len(path) > MaxPath {
		return nil, fmt.Errorf("listen: socket path of %d bytes, the limit is %d: %s", len(path), MaxPath, path)
	}
	if err := removeStale(path); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	socket, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	socket.SetUnlinkOnClose(false) // Close looks whose file it is first
	l := &Listener{socket: socket, path: path}
	if err = os.Chmod(path, mode); err == nil {
		l.stat, err = os.Lstat(path)
	}
	if err != nil {
		_ = socket.Close()
		_ = os.Remove(path)
		return nil, fmt.Errorf("listen: %w", err)
	}
	return l, nil
}

// removeStale removes a socket that nobody listens on.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			return err
		}
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("the path is taken by something that is not a socket (%s)", info.Mode().Type())
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = conn.Close()
		return ErrInUse
	}
	if errors.Is(err, unix.EAGAIN) { // alive, with a full backlog
		return ErrInUse
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

// Accept waits for the next connection. Once the listener is closed it gives
// an error that wraps ErrClosed.
func (l *Listener) Accept() (*Conn, error) {
	for {
		socket, err := l.socket.AcceptUnix()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil, fmt.Errorf("accept on %s: %w", l.path, ErrClosed)
			}
			return nil, fmt.Errorf("accept: %w", err)
		}
		conn, err := newConn(socket)
		if err != nil {
			_ = socket.Close() // it hung up before we looked who it was
			continue
		}
		return conn, nil
	}
}

// Path is the path of the socket.
func (l *Listener) Path() string { return l.path }

// Close stops listening and removes the socket file, unless another server put
// its own there meanwhile. Accepted connections live on.
func (l *Listener) Close() error {
	if l.closed.Swap(true) {
		return nil // the path, and even the inode, may be another server's by now
	}
	// Looked at while still listening: after the close a new server may
	// rightly take the path.
	if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.stat) {
		_ = os.Remove(l.path)
	}
	return closeOnce(l.socket)
}

// closeOnce closes c; what is closed already is fine.
func closeOnce(c interface{ Close() error }) error {
	if err := c.Close(); err != nil && !errors.Is(err, os.ErrClosed) && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
