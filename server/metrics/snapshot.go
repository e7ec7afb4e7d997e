package metrics

import "github.com/kongring/kongring/server/wire"

// Snapshot is what a server counts anyway, at one time. What a worker writes is
// its own word.
type Snapshot struct {
	// Of all sessions, those that have ended among them. Of the worker's counters
	// the gauges are of no use.
	Server wire.ServerCounters
	Worker wire.WorkerCounters
	// Seconds that the workers' events took, by their clocks.
	WorkerSeconds float64

	Events  Table   // of all sessions likewise, and of Kongs without the bridge
	Nowhere Cell    // events that were refused before they had a plugin
	Methods Methods // PDK calls

	Rings, Sockets Carrier
	Failed         uint64 // sessions that ended otherwise than by a hang-up
	Damaged        uint64 // of those: the worker broke a rule
	SameProcess    uint64 // sessions begun by a process that had one before
	NewProcess     uint64 // sessions begun by the successor of a worker
	Refused        uint64 // connections
	Denied         uint64 // of those: the user may not attach
	Crowded        uint64 // of those: too many had not said hello, and the user may attach
	Stock          int    // connections of a Kong without the bridge
	UnderWay       int64  // events
	Instances      int
	Stopping       bool

	Workers []Worker
}

// Carrier is what a kind of carrier has.
type Carrier struct {
	Begun, Attached uint64 // sessions
}

// Worker is what there is of a worker that is attached, of all its sessions
// the most.
type Worker struct {
	Number   uint32
	Slots    float64 // in use
	Shared   bool    // its rings are in shared memory
	Capacity uint64  // of each ring in bytes
	ToServer uint64  // payload bytes in the ring that were not read yet
	ToWorker uint64
}
