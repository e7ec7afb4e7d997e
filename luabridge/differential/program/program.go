// Package program makes up handlers: random sequences of PDK calls, each fixed
// by a name, so that a plugin server and a test that know the name mean the
// same calls.
package program

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/pdk/bridge"
)

// Phase is a phase of a request, as a bit of a set.
type Phase uint8

// The phases that have handlers.
const (
	Rewrite Phase = 1 << iota
	Access
	Response
	Log
)

// Phases are the phases in the order in which a request meets them.
var Phases = []Phase{Rewrite, Access, Response, Log}

// String gives Kong's name of the phase.
func (p Phase) String() string {
	return map[Phase]string{Rewrite: "rewrite", Access: "access", Response: "response", Log: "log"}[p]
}

// PerShape is how many programs in a row are of one shape: they run on one
// instance of the plugin and like to ask for the same things.
const PerShape = 50

// Program is what the handlers of one request do, and the request.
type Program struct {
	Name  string
	Shape int
	Steps []Step // in the order of Phases

	Method, Query, Body string
	Header              http.Header // with names as they are to be sent
}

// Step is one PDK call.
type Step struct {
	Phase Phase
	Call  string // as in Go source
	Write bool   // gives nothing: may be refused later
	run   call
}

// call makes a PDK call, for the program with a name, and gives what came back.
type call func(kong *pdk.PDK, program string) (interface{}, error)

// Seen is what a plugin saw of one step.
type Seen struct {
	Call  string
	Value string `json:",omitempty"` // in Go's syntax
	Err   string `json:",omitempty"`
	Over  bool   `json:",omitempty"` // the error is that the event is over
}

// Record is what a handler saw.
type Record struct {
	Name  string
	Phase Phase
	Seen  []Seen
}

// Name gives the name of the program with a number.
func Name(seed uint64, index int) string { return fmt.Sprintf("%d.%d", seed, index) }

// New makes the program with a name: SEED.INDEX, or SEED.INDEX.KEPT with the
// numbers of the steps that are left, joined by "-".
func New(name string) (*Program, error) {
	parts := strings.Split(name, ".")
	if len(parts) < 2 || len(parts) > 3 {
		return nil, fmt.Errorf("program %q: want SEED.INDEX or SEED.INDEX.KEPT", name)
	}
	seed, err := strconv.ParseUint(parts[0], 10, 64)
	index, err2 := strconv.Atoi(parts[1])
	if err := errors.Join(err, err2); err != nil {
		return nil, fmt.Errorf("program %q: %w", name, err)
	}
	p := generate(seed, index)
	p.Name = name
	if len(parts) == 3 {
		var kept []Step
		for _, text := range strings.FieldsFunc(parts[2], func(r rune) bool { return r == '-' }) {
			i, err := strconv.Atoi(text)
			if err != nil || i < 0 || i >= len(p.Steps) {
				return nil, fmt.Errorf("program %q: it has no step %q", name, text)
			}
			kept = append(kept, p.Steps[i])
		}
		p.Steps = kept
	}
	return p, nil
}

// Run makes the calls of a phase and gives what came of them.
func (p *Program) Run(phase Phase, kong *pdk.PDK) []Seen {
	seen := []Seen{}
	for _, s := range p.Steps {
		if s.Phase != phase {
			continue
		}
		value, err := s.run(kong, p.Name)
		one := Seen{Call: s.Call}
		if err != nil {
			one.Err, one.Over = err.Error(), errors.Is(err, bridge.ErrOver)
		} else {
			one.Value = short(fmt.Sprintf("%#v", value))
		}
		seen = append(seen, one)
	}
	return seen
}

// short gives a long text as its beginning and its hash.
func short(text string) string {
	const most = 4 << 10 // what kong.log.serialize gives is shorter
	if len(text) <= most {
		return text
	}
	return fmt.Sprintf("%s... %d bytes, SHA-256 %x", text[:100], len(text), sha256.Sum256([]byte(text)))
}

// Writes tells of each step of a phase whether it is a write.
func (p *Program) Writes(phase Phase) (writes []bool) {
	for _, s := range p.Steps {
		if s.Phase == phase {
			writes = append(writes, s.Write)
		}
	}
	return writes
}

// Path is the path of the request, which says what runs.
func (p *Program) Path() string { return fmt.Sprintf("/s%d/%s", p.Shape, p.Name) }

// generate makes a whole program.
func generate(seed uint64, index int) *Program {
	shape := index / PerShape
	p := &Program{Shape: shape}
	d := newDice(seed, uint64(index), shape)
	p.ask(d)
	for _, phase := range Phases {
		// Rewrite runs before there is a route, on one instance for all.
		of := shape
		if phase == Rewrite {
			of = -1
		}
		liked := habitsOf(seed, of, phase)
		for range 2 + d.IntN(9) {
			p.Steps = append(p.Steps, d.step(phase, liked))
		}
	}
	return p
}

// habits are the getters that programs of a shape like to call, by what they are
// made from: to make them takes longer than the rest of a program.
var habits sync.Map

// habitsOf gives the habits of a shape in a phase.
func habitsOf(seed uint64, shape int, phase Phase) []Step {
	key := [2]uint64{seed, uint64(shape+2)<<32 | uint64(phase)}
	if liked, ok := habits.Load(key); ok {
		return liked.([]Step)
	}
	d := newDice(key[0], key[1], shape)
	var liked []Step
	for range 5 {
		liked = append(liked, d.getter(phase))
	}
	habits.Store(key, liked)
	return liked
}

// step makes one step: mostly what is usual and allowed.
func (d *dice) step(phase Phase, liked []Step) Step {
	switch n := d.IntN(100); {
	case n < 50:
		return liked[d.IntN(len(liked))]
	case n < 62:
		return d.getter(phase)
	case n < 97:
		return d.pick(setters, phase)
	case n < 98:
		return d.pick(refused, phase)
	case n < 99:
		return d.pick(exits, phase)
	default: // in a phase that may forbid it
		kinds := [][]kind{changing, fixed, setters, exits}[d.IntN(4)]
		return kinds[d.IntN(len(kinds))].step(d, phase)
	}
}

// getter makes a call that reads, mostly what the program writes.
func (d *dice) getter(phase Phase) Step {
	if strings.HasPrefix(d.request[0], "x-forwarded") && d.IntN(2) == 0 {
		return d.pick(forwarded, phase)
	}
	if d.IntN(3) > 0 {
		return d.pick(changing, phase)
	}
	return d.pick(fixed, phase)
}

// pick takes one of the kinds that a phase allows, or any if it allows none.
func (d *dice) pick(kinds []kind, phase Phase) Step {
	allowed := slices.DeleteFunc(slices.Clone(kinds), func(k kind) bool { return k.phases&phase == 0 })
	if len(allowed) == 0 {
		allowed = kinds
	}
	return allowed[d.IntN(len(allowed))].step(d, phase)
}
