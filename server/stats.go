package server

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/kongring/kongring/server/metrics"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// Stats is what a server did so far. Reading it costs each session a lock for as
// long as it takes to copy the figures of its plugins.
type Stats struct {
	PID            int            // of the server
	SessionsBegun  uint64         // workers that attached
	SessionsFailed uint64         // sessions that ended otherwise than by a hang-up
	Refused        uint64         // connections that were refused
	Denied         uint64         // of these, since the user may not attach
	Crowded        uint64         // of these, of users that may, since too many others had not said hello yet
	Instances      int            // plugins with a config that are there now, each once for all workers
	Goroutines     int            // of the whole process, those that read this included
	Sessions       []SessionStats // attached now
	Stock          StockStats
}

// SessionStats is what one session did so far.
type SessionStats struct {
	Session  uint32        // number of the session
	Worker   uint32        // number of the worker, in its own word
	PID      int           // of the worker, in the kernel's word
	Carrier  string        // "ring" or "socket"
	UnderWay int64         // events that run now
	Capacity uint64        // of each of its rings, in bytes
	ToServer uint64        // payload bytes in the worker's ring that were not read yet, as far as the worker tells
	ToWorker uint64        // likewise in the server's; both are 0 over the socket
	Events   []metrics.Row // by plugin and phase; their latencies grow while somebody has [Watch]
	Server   wire.ServerCounters
	// Counters that the worker writes: whoever owns the worker could make them
	// up. Over the socket they are some seconds old.
	Bridge wire.WorkerCounters

	nowhere metrics.Cell // events that were refused before they had a plugin
}

// StockStats is what Kongs without the bridge did so far.
type StockStats struct {
	Connections int   // open now
	UnderWay    int64 // handlers that run, and requests without their answer
	Events      []metrics.Row
}

// Stats gives the figures of the server and of the sessions that it has now.
func (s *Server) Stats() Stats {
	stats := Stats{
		PID:            os.Getpid(),
		SessionsBegun:  s.counters.sessionsBegun.Load(),
		SessionsFailed: s.counters.sessionsFailed.Load(),
		Refused:        s.counters.refused.Load(),
		Denied:         s.counters.denied.Load(),
		Crowded:        s.counters.crowded.Load(),
		Instances:      s.registry.count(),
		Goroutines:     runtime.NumGoroutine(),
		Stock:          s.stock.stats(),
	}
	for _, n := range s.attached() {
		if n.join() { // the memory stays mapped meanwhile
			stats.Sessions = append(stats.Sessions, n.stats())
			n.open.Done()
		}
	}
	return stats
}

func (n *session) stats() SessionStats {
	stats := SessionStats{
		Session: n.id, Worker: n.hello.Worker, PID: n.conn.Peer.PID, Carrier: n.carrier().String(), UnderWay: n.events.Load(),
		Capacity: uint64(n.server.options.ringCapacity),
		Server:   loadServer(n.rings.counters),
		Bridge:   loadWorker(n.rings.worker),
	}
	stats.Events, stats.nowhere = n.rows()
	if n.pump == nil { // else the worker's counters are some seconds old
		// Who reads a ring was asked above, before or after who writes it: what moved
		// in between can make it seem fuller or emptier, by as much.
		stats.ToServer = unread(stats.Bridge.BytesOut, float64(stats.Server.BytesIn), float64(stats.Capacity))
		stats.ToWorker = unread(float64(stats.Server.BytesOut), stats.Bridge.BytesIn, float64(stats.Capacity))
	}
	return stats
}

// unread is what lies in a ring, by what was written and read.
func unread(written, read, capacity float64) uint64 {
	return uint64(min(max(written-read, 0), capacity))
}

// takeCounters takes in the counters of a worker that shares no memory. The
// caller has the reader role.
func (n *session) takeCounters(body []byte) error {
	words := n.rings.worker.Words()
	if n.pump == nil || len(body) != 8*len(words) {
		return fmt.Errorf("%w: counters of %d bytes, want %d, over the %s", errProtocol, len(body), 8*len(words), n.carrier())
	}
	for i := range words {
		atomic.StoreUint64(&words[i], binary.LittleEndian.Uint64(body[8*i:]))
	}
	return nil
}

// The counters are words that one side adds to while others read them: each is
// loaded as a whole, one after the other.

func loadServer(c *wire.ServerCounters) (out wire.ServerCounters) {
	loadWords(out.Words(), c.Words())
	return out
}

// loadWords loads words that their one writer adds to with plain stores, which
// the race detector would report where it sees the memory: in private rings.
//
//go:norace
func loadWords(to, from []uint64) {
	//lint:ignore S1001 copy says nothing of whole words, and the race detector sees it
	for i := range from {
		to[i] = from[i]
	}
}

func loadWorker(c *wire.WorkerCounters) (out wire.WorkerCounters) {
	from, to := c.Words(), out.Words()
	for i := range from {
		to[i] = atomic.LoadUint64(&from[i])
	}
	// JSON has no place for what a hostile worker could write.
	for i, f := range out.Fields() {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			out.Fields()[i] = -1
		}
	}
	return out
}

// Inspect asks the server that listens at socket for its figures.
func Inspect(socket string, timeout time.Duration) (Stats, error) {
	var stats Stats
	a, err := shm.Dial(socket, shm.Hello{Kind: shm.HelloInspect, App: wire.Version}, timeout)
	if err != nil {
		return stats, fmt.Errorf("inspect: %w", err)
	}
	defer a.Close()
	text, err := a.ReadAll(timeout)
	if err != nil {
		return stats, fmt.Errorf("inspect %s: %w", socket, err)
	}
	if err := json.Unmarshal(text, &stats); err != nil {
		return stats, fmt.Errorf("inspect %s: %w", socket, err)
	}
	return stats, nil
}
