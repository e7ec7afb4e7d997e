package liar

import (
	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// Worker lies to a plugin server.
type Worker struct {
	*Peer
	// Wild is how many of a thousand lies break a rule for which a session is
	// closed, or may.
	Wild int

	plugin  string
	configs []string
	next    uint32
	started uint32 // instances, as the server numbers them
	slots   [workerSlots]slot
}

// workerSlots is the number of slots that a liar uses.
const workerSlots = 64

// slot is what a liar remembers of one.
type slot struct {
	head  wire.Head // of the last message that it sent, or got
	calls bool      // the server waits for an answer
}

// NewWorker makes the worker of a session, which starts instances of a plugin
// with the given configs.
func NewWorker(seed uint64, s *shm.Segment, tally *Tally, plugin string, configs ...string) *Worker {
	return &Worker{
		Peer:   New(seed, s, wire.RegionToServer, wire.RegionToWorker, tally),
		plugin: plugin, configs: configs,
	}
}

// Lie does one thing that a worker would not, or would.
func (w *Worker) Lie() {
	if w.Rand.IntN(1000) < w.Wild || w.Lost && w.Rand.IntN(20) == 0 {
		w.wild()
		return
	}
	switch n := w.Rand.IntN(100); {
	case n < 40:
		w.Send(Valid, w.message(), false)
	case n < 60:
		w.Send(Head, w.harmless(), false)
	case n < 85:
		w.Send(Body, w.body(), false)
	case n < 93:
		w.Drowse()
	case n < 98:
		w.Poke(Figures)
	default:
		w.Poke(Front)
	}
}

func (w *Worker) wild() {
	switch kind := w.Rand.IntN(kinds); kind {
	case Valid:
		w.Send(Valid, w.message(), w.Rand.IntN(2) == 0) // a piece, perhaps
	case Head:
		message := w.message()
		message[w.Rand.IntN(min(wire.HeadSize, len(message)))] = byte(w.Number())
		w.Send(Head, message, w.Rand.IntN(8) == 0)
	case Body:
		w.Send(Body, w.Mangle(w.message()), w.Rand.IntN(8) == 0)
	case Length, Flags:
		w.Send(kind, w.message(), w.Rand.IntN(8) == 0)
	default:
		w.Poke(kind)
	}
}

// message gives a message that a worker could send now.
func (w *Worker) message() []byte {
	w.listen()
	i := uint16(w.Rand.IntN(workerSlots))
	s := &w.slots[i]
	switch n := w.Rand.IntN(16); {
	case s.calls:
		s.calls = false
		return msgp.AppendString(wire.AppendHead(nil, wire.Head{
			Type: wire.TypeReturn, Slot: i, Generation: s.head.Generation,
		}), "value")
	case w.started == 0 || n == 0 && w.started < 64:
		s.head = w.head(wire.TypeStart, i)
		request := wire.StartInstance{Plugin: w.plugin, Key: "k", Config: []byte(w.configs[w.Rand.IntN(len(w.configs))])}
		body, _ := request.MarshalMsg(wire.AppendHead(nil, s.head))
		return body
	case n == 1 && s.head.Type == wire.TypeEvent:
		generation := s.head.Generation
		s.head = wire.Head{} // a call that comes now is not to be answered
		return msgp.AppendString(wire.AppendHead(nil, wire.Head{
			Type: wire.TypeCancel, Code: wire.StatusDeadline, Slot: i, Generation: generation,
		}), "late")
	}
	s.head = w.head(wire.TypeEvent, i)
	s.head.Code, s.head.Arg = wire.PhaseAccess, 1+uint32(w.Rand.IntN(int(max(w.started, 1))))
	return wire.AppendHead(nil, s.head)
}

// harmless gives a message with a lie in its head that costs an error at most.
func (w *Worker) harmless() []byte {
	i := uint16(w.Rand.IntN(workerSlots))
	switch w.Rand.IntN(3) {
	case 0: // of no instance, or no phase
		head := w.head(wire.TypeEvent, i)
		head.Code, head.Arg = uint8(w.Number()), w.Number()
		w.slots[i] = slot{head: head}
		return wire.AppendHead(nil, head)
	case 1: // too late
		return msgp.AppendString(wire.AppendHead(nil, wire.Head{
			Type: wire.TypeCancel, Code: uint8(w.Number()), Slot: uint16(w.Rand.IntN(wire.MaxSlots)), Generation: w.Number(), Arg: w.Number(),
		}), "late")
	}
	message := w.message() // fields that nobody reads
	if head, _, _ := wire.ReadHead(message); head.Type == wire.TypeReturn || head.Type == wire.TypeStart {
		message[1] = byte(w.Number())
	}
	return message
}

// body gives a message with a lie in its body that costs an error at most.
func (w *Worker) body() []byte {
	message := w.message()
	switch message[0] {
	case wire.TypeReturn:
		return append(message[:wire.HeadSize:wire.HeadSize], w.Mangle(message[wire.HeadSize:])...)
	case wire.TypeStart:
		head, _, _ := wire.ReadHead(message)
		request := wire.StartInstance{Plugin: w.plugin, Key: "k", Seq: int64(w.Rand.Uint64()), Config: w.Mangle([]byte(w.configs[0]))}
		body, _ := request.MarshalMsg(wire.AppendHead(nil, head))
		return body
	}
	return message
}

func (w *Worker) head(kind uint8, i uint16) wire.Head {
	w.next++
	w.slots[i].calls = false
	return wire.Head{Type: kind, Slot: i, Generation: w.next}
}

// listen takes in what the server sent.
func (w *Worker) listen() {
	for {
		head, _, ok := w.Receive()
		if !ok {
			break
		}
		if head.Slot >= workerSlots {
			continue
		}
		s := &w.slots[head.Slot]
		switch {
		case head.Type == wire.TypeStarted && head.Code == wire.StatusOK:
			w.started = max(w.started, head.Arg)
		case head.Type == wire.TypeCall && head.Generation == s.head.Generation:
			s.calls = true
		}
	}
	w.GiveBack()
}
