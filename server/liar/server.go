package liar

import (
	"encoding/binary"

	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// Server lies to a worker.
type Server struct {
	*Peer
	// Wild is how many of a thousand lies break a rule for which a session is
	// closed, or may.
	Wild int

	talks []wire.Head // conversations that wait for this side
	known []wire.Head // the last ones, which are over or not
}

// NewServer makes the server's side of a session.
func NewServer(seed uint64, s *shm.Segment, tally *Tally) *Server {
	return &Server{Peer: New(seed, s, wire.RegionToWorker, wire.RegionToServer, tally)}
}

// Lie does one thing that a server would not, or would.
func (s *Server) Lie() {
	s.listen()
	if s.Rand.IntN(1000) < s.Wild || s.Lost && s.Rand.IntN(20) == 0 {
		s.wild()
		return
	}
	n := s.Rand.IntN(100)
	switch {
	case n < 50 && len(s.talks) > 0:
		s.Send(Valid, s.message(), false)
	case n < 70 && len(s.talks) > 0:
		s.Send(Body, s.body(), false)
	case n < 85 && len(s.known) > 0: // too late
		head := s.known[s.Rand.IntN(len(s.known))]
		head.Type, head.Code = uint8(1+s.Rand.IntN(9)), uint8(s.Number())
		head.Generation += 1 + uint32(s.Rand.IntN(1<<20))
		head.Arg = s.Number()
		s.Send(Head, s.Mangle(wire.AppendHead(nil, head))[:wire.HeadSize:wire.HeadSize], false)
	case n < 90:
		s.Drowse()
	case n < 98:
		s.Poke(Figures)
	default:
		s.Poke(Front)
	}
}

func (s *Server) wild() {
	switch kind := s.Rand.IntN(kinds); kind {
	case Valid:
		s.Send(Valid, s.message(), s.Rand.IntN(2) == 0)
	case Head:
		message := s.message()
		message[s.Rand.IntN(wire.HeadSize)] = byte(s.Number())
		s.Send(Head, message, s.Rand.IntN(8) == 0)
	case Body:
		s.Send(Body, s.Mangle(s.message()), s.Rand.IntN(8) == 0)
	case Length, Flags:
		s.Send(kind, s.message(), s.Rand.IntN(8) == 0)
	default:
		s.Poke(kind)
	}
}

// message gives a message that a server could send now; without a conversation
// that waits for one, a profile.
func (s *Server) message() []byte {
	if len(s.talks) == 0 {
		return s.profile()
	}
	last := len(s.talks) - 1
	i := s.Rand.IntN(last + 1)
	head := s.talks[i]
	s.talks[i] = s.talks[last]
	s.talks = s.talks[:last]
	if head.Type == wire.TypeStart {
		head.Type, head.Code, head.Arg = wire.TypeStarted, wire.StatusOK, 1
		return wire.AppendHead(nil, head)
	}
	head.Code, head.Arg = wire.StatusOK, 0
	switch n := s.Rand.IntN(10); {
	case n < 5:
		head.Type, head.Arg = wire.TypeCall, uint32(s.method())
		return s.arguments(wire.AppendHead(nil, head))
	case n < 6: // with a write
		head.Type, head.Arg = wire.TypeCall, uint32(s.method())|1<<wire.ArgWrites
		out := binary.LittleEndian.AppendUint16(wire.AppendHead(nil, head), s.method())
		return s.arguments(s.arguments(out))
	case n < 7:
		head.Type, head.Code = wire.TypeDone, wire.StatusPanic
		return msgp.AppendString(wire.AppendHead(nil, head), "boom")
	}
	head.Type = wire.TypeDone
	return wire.AppendHead(nil, head)
}

// method is a number of a method, or near one.
func (s *Server) method() uint16 { return uint16(s.Rand.IntN(len(wire.Methods) + 4)) }

// arguments puts some arguments behind a message.
func (s *Server) arguments(b []byte) []byte {
	n := s.Rand.IntN(3)
	b = msgp.AppendArrayHeader(b, uint32(n))
	for range n {
		switch s.Rand.IntN(5) {
		case 0:
			b = msgp.AppendString(b, "x-name")
		case 1:
			b = msgp.AppendInt64(b, int64(s.Number()))
		case 2:
			b = msgp.AppendNil(b)
		case 3:
			b = msgp.AppendBool(b, true)
		case 4:
			b = msgp.AppendMapStrStr(b, map[string]string{"a": "b"})
		}
	}
	return b
}

func (s *Server) profile() []byte {
	n := s.Rand.IntN(wire.MaxPrefetch + 1)
	b := wire.AppendHead(nil, wire.Head{Type: wire.TypeProfile, Code: wire.PhaseAccess, Arg: 1})
	b = binary.LittleEndian.AppendUint32(b, s.Number())
	b = binary.LittleEndian.AppendUint32(b, uint32(s.Rand.IntN(wire.MaxPrefetchBytes)))
	b = binary.LittleEndian.AppendUint16(b, uint16(n))
	for range n {
		b = s.arguments(binary.LittleEndian.AppendUint16(b, s.method()))
	}
	return b
}

// body gives a message with a lie in its body that costs an error at most.
func (s *Server) body() []byte {
	message := s.message()
	if message[0] == wire.TypeProfile || message[0] == wire.TypeStarted {
		return message
	}
	return append(message[:wire.HeadSize:wire.HeadSize], s.Mangle(message[wire.HeadSize:])...)
}

// listen takes in what the worker sent.
func (s *Server) listen() {
	for {
		head, _, ok := s.Receive()
		if !ok {
			break
		}
		switch head.Type {
		case wire.TypeStart, wire.TypeEvent, wire.TypeReturn:
			s.talks = append(s.talks, head)
			if len(s.known) < 64 {
				s.known = append(s.known, head)
			} else {
				s.known[s.Rand.IntN(len(s.known))] = head
			}
		case wire.TypeCancel:
			for i, talk := range s.talks {
				if talk.Slot == head.Slot {
					s.talks = append(s.talks[:i], s.talks[i+1:]...)
					break
				}
			}
		}
	}
	s.GiveBack()
}
