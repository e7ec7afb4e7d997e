// Package plugin tells which plugin of Kong's configuration runs.
package plugin

import (
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// Plugin is kong.Plugin of a handler.
type Plugin struct{ bridge.PdkBridge }

// New gives the Plugin of the event that b belongs to.
func New(b bridge.PdkBridge) Plugin { return Plugin{b} }

// GetId gives the UUID of the plugin entity that the handler runs for: the same
// for all events of one instance. Phases: all.
func (p Plugin) GetId() (string, error) {
	return p.Ask(wire.PluginGetID).ToString()
}
