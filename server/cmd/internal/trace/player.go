package trace

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/cmd/internal/record"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// player is a worker without an nginx: it attaches to a plugin server by the
// socket, and says what a record says. It is for one goroutine.
type player struct {
	attachment *shm.Attachment
	maxFrame   int
	gatherer   *record.Gatherer       // reads what either side says
	frames     chan server.TraceFrame // of the server; closed when it hung up
	stop       chan struct{}
	generation uint32
	patience   time.Duration
}

var (
	errGone = errors.New("the plugin server hung up")
	errLate = errors.New("no answer in time")
)

// attach attaches to the server at a socket, with the log level of a record.
// patience is how long it may take to answer, each time.
func attach(socket string, logLevel int, patience time.Duration) (*player, error) {
	a, err := shm.Dial(socket, shm.Hello{Kind: shm.HelloAttachSocket, App: wire.Version, CPU: shm.CPUUnknown}, patience)
	if err != nil {
		return nil, err
	}
	out, err := ring.NewProducer(a.Segment.Region(wire.RegionToServer))
	if err != nil {
		_ = a.Close()
		return nil, err
	}
	p := &player{
		attachment: a, maxFrame: out.MaxPayload(), // as in a ring
		frames: make(chan server.TraceFrame), stop: make(chan struct{}), patience: patience,
	}
	p.gatherer, _, _ = record.NewGatherer(server.TraceStart{}, true)
	go p.read()
	counters := wire.WorkerCounters{LogLevel: float64(logLevel)}
	var body []byte
	for _, word := range counters.Words() {
		body = binary.LittleEndian.AppendUint64(body, word)
	}
	if err := p.send(wire.Head{Type: wire.TypeCounters}, body); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// close hangs up, and waits until nothing is read any more.
func (p *player) close() {
	_ = p.attachment.Close()
	close(p.stop)
	for range p.frames {
	}
}

// read reads frames until the server hangs up, or close.
func (p *player) read() {
	defer close(p.frames)
	stream := bufio.NewReader(p.attachment)
	for {
		var word [ring.WordSize]byte
		if _, err := io.ReadFull(stream, word[:]); err != nil {
			return
		}
		n := binary.LittleEndian.Uint32(word[:])
		frame := server.TraceFrame{More: n&ring.More != 0}
		if int(n&ring.LengthMask) > p.maxFrame {
			return
		}
		frame.Frame = make([]byte, n&ring.LengthMask)
		if _, err := io.ReadFull(stream, frame.Frame); err != nil {
			return
		}
		select {
		case p.frames <- frame:
		case <-p.stop:
			return
		}
	}
}

// send says a message, in as many frames as it takes.
func (p *player) send(head wire.Head, body []byte) error {
	for {
		n := min(len(body), p.maxFrame-wire.HeadSize)
		payload := append(wire.AppendHead(nil, head), body[:n]...)
		body = body[n:]
		word := uint32(len(payload))
		if len(body) > 0 {
			word |= ring.More
		}
		p.gatherer.Add(server.TraceFrame{FromWorker: true, More: len(body) > 0, Frame: payload})
		if _, err := p.attachment.Write(append(binary.LittleEndian.AppendUint32(nil, word), payload...)); err != nil {
			return errGone
		}
		if len(body) == 0 {
			return nil
		}
	}
}

// receive waits for the next thing that the server says of a conversation.
func (p *player) receive(late <-chan time.Time, fits func(record.Line) bool) (record.Line, error) {
	for {
		select {
		case frame, ok := <-p.frames:
			if !ok {
				return record.Line{}, errGone
			}
			for _, line := range p.gatherer.Add(frame) {
				if fits(line) {
					return line, nil
				}
			}
		case <-late:
			return record.Line{}, errLate
		}
	}
}

// conversation begins one. All take place in slot 0, one after the other.
func (p *player) conversation(kind uint8) wire.Head {
	p.generation++
	return wire.Head{Type: kind, Generation: p.generation}
}

// start starts an instance of a record. The line says what came of it.
func (p *player) start(in *record.Instance, seq int64) (record.Line, error) {
	request := wire.StartInstance{Plugin: in.Plugin, Key: in.Entity, Seq: seq, Config: in.Config}
	body, err := request.MarshalMsg(nil)
	if err == nil {
		err = p.send(p.conversation(wire.TypeStart), body)
	}
	if err != nil {
		return record.Line{}, err
	}
	late := time.NewTimer(p.patience)
	defer late.Stop()
	return p.receive(late.C, func(l record.Line) bool { return l.Type == record.TypeInstance })
}

// play plays an event on an instance, by its number here, against a script. It
// gives how the event ended; a line of no type where the record did not know how
// to go on.
func (p *player) play(s *script, instance uint32) (record.Line, error) {
	phase, _ := record.PhaseOf(s.event.Phase)
	head := p.conversation(wire.TypeEvent)
	head.Code, head.Arg = phase, instance
	if err := p.send(head, nil); err != nil {
		return record.Line{}, err
	}
	id := fmt.Sprintf("%d.%d", head.Slot, head.Generation)
	late := time.NewTimer(p.patience)
	defer late.Stop()
	for {
		line, err := p.receive(late.C, func(l record.Line) bool { return l.Event == id || l.Type == record.TypeLost })
		if errors.Is(err, errLate) {
			if givenUp := s.event.End; givenUp.Type == record.TypeCancel && s.exhausted() {
				return givenUp, p.cancel(head, givenUp) // as the worker did
			}
			s.differ("the plugin is silent for %v, the record has %s", p.patience, s.expected())
			return record.Line{}, p.cancel(head, record.Line{Status: record.StatusName(wire.StatusDeadline), Text: "the replay waits no longer"})
		}
		if err != nil {
			return record.Line{}, err
		}
		if line.Type == record.TypeLost {
			return record.Line{}, fmt.Errorf("the plugin server sent what makes no sense: %s", line.Text)
		}
		for _, w := range line.Writes {
			s.write(w)
		}
		if line.Type != record.TypeCall {
			line.Writes = nil
			return line, nil
		}
		over, end, err := p.answer(s, head, line)
		if over || err != nil {
			return end, err
		}
		late.Reset(p.patience)
	}
}

// answer answers a call. over says that the event ended there: as the record has
// it, or with an end of no type where the record has no answer.
func (p *player) answer(s *script, head wire.Head, line record.Line) (over bool, end record.Line, err error) {
	nothing := msgp.AppendNil(nil)
	id := record.MethodOf(line.Method)
	if id == 0 { // it wants its writes taken in, and no more
		return false, end, p.reply(head, wire.StatusOK, nothing)
	}
	call := record.Call{Method: line.Method, Args: line.Args}
	if wire.Methods[id].Class == wire.ClassPosted {
		s.write(call)
		return false, end, p.reply(head, wire.StatusOK, nothing)
	}
	step := s.answer(call)
	switch {
	case step == nil, !step.Answered && s.event.End.Type == "":
		return true, end, p.cancel(head, record.Line{Status: record.StatusName(wire.StatusFailed), Text: "the record has no answer"})
	case !step.Answered:
		return true, s.event.End, p.cancel(head, s.event.End)
	case step.Status != record.StatusName(wire.StatusOK):
		status, _ := record.StatusOf(step.Status)
		return false, end, p.reply(head, status, msgp.AppendString(nil, step.Text))
	}
	value := step.Value
	if pair, _ := value.([]any); wire.Methods[id].Result == wire.ResultBody && len(pair) == 2 && record.Same(pair[0], fileKind) {
		value = []any{errorKind, "the body was in a file, which is not in the record"}
	}
	body, err := record.Encode(value)
	if err != nil {
		return true, end, err
	}
	return false, end, p.reply(head, wire.StatusOK, body)
}

func (p *player) reply(head wire.Head, status uint8, body []byte) error {
	return p.send(wire.Head{Type: wire.TypeReturn, Code: status, Slot: head.Slot, Generation: head.Generation}, body)
}

func (p *player) cancel(head wire.Head, why record.Line) error {
	status, _ := record.StatusOf(why.Status)
	return p.send(wire.Head{Type: wire.TypeCancel, Code: status, Slot: head.Slot, Generation: head.Generation},
		msgp.AppendString(nil, why.Text))
}
