package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// ErrServerClosed is what Serve gives after Close.
var ErrServerClosed = errors.New("plugin server closed")

// Limits of what connections may do before they are sessions.
const (
	helloTimeout = 2 * time.Second
	maxSessions  = 1024 // workers attached at once
)

// Server hosts plugins for the workers that attach to its socket. Its methods
// may be called by any goroutine.
type Server struct {
	options  options
	registry *registry
	stock    *stock
	counters serverCounters
	ended    ended
	master   int // of the Kong that started this process, 0 if none did

	stopwatch stopwatch

	pending   chan struct{} // one token for each connection before its hello is read
	strangers *strangers
	work      sync.WaitGroup
	drain     atomic.Bool

	succeeded atomic.Bool // another server had the socket when this one was to stop

	crowd         atomic.Bool // the last connection was refused since too many wait
	memoryRefused atomic.Bool // the last shared segment could not be made

	mu       sync.Mutex
	listener *shm.Listener
	sessions map[uint32]*session
	conns    map[*shm.Conn]struct{} // connections of no session
	lastID   uint32
	begun    begun
	closed   bool
}

// serverCounters count what belongs to no session.
type serverCounters struct {
	sessionsBegun  atomic.Uint64
	sessionsFailed atomic.Uint64
	damaged        atomic.Uint64 // of sessionsFailed: the worker broke a rule
	refused        atomic.Uint64
	crowded        atomic.Uint64 // of refused, of users that may attach: too many were there that had not said hello
	denied         atomic.Uint64 // of refused: the user may not attach
}

// New makes a server. It needs a socket path and at least one plugin.
func New(opts ...Option) (*Server, error) {
	o := defaults()
	for _, set := range opts {
		if err := set(&o); err != nil {
			return nil, fmt.Errorf("new plugin server: %w", err)
		}
	}
	if o.socket == "" || len(o.plugins) == 0 {
		return nil, errors.New("new plugin server: a socket path and a plugin are needed")
	}
	registry, err := newRegistry(o.plugins, o.bounds)
	if err != nil {
		return nil, fmt.Errorf("new plugin server: %w", err)
	}
	o.uids[0], o.uids[uint32(os.Getuid())] = true, true
	s := &Server{
		options: o, registry: registry,
		pending:   make(chan struct{}, o.maxPending),
		strangers: newStrangers(),
		sessions:  map[uint32]*session{},
		conns:     map[*shm.Conn]struct{}{},
	}
	if s.metered() {
		s.stopwatch.watchers.Add(1)
	}
	s.stock = newStock(s)
	return s, nil
}

// Serve listens on the socket and serves workers until ctx ends or Close is
// called. At the end of ctx it takes no more workers, refuses new events, waits
// until those under way are over and its workers have left, up to the grace time,
// and gives nil. After Close it gives ErrServerClosed. Other errors say why it
// could not listen.
//
// Where another server listens on the socket, this one takes its place: workers
// that attach from then on find this one, and the other goes on with those that
// it has, until it is stopped.
func (s *Server) Serve(ctx context.Context) error {
	shown, inUse, err := s.claimMetrics()
	if err != nil {
		return err
	}
	listener, err := s.listen()
	if err == nil && inUse != nil {
		if _, ok := listener.TookOver(); ok {
			s.options.logger.Warn("metrics wait until the server before this one has ended", "reason", inUse)
		} else {
			_ = listener.Close()
			err = inUse
		}
	}
	if err != nil {
		if shown != nil {
			_ = shown.Close()
		}
		return err
	}
	defer s.export(shown).end()
	s.probeMemory()

	s.mu.Lock()
	if s.closed || s.listener != nil {
		s.mu.Unlock()
		_ = listener.Close()
		return ErrServerClosed
	}
	s.listener = listener
	s.mu.Unlock()
	s.warnOfFolder(listener.Path())
	spinUnit() // measured before the first worker waits for it
	if from, ok := listener.TookOver(); ok {
		s.options.logger.Warn(fmt.Sprintf("takes over the socket from pid %d", from.PID), "socket", listener.Path())
	}
	s.options.logger.Info("listening", "socket", listener.Path(), "carrier", s.options.carrier, "plugins", s.names())

	systemd := s.manage(listener)
	defer systemd.end()
	stop := context.AfterFunc(ctx, func() {
		s.awaitSuccessor()
		s.succeeded.Store(listener.Replaced())
		_ = listener.Close()
	})
	defer stop()
	for {
		conn, err := listener.Accept()
		if errors.Is(err, shm.ErrClosed) {
			break
		}
		if err != nil {
			// Out of descriptors, say: those who are attached go on.
			s.options.logger.Error("accept", "error", err)
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		s.admit(conn)
	}
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return ErrServerClosed
	}
	systemd.tell(daemon.SdNotifyStopping)
	s.options.logger.Info("stopping", "events", s.underWay(), "grace", s.options.grace)
	s.handOver()
	return s.Close()
}

// admit serves one connection on a goroutine of its own, if it may wait with
// those that did not say hello yet.
func (s *Server) admit(conn *shm.Conn) {
	waiting := s.waitingRoom(conn)
	select {
	case waiting <- struct{}{}:
		if waiting == s.pending {
			s.crowd.Store(false)
		}
	default:
		if waiting == s.pending {
			s.counters.crowded.Add(1)
		}
		const reason = "too many connections wait to say hello"
		if waiting != s.pending || !s.crowd.Swap(true) { // one line, however many there are
			s.noteRefusal(conn, reason)
		} else {
			s.counters.refused.Add(1)
		}
		_ = conn.Refuse(wire.Version, shm.WelcomeExhausted, reason)
		_ = conn.Close()
		return
	}
	if !s.track(conn) {
		<-waiting
		_ = conn.Close()
		return
	}
	go func() {
		defer s.work.Done()
		stock, hello, err := s.greet(conn)
		<-waiting
		switch {
		case err != nil:
		case stock:
			s.stock.serve(conn)
		default:
			s.serveConn(conn, hello)
		}
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
		_ = conn.Close()
	}()
}

// track remembers a connection, so that Close ends it.
func (s *Server) track(conn *shm.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[conn] = struct{}{}
	s.work.Add(1)
	return true
}

// greet looks who is there and tells a Kong without the bridge, which says no
// hello, by its first byte. The hello of others comes first also for who may not
// attach: a connection that is closed before it was read from would fail the
// peer's write, and the peer would never read why. Who hangs up without a word
// only looked whether somebody listens.
func (s *Server) greet(conn *shm.Conn) (stock bool, hello shm.Hello, err error) {
	first, err := conn.Peek(helloTimeout)
	if errors.Is(err, io.EOF) {
		s.options.logger.Debug("connection without a word", "peer", conn.Peer.String())
		return false, hello, err
	}
	if err == nil && first == stockFirst {
		if !s.mayAttach(conn) {
			err = fmt.Errorf("uid %d may not attach", conn.Peer.UID)
			s.noteRefusal(conn, err.Error()) // the caller closes
		}
		return true, hello, err
	}
	if err == nil {
		hello, err = conn.ReadHello(wire.Version, helloTimeout)
	}
	switch {
	case !s.mayAttach(conn):
		err = fmt.Errorf("uid %d may not attach", conn.Peer.UID)
		s.refuse(conn, shm.WelcomeDenied, err.Error())
	case errors.Is(err, shm.ErrVersion):
		s.refuse(conn, shm.WelcomeVersion, err.Error())
	case err != nil:
		s.refuse(conn, shm.WelcomeBad, err.Error())
	}
	return false, hello, err
}

// serveConn serves a connection until its end.
func (s *Server) serveConn(conn *shm.Conn, hello shm.Hello) {
	switch hello.Kind {
	case shm.HelloAttach, shm.HelloAttachSocket:
		s.serveSession(conn, hello)
	case shm.HelloDoorbell:
		s.serveDoorbell(conn, hello)
	case shm.HelloInspect:
		text, err := json.Marshal(s.Stats())
		if err == nil {
			err = conn.Welcome(wire.Version, shm.Welcome{}, nil, nil)
		}
		if err == nil {
			_ = conn.Write(text, helloTimeout)
		}
	case shm.HelloTrace:
		s.serveTrace(conn, hello)
	case shm.HelloWatch:
		s.serveWatcher(conn)
	}
}

func (s *Server) serveSession(conn *shm.Conn, hello shm.Hello) {
	session, err := s.addSession(conn, hello)
	if errors.Is(err, errNoMemory) {
		// The worker comes back by the socket; the log has the reason.
		_ = conn.Refuse(wire.Version, shm.WelcomeNoMemory, err.Error())
		return
	}
	if err != nil {
		s.refuse(conn, shm.WelcomeExhausted, err.Error())
		return
	}
	session.run()
	s.mu.Lock()
	delete(s.sessions, session.id)
	s.mu.Unlock()
}

func (s *Server) addSession(conn *shm.Conn, hello shm.Hello) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.drain.Load() {
		return nil, errors.New("the plugin server stops")
	}
	if len(s.sessions) >= maxSessions {
		return nil, fmt.Errorf("%d workers are attached: that is the limit", maxSessions)
	}
	session, err := newSession(s, s.lastID+1, conn, hello)
	if err != nil {
		return nil, err
	}
	s.lastID = session.id
	s.counters.sessionsBegun.Add(1)
	s.begun.note(session)
	s.sessions[session.id] = session
	return session, nil
}

func (s *Server) serveDoorbell(conn *shm.Conn, hello shm.Hello) {
	s.mu.Lock()
	session := s.sessions[hello.Session]
	s.mu.Unlock()
	if session == nil {
		s.refuse(conn, shm.WelcomeBad, fmt.Sprintf("no session %d", hello.Session))
		return
	}
	if err := session.ringWith(conn, hello); err != nil {
		s.refuse(conn, shm.WelcomeBad, fmt.Sprintf("doorbell of session %d: %s", hello.Session, err))
		return
	}
	if err := conn.Watch(nil); err != nil && !errors.Is(err, shm.ErrClosed) {
		session.end(err)
	}
	session.rings.dropDoorbell(conn)
}

// Close stops the server at once: sessions end, their events are cancelled.
// It waits until the handlers have returned, up to the grace time, and gives an
// error when some have not. A second Close does the same.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	listener := s.listener
	sessions := make([]*session, 0, len(s.sessions))
	for _, session := range s.sessions {
		sessions = append(sessions, session)
	}
	conns := make([]*shm.Conn, 0, len(s.conns))
	for conn := range s.conns {
		conns = append(conns, conn)
	}
	s.mu.Unlock()
	if listener != nil {
		_ = listener.Close()
	}
	for _, session := range sessions {
		session.end(shm.ErrClosed)
	}
	s.stock.close()
	for _, conn := range conns {
		_ = conn.Close()
	}
	done := make(chan struct{})
	go func() { s.work.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-time.After(s.options.grace):
		return fmt.Errorf("close plugin server: handlers still run after %v", s.options.grace)
	}
}

func (s *Server) names() []string {
	var names []string
	for _, p := range s.options.plugins {
		names = append(names, p.name)
	}
	return names
}
