package server

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// Who may attach is decided twice: the mode and the group of the socket say who
// can connect, and then the kernel's word on who did (SO_PEERCRED) is looked up
// among the users that may.

// Limits of what strangers, users who may not attach, can make the server do.
const (
	maxStrangersWaiting = 16               // that have not said hello yet
	maxStrangers        = 64               // users that the log knows apart
	strangerInterval    = 10 * time.Second // between two lines about a user
)

// WithUID lets workers of one more user attach, besides root's and those of the
// server's own user.
func WithUID(uid uint32) Option {
	return func(o *options) error { o.uids[uid] = true; return nil }
}

// WithUser is [WithUID] by the user's name.
func WithUser(name string) Option {
	return func(o *options) error {
		u, err := user.Lookup(name)
		if err != nil {
			return fmt.Errorf("let a user attach: %w", err)
		}
		uid, err := parseID(u.Uid)
		if err != nil {
			return fmt.Errorf("let user %s attach: %w", name, err)
		}
		o.uids[uid] = true
		return nil
	}
}

// WithSocketGroup gives the control socket to a group, by its name or number. The
// socket's mode lets its members connect, and they may attach where [WithUID]
// says so. Unless set, the socket has the group that the system gives it. A
// server that is not root's has to be in that group. A socket that systemd hands
// over keeps its own.
func WithSocketGroup(group string) Option {
	return func(o *options) error {
		g, err := user.LookupGroup(group)
		if err == nil {
			group = g.Gid
		}
		gid, failed := parseID(group)
		if failed != nil {
			return fmt.Errorf("group of the socket: %w", cmp.Or(err, failed))
		}
		o.gid = int(gid)
		return nil
	}
}

// parseID reads the number of a user or a group. The highest one means none.
func parseID(text string) (uint32, error) {
	id, err := strconv.ParseUint(text, 10, 32)
	if err == nil && id == 1<<32-1 {
		err = fmt.Errorf("%d is no id", id)
	}
	return uint32(id), err
}

// mayAttach tells whether the user at the other end may.
func (s *Server) mayAttach(conn *shm.Conn) bool { return s.options.uids[conn.Peer.UID] }

// waitingRoom is where a connection waits until its hello is read: strangers
// take no place from the others.
func (s *Server) waitingRoom(conn *shm.Conn) chan struct{} {
	if s.mayAttach(conn) {
		return s.pending
	}
	return s.strangers.waiting
}

// refuse tells both sides why a connection comes to nothing, and closes it.
func (s *Server) refuse(conn *shm.Conn, status uint32, reason string) {
	s.noteRefusal(conn, reason)
	_ = conn.Refuse(wire.Version, status, reason)
	_ = conn.Close()
}

// noteRefusal counts a refusal and logs it, of a stranger not each time.
func (s *Server) noteRefusal(conn *shm.Conn, reason string) {
	s.counters.refused.Add(1)
	with := []any{"peer", conn.Peer.String(), "reason", reason}
	if !s.mayAttach(conn) {
		s.counters.denied.Add(1)
		say, unsaid := s.strangers.say(conn.Peer.UID, time.Now())
		if !say {
			return
		}
		if unsaid > 0 {
			with = append(with, "unsaid", unsaid)
		}
	}
	s.options.logger.Warn("connection refused", with...)
}

// strangers keeps those who may not attach from filling the log.
type strangers struct {
	waiting chan struct{} // one token for each connection of theirs before its hello is read

	mu    sync.Mutex
	users map[uint32]attempts
}

// attempts are those of one user.
type attempts struct {
	silence time.Time // until when nothing is said
	unsaid  uint64    // since the last line
}

func newStrangers() *strangers {
	return &strangers{waiting: make(chan struct{}, maxStrangersWaiting), users: map[uint32]attempts{}}
}

// say tells whether an attempt of a user is worth a line, and how many had none
// since the last that was. Where there are too many users, the new ones have
// none.
func (s *strangers) say(uid uint32, now time.Time) (say bool, unsaid uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	past, known := s.users[uid]
	if now.Before(past.silence) {
		past.unsaid++
		s.users[uid] = past
		return false, 0
	}
	if !known && len(s.users) == maxStrangers {
		maps.DeleteFunc(s.users, func(_ uint32, a attempts) bool { return !now.Before(a.silence) })
		if len(s.users) == maxStrangers {
			return false, 0
		}
	}
	s.users[uid] = attempts{silence: now.Add(strangerInterval)}
	return true, past.unsaid
}

// warnOfFolder says when others can put a socket of theirs in the place of the
// server's.
func (s *Server) warnOfFolder(socket string) {
	folder := filepath.Dir(socket)
	if info, err := os.Stat(folder); err == nil && info.Mode().Perm()&0o002 != 0 {
		s.options.logger.Warn("everyone may write into the folder of the socket: whoever listens there first gets the workers",
			"folder", folder, "mode", info.Mode().String())
	}
}
