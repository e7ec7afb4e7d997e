package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/kongring/kongring/shm"
)

// statusPeriod is how often systemd hears how the server is, where that changed.
const statusPeriod = 5 * time.Second

// Systemd lets [Server.Serve] be a service of systemd's. It takes the socket of
// a .socket unit that started it, in the place of the one of [WithSocket], and
// leaves the path to systemd. It tells a unit of Type=notify that it listens,
// how it is, and that it stops. Where the unit has WatchdogSec= it gives signs
// of life. Without systemd it does nothing. [Run] has it.
func Systemd() Option {
	return func(o *options) error { o.systemd = true; return nil }
}

// listen gives the listener on the server's socket.
func (s *Server) listen() (*shm.Listener, error) {
	if !s.options.systemd {
		return shm.ListenGroup(s.options.socket, s.options.mode, s.options.gid)
	}
	files := activation.Files(true)
	switch len(files) {
	case 0:
		return shm.ListenGroup(s.options.socket, s.options.mode, s.options.gid)
	case 1:
	default:
		for _, f := range files {
			_ = f.Close()
		}
		return nil, fmt.Errorf("systemd hands %d sockets over, want one", len(files))
	}
	l, err := shm.Adopt(files[0])
	if err != nil {
		return nil, err
	}
	if own, err := filepath.Abs(s.options.socket); err != nil || own != l.Path() {
		s.options.logger.Warn("the socket is systemd's, and not the one that the flags name: does Kong look for it there?",
			"socket", l.Path(), "named", s.options.socket)
	}
	if s.options.gid >= 0 {
		s.options.logger.Warn("the socket is systemd's, and so is its group: SocketGroup= of its unit sets that", "socket", l.Path())
	}
	return l, nil
}

// manager is systemd, where it waits to be told.
type manager struct {
	server   *Server
	listener *shm.Listener
	watchdog time.Duration // 0 if nobody waits for signs of life
	done     chan struct{}
	ended    chan struct{}
}

// manage tells systemd that the server is ready, and from then on how it is. It
// gives nil where nobody wants to know.
func (s *Server) manage(l *shm.Listener) *manager {
	if !s.options.systemd || os.Getenv("NOTIFY_SOCKET") == "" {
		return nil
	}
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		s.options.logger.Warn("systemd's watchdog", "error", err)
	}
	m := &manager{s, l, watchdog, make(chan struct{}), make(chan struct{})}
	m.tell(daemon.SdNotifyReady, m.status())
	go m.run()
	return m
}

// run goes on until end.
func (m *manager) run() {
	defer close(m.ended)
	period := statusPeriod
	if m.watchdog > 0 {
		period = min(period, m.watchdog/3) // one may come late, by as much
	}
	tick := time.NewTicker(period)
	defer tick.Stop()
	for told := ""; ; {
		select {
		case <-m.done:
			return
		case <-tick.C:
		}
		var news []string
		if now := m.status(); now != told {
			told = now
			news = append(news, now)
		}
		if m.watchdog > 0 && m.alive(period) {
			news = append(news, daemon.SdNotifyWatchdog)
		}
		m.tell(news...)
	}
}

// alive tells whether a worker would get an answer. So it does what a worker
// does to attach: it connects to the socket and says hello. That takes the
// accepting loop, a goroutine, the greeting and the locks of the server and of
// its sessions. A handler that hangs is no reason: its event has a time of its
// own, and the events beside it go on.
func (m *manager) alive(timeout time.Duration) bool {
	m.server.Stats() // never, if a lock is not given back
	if m.server.draining() {
		return true
	}
	if _, replaced := m.listener.Successor(); replaced {
		return true // it has its own workers left, and no place to be asked at
	}
	_, err := Inspect(m.listener.Path(), timeout)
	if err == nil || m.server.draining() || errors.Is(err, fs.ErrPermission) { // of a .socket unit, it may be another user's
		return true
	}
	m.server.options.logger.Error("the server does not answer", "socket", m.listener.Path(), "error", err)
	return false
}

func (m *manager) status() string {
	stats := m.server.Stats()
	events := uint64(0)
	for _, n := range stats.Sessions {
		events += n.Server.Events
	}
	return fmt.Sprintf("STATUS=%d workers attached, which sent %d events; %d under way", len(stats.Sessions), events, m.server.underWay())
}

func (m *manager) tell(news ...string) {
	if m == nil || len(news) == 0 {
		return
	}
	if _, err := daemon.SdNotify(false, strings.Join(news, "\n")); err != nil {
		m.server.options.logger.Warn("systemd cannot be told", "error", err)
	}
}

// end waits until systemd is told nothing more.
func (m *manager) end() {
	if m != nil {
		close(m.done)
		<-m.ended
	}
}
