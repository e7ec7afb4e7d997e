package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
)

// Record is what a file has.
type Record struct {
	Header
	Instances []*Instance
	Constants []Value
	Events    []*Event // in the order of their beginning
	Lost      uint64   // frames that are missing
	End       string   // why there are no more
}

// Instance is a plugin with a config.
type Instance struct {
	Number uint32 // 0 if it did not start
	Plugin string
	Entity string
	Config json.RawMessage
	Status string // why it did not start; "" if it did
	Text   string
}

// Event is one phase of one request on one instance.
type Event struct {
	ID       string
	At       int64 // microseconds since the start of the record
	Instance *Instance
	Phase    string
	Values   []Value // that came along
	Steps    []Step
	End      Line // of type TypeDone, TypeExit or TypeCancel; of none where the record ends before it
	Holes    bool // frames are missing that may be of it
}

// Step is a PDK call that an event made.
type Step struct {
	Call
	At     int64
	Posted bool // it waited for the message, and has no answer

	Answered bool
	After    int64 // microseconds until the answer
	Status   string
	Value    any
	Text     string
}

// ErrForeign is wrapped by [Read] where the file is none of these.
var ErrForeign = errors.New("not the record of a trace")

// maxLine bounds a line, in bytes.
const maxLine = 256 << 20

// Read reads a file, to its last line. The error says which line makes no sense.
func Read(from io.Reader) (*Record, error) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxLine)
	r := &reader{instances: map[uint32]*Instance{}, open: map[string]*Event{}}
	number := 0
	for lines.Scan() {
		number++
		if err := r.line(number, lines.Bytes()); err != nil {
			return nil, err
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", number+1, err)
	}
	switch {
	case number == 0:
		return nil, fmt.Errorf("%w: it is empty", ErrForeign)
	case r.record.End == "":
		return nil, fmt.Errorf("it was cut off behind line %d: its last line is missing", number)
	}
	return &r.record, nil
}

// reader takes lines in.
type reader struct {
	record    Record
	instances map[uint32]*Instance
	open      map[string]*Event
}

func (r *reader) line(number int, text []byte) error {
	if number == 1 {
		return r.header(text)
	}
	if r.record.End != "" {
		return fmt.Errorf("line %d: the one before it was the last", number)
	}
	var line Line
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	d.DisallowUnknownFields()
	err := d.Decode(&line)
	if err == nil && d.More() {
		err = errors.New("something behind its end")
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("it was cut off within line %d", number)
	}
	if err == nil {
		err = r.take(line)
	}
	if err != nil {
		return fmt.Errorf("line %d: %w", number, err)
	}
	return nil
}

func (r *reader) header(text []byte) error {
	h := &r.record.Header
	if err := json.Unmarshal(text, h); err != nil || h.Version == 0 {
		return fmt.Errorf("%w: its first line does not say so", ErrForeign)
	}
	if h.Version != Version {
		return fmt.Errorf("a record of version %d, this command reads version %d: take the kongring command that made it", h.Version, Version)
	}
	return nil
}

// take takes in a line behind the first.
func (r *reader) take(line Line) error {
	if err := line.check(); err != nil {
		return err
	}
	switch line.Type {
	case TypeInstance:
		in := &Instance{line.Instance, line.Plugin, line.Entity, line.Config, line.Status, line.Text}
		r.record.Instances = append(r.record.Instances, in)
		if in.Number != 0 {
			r.instances[in.Number] = in
		}
		return nil
	case TypeConstant:
		r.record.Constants = append(r.record.Constants, Value{Call: Call{line.Method, line.Args}, Value: line.Value})
		return nil
	case TypeEvent:
		in := r.instances[line.Instance]
		if in == nil {
			return fmt.Errorf("an event of instance %d, which was not named", line.Instance)
		}
		ev := &Event{ID: line.Event, At: line.At, Instance: in, Phase: line.Phase, Values: line.Values}
		r.open[line.Event] = ev
		r.record.Events = append(r.record.Events, ev)
		return nil
	case TypeLost:
		r.record.Lost = addUp(r.record.Lost, line.Frames)
		for _, ev := range r.open {
			ev.Holes = true
		}
		return nil
	case TypeEnd:
		r.record.End = line.Text
		return nil
	}
	ev := r.open[line.Event]
	if ev == nil {
		return fmt.Errorf("a %s of event %q, which is not under way", line.Type, line.Event)
	}
	return r.step(ev, line)
}

func addUp(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

// step takes in a line of an event under way.
func (r *reader) step(ev *Event, line Line) error {
	for _, w := range line.Writes {
		ev.Steps = append(ev.Steps, Step{Call: w, At: line.At, Posted: true})
	}
	switch line.Type {
	case TypeCall:
		if line.Method != "" {
			ev.Steps = append(ev.Steps, Step{Call: Call{line.Method, line.Args}, At: line.At})
		}
	case TypeReturn:
		if n := len(ev.Steps); n > 0 && !ev.Steps[n-1].Posted { // else of a call that only sent writes
			s := &ev.Steps[n-1]
			if s.Answered {
				return fmt.Errorf("a second answer of event %q", line.Event)
			}
			s.Answered, s.After, s.Status, s.Value, s.Text = true, line.At-s.At, line.Status, line.Value, line.Text
		}
	default:
		line.Writes = nil
		ev.End = line
		delete(r.open, line.Event)
	}
	return nil
}

// needs say what a line of a type has to have.
var needs = map[string]struct{ event, method, status bool }{
	TypeInstance: {}, TypeConstant: {method: true}, TypeEvent: {event: true},
	TypeCall: {event: true}, TypeReturn: {event: true, status: true}, TypeDone: {event: true, status: true},
	TypeExit: {event: true, method: true}, TypeCancel: {event: true, status: true}, TypeLost: {}, TypeEnd: {},
}

// check looks at a line by itself.
func (line Line) check() error {
	need, known := needs[line.Type]
	_, phase := PhaseOf(line.Phase)
	_, status := StatusOf(line.Status)
	switch {
	case !known:
		return fmt.Errorf("a line of type %q", line.Type)
	case line.At < 0 || line.At > math.MaxInt64/2:
		return fmt.Errorf("%d microseconds after the start", line.At)
	case need.event && line.Event == "", need.method && line.Method == "", line.Type == TypeInstance && line.Plugin == "",
		line.Type == TypeEnd && line.Text == "":
		return fmt.Errorf("a line of type %q that does not say of what", line.Type)
	case line.Type == TypeEvent && !phase:
		return fmt.Errorf("an event in phase %q", line.Phase)
	case need.status && !status, line.Status != "" && !status:
		return fmt.Errorf("the status %q", line.Status)
	}
	calls := append([]Call{{line.Method, line.Args}}, line.Writes...)
	values := []any{line.Value}
	for _, v := range line.Values {
		calls = append(calls, v.Call)
		values = append(values, v.Value)
	}
	for _, c := range calls {
		if c.Method != "" && MethodOf(c.Method) == 0 {
			return fmt.Errorf("the method %q, which this version does not know", c.Method)
		}
		values = append(values, c.Args)
	}
	for _, v := range values {
		if list, is := v.([]any); is && list == nil {
			continue // no arguments
		}
		if err := valid(v, 0); err != nil {
			return err
		}
	}
	return nil
}
