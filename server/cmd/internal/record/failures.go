package record

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	"github.com/kongring/kongring/server/wire"
)

// Failures lets the lines of events through that failed, once they have ended:
// with a panic or another error, given up by Kong, or with an answer of 500 or
// more. Lines of no event pass at once. The zero value is ready; it is for one
// goroutine.
type Failures struct {
	Events int // that passed

	held map[string][]Line
}

// Add takes lines in and gives those that pass.
func (f *Failures) Add(lines ...Line) (pass []Line) {
	if f.held == nil {
		f.held = map[string][]Line{}
	}
	for _, line := range lines {
		switch line.Type {
		case TypeLost:
			clear(f.held) // of which of them frames are missing nobody knows
			pass = append(pass, line)
		case TypeEvent:
			f.held[line.Event] = []Line{line}
		case TypeCall, TypeReturn, TypeDone, TypeExit, TypeCancel:
			held := f.held[line.Event]
			if held == nil {
				continue
			}
			f.held[line.Event] = append(held, line)
			if line.Type == TypeCall || line.Type == TypeReturn {
				continue
			}
			if line.failed() {
				pass = append(pass, f.held[line.Event]...)
				f.Events++
			}
			delete(f.held, line.Event)
		default:
			pass = append(pass, line)
		}
	}
	return pass
}

// Rest gives the lines of the events that have not ended: where the session ended,
// one of them may have ended the plugin's process.
func (f *Failures) Rest() (pass []Line) {
	events := slices.Collect(maps.Values(f.held))
	slices.SortFunc(events, func(a, b []Line) int { return cmp.Compare(a[0].At, b[0].At) })
	f.Events += len(events)
	return slices.Concat(events...)
}

// failed tells whether the end of an event is a failure.
func (line Line) failed() bool {
	switch line.Type {
	case TypeDone:
		return line.Status != StatusName(wire.StatusOK)
	case TypeExit:
		if len(line.Args) == 0 {
			return false
		}
		number, _ := line.Args[0].(json.Number)
		status, err := number.Float64()
		return err == nil && status >= 500
	}
	return line.Type == TypeCancel
}
