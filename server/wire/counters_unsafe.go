package wire

import "unsafe"

// ServerCountersAt gives the counters at the start of a region of CountersSize
// bytes or more, on a page of its own.
func ServerCountersAt(region []byte) *ServerCounters {
	return (*ServerCounters)(unsafe.Pointer(&region[:CountersSize][0]))
}

// WorkerCountersAt is ServerCountersAt for the worker's counters.
func WorkerCountersAt(region []byte) *WorkerCounters {
	return (*WorkerCounters)(unsafe.Pointer(&region[:CountersSize][0]))
}

// Words gives the counters as words, in order.
func (c *ServerCounters) Words() []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(c)), unsafe.Sizeof(*c)/8)
}

// Words gives the bits of the counters as words, in order.
func (c *WorkerCounters) Words() []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(c)), unsafe.Sizeof(*c)/8)
}

// Fields gives the counters in order.
func (c *WorkerCounters) Fields() []float64 {
	return unsafe.Slice((*float64)(unsafe.Pointer(c)), unsafe.Sizeof(*c)/8)
}

// LogLevelWord is the index of LogLevel in WorkerCounters.Words.
const LogLevelWord = unsafe.Offsetof(WorkerCounters{}.LogLevel) / 8
