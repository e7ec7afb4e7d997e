package shm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// MaxPath is the longest path of a socket in bytes (sun_path, less its zero).
const MaxPath = 107

// Listener accepts control connections on a Unix socket.
type Listener struct {
	socket *net.UnixListener
	path   string
	stat   fs.FileInfo // of the socket file that is ours; nil if it was adopted
	closed atomic.Bool

	tookOver bool
	from     Peer
}

// Listen listens on a Unix socket at path with the given file mode. A socket
// that stands there is replaced, also that of a live server, which goes on with
// the connections that it has: whoever connects finds the one or the other, and
// never nobody. What is not such a socket is left alone, and is an error. There
// is no moment in which more may connect than mode says.
func Listen(path string, mode fs.FileMode) (*Listener, error) {
	return ListenGroup(path, mode, -1)
}

// ListenGroup is Listen with a socket that belongs to a group, by its number; -1
// leaves it to the system, as Listen does. A process that is not root's has to be
// in that group. There is no moment in which mode's rights are another group's.
func ListenGroup(path string, mode fs.FileMode, gid int) (*Listener, error) {
	if len(path) > MaxPath {
		return nil, fmt.Errorf("listen: socket path of %d bytes, the limit is %d: %s", len(path), MaxPath, path)
	}
	if path == "" || path[0] == '@' { // which package net takes for no file
		return nil, fmt.Errorf("listen: %q is not the path of a file", path)
	}
	l := &Listener{path: path}
	var err error
	if l.from, l.tookOver, err = probe(path); err == nil {
		err = l.replace(mode, gid)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return l, nil
}

// Adopt takes a socket that listens already, as a service manager hands it over,
// and closes file. Its path belongs to whoever made it: Close leaves it alone.
func Adopt(file *os.File) (*Listener, error) {
	defer file.Close()
	name := file.Name()
	l, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("listen on the socket %s that was handed over: %w", name, err)
	}
	socket, ok := l.(*net.UnixListener)
	if !ok || l.Addr().Network() != "unix" || l.Addr().String() == "" || l.Addr().String()[0] == '@' {
		_ = l.Close()
		return nil, fmt.Errorf("listen on the socket %s that was handed over: %s %q, want a Unix stream socket with the path of a file",
			name, l.Addr().Network(), l.Addr())
	}
	socket.SetUnlinkOnClose(false)
	return &Listener{socket: socket, path: l.Addr().String()}, nil
}

// probe looks who listens on path: nobody, or a live server, whose Peer is zero
// when it is too busy to be asked. What cannot be replaced gives an error.
func probe(path string) (server Peer, live bool, err error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = os.Stat(filepath.Dir(path))
		return Peer{}, false, err
	}
	if err != nil {
		return Peer{}, false, err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return Peer{}, false, fmt.Errorf("the path is taken by something that is not a socket (%s)", info.Mode().Type())
	}
	socket, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		defer socket.Close()
		conn, err := newConn(socket.(*net.UnixConn))
		if err != nil {
			return Peer{}, false, err
		}
		return conn.Peer, true, nil
	case errors.Is(err, unix.EAGAIN): // alive, with a full backlog
		return Peer{}, true, nil
	case errors.Is(err, unix.ECONNREFUSED), errors.Is(err, fs.ErrNotExist): // dead, or gone meanwhile
		return Peer{}, false, nil
	}
	return Peer{}, false, err
}

// replace puts a socket of ours, which listens and has its group and its mode
// already, in the place of whatever stands at the path.
func (l *Listener) replace(mode fs.FileMode, gid int) (err error) {
	temporary := temporaryFor(l.path)
	if l.socket, err = bind(temporary, mode); err != nil {
		return err
	}
	if l.stat, err = settle(temporary, mode, gid); err == nil {
		err = os.Rename(temporary, l.path)
	}
	if err != nil {
		_ = l.socket.Close()
		_ = os.Remove(temporary)
	}
	return err
}

// temporaryFor gives a name in the folder of path that nobody has.
func temporaryFor(path string) string {
	return filepath.Join(filepath.Dir(path), ".kongring-"+rand.Text()[:10])
}

// settle gives the file of a socket that bind made its group, and then its mode,
// and tells what file it is. It goes by a descriptor: where others may write into
// the folder, the name may be a link to something else by now.
func settle(path string, mode fs.FileMode, gid int) (fs.FileInfo, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close()
	stat, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if owner := stat.Sys().(*syscall.Stat_t).Uid; stat.Mode().Type() != fs.ModeSocket || owner != uint32(os.Geteuid()) {
		return nil, fmt.Errorf("somebody put a file of uid %d, %s, in the place of the socket", owner, stat.Mode())
	}
	if gid >= 0 {
		if err := unix.Fchownat(fd, "", -1, gid, unix.AT_EMPTY_PATH); err != nil {
			return nil, fmt.Errorf("give the socket to group %d: %w", gid, err)
		}
	}
	return stat, os.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), mode)
}

// bind listens at a path that may be longer than a socket's: then it is taken
// from its folder on. The file has the owner's part of mode from its first moment
// on: the kernel takes it from the socket that is bound.
func bind(path string, mode fs.FileMode) (*net.UnixListener, error) {
	name := path
	if len(path) > MaxPath {
		folder, err := os.Open(filepath.Dir(path))
		if err != nil {
			return nil, err
		}
		defer folder.Close()
		name = fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), filepath.Base(path))
	}
	narrow := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var inner error
		err := raw.Control(func(fd uintptr) { inner = unix.Fchmod(int(fd), uint32(mode.Perm()&0o700)) })
		return errors.Join(err, inner)
	}}
	l, err := narrow.Listen(context.Background(), "unix", name)
	if err != nil {
		return nil, err
	}
	socket := l.(*net.UnixListener)
	socket.SetUnlinkOnClose(false) // Close looks whose file it is first
	return socket, nil
}

// ListenFile listens on a Unix socket at path, where nothing may stand yet, for
// connections that say no hello. It has the mode and, by its number, the group; -1
// leaves that to the system. Close removes the file. The error wraps
// syscall.EADDRINUSE where something stands there.
func ListenFile(path string, mode fs.FileMode, gid int) (*net.UnixListener, error) {
	if path == "" || path[0] == '@' || len(path) > MaxPath {
		return nil, fmt.Errorf("listen: %q is no path of a file of 1 to %d bytes", path, MaxPath)
	}
	l, err := bind(path, mode)
	if err != nil {
		return nil, err
	}
	if _, err := settle(path, mode, gid); err != nil {
		_ = l.Close()
		_ = os.Remove(path)
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l.SetUnlinkOnClose(true)
	return l, nil
}

// TookOver tells whether a live server listened on the path until Listen, and
// which: its PID is 0 if it was too busy to be asked.
func (l *Listener) TookOver() (from Peer, ok bool) { return l.from, l.tookOver }

// Successor tells whether another live server listens on the path by now, and
// which: its PID is 0 if it is too busy to be asked.
func (l *Listener) Successor() (server Peer, ok bool) {
	now, err := os.Lstat(l.path)
	if l.stat == nil || err != nil || os.SameFile(now, l.stat) {
		return Peer{}, false
	}
	server, ok, err = probe(l.path)
	return server, ok && err == nil
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

// Replaced tells whether whoever connects to the path does not find this
// listener any more: another server has put its socket there, or the file is
// gone. Of a listener that was adopted it is false: its owner looks after the
// path. It may be called from any goroutine.
func (l *Listener) Replaced() bool {
	if l.stat == nil {
		return false
	}
	now, err := os.Lstat(l.path)
	return err != nil || !os.SameFile(now, l.stat)
}

// Superseded tells whether another server has put its socket on the path. It may
// be called from any goroutine.
func (l *Listener) Superseded() bool {
	if l.stat == nil {
		return false
	}
	now, err := os.Lstat(l.path)
	return err == nil && !os.SameFile(now, l.stat)
}

// Close stops listening and removes the socket file, unless another server put
// its own there meanwhile or it was adopted. Accepted connections live on.
func (l *Listener) Close() error {
	if l.closed.Swap(true) {
		return nil // the path, and even the inode, may be another server's by now
	}
	l.removeOwn()
	return closeOnce(l.socket)
}

// removeOwn removes the socket file if it is ours. That is looked at while still
// listening, since the inode may be another's afterwards; and again under a name
// that nobody else has, since another server may take the path over meanwhile:
// then its file goes back.
func (l *Listener) removeOwn() {
	if l.stat == nil || l.Replaced() {
		return
	}
	aside := temporaryFor(l.path)
	if os.Rename(l.path, aside) != nil {
		return
	}
	if now, err := os.Lstat(aside); err == nil && !os.SameFile(now, l.stat) &&
		unix.Renameat2(unix.AT_FDCWD, aside, unix.AT_FDCWD, l.path, unix.RENAME_NOREPLACE) == nil {
		return
	}
	_ = os.Remove(aside)
}

// closeOnce closes c; what is closed already is fine.
func closeOnce(c interface{ Close() error }) error {
	if err := c.Close(); err != nil && !errors.Is(err, os.ErrClosed) && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
