package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// Who traces a session gets a copy of each of its frames. The session never
// waits for that: frames that find the tap full are dropped and counted. Without
// a tap a frame costs one load of a pointer.

// TraceStart is what a trace begins with: the session, and what frames before the
// trace have said.
type TraceStart struct {
	Session   uint32
	Worker    uint32 // number of the worker, in its own word
	PID       int    // of the worker
	Carrier   string // "ring" or "socket"
	LogLevel  int    // nginx's: lines above it are not sent
	Started   time.Time
	Schemas   map[string]json.RawMessage // of the plugins, as Kong reads them
	Instances []TraceInstance            // open ones
	Profiles  []TraceProfile             // that the worker may go by
	Constants []TraceConstant            // that the session knows already, and asks for no more
}

// TraceInstance is a plugin with a config.
type TraceInstance struct {
	Number uint32 // in the session
	Plugin string
	Entity string
	Config json.RawMessage
}

// TraceProfile is the body of a Profile message.
type TraceProfile struct {
	Instance uint32
	Phase    uint8
	Body     []byte
}

// TraceConstant is what a getter without arguments gives in the whole session.
type TraceConstant struct {
	Method wire.MethodID
	Value  []byte // MessagePack
}

// TraceFrame is a frame of a trace.
type TraceFrame struct {
	At         int64  // microseconds since Started
	FromWorker bool   `json:",omitempty"` // else from the server
	More       bool   `json:",omitempty"` // its message goes on
	Lost       uint64 `json:",omitempty"` // frames before it that found no room
	Frame      []byte // head and body
}

// Bounds of a trace.
const (
	tapBytes      = 8 << 20         // of frames that wait to be sent
	tracePace     = 64 << 10        // bytes that are sent at once, about
	tracePatience = 5 * time.Second // how long the peer may take to read them
)

// tap keeps copies of frames until they are fetched.
type tap struct {
	started time.Time
	wake    waiter

	mu     sync.Mutex
	frames []TraceFrame
	bytes  int
	lost   uint64               // since the last frame
	broken map[pieceOf]struct{} // messages of which a piece was lost: what follows is too
}

// pieceOf names the message that a piece is of.
type pieceOf struct {
	fromWorker bool
	slot       [2]byte
}

func newTap() *tap {
	return &tap{started: time.Now(), wake: make(waiter, 1), broken: map[pieceOf]struct{}{}}
}

// tapped gives a copy of a frame to whoever traces the session.
func (r *rings) tapped(fromWorker bool, frame ring.Frame) {
	if t := r.tap.Load(); t != nil {
		t.take(fromWorker, frame)
	}
}

func (t *tap) take(fromWorker bool, frame ring.Frame) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var message pieceOf
	if message.fromWorker = fromWorker; len(frame.Payload) >= wire.HeadSize {
		copy(message.slot[:], frame.Payload[2:])
	}
	const each = 64 // what a frame takes besides its bytes, about
	_, broken := t.broken[message]
	if broken || t.bytes+len(frame.Payload)+each > tapBytes {
		t.lost++
		if frame.More {
			t.broken[message] = struct{}{}
		} else {
			delete(t.broken, message)
		}
		return
	}
	t.bytes += len(frame.Payload) + each
	t.frames = append(t.frames, TraceFrame{
		At: time.Since(t.started).Microseconds(), FromWorker: fromWorker, More: frame.More, Lost: t.lost,
		Frame: slices.Clone(frame.Payload),
	})
	t.lost = 0
	t.wake.wake()
}

// fetch gives what was taken since the last time.
func (t *tap) fetch() []TraceFrame {
	t.mu.Lock()
	defer t.mu.Unlock()
	frames := t.frames
	t.frames, t.bytes = nil, 0
	return frames
}

// serveTrace serves a connection that traces a session. What travels there is of
// requests, so not everybody who may attach may read it.
func (s *Server) serveTrace(conn *shm.Conn, hello shm.Hello) {
	if uid := conn.Peer.UID; uid != 0 && uid != uint32(os.Getuid()) {
		s.refuse(conn, shm.WelcomeDenied, fmt.Sprintf("uid %d may not trace: root and the server's own user may", uid))
		return
	}
	s.mu.Lock()
	n := s.sessions[hello.Session]
	s.mu.Unlock()
	if n == nil {
		s.refuse(conn, shm.WelcomeBad, fmt.Sprintf("no session %d", hello.Session))
		return
	}
	t := newTap()
	if !n.rings.tap.CompareAndSwap(nil, t) {
		s.refuse(conn, shm.WelcomeExhausted, fmt.Sprintf("session %d is traced already", n.id))
		return
	}
	defer n.rings.tap.Store(nil)
	start := n.traceStart(t.started) // behind the tap: what begins meanwhile is in one of them
	if err := conn.Welcome(wire.Version, shm.Welcome{Session: n.id}, nil, nil); err != nil {
		return
	}
	n.log.Info("trace begun", "peer", conn.Peer.String())
	gone := make(chan struct{})
	go func() { defer close(gone); _ = conn.Watch(nil) }()
	err := t.send(conn, start, n.ctx.Done(), gone)
	_ = conn.Close()
	<-gone
	n.log.Info("trace ended", "peer", conn.Peer.String(), "error", err)
}

// send sends what the tap gets, until the session is over or the peer has gone.
func (t *tap) send(conn *shm.Conn, start TraceStart, over, gone <-chan struct{}) error {
	var text bytes.Buffer
	lines := json.NewEncoder(&text)
	flush := func() error {
		if text.Len() == 0 {
			return nil
		}
		err := conn.Write(text.Bytes(), tracePatience)
		text.Reset()
		return err
	}
	if err := lines.Encode(start); err != nil {
		return err
	}
	for last := false; ; {
		for _, frame := range t.fetch() {
			if err := lines.Encode(frame); err != nil {
				return err
			}
			if text.Len() < tracePace {
				continue
			}
			if err := flush(); err != nil {
				return err
			}
		}
		if err := flush(); err != nil || last {
			return err
		}
		select {
		case <-t.wake:
		case <-gone:
			return nil
		case <-over:
			last = true // what came before the end
		}
	}
}

// traceStart gives what a trace begins with.
func (n *session) traceStart(started time.Time) TraceStart {
	start := TraceStart{
		Session: n.id, Worker: n.hello.Worker, PID: n.conn.Peer.PID, Carrier: n.carrier().String(), Started: started,
		Schemas: map[string]json.RawMessage{},
	}
	for _, p := range n.server.options.plugins {
		start.Schemas[p.name], _ = json.Marshal(p.schema) // it came of a struct's tags
	}
	if n.join() { // the memory stays mapped meanwhile
		start.LogLevel = n.rings.logLevel()
		n.open.Done()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for number, in := range n.instances {
		start.Instances = append(start.Instances, TraceInstance{
			Number: number, Plugin: in.plugin.name, Entity: in.key.entity, Config: in.config,
		})
		for phase, p := range in.profiles {
			for f := p.current.Load(); f != nil; f = f.previous {
				if f.version != 0 {
					start.Profiles = append(start.Profiles, TraceProfile{number, uint8(phase), f.message})
				}
			}
		}
	}
	for id := range n.constants {
		if value := n.constants[id].Load(); value != nil {
			start.Constants = append(start.Constants, TraceConstant{wire.MethodID(id), *value})
		}
	}
	return start
}

// Tracing is a trace under way. Next is for one goroutine at a time; Close may be
// called by any, and ends a Next that waits.
type Tracing struct {
	Start TraceStart

	from  *shm.Attachment
	lines *json.Decoder
}

// Trace asks the server that listens at socket for a copy of the frames of a
// session from now on. timeout is for its answer. Root and the server's own user
// may ask, one at a time for a session.
func Trace(socket string, session uint32, timeout time.Duration) (*Tracing, error) {
	a, err := shm.Dial(socket, shm.Hello{Kind: shm.HelloTrace, App: wire.Version, Session: session}, timeout)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	t := &Tracing{from: a, lines: json.NewDecoder(a)}
	late := time.AfterFunc(timeout, func() { _ = a.Close() })
	err = t.lines.Decode(&t.Start)
	if !late.Stop() {
		err = errors.Join(os.ErrDeadlineExceeded, err)
	}
	if err != nil {
		_ = a.Close()
		return nil, fmt.Errorf("trace %s: %w", socket, err)
	}
	return t, nil
}

// Next waits for the next frame. It gives io.EOF once the session or the server has
// ended, and an error that wraps shm.ErrClosed after Close.
func (t *Tracing) Next() (frame TraceFrame, err error) {
	err = t.lines.Decode(&frame)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF // the process died within a line
	}
	return frame, err
}

// Close ends the trace.
func (t *Tracing) Close() error { return t.from.Close() }
