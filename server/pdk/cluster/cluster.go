// Package cluster tells which cluster of Kong this is.
package cluster

import (
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// Cluster is kong.Cluster of a handler.
type Cluster struct{ bridge.PdkBridge }

// New gives the Cluster of the event that b belongs to.
func New(b bridge.PdkBridge) Cluster { return Cluster{b} }

// GetId gives the UUID that all nodes of the cluster share, and Kong's error
// when it has none. Phases: all.
func (c Cluster) GetId() (string, error) {
	return c.Ask(wire.ClusterGetID).ToString()
}
