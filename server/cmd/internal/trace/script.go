package trace

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kongring/kongring/server/cmd/internal/record"
	"github.com/kongring/kongring/server/wire"
)

// script is what the record says of an event, to play the worker by: each step is
// taken once.
type script struct {
	event     *record.Event
	constants []record.Value // of the session
	taken     []bool         // of event.Steps
	forgotten []bool         // of event.Values: an own write may have changed it

	differences []string
}

func newScript(ev *record.Event, constants []record.Value) *script {
	return &script{event: ev, constants: constants, taken: make([]bool, len(ev.Steps)), forgotten: make([]bool, len(ev.Values))}
}

// next gives the first step that was not taken, -1 when all were.
func (s *script) next() int { return slices.Index(s.taken, false) }

// find gives the first step of the same method and arguments that was not taken,
// and -1 if there is none.
func (s *script) find(c record.Call) int {
	for i, step := range s.event.Steps {
		if !s.taken[i] && sameCall(step.Call, c) {
			return i
		}
	}
	return -1
}

// takeStep takes a step, if the record has it. One that has its turn later is a
// difference.
func (s *script) takeStep(c record.Call, verb string) *record.Step {
	i := s.find(c)
	if i < 0 {
		return nil
	}
	if i != s.next() {
		s.differ("the plugin %s %s before %s", verb, short(c), s.expected())
	}
	s.taken[i] = true
	return &s.event.Steps[i]
}

// write takes in a write of the plugin.
func (s *script) write(c record.Call) {
	if s.takeStep(c, "wrote") == nil {
		s.differ("the plugin wrote %s, the record has %s", short(c), s.expected())
	}
	changed := wire.Methods[record.MethodOf(c.Method)].Changes
	for i, v := range s.event.Values {
		if wire.Methods[record.MethodOf(v.Method)].Reads&changed != 0 {
			s.forgotten[i] = true
		}
	}
}

// answer gives what a call is answered with, nil when the record does not know.
// The values that came along with the event answer too: the server that recorded
// had learned to have them sent, and this one has not.
func (s *script) answer(c record.Call) *record.Step {
	if i := s.next(); i < 0 || !sameCall(s.event.Steps[i].Call, c) {
		for i, v := range s.event.Values {
			if !v.Missing && !s.forgotten[i] && sameCall(v.Call, c) {
				return &record.Step{Call: c, Answered: true, Status: "ok", Value: v.Value}
			}
		}
		for _, v := range s.constants {
			if sameCall(v.Call, c) && s.find(c) < 0 {
				return &record.Step{Call: c, Answered: true, Status: "ok", Value: v.Value}
			}
		}
	}
	step := s.takeStep(c, "asked")
	if step == nil {
		s.differ("the plugin asked %s, the record has %s", short(c), s.expected())
	}
	return step
}

// end takes in the end of the event.
func (s *script) end(end record.Line) {
	for i, step := range s.event.Steps {
		if !s.taken[i] {
			s.differ("the record has %s, which the plugin did not call", short(step.Call))
		}
	}
	want := s.event.End
	same := want.Type == end.Type && want.Status == end.Status && cause(want) == cause(end)
	if end.Type == record.TypeExit {
		same = same && sameCall(record.Call{Method: want.Method, Args: want.Args}, record.Call{Method: end.Method, Args: end.Args})
	}
	if !same {
		s.differ("it ended with %s, the record has %s", outcome(end), outcome(want))
	}
}

func (s *script) differ(format string, args ...any) {
	s.differences = append(s.differences, fmt.Sprintf(format, args...))
}

// expected says what the record has next.
func (s *script) expected() string {
	if i := s.next(); i >= 0 {
		return short(s.event.Steps[i].Call)
	}
	return "its end: " + outcome(s.event.End)
}

// exhausted tells whether the record has nothing more of the plugin's.
func (s *script) exhausted() bool { return s.next() < 0 }

func sameCall(a, b record.Call) bool {
	if a.Method != b.Method {
		return false
	}
	return record.SameList(fold(a), fold(b))
}

// fold gives the arguments with the name of a header as it is compared.
func fold(c record.Call) []any {
	if !wire.Methods[record.MethodOf(c.Method)].Fold || len(c.Args) == 0 {
		return c.Args
	}
	name, is := c.Args[0].(string)
	if !is {
		return c.Args
	}
	args := slices.Clone(c.Args)
	args[0] = strings.ToLower(name)
	return args
}

// shortWidth is how much of an argument a difference shows.
const shortWidth = 40

func short(c record.Call) string { return callText(c, shortWidth) }

// cause gives of a failure's text what is the same each time: a panic's value,
// and neither the event's number nor the stack.
func cause(end record.Line) string {
	text := end.Text
	if end.Status == record.StatusName(wire.StatusPanic) {
		text, _, _ = strings.Cut(text, " [event ")
	}
	return text
}

// outcome says how an event ended, in one line.
func outcome(end record.Line) string {
	switch {
	case end.Type == "":
		return "none"
	case end.Type == record.TypeDone && end.Status != "ok":
		return end.Status + ": " + printable(cause(end))
	}
	return ending(end, shortWidth)
}
