package shm

import (
	"net"
	"os"
)

// Doors for the tests: the descriptors behind the handles, and a connection
// that no listener accepted.

func FileOf(s *Segment) *os.File { return s.file }

func BellFile(b *Bell) *os.File { return b.file }

func BellPeer(b *Bell) *os.File { return b.peer }

func SocketOf(c *Conn) *net.UnixConn { return c.socket }

func NewConn(socket *net.UnixConn) (*Conn, error) { return newConn(socket) }

// The steps by which a socket gets its group and mode.
var (
	Bind   = bind
	Settle = settle
)
