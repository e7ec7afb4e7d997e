package server

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// event is one phase of one request on one instance. An event object is used
// again for later events of its slot, once its handler is out of it.
type event struct {
	// Immutable.
	session *session
	call    bridge.Call // the PDK call under way and its buffers
	wake    waiter      // wakes the handler: an answer, room in the ring, the end

	// Set before the handler starts, constant while it runs.
	instance   *instance
	phase      uint8
	slot       uint16
	generation uint32

	reader *reader // claim of the goroutine that runs the handler; under call's lock

	state   atomic.Uint32 // eventFree, eventRunning, eventOver
	waiting atomic.Bool   // a CALL is out and its RETURN is not there
	status  uint8         // of the RETURN; ordered by wake, or by the same goroutine
	done    []byte        // buffer of the last message

	mu     sync.Mutex
	ctx    context.Context // nil until the plugin asks for it
	cancel context.CancelCauseFunc
	cause  error // why the event is over for the plugin
}

const (
	eventFree    = iota // no handler uses the object
	eventRunning        // the worker waits for the end of the event
	eventOver           // the worker went on; the handler may still run
)

// newEvent makes an event object for a session.
func newEvent(n *session) *event {
	ev := &event{session: n, wake: make(waiter, 1)}
	ev.call.Init(ev)
	return ev
}

// begin starts the event's life.
func (ev *event) begin(in *instance, head wire.Head) {
	ev.instance, ev.phase = in, head.Code
	ev.slot, ev.generation = head.Slot, head.Generation
	ev.reader = nil
	ev.waiting.Store(false)
	ev.mu.Lock()
	ev.cause = nil
	ev.mu.Unlock()
	select { // a wake-up that its last user did not wait for
	case <-ev.wake:
	default:
	}
	ev.session.events.Add(1)
	ev.state.Store(eventRunning)
}

// run runs the handler to its end. r is the claim of this goroutine on the
// reader role, which is away, or nil.
func (ev *event) run(r *reader) {
	ev.reader = r // before the handler can call
	returned := false
	defer func() {
		if returned {
			return
		}
		// The handler panicked, or ended its goroutine by runtime.Goexit: then
		// recover gives nil and the goroutine ends behind this function.
		v := recover()
		text := fmt.Sprintf("%v\n%s", v, debug.Stack())
		if v == nil {
			text = "the handler called runtime.Goexit"
		}
		atomic.AddUint64(&ev.session.rings.counters.Panics, 1)
		ev.session.log.Error("handler panicked", "plugin", ev.instance.plugin.name,
			"phase", wire.PhaseNames[ev.phase], "panic", text)
		ev.finish(wire.StatusPanic, text)
	}()
	ev.instance.handlers[ev.phase](pdk.New(ev.call.Open()))
	returned = true
	ev.finish(wire.StatusOK, "")
}

// maxText bounds the texts that travel in a Done, in bytes.
const maxText = 8 << 10

// finish ends the event: the worker is told, unless it knows, and the object
// becomes free.
func (ev *event) finish(status uint8, text string) {
	n := ev.session
	ev.call.Close()
	if ev.state.CompareAndSwap(eventRunning, eventOver) {
		ev.done = ev.appendDone(ev.done[:0], status, text)
		if err := n.rings.write(ev.done, ev.wake, ev.sessionOver); err != nil && n.ctx.Err() == nil {
			n.end(err)
		}
	}
	ev.end(bridge.ErrOver)
	atomic.AddUint64(&n.rings.counters.EventsDone, 1)
	n.events.Add(-1)
	ev.state.Store(eventFree)
}

func (ev *event) appendDone(b []byte, status uint8, text string) []byte {
	b = wire.AppendHead(b, wire.Head{
		Type: wire.TypeDone, Code: status, Slot: ev.slot, Generation: ev.generation,
	})
	if status != wire.StatusOK {
		b = msgp.AppendString(b, text[:min(len(text), maxText)])
	}
	return b
}

// cancelled takes in that the worker gave the event up. It is called by the
// reader.
func (ev *event) cancelled(cause error) {
	if ev.state.CompareAndSwap(eventRunning, eventOver) {
		ev.end(cause)
		ev.wake.wake()
	}
}

// end makes the event over for the plugin.
func (ev *event) end(cause error) {
	ev.mu.Lock()
	ev.cause = cause
	if ev.cancel != nil {
		ev.cancel(cause)
		ev.ctx, ev.cancel = nil, nil
	}
	ev.mu.Unlock()
}

// Context implements bridge.Transport; most handlers never ask.
func (ev *event) Context() context.Context {
	ev.mu.Lock()
	defer ev.mu.Unlock()
	if ev.ctx == nil {
		ctx, cancel := context.WithCancelCause(ev.session.ctx)
		if ev.state.Load() != eventRunning {
			cancel(ev.cause)
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
	if ev.cause != nil {
		return ev.cause
	}
	return bridge.ErrOver
}

func (ev *event) sessionOver() error {
	if ev.session.ctx.Err() != nil {
		return errClosed
	}
	return nil
}

// message fills in the head of a call.
func (ev *event) message(c *bridge.Call, kind uint8) []byte {
	m := c.Message()
	wire.AppendHead(m[:0], wire.Head{
		Type: kind, Slot: ev.slot, Generation: ev.generation, Arg: uint32(c.Method()),
	})
	return m
}

// RoundTrip implements bridge.Transport.
func (ev *event) RoundTrip(c *bridge.Call) error {
	if err := ev.over(); err != nil {
		return err
	}
	n := ev.session
	ev.waiting.Store(true)
	if err := n.rings.write(ev.message(c, wire.TypeCall), ev.wake, ev.over); err != nil {
		ev.waiting.Store(false)
		if errors.Is(err, ring.ErrCorrupt) {
			n.end(err) // now: the handler may not return because of the error
		}
		return err
	}
	if err := ev.await(); err != nil {
		return err
	}
	if ev.status != wire.StatusOK {
		text, _, _ := msgp.ReadStringBytes(c.Result())
		return fmt.Errorf("%s: %s", c.Method(), text)
	}
	return nil
}

// await waits for the answer of the call: as the session's reader, if this
// goroutine still has a claim on the role, else for the reader's wake-up.
func (ev *event) await() error {
	if r := ev.reader; r != nil {
		if r.back() {
			err := r.serve(ev)
			if err == nil {
				r.leave()
				err = ev.answered()
			}
			return err
		}
		ev.instance.slow[ev.phase].Store(slowEvents)
		ev.reader = nil
	}
	for ev.waiting.Load() {
		select {
		case <-ev.wake:
		case <-ev.session.ctx.Done():
			return errClosed
		}
		if err := ev.over(); err != nil {
			return err
		}
	}
	return nil
}

// answered tells apart what ended serve: the answer, or the event's end.
func (ev *event) answered() error {
	if ev.waiting.Load() {
		return ev.over()
	}
	return nil
}

// Exit implements bridge.Transport.
func (ev *event) Exit(c *bridge.Call) {
	if !ev.state.CompareAndSwap(eventRunning, eventOver) {
		return
	}
	n := ev.session
	if err := n.rings.write(ev.message(c, wire.TypeExit), ev.wake, ev.sessionOver); err != nil && n.ctx.Err() == nil {
		n.end(err)
	}
	ev.end(fmt.Errorf("%w: it ended with %s", bridge.ErrOver, c.Method()))
}
