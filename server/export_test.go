package server

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/server/metrics"
	"github.com/kongring/kongring/server/wire"
)

// Resting counts the sessions whose watchdog sleeps.
func (s *Server) Resting() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, session := range s.sessions {
		if session.idle.Load() {
			n++
		}
	}
	return n
}

// Draining tells whether new events are refused.
func (s *Server) Draining() bool { return s.draining() }

// Listening tells whether there is a socket.
func (s *Server) Listening() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listener != nil
}

// SetMaster says which Kong started the server.
func (s *Server) SetMaster(pid int) { s.master = pid }

// Greeting is the number of connections that have not said hello yet.
func (s *Server) Greeting() int { return len(s.pending) }

// The stream's format, for the worker's end.
var (
	AppendFrame = appendFrame
	ReadFrame   = readFrame
)

// What long messages go through.
var TakeLong = takeLong

// CheckFor is Check with another patience.
func CheckFor(w io.Writer, patience time.Duration, opts ...Option) bool {
	return check(w, patience, opts)
}

// LoggerOf gives the logger that options set.
func LoggerOf(t testing.TB, opts ...Option) *slog.Logger {
	o := defaults()
	for _, set := range opts {
		if err := set(&o); err != nil {
			t.Fatal(err)
		}
	}
	return o.logger
}

// WithAlone sets how long a server stays without parent and workers.
func WithAlone(d time.Duration) Option {
	return func(o *options) error { o.alone = d; return nil }
}

// WithMaxInstances sets how many instances a worker can have open.
func WithMaxInstances(n int) Option {
	return func(o *options) error { o.maxInstances = n; return nil }
}

// Why something is refused, and its status on the wire.
var (
	ErrNoPlugin, ErrBadConfig, ErrNoInstance = errNoPlugin, errBadConfig, errNoInstance
	ErrNoPhase, ErrStops                     = errNoPhase, errStops
	StatusOf                                 = statusOf
)

// Metered tells whether the server counts for metrics.
func (s *Server) Metered() bool { return s.metered() }

// Observe gives what a scrape reads.
func (s *Server) Observe() metrics.Snapshot { return s.observe() }

// FoldAttached does with the sessions that are attached what their end does first.
func (s *Server) FoldAttached() {
	for _, n := range s.attached() {
		n.fold()
	}
}

// Timed tells whether events are measured.
func (s *Server) Timed() bool { return s.stopwatch.now() != 0 }

// TryStart starts an instance for nobody.
func (s *Server) TryStart(request *wire.StartInstance) error {
	in, err := s.registry.start(context.Background(), request)
	if err == nil {
		s.registry.release(in)
	}
	return err
}

// TryEvent looks whether an event could begin in the one session that there is.
func (s *Server) TryEvent(head wire.Head) error {
	_, err := s.attached()[0].instanceFor(head)
	return err
}

// NewStrangers gives what keeps strangers from filling the log.
func NewStrangers() *strangers { return newStrangers() }

// Say tells whether an attempt of a user has a line, and how many had none.
func (s *strangers) Say(uid uint32, now time.Time) (bool, uint64) { return s.say(uid, now) }

// Limits of strangers.
const (
	MaxStrangers        = maxStrangers
	MaxStrangersWaiting = maxStrangersWaiting
	StrangerInterval    = strangerInterval
)

// NewTap gives a tap of no session.
func NewTap() *tap { return newTap() }

// Take and Fetch are what both ends of a tap do.
func (t *tap) Take(fromWorker bool, frame ring.Frame) { t.take(fromWorker, frame) }
func (t *tap) Fetch() []TraceFrame                    { return t.fetch() }

// AllocsOfNoTracer gives the allocations of what a server without a tracer does for
// an event that could have one.
func AllocsOfNoTracer() float64 {
	ev := &event{session: &session{server: &Server{}}}
	return testing.AllocsPerRun(100, func() {
		ev.beginSpan(nil)
		ev.endSpan("")
	})
}
