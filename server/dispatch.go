package server

import (
	"fmt"
	"sync/atomic"

	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server/metrics"
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// dispatch handles a message. It gives the event that an EVENT begins, for the
// caller to run, and an error that ends the session when the worker broke a
// rule.
func (r *reader) dispatch(head wire.Head, message []byte) (*event, error) {
	n := r.session
	s := &n.slots[head.Slot]
	body := message[wire.HeadSize:]
	switch head.Type {
	case wire.TypeEvent:
		return r.beginEvent(s, head, message)
	case wire.TypeReturn:
		return nil, r.deliver(s, head, message)
	case wire.TypeCancel:
		return nil, r.cancel(s, head, body)
	case wire.TypeStart:
		return nil, r.start(s, head, body)
	case wire.TypeClose:
		return nil, n.dropInstance(head.Arg)
	case wire.TypeCounters:
		return nil, n.takeCounters(body)
	}
	return nil, fmt.Errorf("%w: message type %d from a worker", errProtocol, head.Type)
}

// errGivenUp ends events that the worker does not wait for any more.
var errGivenUp = fmt.Errorf("%w: the worker gave it up", bridge.ErrOver)

// occupy gives a slot to a new conversation. One that still goes on is over by
// that: the worker gave it up, and its Cancel found no room.
func (s *slot) occupy(head wire.Head) error {
	if head.Generation == s.generation {
		return fmt.Errorf("%w: slot %d begins with generation %d again", errProtocol, head.Slot, head.Generation)
	}
	if s.event != nil {
		s.event.cancelled(metrics.GivenUp, errGivenUp)
	}
	s.generation = head.Generation
	return nil
}

// maxUnfinished bounds the events of a session, of all plugins, that have a handler, or whose end
// waits to be sent. They are more than its slots where handlers outlive what they
// were called for; each is a goroutine, so a worker that begins events without
// end, and reads nothing, comes to one.
const maxUnfinished = wire.MaxSlots

// beginEvent takes an EVENT in. One that cannot run is answered at once.
func (r *reader) beginEvent(s *slot, head wire.Head, message []byte) (*event, error) {
	n := r.session
	if err := s.occupy(head); err != nil {
		return nil, err
	}
	n.rings.counters.Events++
	if s.event == nil || s.event.state.Load() != eventFree {
		s.event = newEvent(n)
	}
	ev := s.event
	in, err := n.instanceFor(head)
	if err != nil {
		return nil, r.refuse(nil, head, err)
	}
	if n.events.Load() >= maxUnfinished {
		n.rings.counters.Overloads++
		return nil, r.refuse(in.cell(head.Code), head, refused(errBusy, "%d events have not come to their end: that is the limit", maxUnfinished))
	}
	if !in.load.enter(in.plugin, head.Code) {
		n.rings.counters.Overloads++
		return nil, r.refuse(in.cell(head.Code), head, refused(errBusy, "plugin %s has all %d events under way that it may have in a worker",
			in.plugin.name, in.plugin.maxEvents))
	}
	if len(message) > wire.HeadSize {
		ev.in = r.handOver(message, ev.in) // the values stay where they are
	}
	if err := ev.begin(in, head, message[wire.HeadSize:]); err != nil {
		return nil, err // the end of the session
	}
	return ev, nil
}

// instanceFor gives the instance that an EVENT is for, or an error that wraps the
// reason why the event cannot begin.
func (n *session) instanceFor(head wire.Head) (*opened, error) {
	in := n.instance(head.Arg)
	switch {
	case in == nil:
		return nil, refused(errNoInstance, "no instance %d in this session", head.Arg)
	case n.server.draining():
		return nil, errStops
	case int(head.Code) >= len(in.handlers) || in.handlers[head.Code] == nil:
		return nil, refused(errNoPhase, "plugin %s has no handler for phase %s", in.plugin.name, phaseName(head.Code))
	}
	return in, nil
}

func phaseName(phase uint8) string {
	if phase == 0 || int(phase) >= len(wire.PhaseNames) {
		return fmt.Sprintf("number %d", phase)
	}
	return wire.PhaseNames[phase]
}

// refuse answers an EVENT that nothing came of. It is counted in a cell, or, where
// that is nil, among those of no plugin.
func (r *reader) refuse(c *metrics.Cell, head wire.Head, why error) error {
	n := r.session
	n.rings.countRefused(c, failureOf(why))
	if err := n.owe(); err != nil {
		return err
	}
	reply := wire.AppendHead(nil, wire.Head{
		Type: wire.TypeDone, Code: statusOf(why), Slot: head.Slot, Generation: head.Generation,
	})
	n.send(msgp.AppendString(reply, why.Error()))
	return nil
}

// owe counts a reply that send will write. Each takes a goroutine meanwhile, so
// a worker that asks and does not read comes to an end.
func (n *session) owe() error {
	if owed := n.owed.Add(1); owed > wire.MaxSlots {
		return fmt.Errorf("%w: %d replies wait to be read, the limit is %d", errProtocol, owed, wire.MaxSlots)
	}
	return nil
}

// send writes a message on a goroutine of its own where the ring is full: the
// reader must not wait for room that only it can learn about.
func (n *session) send(message []byte) {
	n.spawn(func() {
		defer n.owed.Add(-1)
		w := make(waiter, 1)
		err := n.rings.write(message, w, func() error { return n.ctx.Err() })
		if err != nil && n.ctx.Err() == nil {
			n.end(err)
		}
	})
}

// deliver hands the answer of a PDK call to the handler that waits for it.
func (r *reader) deliver(s *slot, head wire.Head, message []byte) error {
	ev := s.event
	if ev == nil || head.Generation != s.generation || !ev.waiting.Load() {
		return fmt.Errorf("%w: answer in slot %d generation %d, where no call waits (generation %d)",
			errProtocol, head.Slot, head.Generation, s.generation)
	}
	ev.status = head.Code
	ev.answer = r.handOver(message, ev.answer)
	ev.waiting.Store(false) // last: who waits looks at it before anything else
	if ev == r.serving {
		r.served = true
	} else {
		ev.wake.wake()
	}
	return nil
}

// cancel ends an event that the worker gave up. One that has ended meanwhile, or
// that never began for want of room, is late.
func (r *reader) cancel(s *slot, head wire.Head, body []byte) error {
	text, _, err := msgp.ReadStringBytes(body)
	if err != nil {
		return fmt.Errorf("%w: cancel in slot %d: %w", errProtocol, head.Slot, err)
	}
	ev := s.event
	if ev == nil || head.Generation != s.generation {
		r.session.rings.counters.LateFrames++
		return nil
	}
	if ev.state.Load() != eventRunning {
		r.session.rings.counters.LateFrames++
	}
	ev.cancelled(cancelOf(head.Code), fmt.Errorf("%w: %s", bridge.ErrOver, text))
	if ev == r.serving {
		r.served = true
	}
	return nil
}

// start starts an instance on a goroutine of its own: constructors may take
// their time.
func (r *reader) start(s *slot, head wire.Head, body []byte) error {
	n := r.session
	if err := s.occupy(head); err != nil {
		return err
	}
	request := new(wire.StartInstance)
	if _, err := request.UnmarshalMsg(body); err != nil {
		return fmt.Errorf("%w: start of an instance: %w", errProtocol, err)
	}
	if err := n.owe(); err != nil {
		return err
	}
	n.spawn(func() {
		id, err := n.startInstance(request)
		reply := wire.Head{Type: wire.TypeStarted, Slot: head.Slot, Generation: head.Generation, Arg: id}
		var text string
		if err != nil {
			atomic.AddUint64(&n.rings.counters.StartsFailed, 1)
			reply.Code, text = statusOf(err), err.Error()
			n.log.Warn("instance did not start", "plugin", request.Plugin, "entity", request.Key, "error", err)
		}
		message := wire.AppendHead(nil, reply)
		if err != nil {
			message = msgp.AppendString(message, text[:min(len(text), maxText)])
		}
		n.send(message)
	})
	return nil
}

func (n *session) startInstance(request *wire.StartInstance) (uint32, error) {
	if n.server.draining() {
		return 0, errStops
	}
	in, err := n.server.registry.start(n.ctx, request)
	if err != nil {
		return 0, err
	}
	id, err := n.addInstance(in)
	if err != nil {
		n.server.registry.release(in)
		return 0, err
	}
	atomic.AddUint64(&n.rings.counters.Instances, 1)
	n.log.Info("instance started", "plugin", request.Plugin, "entity", request.Key, "instance", id)
	return id, nil
}
