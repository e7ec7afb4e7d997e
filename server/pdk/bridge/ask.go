package bridge

import (
	"fmt"
	"sync"

	"github.com/kongring/kongring/server/wire"
)

// byName finds a method by its Lua name.
var byName = sync.OnceValue(func() map[string]wire.MethodID {
	ids := make(map[string]wire.MethodID, len(wire.Methods))
	for id, m := range wire.Methods[1:] {
		ids[m.Name] = wire.MethodID(id + 1)
	}
	return ids
})

// AskValue calls a method by its name in Lua, such as "kong.request.get_path",
// for plugins that call what the PDK has no method for. Arguments are of the
// types that [Call.Value] takes; the result is like that of [Call.ToValue], as
// it travels: a map of headers has lists of values, for example. A method that
// gives nothing gives nil. What is not in the table of methods gives an error,
// and so does what ends the event.
func (p PdkBridge) AskValue(method string, args ...interface{}) (interface{}, error) {
	id := byName()[method]
	if id == 0 {
		return nil, fmt.Errorf("%s: no such method", method)
	}
	class := wire.Methods[id].Class
	if class == wire.ClassTerminal {
		return nil, fmt.Errorf("%s: ends the event: call the PDK's method", method)
	}
	c := p.Ask(id)
	for _, a := range args {
		c.Value(a)
	}
	if class == wire.ClassPosted {
		return nil, c.Done()
	}
	return c.ToValue()
}

// AskString is [PdkBridge.AskValue] for a string: "" for nil.
func (p PdkBridge) AskString(method string, args ...interface{}) (string, error) {
	v, err := p.AskValue(method, args...)
	s, ok := v.(string)
	if err == nil && v != nil && !ok {
		err = ReturnTypeError("string")
	}
	return s, err
}

// AskNumber is [PdkBridge.AskValue] for a number: 0 for nil.
func (p PdkBridge) AskNumber(method string, args ...interface{}) (float64, error) {
	v, err := p.AskValue(method, args...)
	n, ok := v.(float64)
	if err == nil && v != nil && !ok {
		err = ReturnTypeError("number")
	}
	return n, err
}

// AskInt is [PdkBridge.AskNumber] without the fraction.
func (p PdkBridge) AskInt(method string, args ...interface{}) (int, error) {
	n, err := p.AskNumber(method, args...)
	return int(n), err
}
