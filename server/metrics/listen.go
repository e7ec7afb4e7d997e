package metrics

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/kongring/kongring/shm"
)

// ParseAddress takes an address apart: HOST:PORT, where the host may be left out
// for all of the machine's, or unix:PATH. What it gives is for [Listen].
func ParseAddress(text string) (network, address string, err error) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		if path == "" || len(path) > shm.MaxPath {
			return "", "", fmt.Errorf("metrics at %q: want a path of 1 to %d bytes behind %q", text, shm.MaxPath, "unix:")
		}
		return "unix", path, nil
	}
	_, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil || port == "" {
		return "", "", fmt.Errorf("metrics at %q: want HOST:PORT or unix:PATH", text)
	}
	return "tcp", text, nil
}

// Listen listens on an address. A Unix socket gets the mode and the group, by its
// number; -1 leaves that to the system. It takes the place of one that nobody
// listens on any more. The error wraps syscall.EADDRINUSE where somebody does, or
// where the path is no socket.
func Listen(network, address string, mode fs.FileMode, gid int) (net.Listener, error) {
	if network != "unix" {
		return named(net.Listen(network, address))
	}
	l, err := shm.ListenFile(address, mode, gid)
	if errors.Is(err, syscall.EADDRINUSE) && abandoned(address) && os.Remove(address) == nil {
		l, err = shm.ListenFile(address, mode, gid)
	}
	if err != nil {
		return named(nil, err)
	}
	return l, nil
}

// abandoned tells whether a path is a socket that nobody listens on.
func abandoned(path string) bool {
	stat, err := os.Lstat(path)
	if err != nil || stat.Mode().Type() != fs.ModeSocket {
		return false
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

func named(l net.Listener, err error) (net.Listener, error) {
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return l, nil
}
