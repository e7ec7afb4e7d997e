package conform

import (
	"slices"

	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/wire"
)

// A testCase is a question: what Go does, and what Lua has to do for the same.
type testCase struct {
	name  string // the method of the PDK, as in wire.Methods
	run   func(*pdk.PDK) (interface{}, error)
	calls []luaCall // the last one gives the result

	varies bool   // from request to request: only the types of the result are compared
	pick   string // only this key of Lua's result is compared
	raises string // what Lua raises, which ends the event
}

// luaCall is one call of a method in Lua.
type luaCall struct {
	Name string        `json:"name"`
	Args []interface{} `json:"args"`
	N    int           `json:"n"`
}

func lua(name string, args ...interface{}) luaCall {
	if args == nil {
		args = []interface{}{}
	}
	return luaCall{name, args, len(args)}
}

// get is a case with a result.
func get[T any](name string, run func(*pdk.PDK) (T, error), calls ...luaCall) testCase {
	return testCase{name: name, calls: calls, run: func(kong *pdk.PDK) (interface{}, error) { return run(kong) }}
}

// set is a case without one: what it does is seen elsewhere.
func set(name string, run func(*pdk.PDK) error, calls ...luaCall) testCase {
	return testCase{name: name, calls: calls, run: func(kong *pdk.PDK) (interface{}, error) { return nil, run(kong) }}
}

func (c testCase) varying() testCase { c.varies = true; return c }

func (c testCase) picking(key string) testCase { c.pick = key; return c }

func (c testCase) raising(text string) testCase { c.raises = text; return c }

// methods are the rows of the calls.
func (c testCase) methods() []wire.Method {
	var out []wire.Method
	for _, call := range c.calls {
		i := slices.IndexFunc(wire.Methods[:], func(m wire.Method) bool { return m.Name == call.Name })
		out = append(out, wire.Methods[i])
	}
	return out
}

// in tells whether all calls are allowed in a phase.
func (c testCase) in(phase string) bool {
	number := slices.Index(wire.PhaseNames[:], phase)
	return !slices.ContainsFunc(c.methods(), func(m wire.Method) bool { return !m.Phases.Has(number) })
}

func (c testCase) last() wire.Method {
	m := c.methods()
	return m[len(m)-1]
}
