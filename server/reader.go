package server

import (
	"fmt"
	"time"

	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/server/wire"
)

// The reader role: one goroutine at a time reads a session's ring. It runs
// handlers itself, and while a handler is in plugin code the role is *away*:
// still that goroutine's, but free to be taken by the watchdog, which gives it
// to a fresh goroutine. The role is one word:
//
//	bit 0       1 while the role is away
//	bits 1..    number of the stay, one more at each change of hands
//
//	held ──leave──▶ away ──back (same stay)──▶ held
//	                away ──take (any other)──▶ held, by another goroutine
//	                any  ──retire────────────▶ gone, for good
const (
	roleAway = 1
	roleGone = ^uint64(0)
)

// reader is a goroutine's claim on the role of a session.
type reader struct {
	session *session
	stay    uint64 // the role's number while this goroutine has it
	buf     []byte // where the next frame is read into
	pieced  bool   // the last message came in pieces: it is not in buf

	serving *event // the event whose handler waits in this goroutine
	served  bool   // its answer came

	unpaid  int // looks in a row that found nothing
	skipped int // looks left out since then
}

// leave goes away from the ring into plugin code: from now on the role can be
// taken. The caller has the role.
func (r *reader) leave() {
	n := r.session
	n.role.Store(r.stay<<1 | roleAway)
	// The watchdog sets idle before its last look at the role, so one of the
	// two sees the other.
	if n.idle.Load() {
		select {
		case n.stir <- struct{}{}:
		default:
		}
	}
}

// back comes back to the ring. It gives false when the role was taken
// meanwhile: then this goroutine has nothing to do with the ring any more.
func (r *reader) back() bool {
	n := r.session
	if !n.role.CompareAndSwap(r.stay<<1|roleAway, (r.stay+1)<<1) {
		return false
	}
	r.stay++
	return true
}

// take takes the role for a new goroutine if it is still in the given state.
func (n *session) take(role uint64) bool {
	stay := role>>1 + 1
	if !n.role.CompareAndSwap(role, stay<<1) {
		return false
	}
	n.rings.counters.Handovers++
	// Now, not when the handler returns: those behind it may be as slow.
	n.inHand.instance.slow[n.inHand.phase].Store(slowEvents)
	n.spawn((&reader{session: n, stay: stay}).loop)
	return true
}

// retire makes the role go, once the session has ended: at once when it is
// away, else when its holder notices.
func (n *session) retire() {
	for {
		role := n.role.Load()
		if role == roleGone || role&roleAway == 0 {
			return
		}
		if n.role.CompareAndSwap(role, roleGone) {
			close(n.retired)
			return
		}
	}
}

// giveUp is retire by the role's holder.
func (r *reader) giveUp() {
	r.session.role.Store(roleGone)
	close(r.session.retired)
}

// period is how long a handler may keep the ring to itself: after one to two
// of them the role is taken from it.
const period = time.Millisecond

// quietPeriods is how many periods without a change make the watchdog sleep.
const quietPeriods = 50

// watchdog takes the role from handlers that are slow. It looks once a period
// while handlers run, and sleeps when nothing happened for many of them. It
// ends when the role is gone.
func (n *session) watchdog() {
	tick := time.NewTicker(period)
	defer tick.Stop()
	last, quiet := n.role.Load(), 0
	for last != roleGone {
		<-tick.C
		role := n.role.Load()
		switch {
		case n.ctx.Err() != nil:
			n.retire() // from a handler that went away after the session's end
		case role == last && role&roleAway != 0:
			n.take(role)
		case role == last:
			quiet++
		}
		if role != last {
			quiet = 0
		}
		last = n.role.Load()
		if quiet >= quietPeriods {
			tick.Stop()
			n.rest()
			tick.Reset(period)
			quiet = 0
		}
	}
}

// rest waits until a handler runs or the session ends.
func (n *session) rest() {
	n.idle.Store(true)
	defer n.idle.Store(false)
	if role := n.role.Load(); role&roleAway != 0 {
		return // it went away before it could see idle
	}
	select {
	case <-n.stir:
	case <-n.ctx.Done():
	}
}

// loop reads the ring and runs what it asks for, until the role is taken or
// the session ends.
func (r *reader) loop() {
	steps := func() {
		for r.step() {
		}
	}
	if cpus := r.session.near; len(cpus) == 0 {
		steps()
	} else if err := bind(cpus, steps); err != nil {
		r.session.log.Warn("affinity", "error", err)
	}
}

// step handles one message. It gives false when this goroutine is no longer
// the reader.
func (r *reader) step() bool {
	if ev := r.session.due(); ev != nil {
		return r.runPostponed(ev)
	}
	head, message, err := r.next()
	if err == nil {
		var ev *event
		if ev, err = r.dispatch(head, message); ev != nil {
			if ev.phase == wire.PhaseLog {
				r.session.postponed.push(ev)
				return true
			}
			return r.runEvent(ev)
		}
	}
	if err != nil {
		r.session.end(err)
		r.giveUp()
		return false
	}
	return true
}

// runPostponed runs an event that was postponed, unless the worker gave it up
// meanwhile.
func (r *reader) runPostponed(ev *event) bool {
	if ev.state.Load() != eventRunning {
		ev.dispose()
		return true
	}
	return r.runEvent(ev)
}

// runEvent runs the handler of an event, here if the role may stay with it.
func (r *reader) runEvent(ev *event) bool {
	n := r.session
	slow := &ev.instance.slow[ev.phase]
	if r.serving != nil || slow.Load() > 0 {
		// A handler waits in this goroutine already, or this one would keep
		// the ring for too long.
		if slow.Load() > 0 {
			slow.Add(-1)
		}
		n.spawn(func() { ev.run(nil) })
		return true
	}
	n.inHand = ev
	r.leave()
	ev.run(r)
	return r.back()
}

// slowEvents is how many events of a phase of an instance get a goroutine of
// their own after one of them was slow.
const slowEvents = 256

// serve reads the ring until the answer of ev is there, whose handler waits in
// this goroutine and holds the role.
func (r *reader) serve(ev *event) error {
	r.serving, r.served = ev, false
	defer func() { r.serving = nil }()
	for !r.served && ev.state.Load() == eventRunning {
		if !r.step() {
			return errClosed
		}
	}
	return nil
}

// next waits for the next whole message, head included. It is valid until the
// call after it, unless the caller takes r.buf away.
func (r *reader) next() (wire.Head, []byte, error) {
	for {
		frame, err := r.frame()
		if err != nil {
			return wire.Head{}, nil, err
		}
		head, body, err := wire.ReadHead(frame.Payload)
		if err != nil {
			return head, nil, fmt.Errorf("%w: %w", errProtocol, err)
		}
		if int(head.Slot) >= wire.MaxSlots {
			return head, nil, fmt.Errorf("%w: slot %d, the limit is %d", errProtocol, head.Slot, wire.MaxSlots)
		}
		s := &r.session.slots[head.Slot]
		if len(s.pieces) > 0 && (head.Generation != s.begun.Generation || head.Type == wire.TypeCancel) {
			// The worker gave the message up half way.
			r.session.assembled -= len(s.pieces)
			giveLong(s.pieces)
			s.pieces = nil
		}
		if !frame.More && len(s.pieces) == 0 {
			r.pieced = false
			return head, frame.Payload, nil
		}
		if whole, err := r.assemble(s, head, frame.More, body); whole != nil || err != nil {
			return head, whole, err
		}
	}
}

// assemble adds a piece to the message of its slot and gives the message once
// it is whole.
func (r *reader) assemble(s *slot, head wire.Head, more bool, body []byte) ([]byte, error) {
	n := r.session
	if len(s.pieces) == 0 {
		s.begun = head
		if n.assembled == 0 { // one at a time: what it has room for is not counted
			s.pieces = takeLong()
		}
		s.pieces = wire.AppendHead(s.pieces, head)
		n.assembled += wire.HeadSize
	} else if s.begun != head {
		return nil, fmt.Errorf("%w: piece %+v of message %+v", errProtocol, head, s.begun)
	}
	limit := n.server.options.maxMessage
	if len(s.pieces)+len(body) > limit {
		return nil, fmt.Errorf("%w: message of more than %d bytes, the limit", errProtocol, limit)
	}
	if n.assembled += len(body); n.assembled > 4*limit {
		return nil, fmt.Errorf("%w: %d bytes of unfinished messages, the limit is %d", errProtocol, n.assembled, 4*limit)
	}
	s.pieces = append(s.pieces, body...)
	if more {
		return nil, nil
	}
	whole := s.pieces
	n.assembled -= len(whole)
	s.pieces, r.pieced = nil, true // the message may be kept by who gets it
	return whole, nil
}

// handOver gives the message that next gave last to an owner, with its buffer.
// Where that is the one that frames are read into, the owner's old buffer takes
// its place.
func (r *reader) handOver(message, old []byte) []byte {
	if r.pieced {
		giveLong(old)
	} else {
		r.buf = old[:0]
	}
	return message
}

// frame waits for the next frame: it looks, looks on for a while where that
// has paid, and then sleeps on the doorbell.
func (r *reader) frame() (ring.Frame, error) {
	n := r.session
	c := n.rings.counters
	for {
		if n.ctx.Err() != nil {
			return ring.Frame{}, errClosed
		}
		frame, ok, err := n.rings.in.Read(r.buf)
		if err != nil {
			return frame, err
		}
		if ok {
			r.buf = frame.Payload
			c.FramesIn++
			c.BytesIn += uint64(len(frame.Payload))
			n.rings.tapped(true, frame)
			n.rings.claimWorker()
			n.rings.wakeWriters()
			return frame, nil
		}
		if r.spin() {
			continue
		}
		if !n.rings.in.Sleep() {
			continue
		}
		n.rings.claimWorker()
		c.Sleeps++
		err = n.rings.bell.Wait()
		if n.ctx.Err() != nil {
			return frame, errClosed
		}
		if err != nil {
			return frame, err
		}
		n.rings.in.Awake()
		n.rings.wakeWriters()
	}
}
