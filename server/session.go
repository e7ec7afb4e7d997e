package server

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/server/metrics"
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// errClosed is what ends the calls of events whose session is over.
var errClosed = fmt.Errorf("%w: the session with the worker is closed", bridge.ErrOver)

// errProtocol is wrapped when a worker breaks a rule of the messages. It ends
// the session.
var errProtocol = errors.New("protocol violated")

// session is one worker that is attached to the server.
type session struct {
	// Immutable.
	server *Server
	id     uint32
	token  [16]byte
	hello  shm.Hello
	conn   *shm.Conn // control connection: its hang-up is the worker's death
	rings  *rings
	pump   *pump // carries the rings' frames over conn; nil where they are shared
	log    *slog.Logger
	ctx    context.Context // ends with the session
	cancel context.CancelCauseFunc
	near   []int          // processors that the reader is bound to, or none
	calls  *metrics.Calls // nil without metrics

	role    atomic.Uint64 // see reader.go
	retired chan struct{} // closed when nobody will have the role again
	stir    chan struct{} // wakes the watchdog; capacity 1
	idle    atomic.Bool   // the watchdog sleeps

	slots     [wire.MaxSlots]slot // owned by the reader role
	assembled int                 // bytes in unfinished messages; likewise
	postponed postponed           // likewise
	inHand    *event              // the event for whose handler the role went away last; likewise

	constants [len(wire.Methods)]atomic.Pointer[[]byte] // values of ClassConstant

	doorbells sync.Mutex // orders doorbell connections by their welcome
	silenced  bool       // the server stops or the worker leaves: no doorbell stays; guarded by doorbells

	mu        sync.Mutex
	instances map[uint32]*opened // open ones by number on the wire, which is not given twice
	lastID    uint32             // the number given last
	loads     map[*plugin]*load
	open      sync.WaitGroup // goroutines that may touch the session's memory
	events    atomic.Int64   // events under way
	ended     atomic.Bool    // end was called
	owed      atomic.Int32   // replies that wait for their instance or for room in the ring
	failed    error          // why the session ended; written before ctx ends
	closed    bool           // no goroutine may join open any more

	seen   seen // guarded by the lock of the server's ended
	folded bool // likewise: its counters are among ended
}

// opened is an instance in the hands of one session.
type opened struct {
	*instance
	number uint32                              // on the wire
	load   *load                               // of its plugin
	sent   [len(wire.PhaseNames)]atomic.Uint32 // version of the profile that the worker has
}

// slot is one conversation of the worker.
type slot struct {
	generation uint32
	event      *event    // the event that has the slot, or had it last
	begun      wire.Head // of the message that pieces are of
	pieces     []byte    // message that is not whole yet
}

// newSession makes the segment of a session; run starts it. The error wraps
// errNoMemory where the worker may attach by the socket instead.
func newSession(s *Server, id uint32, conn *shm.Conn, hello shm.Hello) (*session, error) {
	bySocket := hello.Kind == shm.HelloAttachSocket
	rings, err := s.makeRings(id, bySocket)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	n := &session{
		server: s, id: id, conn: conn, hello: hello, rings: rings,
		ctx: ctx, cancel: cancel, calls: s.newCalls(),
		instances: map[uint32]*opened{}, loads: map[*plugin]*load{},
		retired: make(chan struct{}), stir: make(chan struct{}, 1),
		log: s.options.logger.With("session", id, "worker", hello.Worker, "pid", conn.Peer.PID),
	}
	_, _ = rand.Read(n.token[:]) // never fails
	if n.near, err = s.options.near(hello); err != nil {
		n.log.Warn("affinity", "error", err)
	}
	if bySocket {
		if n.pump, err = newPump(n); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// carrier names what moves the session's frames.
func (n *session) carrier() Carrier {
	if n.pump != nil {
		return CarrierSocket
	}
	return CarrierRing
}

// run serves the session until its end and gives back all that it holds. The
// worker was not welcomed yet.
func (n *session) run() {
	n.open.Add(2)
	go func() { defer n.open.Done(); (&reader{session: n}).loop() }()
	go func() { defer n.open.Done(); n.watchdog() }()

	shared, _ := n.rings.bell.(*shm.Bell)
	err := n.conn.Welcome(wire.Version, shm.Welcome{
		Session: n.id, Token: n.token, Limit: uint32(n.server.options.maxMessage),
	},
		n.rings.segment, shared)
	if err == nil {
		n.log.Info("worker attached", "carrier", n.carrier(), "segment", n.rings.segment.Size())
		if err = n.attend(); err == nil {
			err = errHangUp
		}
	} else if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		err = errHangUp // while it waited to be accepted
	}
	n.end(err)

	<-n.retired
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.open.Wait()
	n.releaseInstances()
	n.fold()
	if err := n.rings.close(); err != nil {
		n.log.Error("close segment", "error", err)
	}
}

// attend looks after the connection until the worker hangs up, which gives nil,
// or the session ends.
func (n *session) attend() error {
	if n.pump != nil {
		return n.pump.run()
	}
	return n.conn.Watch(func() {
		n.log.Info("worker leaves")
		n.silence()
	})
}

// errHangUp says that a session ended in the ordinary way.
var errHangUp = errors.New("the worker hung up")

// end ends the session: events are cancelled, waiting calls get an error, the
// worker sees the hang-up. Any goroutine may call it, more than once; run does
// the cleaning.
func (n *session) end(cause error) {
	n.mu.Lock()
	first := n.failed == nil
	if first {
		n.failed = cause
	}
	n.mu.Unlock()
	if !first {
		return
	}
	if errors.Is(cause, errHangUp) || errors.Is(cause, shm.ErrClosed) {
		n.log.Info("session ended", "cause", cause)
	} else {
		if errors.Is(cause, errProtocol) || errors.Is(cause, ring.ErrCorrupt) {
			n.server.counters.damaged.Add(1)
		}
		n.server.counters.sessionsFailed.Add(1)
		n.log.Error("session closed", "cause", cause)
	}
	n.ended.Store(true)
	n.cancel(errClosed)
	_ = n.conn.Close() // before the doorbell, whose hang-up alone says another thing
	n.rings.shutDown()
	n.retire()
}

// dismiss tells the worker that new events are refused from now on, see stop.go.
func (n *session) dismiss() {
	if n.pump != nil {
		n.owed.Add(1)
		n.send(wire.AppendHead(nil, wire.Head{Type: wire.TypeDismiss}))
		return
	}
	n.silence()
}

// silence hangs up the doorbell, and any that is still being opened.
func (n *session) silence() {
	n.doorbells.Lock()
	defer n.doorbells.Unlock()
	n.silenced = true
	n.rings.setDoorbell(nil)
}

// join lets a goroutine touch the session's memory until it calls open.Done.
// It gives false when the session is being taken down.
func (n *session) join() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return false
	}
	n.open.Add(1)
	return true
}

// spawn runs f on a goroutine that has joined the session.
func (n *session) spawn(f func()) {
	if n.join() {
		go func() { defer n.open.Done(); f() }()
	}
}

// ringWith makes c the doorbell of the session if the hello has its token.
func (n *session) ringWith(c *shm.Conn, h shm.Hello) error {
	if subtle.ConstantTimeCompare(h.Token[:], n.token[:]) != 1 {
		return errors.New("wrong token")
	}
	if n.pump != nil {
		return errors.New("its frames come over the socket")
	}
	// Both in one: a worker that has its welcome may open the next connection,
	// which must not be taken for the older of the two.
	n.doorbells.Lock()
	defer n.doorbells.Unlock()
	if err := c.Welcome(wire.Version, shm.Welcome{Session: n.id}, nil, nil); err != nil {
		return err
	}
	n.rings.setDoorbell(c)
	if n.silenced {
		n.rings.setDoorbell(nil)
	}
	return nil
}

// addInstance gives an instance a number in this session.
func (n *session) addInstance(in *instance) (uint32, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || n.failed != nil {
		return 0, errClosed
	}
	if len(n.instances) >= n.server.options.maxInstances || n.lastID == math.MaxUint32 {
		return 0, fmt.Errorf("%d instances are open in this session, %d were: that is the limit", len(n.instances), n.lastID)
	}
	l := n.loads[in.plugin]
	if l == nil {
		l = new(load)
		n.loads[in.plugin] = l
	}
	n.lastID++
	n.instances[n.lastID] = &opened{instance: in, number: n.lastID, load: l}
	return n.lastID, nil
}

// instance gives the instance with a number, nil if there is none.
func (n *session) instance(id uint32) *opened {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.instances[id]
}

// dropInstance ends this session's use of an instance. Events on it go on.
func (n *session) dropInstance(id uint32) error {
	n.mu.Lock()
	in := n.instances[id]
	delete(n.instances, id)
	n.mu.Unlock()
	if in == nil {
		return fmt.Errorf("%w: close of instance %d, which is not open", errProtocol, id)
	}
	n.server.registry.release(in.instance)
	n.log.Info("instance closed", "plugin", in.plugin.name, "entity", in.key.entity, "instance", id)
	return nil
}

func (n *session) releaseInstances() {
	for _, in := range n.instances {
		n.server.registry.release(in.instance)
	}
	n.instances = nil
}

// constant gives where the value of a getter is kept that is the same for the
// whole session, nil for other getters.
func (n *session) constant(id wire.MethodID, args []byte) *atomic.Pointer[[]byte] {
	const none = 3 // bytes of an empty array
	if wire.Methods[id].Class != wire.ClassConstant || len(args) != none || n.server.options.noMemo {
		return nil
	}
	return &n.constants[id]
}

// sendProfile tells the worker what to send along with the next events like
// ev, if it does not know and there is room for it now.
func (n *session) sendProfile(ev *event, f *prefetch) {
	sent := &ev.instance.sent[ev.phase]
	if sent.Load() == f.version || n.ended.Load() || wire.HeadSize+len(f.message) > n.rings.maxFrame {
		return
	}
	message := wire.AppendHead(nil, wire.Head{Type: wire.TypeProfile, Code: ev.phase, Arg: ev.instance.number})
	if n.rings.offer(append(message, f.message...)) {
		sent.Store(f.version)
	}
}
