package server_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/wire"
)

// text gives the text of a message's body, which is the only argument of a CALL
// or the string itself.
func text(t testing.TB, body []byte) string {
	t.Helper()
	if n, rest, err := msgp.ReadArrayHeaderBytes(body); err == nil {
		require.EqualValues(t, 1, n)
		body = rest
	}
	s, _, err := msgp.ReadStringBytes(body)
	require.NoError(t, err)
	return s
}

// However a handler keeps its goroutine, events beside it go on. The handler
// ends only after they have.
func TestHandlersThatKeepTheirGoroutine(t *testing.T) {
	for name, keep := range map[string]func(others <-chan struct{}){
		"channel": func(others <-chan struct{}) { <-others },
		"sleep": func(others <-chan struct{}) {
			for len(others) == 0 {
				time.Sleep(20 * time.Millisecond)
			}
		},
		"spin": func(others <-chan struct{}) {
			for begun := time.Now(); time.Since(begun) < 20*time.Millisecond || len(others) == 0; {
			}
		},
		"calls": func(others <-chan struct{}) { <-others },
	} {
		t.Run(name, func(t *testing.T) {
			others := make(chan struct{}, 1)
			s, socket := start(t, withScript(func(s *scripted, kong *pdk.PDK) {
				if s.Name != "keep" {
					return
				}
				if name == "calls" { // the claim on the ring has to survive a call
					if _, err := kong.Request.GetPath(); err != nil {
						panic(err)
					}
				}
				keep(others)
				if _, err := kong.Request.GetPath(); err != nil {
					panic(err)
				}
			}))
			w := attach(t, socket)
			slow, quick := w.instance("scripted", `{"name":"keep"}`), w.instance("scripted", `{}`)
			for range 3 {
				head := w.event(0, slow)
				if name == "calls" {
					w.expect(wire.TypeCall, head)
					w.answer(head, msgp.AppendString(nil, "/"))
				}
				for range 50 {
					w.expect(wire.TypeDone, w.event(1, quick))
				}
				others <- struct{}{}
				w.expect(wire.TypeCall, head)
				w.answer(head, msgp.AppendString(nil, "/"))
				done, body := w.expect(wire.TypeDone, head)
				require.Equal(t, uint8(wire.StatusOK), done.Code, "%s", body)
				select {
				case <-others: // who only looked left it there
				default:
				}
			}
			require.NotZero(t, s.Stats().Sessions[0].Server.Handovers)
		})
	}
}

// A watchdog that sleeps is woken by the handler that it has to watch.
func TestWatchdogRestsAndWakes(t *testing.T) {
	others := make(chan struct{})
	s, socket := start(t, withScript(func(s *scripted, _ *pdk.PDK) {
		if s.Name == "slow" {
			<-others
		}
	}))
	w := attach(t, socket)
	quick := w.instance("scripted", `{}`)
	for i := range 3 {
		slow := w.instance("scripted", fmt.Sprintf(`{"name":"slow","__key__":%d,"n":%d}`, i, i)) // not known to be slow
		require.Eventually(t, func() bool { return s.Resting() == 1 }, patience, time.Millisecond)
		head := w.event(0, slow)
		for range 10 {
			w.expect(wire.TypeDone, w.event(1, quick))
		}
		others <- struct{}{}
		w.expect(wire.TypeDone, head)
		require.GreaterOrEqual(t, s.Stats().Sessions[0].Server.Handovers, uint64(i+1))
	}
}

func TestManySlowHandlers(t *testing.T) {
	const many = 200
	release := make(chan struct{})
	s, socket := start(t, withScript(func(s *scripted, kong *pdk.PDK) {
		if s.Name != "slow" {
			return
		}
		<-release
		if _, err := kong.Request.GetPath(); err != nil {
			panic(err)
		}
	}))
	w := attach(t, socket)
	slow, quick := w.instance("scripted", `{"name":"slow"}`), w.instance("scripted", `{}`)
	open := map[wire.Head]bool{}
	for slot := range uint16(many) {
		head := w.event(slot, slow)
		open[wire.Head{Slot: slot, Generation: head.Generation}] = true
	}
	require.Eventually(t, func() bool { return s.Stats().Sessions[0].UnderWay == many }, patience, time.Millisecond)
	for range 100 {
		w.expect(wire.TypeDone, w.event(many, quick))
	}
	close(release)
	for len(open) > 0 {
		got, body := w.receive()
		key := wire.Head{Slot: got.Slot, Generation: got.Generation}
		require.True(t, open[key], "%+v", got)
		if got.Type == wire.TypeCall {
			w.answer(key, msgp.AppendString(nil, "/"))
			continue
		}
		require.Equal(t, uint8(wire.TypeDone), got.Type)
		require.Equal(t, uint8(wire.StatusOK), got.Code, "%s", body)
		delete(open, key)
	}
	w.expect(wire.TypeDone, w.event(many, quick))
}

// Events begin, ask, are answered and cancelled in any order. Each handler gets
// the answers to its own questions, in whatever goroutine it waits for them.
func TestEventsInterleave(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3} {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { interleave(t, seed) })
	}
}

func interleave(t *testing.T, seed uint64) {
	var mistakes, ran, cancelled atomic.Int64
	s, socket := start(t, server.WithRingCapacity(4<<10), withScript(func(_ *scripted, kong *pdk.PDK) {
		defer ran.Add(1)
		me, err := kong.Request.GetPath()
		if err != nil {
			cancelled.Add(1)
			return
		}
		n, _ := strconv.Atoi(me)
		for i := range n % 7 {
			switch (n + i) % 11 {
			case 0:
				time.Sleep(3 * time.Millisecond)
			case 1:
				runtime.Gosched()
			}
			question := fmt.Sprintf("%d %d %s", n, i, strings.Repeat("x", n%900))
			answer, err := kong.Request.GetHeader(question)
			if err != nil {
				cancelled.Add(1)
				return
			}
			if answer != question {
				mistakes.Add(1)
			}
		}
	}))
	w := attach(t, socket)
	in := w.instance("scripted", `{}`)
	const slots, total = 40, 1500
	random := rand.New(rand.NewPCG(seed, seed))
	type state struct {
		head     wire.Head
		question []byte // of a CALL that waits for its answer; nil while the server has the word
		method   uint32
	}
	open := map[uint16]*state{}
	begun, owed, gaveUp := 0, 0, 0
	for begun < total || len(open) > 0 {
		slot := uint16(random.IntN(slots))
		e := open[slot]
		switch {
		case e == nil && begun < total:
			begun++
			open[slot] = &state{head: w.event(slot, in)}
			owed++
		case e != nil && e.question != nil && random.IntN(20) == 0:
			w.cancel(e.head, wire.StatusDeadline, "too late")
			gaveUp++
			delete(open, slot)
		case e != nil && e.question != nil:
			answer := strconv.Itoa(begun)
			if wire.MethodID(e.method) == wire.RequestGetHeader {
				answer = text(t, e.question)
			}
			w.answer(e.head, msgp.AppendString(nil, answer))
			e.question = nil
			owed++
		case owed > 0:
			got, body := w.receive()
			e := open[got.Slot]
			require.NotNil(t, e, "%+v", got)
			require.Equal(t, e.head.Generation, got.Generation)
			owed--
			if got.Type == wire.TypeCall {
				require.Nil(t, e.question)
				e.question, e.method = body, got.Arg
				continue
			}
			require.Equal(t, uint8(wire.TypeDone), got.Type)
			require.Equal(t, uint8(wire.StatusOK), got.Code, "%s", body)
			delete(open, got.Slot)
		}
	}
	require.Eventually(t, func() bool { return s.Stats().Sessions[0].Server.EventsDone == total }, patience, time.Millisecond)
	session := s.Stats().Sessions[0]
	require.EqualValues(t, total, session.Server.Events)
	require.Zero(t, session.UnderWay)
	require.EqualValues(t, total, ran.Load())
	require.EqualValues(t, gaveUp, cancelled.Load())
	require.Zero(t, mistakes.Load())
	require.NotZero(t, session.Server.Handovers)
}

// A handler may end its goroutine: its event fails, the ring is read on.
func TestHandlerThatEndsItsGoroutine(t *testing.T) {
	_, socket := start(t, withScript(func(s *scripted, _ *pdk.PDK) {
		if s.Name == "exit" {
			runtime.Goexit()
		}
	}))
	w := attach(t, socket)
	exit, quick := w.instance("scripted", `{"name":"exit"}`), w.instance("scripted", `{}`)
	for range 3 {
		body := w.expectPanic(w.event(0, exit))
		require.Regexp(t, `^the handler called runtime.Goexit \[event 1\.\d+\.\d+\]$`, text(t, body))
		w.expect(wire.TypeDone, w.event(1, quick))
	}
}

func TestPhases(t *testing.T) {
	_, socket := start(t, server.WithPlugin("every-thing", newEverything, "1", 1))
	w := attach(t, socket)
	in := w.instance("every-thing", `{}`)
	for phase, name := range map[uint8]string{
		0: "number 0", wire.PhaseRewrite: "rewrite", wire.PhasePreread: "preread", 7: "number 7", 255: "number 255",
	} {
		head := w.head(wire.TypeEvent, 0)
		head.Code, head.Arg = phase, in
		w.send(head, nil)
		done, body := w.expect(wire.TypeDone, head)
		require.Equal(t, uint8(wire.StatusNoPhase), done.Code)
		require.Equal(t, "plugin every-thing has no handler for phase "+name, text(t, body))
	}
	for _, phase := range []uint8{wire.PhaseCertificate, wire.PhaseAccess, wire.PhaseLog} {
		head := w.head(wire.TypeEvent, 0)
		head.Code, head.Arg = phase, in
		w.send(head, nil)
		done, _ := w.expect(wire.TypeDone, head)
		require.Equal(t, uint8(wire.StatusOK), done.Code)
	}
}

func TestConstructorThatPanics(t *testing.T) {
	var made atomic.Int32
	_, socket := start(t, server.WithPlugin("p", func() interface{} {
		if made.Add(1) == 2 {
			panic("no luck")
		}
		return &everything{}
	}, "1", 1))
	w := attach(t, socket)
	answer, body := w.startInstance("p", "k", `{}`)
	require.Equal(t, uint8(wire.StatusFailed), answer.Code)
	require.Equal(t, "constructor of plugin p panicked: no luck", text(t, body))
	w.instance("p", `{}`)
}
