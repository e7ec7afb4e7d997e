// Package ctx shares values between the plugins of a request.
package ctx

import (
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// Ctx is kong.Ctx of a handler. Its methods may be called in every phase of a
// request.
type Ctx struct{ bridge.PdkBridge }

// New gives the Ctx of the event that b belongs to.
func New(b bridge.PdkBridge) Ctx { return Ctx{b} }

// SetShared keeps a value under k for the rest of the request, where every
// plugin, Lua or Go, finds it in kong.ctx.shared. See [bridge.Call.Value] for
// the types it takes.
func (c Ctx) SetShared(k string, value interface{}) error {
	return c.Ask(wire.CtxSharedSet).String(k).Value(value).Done()
}

// GetSharedAny gives the value under k: nil, bool, float64, string,
// []interface{} or map[string]interface{}.
func (c Ctx) GetSharedAny(k string) (interface{}, error) {
	return c.Ask(wire.CtxSharedGet).String(k).ToValue()
}

// GetSharedString gives the string under k, and an error if there is none.
func (c Ctx) GetSharedString(k string) (string, error) {
	v, err := c.GetSharedAny(k)
	if err != nil {
		return "", err
	}
	s, ok := v.(string)
	if !ok {
		return "", bridge.ReturnTypeError("string")
	}
	return s, nil
}

// GetSharedFloat gives the number under k, and an error if there is none.
func (c Ctx) GetSharedFloat(k string) (float64, error) {
	v, err := c.GetSharedAny(k)
	if err != nil {
		return 0, err
	}
	n, ok := v.(float64)
	if !ok {
		return 0, bridge.ReturnTypeError("number")
	}
	return n, nil
}
