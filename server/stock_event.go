package server

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server/metrics"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// stockEvent is one event of a Kong without the bridge: a handler on a goroutine
// of its own, which takes turns with whichever connection has Kong's request.
type stockEvent struct {
	// Immutable.
	stock    *stock
	id       uint64
	instance *instance
	phase    uint8
	call     bridge.Call
	ctx      context.Context
	cancel   context.CancelCauseFunc
	timer    *time.Timer      // ends the event when a side keeps its turn
	turns    chan stockTurn   // what the handler wants next; capacity 1
	answers  chan stockAnswer // what Kong says to it; capacity 1

	asking atomic.Bool // a PDK call is out
	over   atomic.Bool // the last turn was said, or will not be heard
	memo   memo        // owned by the handler; under call's lock
	tally  tally       // calls by how they were answered; likewise
	began  moment      // by the server's stopwatch
}

// stockTurn is what the handler wants: a PDK call, or the end.
type stockTurn struct {
	data []byte // as StepData has it
	err  error  // the event failed
}

// stockAnswer is Kong's answer to a PDK call.
type stockAnswer struct {
	data []byte
	err  error
}

// newEvent gives a new event its number and its goroutine.
func (k *stock) newEvent(in *instance, phase uint8) (*stockEvent, error) {
	ev := &stockEvent{
		stock: k, instance: in, phase: phase,
		turns: make(chan stockTurn, 1), answers: make(chan stockAnswer, 1),
		began: k.server.stopwatch.now(),
	}
	ev.call.Init(ev)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || k.server.draining() {
		k.nowhere.Failed[metrics.Shutdown]++
		return nil, errStops
	}
	if len(k.events) >= maxStockEvents {
		k.cell(ev).Failed[metrics.Busy]++
		return nil, fmt.Errorf("%d events are under way: that is the limit", maxStockEvents)
	}
	ev.ctx, ev.cancel = context.WithCancelCause(k.ctx)
	ev.timer = time.AfterFunc(k.time, func() {
		if !ev.over.Swap(true) {
			k.countFailed(ev, metrics.Deadline)
		}
		ev.end(fmt.Errorf("%w: nothing was heard for %v", bridge.ErrOver, k.time))
	})
	k.lastEvent++
	ev.id = k.lastEvent
	k.events[ev.id] = ev
	k.underWay.Add(1)
	k.server.work.Add(1) // the connection that asks is counted too: never from zero
	go ev.run()
	return ev, nil
}

// run runs the handler to its end.
func (ev *stockEvent) run() {
	defer ev.stock.server.work.Done()
	defer ev.stock.underWay.Add(-1)
	returned := false
	defer func() {
		turn := stockTurn{data: msgp.AppendString(nil, "ret")}
		if !returned {
			turn = stockTurn{err: ev.panicked(recover())}
		}
		ev.call.Close()
		ev.stock.count(ev)
		ev.last(turn, bridge.ErrOver)
	}()
	p := pdk.Make(ev.call.Open())
	ev.instance.handlers[ev.phase](&p)
	returned = true
}

// panicked logs a panic with its stack and gives the error for Kong's log, which
// adds the request's id.
func (ev *stockEvent) panicked(v any) error {
	what, stack := panicText(v), debug.Stack()
	ev.stock.countFailed(ev, metrics.Panic)
	name, phase := ev.instance.plugin.name, wire.PhaseNames[ev.phase]
	ev.stock.server.options.logger.Error("handler panicked", "plugin", name, "entity", ev.instance.key.entity,
		"phase", phase, "panic", what, "stack", string(stack))
	return fmt.Errorf("plugin %s panicked in phase %s: %s", name, phase, what)
}

// last says the handler's last turn and ends the event.
func (ev *stockEvent) last(turn stockTurn, cause error) {
	if ev.over.Swap(true) {
		return
	}
	ev.forget() // before Kong hears of it
	select {
	case ev.turns <- turn:
	default: // a call that nobody fetched: the event is being ended
	}
	ev.end(cause)
}

// end makes the event over for both sides.
func (ev *stockEvent) end(cause error) {
	ev.over.Store(true)
	ev.forget()
	ev.timer.Stop()
	ev.cancel(cause)
}

func (ev *stockEvent) forget() {
	ev.stock.mu.Lock()
	delete(ev.stock.events, ev.id)
	ev.stock.mu.Unlock()
}

// next waits for the handler's turn.
func (ev *stockEvent) next(gone <-chan struct{}) ([]byte, error) {
	select {
	case turn := <-ev.turns:
		return turn.data, turn.err
	case <-ev.ctx.Done():
	case <-gone:
		if !ev.over.Swap(true) {
			ev.stock.countFailed(ev, metrics.Lost)
		}
		ev.end(errHungUp)
	}
	select {
	case turn := <-ev.turns: // said right before the end
		return turn.data, turn.err
	default:
		return nil, context.Cause(ev.ctx)
	}
}

// answer hands Kong's answer to the handler; false if it asked nothing.
func (ev *stockEvent) answer(a stockAnswer) bool {
	if !ev.asking.CompareAndSwap(true, false) {
		return false
	}
	ev.timer.Reset(ev.stock.time)
	ev.answers <- a
	return true
}

// ended gives the error of calls that come after the end.
func (ev *stockEvent) ended() error {
	if ev.ctx.Err() != nil {
		return context.Cause(ev.ctx)
	}
	return nil
}

// turn gives a call as StepData has it.
func (ev *stockEvent) turn(c *bridge.Call) (stockTurn, error) {
	method, args := stockName(c.Method(), c.Args(), ev.instance.key.entity)
	if limit := ev.stock.server.options.maxMessage; len(args) > limit {
		return stockTurn{}, fmt.Errorf("%s: %w: %d bytes, the limit is %d", c.Method(), errTooLong, len(args), limit)
	}
	data := make([]byte, 0, len(args)+maxStockName)
	data = msgp.AppendMapHeader(data, 2)
	data = msgp.AppendString(msgp.AppendString(data, "Method"), method)
	return stockTurn{data: append(msgp.AppendString(data, "Args"), args...)}, nil
}

// ask makes a round trip.
func (ev *stockEvent) ask(c *bridge.Call) ([]byte, error) {
	turn, err := ev.turn(c)
	if err != nil {
		return nil, err
	}
	ev.countCall(c.Method(), metrics.RoundTrip)
	ev.timer.Reset(ev.stock.time)
	ev.asking.Store(true)
	select {
	case ev.turns <- turn:
	case <-ev.ctx.Done():
		return nil, ev.ended()
	}
	select {
	case a := <-ev.answers:
		if a.err != nil {
			return nil, fmt.Errorf("%s: %w", c.Method(), a.err)
		}
		return stockResult(c.Method(), a.data)
	case <-ev.ctx.Done():
		return nil, ev.ended()
	}
}

// Get implements bridge.Transport.
func (ev *stockEvent) Get(c *bridge.Call) error {
	if err := ev.ended(); err != nil {
		return err
	}
	id := c.Method()
	class := wire.Methods[id].Class
	remember := class != wire.ClassDynamic && class != wire.ClassChecked && !ev.stock.server.options.noMemo
	ev.memo.forget(wire.Methods[id].Changes)
	key := ev.memo.key(id, c.Args())
	if remember {
		if k := ev.memo.find(id, key); k != nil {
			ev.countCall(id, metrics.Memo)
			c.SetResult(k.value)
			return nil
		}
	}
	result, err := ev.ask(c)
	if err != nil {
		return err
	}
	if remember {
		ev.memo.learn(id, key, result, true)
	}
	c.SetResult(result)
	return nil
}

// Post implements bridge.Transport. Nothing can wait here: Kong takes one call
// at a time.
func (ev *stockEvent) Post(c *bridge.Call) error {
	if err := ev.ended(); err != nil {
		return err
	}
	ev.memo.forget(wire.Methods[c.Method()].Changes)
	_, err := ev.ask(c)
	return err
}

// Exit implements bridge.Transport. Kong never comes back from it.
func (ev *stockEvent) Exit(c *bridge.Call) {
	if ev.ended() != nil {
		return
	}
	turn, err := ev.turn(c)
	turn.err = err
	ev.last(turn, fmt.Errorf("%w: it ended with %s", bridge.ErrOver, c.Method()))
}

// LogLevel implements bridge.Transport. Kong does not say its level, so that it
// gets all lines and drops some.
func (ev *stockEvent) LogLevel() int {
	const debug = 8
	return debug
}

// Context implements bridge.Transport.
func (ev *stockEvent) Context() context.Context { return ev.ctx }
