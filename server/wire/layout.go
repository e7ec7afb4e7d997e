package wire

import (
	"structs"
	"unsafe"
)

// Version is the version of this package's messages, counters and method
// table. It travels as the application version of hello and segment; the two
// sides refuse each other when it differs.
const Version = 4

// Regions of a session's segment.
const (
	RegionToServer       = 0 // ring: the worker produces
	RegionToWorker       = 1 // ring: the server produces
	RegionServerCounters = 2 // ServerCounters
	RegionWorkerCounters = 3 // WorkerCounters
	RegionCount          = 4
)

// Head starts every message. What stands in Code and Arg, and what the body
// behind it holds, depends on Type:
//
//	type     from    code     arg              body (MessagePack, unless said)
//	Start    worker  –        –                StartInstance
//	Started  server  status   instance         text, where the status is not OK
//	Close    worker  –        instance         –
//	Event    worker  phase    instance         prefetched values, see below
//	Call     server  –        method + writes  writes, array of arguments
//	Return   worker  status   –                the result; text where not OK
//	Exit     server  –        method + writes  writes, array of arguments
//	Done     server  status   writes           writes; text, where the status is not OK
//	Cancel   worker  status   –                text
//	Profile  server  phase    instance         version (u32), most bytes of an event's
//	                                           values (u32), number (u16), for each
//	                                           getter: method (u16), array of arguments
//	Counters worker  –        –                WorkerCounters as they lie in memory: only
//	                                           over the socket, where nobody else sees them
//	Dismiss  server  –        –                –; only over the socket, where no doorbell
//	                                           can be hung up: see server/stop.go
//
// A server's message to a slot brings the writes that the handler made since
// the last one: arg holds their number in its upper 16 bits, and the method, if
// any, in the lower ones. Each write is the method (u16) and an array of
// arguments. They are applied in order, before anything else. A Call of method
// 0 is answered once its writes were applied.
//
// The body of an Event is empty, or the version of the profile (u32), the
// number of values (u16), and for so many getters of the profile, from the first
// on, the length of the value (u32) and the value; NoValue stands for the length
// of one that could not be had. Numbers outside MessagePack are little-endian.
//
// A slot is one conversation of a session: a Start with its Started, or an
// Event up to its Done, Exit or Cancel. The worker owns the numbering; each
// use of a slot has a new generation, and a message with another one is late.
// In either direction a slot has one message under way at most; one longer
// than a frame goes in pieces, each with the same head.
type Head struct {
	_ structs.HostLayout

	Type       uint8
	Code       uint8
	Slot       uint16
	Generation uint32
	Arg        uint32
}

// MaxMessage is the most that a server may say of the longest message, in bytes.
const MaxMessage = 1 << 30

// HeadSize is the size of Head in bytes; the body follows it.
const HeadSize = 12

// MaxSlots is the number of slots of a session: conversations at one time.
const MaxSlots = 4096

// Types of message.
const (
	TypeStart    = 1
	TypeStarted  = 2
	TypeClose    = 3
	TypeEvent    = 4
	TypeCall     = 5
	TypeReturn   = 6
	TypeExit     = 7
	TypeDone     = 8
	TypeCancel   = 9
	TypeProfile  = 10
	TypeCounters = 11
	TypeDismiss  = 12
)

// ArgMethod and ArgWrites are the parts of Arg in a server's message to a slot.
const (
	ArgMethod = 0xffff
	ArgWrites = 16 // shift
)

// NoValue is the length of a prefetched value that could not be had.
const NoValue = 0xffffffff

// MaxPrefetch is the number of getters in a profile at most.
const MaxPrefetch = 32

// MaxPrefetchBytes is the most that a profile may say of the values of an event.
const MaxPrefetchBytes = 1 << 20

// Statuses of Started, Return, Done and Cancel.
const (
	StatusOK          = 0
	StatusPanic       = 1  // Done: the plugin's handler panicked; text is value and stack
	StatusNoInstance  = 2  // Done: the server does not know the instance: start it anew
	StatusNoPhase     = 3  // Done: the plugin has no handler for the phase
	StatusNoPlugin    = 4  // Started: no plugin of that name here
	StatusBadConfig   = 5  // Started: the config does not fit the plugin
	StatusDeadline    = 6  // Cancel: the event's time is over
	StatusLuaError    = 7  // Cancel, Return: the PDK method raised; text says what
	StatusClientGone  = 8  // Cancel: nobody waits for the answer any more
	StatusShutdown    = 9  // Done, Started: the server stops
	StatusUnencodable = 10 // Return: the method gave an error, or what has no place in a message; text says which
	StatusFailed      = 11 // Done, Started: the server could not; text says why
	StatusBusy        = 12 // Done: the plugin has as many events under way as it may
)

// Phases of a request, as in Kong.
const (
	PhaseCertificate = 1
	PhaseRewrite     = 2
	PhaseAccess      = 3
	PhaseResponse    = 4
	PhasePreread     = 5
	PhaseLog         = 6
)

// PhaseNames are Kong's names of the phases, by number.
var PhaseNames = [...]string{
	PhaseCertificate: "certificate",
	PhaseRewrite:     "rewrite",
	PhaseAccess:      "access",
	PhaseResponse:    "response",
	PhasePreread:     "preread",
	PhaseLog:         "log",
}

// ServerCounters are written by the server, each by whoever holds the lock or
// the role named, and read by anybody who maps the segment.
type ServerCounters struct {
	_ structs.HostLayout

	FramesIn     uint64 // frames read from the worker
	FramesOut    uint64 // frames written to the worker
	BytesIn      uint64 // payload bytes of FramesIn
	BytesOut     uint64 // payload bytes of FramesOut
	SpinsPaid    uint64 // looks at the ring that found a frame in time
	SpinsUnpaid  uint64 // looks at the ring that did not
	Sleeps       uint64 // times the reader slept on its doorbell
	Doorbells    uint64 // times the worker was rung
	FullWaits    uint64 // times a writer waited for room
	LateFrames   uint64 // messages for a slot that went on to something else
	Events       uint64 // events begun
	EventsDone   uint64 // events that ended, however
	Panics       uint64 // handlers that panicked
	Handovers    uint64 // times the ring was taken from a slow handler
	Instances    uint64 // instances started or joined
	StartsFailed uint64 // instances that did not start
	Posted       uint64 // writes that travelled with another message
	RoundTrips   uint64 // calls that waited for an answer
	MemoHits     uint64 // calls answered from what an earlier one of the event got
	PrefetchHits uint64 // calls answered from what came with the event
	Wasted       uint64 // values that came with an event and nobody asked for
	Profiles     uint64 // profiles sent to the worker
	Overloads    uint64 // events refused since the plugin had too many under way
}

// WorkerCounters are written by the worker's one thread and read by anybody
// who maps the segment. They are doubles since LuaJIT adds to a double without
// an allocation; each is a whole number.
type WorkerCounters struct {
	_ structs.HostLayout

	FramesIn    float64 // frames read from the server
	FramesOut   float64 // frames written to the server
	BytesIn     float64 // payload bytes of FramesIn
	BytesOut    float64 // payload bytes of FramesOut
	SpinsPaid   float64 // spins that saw a frame arrive
	SpinsUnpaid float64 // spins that gave up
	Sleeps      float64 // times the ring's sleeping word was set
	Doorbells   float64 // times the server was rung
	FullWaits   float64 // times a request waited for room
	LateFrames  float64 // messages for a slot that went on to something else
	Events      float64 // events begun
	EventsDone  float64 // events that ended, however
	EventTicks  float64 // ticks of the helper's clock spent in events that ended
	Calls       float64 // PDK calls run for the server
	Errors      float64 // events that ended badly
	Deadlines   float64 // events whose time was over
	Open        float64 // slots in use now
	TicksPerUS  float64 // ticks of the helper's clock in a microsecond
	LogLevel    float64 // nginx's: lines above it are not written
}

// CountersSize is the size of a counter region in bytes: room to grow.
const CountersSize = 4096

// A wrong size does not compile: the index is out of range.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(Head{})-HeadSize]
	_ = [CountersSize - unsafe.Sizeof(ServerCounters{})]struct{}{}
	_ = [CountersSize - unsafe.Sizeof(WorkerCounters{})]struct{}{}
)
