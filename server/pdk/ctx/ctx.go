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
func (c Ctx) GetSharedString(k string) (string, error) { return text(c.GetSharedAny(k)) }

// GetSharedFloat gives the number under k, and an error if there is none.
func (c Ctx) GetSharedFloat(k string) (float64, error) { return number(c.GetSharedAny(k)) }

// SetPlugin keeps a value under k for the rest of the request, where only this
// plugin finds it, in later phases: it is Lua's kong.ctx.plugin.
func (c Ctx) SetPlugin(k string, value interface{}) error {
	return c.Ask(wire.CtxPluginSet).String(k).Value(value).Done()
}

// GetPluginAny is GetSharedAny for what SetPlugin kept.
func (c Ctx) GetPluginAny(k string) (interface{}, error) {
	return c.Ask(wire.CtxPluginGet).String(k).ToValue()
}

// GetPluginString is GetSharedString for what SetPlugin kept.
func (c Ctx) GetPluginString(k string) (string, error) { return text(c.GetPluginAny(k)) }

// GetPluginFloat is GetSharedFloat for what SetPlugin kept.
func (c Ctx) GetPluginFloat(k string) (float64, error) { return number(c.GetPluginAny(k)) }

func text(v interface{}, err error) (string, error) {
	s, ok := v.(string)
	if err == nil && !ok {
		err = bridge.ReturnTypeError("string")
	}
	return s, err
}

func number(v interface{}, err error) (float64, error) {
	n, ok := v.(float64)
	if err == nil && !ok {
		err = bridge.ReturnTypeError("number")
	}
	return n, err
}
