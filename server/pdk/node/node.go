// Package node tells about the node of Kong that serves the request.
package node

import (
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// Node is kong.Node of a handler. Its methods may be called in every phase.
type Node struct{ bridge.PdkBridge }

// New gives the Node of the event that b belongs to.
func New(b bridge.PdkBridge) Node { return Node{b} }

type workerLuaVmStats struct {
	HttpAllocatedGc int64 `json:"http_allocated_gc"`
	Pid             int64 `json:"pid"`
}

// MemoryStats is the memory that Kong's shared dictionaries and the Lua machines
// of its workers use, in bytes.
type MemoryStats struct {
	LuaSharedDicts struct {
		Kong struct {
			AllocatedSlabs int64 `json:"allocated_slabs"`
			Capacity       int64 `json:"capacity"`
		} `json:"kong"`
		KongDbCache struct {
			AllocatedSlabs int64 `json:"allocated_slabs"`
			Capacity       int64 `json:"capacity"`
		} `json:"kong_db_cache"`
	} `json:"lua_shared_dicts"`
	WorkersLuaVms []workerLuaVmStats `json:"workers_lua_vms"`
}

// GetId gives the UUID of the node.
func (n Node) GetId() (string, error) {
	return n.Ask(wire.NodeGetID).ToString()
}

// GetHostname gives the name of the node's machine.
func (n Node) GetHostname() (string, error) {
	return n.Ask(wire.NodeGetHostname).ToString()
}

// GetMemoryStats gives the memory that the node uses now. What Kong does not
// tell is 0. It is slow: Kong looks at all of its shared memory.
func (n Node) GetMemoryStats() (MemoryStats, error) {
	t, err := n.Ask(wire.NodeGetMemoryStats).ToTable()
	if err != nil {
		return MemoryStats{}, err
	}
	var m MemoryStats
	dicts := t.Sub("lua_shared_dicts")
	kong, cache := dicts.Sub("kong"), dicts.Sub("kong_db_cache")
	m.LuaSharedDicts.Kong.AllocatedSlabs = int64(kong.Number("allocated_slabs"))
	m.LuaSharedDicts.Kong.Capacity = int64(kong.Number("capacity"))
	m.LuaSharedDicts.KongDbCache.AllocatedSlabs = int64(cache.Number("allocated_slabs"))
	m.LuaSharedDicts.KongDbCache.Capacity = int64(cache.Number("capacity"))
	m.WorkersLuaVms = []workerLuaVmStats{}
	for _, w := range t.Tables("workers_lua_vms") {
		m.WorkersLuaVms = append(m.WorkersLuaVms, workerLuaVmStats{
			HttpAllocatedGc: int64(w.Number("http_allocated_gc")), Pid: int64(w.Number("pid")),
		})
	}
	return m, nil
}
