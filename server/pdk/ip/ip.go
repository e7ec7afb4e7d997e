// Package ip tells whom Kong trusts.
package ip

import (
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// Ip is kong.IP of a handler.
type Ip struct{ bridge.PdkBridge }

// New gives the Ip of the event that b belongs to.
func New(b bridge.PdkBridge) Ip { return Ip{b} }

// IsTrusted tells whether an address is one of Kong's trusted_ips,
// false for what is no address. Phases: all.
func (i Ip) IsTrusted(address string) (bool, error) {
	return i.Ask(wire.IPIsTrusted).String(address).ToBool()
}
