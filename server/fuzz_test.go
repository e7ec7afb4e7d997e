package server_test

import (
	"encoding/binary"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/wire"
)

// Steps of a script. A step is its byte and the bytes that it names; bytes that
// are missing at the end count as 0.
const (
	stepHead    = iota // type, code, slot (2), generation (4), arg (4), length of the body, body: a frame of just that
	stepPiece          // as stepHead: a frame that another one continues
	stepRaw            // length, bytes: a frame
	stepStart          // slot, config: a good START
	stepEvent          // slot, instance, phase: an EVENT of the next generation
	stepReturn         // slot, length, body: an answer with the slot's generation
	stepCancel         // slot, length, body: a CANCEL with the slot's generation
	stepReceive        // reads what the server sent so far
	stepPoke           // region, offset in words (2), value (4): a store into the segment
	stepRing           // rings the server for nothing
	steps
)

// Slots of a script's good messages, and those that belong to the honest event.
const (
	fuzzSlots   = 32
	honestStart = wire.MaxSlots - 2
	honestEvent = wire.MaxSlots - 1
)

// FuzzMessages lets the input write frames into a live session, as a hostile
// worker can. At the end the session is closed, or an honest event on a slot of
// its own is answered; the server serves other workers either way.
func FuzzMessages(f *testing.F) {
	good := []byte{stepStart, 0, 1, stepReceive, stepEvent, 1, 1, wire.PhaseAccess, stepReceive}
	f.Add(good)
	f.Add(append(good[:len(good):len(good)], stepReturn, 1, 2, 0xa1, 'x', stepReceive, stepReturn, 1, 1, 0xc0))
	f.Add(append(good[:len(good):len(good)], stepCancel, 1, 2, 0xa1, 'x', stepEvent, 1, 1, wire.PhaseAccess))
	f.Add([]byte{stepHead, wire.TypeClose, 0, 0, 0, 0, 0, 0, 0, 9})
	f.Add([]byte{stepPiece, wire.TypeStart, 0, 7, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3, 0x94, 0xa1, 'p'})
	f.Add([]byte{stepRaw, 3, 1, 2, 3})
	f.Add([]byte{stepPoke, 1, 0, 0, 8, 1, 0, 0, stepEvent, 1, 1, 3})

	s, socket := start(f, server.WithRingCapacity(4<<10), server.WithMaxMessage(4<<10),
		server.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))),
		withVaried())
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 4<<10 {
			t.Skip("longer scripts find nothing that shorter ones do not")
		}
		w := &hostile{worker: attach(t, socket), gone: make(chan struct{})}
		session := w.a.Welcome.Session
		go func() {
			defer close(w.gone)
			for w.a.WaitRing() == nil {
			}
		}()
		err := w.play(script)
		if err == nil && !w.poked {
			err = w.honestEvent()
		}
		if !w.poked && err != nil {
			within(t, w.gone) // the worker's own side is in order
		}
		w.hangUp()
		within(t, w.gone)
		require.Eventually(t, func() bool {
			for _, n := range s.Stats().Sessions {
				if n.Session == session {
					return false
				}
			}
			return true
		}, patience, time.Millisecond, "session %d stays", session)
	})
}

// hostile is a worker that keeps no rule.
type hostile struct {
	*worker
	gone  chan struct{} // closed when the control connection ends
	poked bool          // the memory was overwritten: anything may be lost
}

func (w *hostile) hungUp() bool {
	select {
	case <-w.gone:
		return true
	default:
		return false
	}
}

// play writes the frames of a script until its end or the session's.
func (w *hostile) play(script []byte) error {
	take := func(n int) []byte {
		b := make([]byte, n)
		script = script[copy(b, script):]
		return b
	}
	one := func() int { return int(take(1)[0]) }
	var generations [fuzzSlots]uint32
	next := uint32(0)
	for len(script) > 0 {
		var frame []byte
		step := one() % steps
		switch step {
		case stepHead, stepPiece:
			frame = take(wire.HeadSize)
			frame = append(frame, take(one())...)
		case stepRaw:
			frame = take(one())
		case stepStart:
			slot := one() % fuzzSlots
			config := []string{`{"name":"calls"}`, `{"name":"exits"}`, `{"name":"waits"}`, `{}`, `{`}[one()%5]
			request := wire.StartInstance{Plugin: "scripted", Key: "k", Config: []byte(config)}
			next++
			generations[slot] = next
			frame, _ = request.MarshalMsg(wire.AppendHead(nil, wire.Head{
				Type: wire.TypeStart, Slot: uint16(slot), Generation: next,
			}))
		case stepEvent:
			slot := one() % fuzzSlots
			next++
			generations[slot] = next
			frame = wire.AppendHead(nil, wire.Head{
				Type: wire.TypeEvent, Slot: uint16(slot), Generation: next, Arg: uint32(one()), Code: uint8(one()),
			})
		case stepReturn, stepCancel:
			slot := one() % fuzzSlots
			kind := uint8(wire.TypeReturn)
			if step == stepCancel {
				kind = wire.TypeCancel
			}
			frame = wire.AppendHead(nil, wire.Head{Type: kind, Slot: uint16(slot), Generation: generations[slot]})
			frame = append(frame, take(one())...)
		case stepReceive:
			for ok := true; ok; {
				var err error
				if _, ok, err = w.in.Read(nil); err != nil {
					return err
				}
				if w.in.ClaimWake() {
					if err := w.a.Bell.Ring(); err != nil {
						return err
					}
				}
			}
			continue
		case stepPoke:
			w.poked = true
			region := w.a.Segment.Region(one() % wire.RegionCount)
			at := int(binary.LittleEndian.Uint16(take(2))) * 4 % (len(region) &^ 3)
			copy(region[at:], take(4))
			continue
		case stepRing:
			if err := w.a.Bell.Ring(); err != nil {
				return err
			}
			continue
		}
		if head, _, err := wire.ReadHead(frame); err == nil && (head.Slot == honestStart || head.Slot == honestEvent) {
			continue
		}
		if err := w.sendOrDrain(frame, step == stepPiece); err != nil {
			return err
		}
	}
	return nil
}

// sendOrDrain is sendFrame that reads meanwhile, so that the two sides do not
// wait for each other.
func (w *hostile) sendOrDrain(frame []byte, more bool) error {
	for deadline := time.Now().Add(patience); ; {
		ok, err := w.out.Write(frame, more)
		if err != nil {
			return err
		}
		// Whether or not somebody claims to sleep: the script may have
		// overwritten the word that says so.
		w.out.ClaimWake()
		if err := w.a.Bell.Ring(); err != nil {
			return err
		}
		if ok {
			return nil
		}
		if _, _, err := w.in.Read(nil); err != nil {
			return err
		}
		w.in.ClaimWake()
		if w.hungUp() {
			return io.EOF
		}
		require.True(w.t, time.Now().Before(deadline), "the server reads no more")
	}
}

// honestEvent starts an instance and runs an event with a call.
func (w *hostile) honestEvent() error {
	request := wire.StartInstance{Plugin: "scripted", Key: "honest", Config: []byte(`{"name":"calls"}`)}
	body, err := request.MarshalMsg(wire.AppendHead(nil, wire.Head{Type: wire.TypeStart, Slot: honestStart, Generation: 1 << 31}))
	if err != nil {
		return err
	}
	if err := w.sendOrDrain(body, false); err != nil {
		return err
	}
	head, err := w.poll(honestStart)
	if err != nil || head.Type != wire.TypeStarted || head.Code != wire.StatusOK {
		return w.unless(head, err)
	}
	frame := wire.AppendHead(nil, wire.Head{
		Type: wire.TypeEvent, Code: wire.PhaseAccess, Slot: honestEvent, Generation: 1 << 31, Arg: head.Arg,
	})
	if err := w.sendOrDrain(frame, false); err != nil {
		return err
	}
	for {
		head, err := w.poll(honestEvent)
		switch {
		case err == nil && head.Type == wire.TypeCall:
			answer := msgp.AppendNil(wire.AppendHead(nil, wire.Head{
				Type: wire.TypeReturn, Slot: honestEvent, Generation: 1 << 31,
			}))
			if err := w.sendOrDrain(answer, false); err != nil {
				return err
			}
		case err == nil && head.Type == wire.TypeDone && head.Code == wire.StatusOK:
			return nil
		default:
			return w.unless(head, err)
		}
	}
}

// unless gives err, and fails where there is none.
func (w *hostile) unless(head wire.Head, err error) error {
	require.Error(w.t, err, "an honest message was answered with %+v", head)
	return err
}

// poll waits for a message of a slot, and rings the server meanwhile.
func (w *hostile) poll(slot uint16) (wire.Head, error) {
	for deadline := time.Now().Add(patience); ; {
		frame, ok, err := w.in.Read(nil)
		if err != nil {
			return wire.Head{}, err
		}
		if ok {
			w.in.ClaimWake()
			if err := w.a.Bell.Ring(); err != nil {
				return wire.Head{}, err
			}
			head, _, err := wire.ReadHead(frame.Payload)
			if err != nil {
				return head, err
			}
			if head.Slot == slot && head.Generation == 1<<31 && !frame.More {
				return head, nil
			}
			continue
		}
		if w.hungUp() {
			return wire.Head{}, io.EOF
		}
		require.True(w.t, time.Now().Before(deadline), "no answer for slot %d", slot)
		if w.in.Sleep() { // gives back what was read
			w.in.Awake()
		}
		if err := w.a.Bell.Ring(); err != nil {
			return wire.Head{}, err
		}
		time.Sleep(10 * time.Microsecond)
	}
}

// withVaried adds a plugin that calls, exits or waits, as its config's name says:
// what a worker that lies meets.
func withVaried() server.Option {
	return withScript(func(s *scripted, kong *pdk.PDK) {
		switch s.Name {
		case "calls":
			_, _ = kong.Request.GetHeaders(3)
			_, _, _ = kong.Request.GetUriCaptures()
			_ = kong.Log.Info("x", s.Name)
		case "exits":
			kong.Response.Exit(200, make([]byte, 3000), nil)
		case "waits":
			_, _ = kong.Ctx.GetSharedAny("k")
			<-kong.Context().Done()
		}
	})
}
