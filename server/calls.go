package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/server/metrics"
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// The PDK calls of an event: what is known is not asked, what gives nothing
// waits for the next message, and the rest is one round trip. All of it runs
// under the lock of the event's call.

// Get implements bridge.Transport.
func (ev *event) Get(c *bridge.Call) error {
	if err := ev.over(); err != nil {
		return err
	}
	id, args := c.Method(), c.Args()
	switch wire.Methods[id].Class {
	case wire.ClassChecked:
		ev.memo.forget(wire.Methods[id].Changes)
		return ev.ask(c, args)
	case wire.ClassDynamic:
		return ev.ask(c, args)
	}
	key := ev.memo.key(id, args)
	if k := ev.memo.find(id, key); k != nil {
		if k.prefetched {
			ev.count(id, metrics.Prefetched)
		} else {
			ev.count(id, metrics.Memo)
		}
		c.SetResult(k.value)
		return nil
	}
	constant := ev.session.constant(id, args)
	if constant != nil {
		if value := constant.Load(); value != nil {
			ev.count(id, metrics.Memo)
			c.SetResult(*value)
			return nil
		}
	}
	if err := ev.ask(c, args); err != nil {
		return err
	}
	result := ev.answer[wire.HeadSize:]
	if constant != nil {
		value := append([]byte(nil), result...)
		constant.Store(&value)
	} else {
		// Without the memo too: the profile counts what was asked for.
		if len(result) > keepBytes { // it is not copied, but kept as it is
			ev.memo.long = append(ev.memo.long, ev.answer)
			ev.answer = nil
		}
		ev.memo.learn(id, key, result, !ev.session.server.options.noMemo)
	}
	return nil
}

// count counts a call by how it is answered.
func (ev *event) count(id wire.MethodID, how metrics.Answer) {
	ev.tally[how]++
	ev.session.calls.Count(id, how)
}

// ask makes a round trip.
func (ev *event) ask(c *bridge.Call, args []byte) error {
	if err := ev.roundTrip(c.Method(), args); err != nil {
		return err
	}
	c.SetResult(ev.answer[wire.HeadSize:])
	return nil
}

// Bounds of the writes that wait for a message to travel with. Beyond them they
// are sent by themselves.
const (
	maxWrites     = 1024
	maxWriteBytes = 32 << 10
)

// Post implements bridge.Transport.
func (ev *event) Post(c *bridge.Call) error {
	if err := ev.over(); err != nil {
		return err
	}
	id, args := c.Method(), c.Args()
	ev.memo.forget(wire.Methods[id].Changes)
	if ev.session.server.options.syncWrites {
		return ev.roundTrip(id, args)
	}
	ev.count(id, metrics.Posted)
	ev.out = binary.LittleEndian.AppendUint16(ev.out, uint16(id))
	ev.append(args)
	ev.writes++
	if ev.writes < maxWrites && len(ev.out) < maxWriteBytes {
		return nil
	}
	return ev.roundTrip(0, nil)
}

// Exit implements bridge.Transport.
func (ev *event) Exit(c *bridge.Call) {
	if !ev.state.CompareAndSwap(eventRunning, eventOver) {
		return
	}
	ev.exited = true
	n := ev.session
	err := ev.send(wire.TypeExit, wire.StatusOK, c.Method(), c.Args(), "", ev.sessionOver)
	if errors.Is(err, errTooLong) {
		err = ev.send(wire.TypeDone, wire.StatusFailed, 0, nil, c.Method().String()+": "+err.Error(), ev.sessionOver)
	}
	if err != nil && !n.ended.Load() {
		n.end(err)
	}
	ev.end(fmt.Errorf("%w: it ended with %s", bridge.ErrOver, c.Method()))
}

// LogLevel implements bridge.Transport.
func (ev *event) LogLevel() int { return ev.session.rings.logLevel() }

// roundTrip sends a CALL and waits for its RETURN, which ev.answer has then.
func (ev *event) roundTrip(id wire.MethodID, args []byte) error {
	if ev.span == nil {
		return ev.trip(id, args)
	}
	began := time.Now()
	err := ev.trip(id, args)
	name := ""
	if id != 0 {
		name = id.String()
	}
	ev.span.Call(name, began, err)
	return err
}

func (ev *event) trip(id wire.MethodID, args []byte) error {
	ev.count(id, metrics.RoundTrip)
	ev.waiting.Store(true)
	if err := ev.send(wire.TypeCall, wire.StatusOK, id, args, "", ev.over); err != nil {
		ev.stray = true
		ev.waiting.Store(false)
		if errors.Is(err, ring.ErrCorrupt) {
			ev.session.end(err) // now: the handler may not return because of the error
		}
		return err
	}
	if err := ev.await(); err != nil {
		return err
	}
	if ev.status != wire.StatusOK {
		text, _, _ := msgp.ReadStringBytes(ev.answer[wire.HeadSize:])
		return fmt.Errorf("%s: %s", id, text)
	}
	return nil
}

// await waits for the answer: as the session's reader, if this goroutine still
// has a claim on the role, else for the reader's wake-up.
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
