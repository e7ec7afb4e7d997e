package server

import (
	"slices"

	"github.com/kongring/kongring/server/metrics"
	"github.com/kongring/kongring/server/wire"
)

// cells count the events of one plugin by phase.
type cells [len(wire.PhaseNames)]metrics.Cell

// cell gives where the session counts events of the instance in a phase.
func (in *opened) cell(phase uint8) *metrics.Cell { return &in.load.cells[phase] }

// rows copies to others those cells of a plugin that have anything to say. The
// caller has their lock.
func (c *cells) rows(plugin string, to []metrics.Row) []metrics.Row {
	for phase := range c {
		if c[phase] != (metrics.Cell{}) {
			to = append(to, metrics.Row{Plugin: plugin, Phase: wire.PhaseNames[phase], Cell: c[phase]})
		}
	}
	return to
}

// rows gives what the session has counted of its plugins' events by now, sorted by
// plugin, and what was refused before it had a plugin.
func (n *session) rows() (rows []metrics.Row, nowhere metrics.Cell) {
	n.mu.Lock()
	loads := make(map[string]*load, len(n.loads))
	names := make([]string, 0, len(n.loads))
	for p, l := range n.loads {
		loads[p.name] = l
		names = append(names, p.name)
	}
	n.mu.Unlock()
	slices.Sort(names)
	n.rings.mu.Lock() // for as long as it takes to copy
	defer n.rings.mu.Unlock()
	for _, name := range names {
		rows = loads[name].cells.rows(name, rows)
	}
	return rows, n.rings.nowhere
}

// failureOf is why an event did not begin.
func failureOf(why error) metrics.Failure {
	switch statusOf(why) {
	case wire.StatusBusy:
		return metrics.Busy
	case wire.StatusNoInstance:
		return metrics.NoInstance
	case wire.StatusNoPhase:
		return metrics.NoPhase
	}
	return metrics.Shutdown
}

// cancelOf is why a worker gave an event up, by the status of its Cancel.
func cancelOf(status uint8) metrics.Failure {
	switch status {
	case wire.StatusDeadline:
		return metrics.Deadline
	case wire.StatusClientGone:
		return metrics.ClientGone
	case wire.StatusLuaError:
		return metrics.LuaError
	}
	return metrics.GivenUp
}
