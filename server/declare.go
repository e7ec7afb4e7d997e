package server

import (
	"fmt"
	"slices"

	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server/wire"
)

// PluginOption sets something about one plugin of a [Server].
type PluginOption func(*plugin) error

// NoPrefetch keeps workers from sending values along with the events of this
// plugin.
func NoPrefetch() PluginOption {
	return func(p *plugin) error { p.noPrefetch = true; return nil }
}

// Prefetch declares getters that the plugin asks for in a phase: their values
// come along with the events once a worker's first one has ended, and do not go
// when they are not asked for. Without it, the server learns them. Up to 32
// getters of a phase come along, the declared ones first.
func Prefetch(phase string, getters ...Getter) PluginOption {
	return func(p *plugin) error {
		number := slices.Index(wire.PhaseNames[:], phase)
		if number <= 0 {
			return fmt.Errorf("prefetch in phase %q: no such phase", phase)
		}
		for _, g := range getters {
			h, err := g.habit()
			if err != nil {
				return fmt.Errorf("prefetch in phase %s: %w", phase, err)
			}
			p.pinned[number] = append(p.pinned[number], h)
		}
		if n := len(p.pinned[number]); n > wire.MaxPrefetch {
			return fmt.Errorf("prefetch in phase %s: %d getters, the limit is %d", phase, n, wire.MaxPrefetch)
		}
		return nil
	}
}

// Getter is a PDK call without its result.
type Getter struct {
	method string
	args   []interface{}
}

// Get names a getter by its name in Lua, such as "kong.request.get_header", and
// its arguments: strings, integers and booleans.
func Get(method string, args ...interface{}) Getter { return Getter{method, args} }

// habit gives the getter as the profile compares it.
func (g Getter) habit() (habit, error) {
	id := slices.IndexFunc(wire.Methods[:], func(m wire.Method) bool { return m.Name == g.method })
	if id < 0 || g.method == "" {
		return habit{}, fmt.Errorf("%s: no such method", g.method)
	}
	if !wire.Methods[id].Prefetchable() {
		return habit{}, fmt.Errorf("%s: its value cannot be sent along", g.method)
	}
	const array16 = 0xdc
	b := []byte{array16, byte(len(g.args) >> 8), byte(len(g.args))}
	for _, a := range g.args {
		switch a := a.(type) {
		case string:
			b = msgp.AppendString(b, a)
		case int:
			b = msgp.AppendInt(b, a)
		case bool:
			b = msgp.AppendBool(b, a)
		default:
			return habit{}, fmt.Errorf("%s: argument of type %T", g.method, a)
		}
	}
	if len(b) > maxArgs {
		return habit{}, fmt.Errorf("%s: %d bytes of arguments, the limit is %d", g.method, len(b), maxArgs)
	}
	var m memo
	return habit{method: wire.MethodID(id), args: string(m.key(wire.MethodID(id), b))}, nil
}
