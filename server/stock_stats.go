package server

import (
	"cmp"
	"slices"

	"github.com/kongring/kongring/server/metrics"
	"github.com/kongring/kongring/server/wire"
)

// cell gives where events of the instance and phase are counted; the stock's lock
// guards it.
func (k *stock) cell(ev *stockEvent) *metrics.Cell { return &k.cells[ev.instance.plugin][ev.phase] }

// count adds up an event whose handler has ended.
func (k *stock) count(ev *stockEvent) {
	took, timed := ev.began.since()
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.cell(ev)
	c.Events++
	for how, n := range ev.tally {
		c.Calls[how] += n
	}
	if timed {
		c.Latency.Count(took)
	}
}

// countFailed counts an event that ends badly.
func (k *stock) countFailed(ev *stockEvent, how metrics.Failure) {
	k.mu.Lock()
	k.cell(ev).Failed[how]++
	k.mu.Unlock()
}

// countRefused counts an event that nothing came of.
func (k *stock) countRefused(why metrics.Failure) {
	k.mu.Lock()
	k.nowhere.Failed[why]++
	k.mu.Unlock()
}

// countCall counts a PDK call by how it is answered.
func (ev *stockEvent) countCall(id wire.MethodID, how metrics.Answer) {
	ev.tally[how]++
	ev.stock.calls.Count(id, how)
}

// stats gives the figures of all that came without the bridge.
func (k *stock) stats() StockStats {
	k.mu.Lock()
	defer k.mu.Unlock()
	stats := StockStats{Connections: k.conns, UnderWay: k.underWay.Load()}
	for p, c := range k.cells {
		stats.Events = c.rows(p.name, stats.Events)
	}
	slices.SortStableFunc(stats.Events, func(a, b metrics.Row) int { return cmp.Compare(a.Plugin, b.Plugin) })
	return stats
}

// refusals gives what was refused before it had a plugin.
func (k *stock) refusals() metrics.Cell {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.nowhere
}
