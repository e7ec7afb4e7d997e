package record

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// Gatherer makes lines of frames: it puts pieces together, and leaves out what is
// not to be shown. It is for one goroutine.
type Gatherer struct {
	whole      bool // with all values
	schemas    map[string]json.RawMessage
	profiles   map[profileKey][]Call
	starting   map[string]wire.StartInstance // by their conversation
	open       map[string]*open              // likewise: events that begun in the record
	unfinished map[piecesKey][]byte
	ignored    map[piecesKey]wire.Head // messages of which a piece may be lost

	Events int // begun so far
}

// open is an event under way.
type open struct {
	asks wire.MethodID // what the call under way asks for
}

type profileKey struct {
	instance uint32
	phase    uint8
	version  uint32
}

type piecesKey struct {
	fromWorker bool
	slot       uint16
}

// NewGatherer makes a Gatherer, and gives the first lines of the record of a
// trace that begins. whole keeps all values.
func NewGatherer(start server.TraceStart, whole bool) (*Gatherer, Header, []Line) {
	g := &Gatherer{
		whole: whole, schemas: start.Schemas, profiles: map[profileKey][]Call{}, starting: map[string]wire.StartInstance{},
		open: map[string]*open{}, unfinished: map[piecesKey][]byte{},
		ignored: map[piecesKey]wire.Head{},
	}
	header := Header{
		Version: Version, Protocol: fmt.Sprintf("%d.%d", shm.Version, wire.Version), Started: start.Started.Round(0),
		Session: start.Session, Worker: start.Worker, Carrier: start.Carrier, LogLevel: start.LogLevel, Redacted: !whole,
	}
	var lines []Line
	for _, in := range start.Instances {
		lines = append(lines, g.instance(in.Number, in.Plugin, in.Entity, in.Config))
	}
	for _, p := range start.Profiles {
		_ = g.profile(p.Instance, p.Phase, p.Body) // whose values are of one that makes no sense is lost
	}
	for _, c := range start.Constants {
		if value, _, err := take(c.Value, 0); err == nil && int(c.Method) < len(wire.Methods) {
			lines = append(lines, Line{Type: TypeConstant, Method: c.Method.String(), Args: []any{}, Value: g.result(c.Method, value)})
		}
	}
	return g, header, lines
}

// Add gives the lines of a frame, none where it is a piece, of no event in the
// record, or of none at all.
func (g *Gatherer) Add(f server.TraceFrame) (lines []Line) {
	if f.Lost > 0 {
		for key, before := range g.unfinished { // what follows of them is no message
			g.ignored[key], _, _ = wire.ReadHead(before)
		}
		clear(g.unfinished)
		lines = append(lines, Line{At: f.At, Type: TypeLost, Frames: f.Lost})
	}
	head, body, err := wire.ReadHead(f.Frame)
	if err != nil {
		return append(lines, Line{At: f.At, Type: TypeLost, Frames: 1, Text: err.Error()})
	}
	key := piecesKey{f.FromWorker, head.Slot}
	if ignored, is := g.ignored[key]; is {
		if !f.More || ignored != head {
			delete(g.ignored, key)
		}
		if ignored == head {
			return lines
		}
	}
	if before := g.unfinished[key]; f.More || before != nil {
		if first, _, _ := wire.ReadHead(before); first != head { // the first, or what was given up half way
			before = wire.AppendHead(nil, head)
		}
		whole := append(before, body...)
		g.unfinished[key] = whole
		if f.More {
			return lines
		}
		delete(g.unfinished, key)
		body = whole[wire.HeadSize:]
	}
	line, err := g.message(head, body)
	if err != nil {
		line = Line{Type: TypeLost, Frames: 1, Text: err.Error()}
	}
	if line.Type == "" {
		return lines
	}
	line.At = f.At
	return append(lines, line)
}

// message gives the line of a message, one without a type where it has none.
func (g *Gatherer) message(head wire.Head, body []byte) (line Line, err error) {
	id := fmt.Sprintf("%d.%d", head.Slot, head.Generation)
	switch head.Type {
	case wire.TypeStart:
		var request wire.StartInstance
		_, err := request.UnmarshalMsg(body)
		g.starting[id] = request
		return line, err
	case wire.TypeStarted:
		return g.started(id, head, body)
	case wire.TypeProfile:
		return line, g.profile(head.Arg, head.Code, body)
	case wire.TypeEvent:
		return g.event(id, head, body)
	}
	ev := g.open[id]
	if ev == nil {
		return line, nil // it began before the record
	}
	line = Line{Event: id}
	switch head.Type {
	case wire.TypeCall, wire.TypeExit:
		line.Type = TypeCall
		if head.Type == wire.TypeExit {
			line.Type = TypeExit
			delete(g.open, id)
		}
		if line.Writes, body, err = g.writes(head, body); err != nil {
			return line, err
		}
		ev.asks = wire.MethodID(head.Arg & wire.ArgMethod)
		if ev.asks != 0 {
			var call Call
			call, _, err = g.call(ev.asks, body)
			line.Method, line.Args = call.Method, call.Args
		}
		return line, err
	case wire.TypeReturn:
		line.Type, line.Status = TypeReturn, StatusName(head.Code)
		if head.Code != wire.StatusOK {
			line.Text, _, err = msgp.ReadStringBytes(body)
			return line, err
		}
		value, _, err := take(body, 0)
		line.Value = g.result(ev.asks, value)
		return line, err
	case wire.TypeDone:
		delete(g.open, id)
		line.Type, line.Status = TypeDone, StatusName(head.Code)
		if line.Writes, body, err = g.writes(head, body); err == nil && head.Code != wire.StatusOK {
			line.Text, _, err = msgp.ReadStringBytes(body)
		}
		return line, err
	case wire.TypeCancel:
		delete(g.open, id)
		line.Type, line.Status = TypeCancel, StatusName(head.Code)
		line.Text, _, err = msgp.ReadStringBytes(body)
		return line, err
	}
	return Line{}, nil
}

// started gives the line of an instance that started, or did not.
func (g *Gatherer) started(id string, head wire.Head, body []byte) (Line, error) {
	request, found := g.starting[id]
	delete(g.starting, id)
	if !found {
		return Line{}, nil
	}
	line := g.instance(head.Arg, request.Plugin, request.Key, request.Config)
	if head.Code != wire.StatusOK {
		text, _, err := msgp.ReadStringBytes(body)
		line.Instance, line.Status, line.Text = 0, StatusName(head.Code), text
		return line, err
	}
	return line, nil
}

func (g *Gatherer) instance(number uint32, plugin, entity string, config json.RawMessage) Line {
	if !g.whole {
		config = redactConfig(config, g.schemas[plugin])
	}
	return Line{Type: TypeInstance, Instance: number, Plugin: plugin, Entity: entity, Config: config}
}

// event gives the line of an event, with the values that came along.
func (g *Gatherer) event(id string, head wire.Head, body []byte) (Line, error) {
	line := Line{Type: TypeEvent, Event: id, Instance: head.Arg}
	if head.Code == 0 || int(head.Code) >= len(wire.PhaseNames) {
		return line, fmt.Errorf("an event in phase %d", head.Code)
	}
	line.Phase = wire.PhaseNames[head.Code]
	if len(body) > 0 {
		if len(body) < 6 {
			return line, fmt.Errorf("an event with %d bytes of values", len(body))
		}
		version, count := binary.LittleEndian.Uint32(body), binary.LittleEndian.Uint16(body[4:])
		getters := g.profiles[profileKey{head.Arg, head.Code, version}]
		var err error
		if line.Values, err = g.values(getters, int(count), body[6:]); err != nil {
			return line, err
		}
	}
	g.open[id] = new(open)
	g.Events++
	return line, nil
}

func (g *Gatherer) values(getters []Call, count int, body []byte) (values []Value, err error) {
	for i := range count {
		if len(body) < 4 || i >= len(getters) {
			return nil, errors.New("an event with values of a profile that is not in the record")
		}
		n := binary.LittleEndian.Uint32(body)
		body = body[4:]
		v := Value{Call: getters[i]}
		if n == wire.NoValue {
			v.Missing = true
		} else if uint64(n) > uint64(len(body)) {
			return nil, fmt.Errorf("a value of %d bytes in %d", n, len(body))
		} else {
			value, _, err := take(body[:n], 0)
			if err != nil {
				return nil, err
			}
			v.Value = g.result(MethodOf(v.Method), value)
			body = body[n:]
		}
		values = append(values, v)
	}
	return values, nil
}

// profile remembers what the values of events are of.
func (g *Gatherer) profile(instance uint32, phase uint8, body []byte) error {
	if len(body) < 10 {
		return fmt.Errorf("a profile of %d bytes", len(body))
	}
	key := profileKey{instance, phase, binary.LittleEndian.Uint32(body)}
	count := binary.LittleEndian.Uint16(body[8:])
	body = body[10:]
	var getters []Call
	for range count {
		call, rest, err := g.write(body)
		if err != nil {
			return err
		}
		getters = append(getters, call)
		body = rest
	}
	g.profiles[key] = getters
	return nil
}

// writes takes the writes of a message off its body.
func (g *Gatherer) writes(head wire.Head, body []byte) (writes []Call, rest []byte, err error) {
	for range head.Arg >> wire.ArgWrites {
		var call Call
		if call, body, err = g.write(body); err != nil {
			return nil, body, err
		}
		writes = append(writes, call)
	}
	return writes, body, nil
}

// write takes a method with its arguments off a body.
func (g *Gatherer) write(body []byte) (Call, []byte, error) {
	if len(body) < 2 {
		return Call{}, body, errors.New("a method that ends at once")
	}
	return g.call(wire.MethodID(binary.LittleEndian.Uint16(body)), body[2:])
}

// call takes the arguments of a method off a body.
func (g *Gatherer) call(id wire.MethodID, body []byte) (Call, []byte, error) {
	if id == 0 || int(id) >= len(wire.Methods) {
		return Call{}, body, fmt.Errorf("method %d, which there is not", id)
	}
	value, rest, err := take(body, 0)
	args, is := value.([]any)
	if err == nil && !is {
		err = errors.New("arguments that are no list")
	}
	if !g.whole {
		args = redactArgs(id, args)
	}
	return Call{id.String(), args}, rest, err
}

func (g *Gatherer) result(id wire.MethodID, value any) any {
	if g.whole {
		return value
	}
	return redactResult(id, value)
}
