package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server/metrics"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// event is one phase of one request on one instance. An event object is used
// again for later events of its slot, once its handler is out of it.
type event struct {
	// Immutable.
	session *session
	call    bridge.Call // the PDK call under way
	wake    waiter      // wakes the handler: an answer, room in the ring, the end

	// Set before the handler starts, constant while it runs.
	instance   *opened
	phase      uint8
	slot       uint16
	generation uint32
	prefetched *prefetch // what the values that came with it answer, or nil
	began      moment    // by the server's stopwatch

	// Owned by the handler; under call's lock.
	reader *reader // claim of the goroutine that runs the handler
	memo   memo
	out    []byte // message under way: room for its head, then posted writes
	writes int    // in out
	tally  tally  // calls by how they were answered
	exited bool   // the handler answered the client
	span   Span   // nil unless a tracer follows

	state   atomic.Uint32 // eventFree, eventRunning, eventOver
	waiting atomic.Bool   // a CALL is out and its RETURN is not there
	dropped atomic.Bool   // nobody waits for the DONE that is being written
	stray   bool          // a CALL failed: a worker that lies may answer it; owned by the handler
	status  uint8         // of the RETURN; ordered by waiting
	answer  []byte        // the RETURN; likewise
	in      []byte        // the EVENT, which the prefetched values lie in

	mu     sync.Mutex
	ctx    context.Context // nil until the plugin asks for it
	cancel context.CancelCauseFunc
	cause  error // why the event is over for the plugin

	pdks []pdk.PDK // fresh ones: a PDK that was kept never meets another event
}

// tally counts how an event's calls were answered.
type tally [metrics.Answers]uint64

const (
	eventFree    = iota // no handler uses the object
	eventRunning        // the worker waits for the end of the event
	eventOver           // the worker went on; the handler may still run
)

// newEvent makes an event object for a session.
func newEvent(n *session) *event {
	ev := &event{session: n, wake: make(waiter, 1), out: make([]byte, wire.HeadSize, 256)}
	ev.call.Init(ev)
	// Else a worker could have any file read that this process may read.
	ev.call.SpooledBy(n.conn.Peer.UID)
	return ev
}

// begin starts the event's life. It gives an error that ends the session when
// the values that came with it make no sense.
func (ev *event) begin(in *opened, head wire.Head, body []byte) error {
	ev.instance, ev.phase, ev.began = in, head.Code, ev.session.server.stopwatch.now()
	ev.slot, ev.generation = head.Slot, head.Generation
	ev.reader, ev.stray, ev.exited = nil, false, false
	ev.out, ev.writes, ev.tally = ev.out[:wire.HeadSize], 0, tally{}
	ev.waiting.Store(false)
	ev.dropped.Store(false)
	ev.memo.reset()
	ev.prefetched = nil
	if err := ev.takeValues(body); err != nil {
		return err
	}
	ev.mu.Lock()
	ev.cause = nil
	ev.mu.Unlock()
	select { // a wake-up that its last user did not wait for
	case <-ev.wake:
	default:
	}
	ev.session.events.Add(1)
	ev.state.Store(eventRunning)
	return nil
}

// takeValues fills the memo with the values that came with the event.
func (ev *event) takeValues(body []byte) error {
	if len(body) == 0 {
		return nil
	}
	if len(body) < 6 {
		return fmt.Errorf("%w: event with %d bytes of values", errProtocol, len(body))
	}
	version, count := binary.LittleEndian.Uint32(body), int(binary.LittleEndian.Uint16(body[4:]))
	f := ev.instance.profiles[ev.phase].version(version)
	if f == nil || ev.session.server.options.noPrefetch {
		return nil // of a profile that is no longer known
	}
	if count > len(f.getters) {
		return fmt.Errorf("%w: event with %d values, profile %d has %d", errProtocol, count, version, len(f.getters))
	}
	ev.prefetched = f
	for body = body[6:]; len(ev.memo.known) < count; body = body[4:] {
		i := len(ev.memo.known)
		if len(body) < 4 {
			return fmt.Errorf("%w: event with %d values ends at number %d", errProtocol, count, i)
		}
		n := binary.LittleEndian.Uint32(body)
		k := known{method: f.getters[i].method, key: f.keys[i], prefetched: true}
		if n == wire.NoValue {
			k.forgotten = true
		} else {
			if uint64(n) > uint64(len(body)-4) {
				return fmt.Errorf("%w: prefetched value %d of %d bytes in %d", errProtocol, i, n, len(body)-4)
			}
			k.value = body[4 : 4+n]
			body = body[n:]
		}
		ev.memo.known = append(ev.memo.known, k)
	}
	return nil
}

// freshPDK gives a PDK of its own to each event, made a chunk at a time.
func (ev *event) freshPDK() *pdk.PDK {
	if len(ev.pdks) == 0 {
		ev.pdks = make([]pdk.PDK, 32)
	}
	p := &ev.pdks[0]
	ev.pdks = ev.pdks[1:]
	*p = pdk.Make(ev.call.Open())
	return p
}

// run runs the handler to its end. r is the claim of this goroutine on the
// reader role, which is away, or nil.
func (ev *event) run(r *reader) {
	ev.reader = r // before the handler can call
	kong := ev.freshPDK()
	returned := false
	defer func() {
		if returned {
			return
		}
		// The handler panicked, or ended its goroutine by runtime.Goexit: then
		// recover gives nil and the goroutine ends behind this function.
		v := recover()
		what, stack := panicText(v), ""
		if v != nil {
			stack = string(debug.Stack())
		}
		// The name finds the line in Kong's log that belongs to this one.
		name := fmt.Sprintf("%d.%d.%d", ev.session.id, ev.slot, ev.generation)
		atomic.AddUint64(&ev.session.rings.counters.Panics, 1)
		ev.session.rings.countFailed(ev.instance.cell(ev.phase), metrics.Panic)
		with := append([]any{"plugin", ev.instance.plugin.name, "entity", ev.instance.key.entity, "event", name,
			"phase", wire.PhaseNames[ev.phase]}, whereabouts(kong, ev.phase)...)
		ev.session.log.Error("handler panicked", append(with, "panic", what, "stack", stack)...)
		ev.endCalls(what)
		ev.finish(wire.StatusPanic, strings.TrimSpace(fmt.Sprintf("%s [event %s]\n%s", what, name, stack)))
	}()
	ev.beginSpan(kong)
	ev.instance.handlers[ev.phase](kong)
	ev.endCalls("")
	returned = true
	ev.finish(wire.StatusOK, "")
}

// maxText bounds the texts that travel in a Done, in bytes.
const maxText = 8 << 10

// endCalls ends the calls of the handler, which returned or panicked.
func (ev *event) endCalls(panicked string) {
	ev.call.Close()
	ev.endSpan(panicked)
}

// finish ends the event: the worker is told, unless it knows, and the object
// becomes free. Its calls have ended.
func (ev *event) finish(status uint8, text string) {
	n := ev.session
	if ev.state.CompareAndSwap(eventRunning, eventOver) {
		if status != wire.StatusOK {
			text = text[:min(len(text), maxText)]
		}
		err := ev.send(wire.TypeDone, status, 0, nil, text, ev.unwanted)
		if err != nil && !errors.Is(err, errGivenUp) {
			n.rings.countFailed(ev.instance.cell(ev.phase), metrics.Lost)
			if !n.ended.Load() {
				n.end(err)
			}
		}
	}
	if p := ev.instance.profiles[ev.phase]; !n.server.options.noPrefetch && !ev.instance.plugin.noPrefetch {
		p.learn(ev)
		n.sendProfile(ev, p.current.Load())
	}
	ev.dispose()
}

// dispose counts the event and makes the object free. The handler has ended, or
// never ran.
func (ev *event) dispose() {
	n := ev.session
	n.rings.count(ev)
	ev.in = shed(ev.in)
	ev.memo.shed()
	if !ev.waiting.Load() && !ev.stray { // else the reader may still touch it
		ev.answer = shed(ev.answer)
	}
	ev.end(bridge.ErrOver)
	ev.instance.load.leave(ev.phase)
	n.events.Add(-1)
	ev.state.Store(eventFree)
}

// errTooLong is wrapped when a call is longer than a message may be.
var errTooLong = errors.New("the call is too long")

// send sends the message that out holds, posted writes first and then args or,
// where the status is not OK, text; and makes out ready for the next one.
func (ev *event) send(kind, status uint8, id wire.MethodID, args []byte, text string, over func() error) error {
	wire.AppendHead(ev.out[:0], wire.Head{
		Type: kind, Code: status, Slot: ev.slot, Generation: ev.generation,
		Arg: uint32(id) | uint32(ev.writes)<<wire.ArgWrites,
	})
	ev.append(args)
	if status != wire.StatusOK {
		ev.out = msgp.AppendString(ev.out, text)
	}
	var err error
	if limit := ev.session.server.options.maxMessage; len(ev.out) > limit {
		err = fmt.Errorf("%w: %d bytes with %d writes, the limit is %d", errTooLong, len(ev.out), ev.writes, limit)
	} else {
		err = ev.session.rings.write(ev.out, ev.wake, over)
	}
	if cap(ev.out) > keepBytes {
		giveLong(ev.out)
		ev.out = make([]byte, wire.HeadSize, 256)
	}
	ev.out, ev.writes = ev.out[:wire.HeadSize], 0
	return err
}

// append puts arguments behind what out holds.
func (ev *event) append(args []byte) {
	if len(args) > keepBytes && cap(ev.out) <= keepBytes {
		ev.out = append(takeLong(), ev.out...)
	}
	ev.out = append(ev.out, args...)
}

// cancelled takes in that the worker gave the event up. It is called by the
// reader.
func (ev *event) cancelled(how metrics.Failure, cause error) {
	// Who sees that the event is over, and takes the lock, finds the cause.
	ev.mu.Lock()
	ended := ev.state.CompareAndSwap(eventRunning, eventOver)
	if ended {
		ev.setCause(cause)
	}
	ev.mu.Unlock()
	if ended {
		ev.session.rings.countFailed(ev.instance.cell(ev.phase), how)
		ev.wake.wake()
	} else if ev.state.Load() == eventOver {
		// Its last message may wait for room, and nobody reads any more.
		ev.dropped.Store(true)
		ev.wake.wake()
	}
}

// end makes the event over for the plugin.
func (ev *event) end(cause error) {
	ev.mu.Lock()
	ev.setCause(cause)
	ev.mu.Unlock()
}

// setCause says why the event is over. The caller has mu.
func (ev *event) setCause(cause error) {
	ev.cause = cause
	if ev.cancel != nil {
		ev.cancel(cause)
		ev.ctx, ev.cancel = nil, nil
	}
}

// Context implements bridge.Transport; most handlers never ask.
func (ev *event) Context() context.Context {
	ev.mu.Lock()
	defer ev.mu.Unlock()
	if ev.ctx == nil {
		parent := ev.session.ctx
		if ev.span != nil {
			parent = ev.span.Context(parent)
		}
		ctx, cancel := context.WithCancelCause(parent)
		if ev.state.Load() != eventRunning {
			cancel(ev.reason())
			return ctx
		}
		ev.ctx, ev.cancel = ctx, cancel
	}
	return ev.ctx
}

// over gives the error of calls that come after the end.
func (ev *event) over() error {
	if ev.state.Load() == eventRunning {
		return ev.sessionOver()
	}
	ev.mu.Lock()
	defer ev.mu.Unlock()
	return ev.reason()
}

// reason gives the cause of the end, which may be some instants behind it. The
// caller has mu.
func (ev *event) reason() error {
	if ev.cause != nil {
		return ev.cause
	}
	return bridge.ErrOver
}

// unwanted gives an error when nobody waits for the end of the event any more.
func (ev *event) unwanted() error {
	if ev.dropped.Load() {
		return errGivenUp
	}
	return ev.sessionOver()
}

func (ev *event) sessionOver() error {
	if ev.session.ended.Load() {
		return errClosed
	}
	return nil
}
