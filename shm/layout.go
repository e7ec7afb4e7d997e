package shm

import (
	"structs"
	"unsafe"
)

// Version is the version of everything in this file. Two sides with different
// versions refuse each other at the hello.
const Version = 3

// Magic starts a segment header, a hello and a welcome: "KRG1" in memory.
const Magic = 0x3147524b

// MaxRegions is the number of regions that a segment header has room for.
const MaxRegions = 8

// HeaderSize is the size of the segment's header in bytes: one page, so that
// the first region starts on a page of its own.
const HeaderSize = 4096

// Header is the start of a segment. Writer: the creating side, before anybody
// else sees the segment; it never changes afterwards. The attaching side reads
// it once, checks all of it against the size of the file, and keeps its own
// copy.
type Header struct {
	_ structs.HostLayout

	Magic      uint32
	Version    uint32
	App        uint32 // version of what the regions hold; opaque here
	Session    uint32 // number of the session in the creating process
	Size       uint32 // of the whole segment in bytes
	RegionSize uint32 // size of one entry of Regions in bytes
	Count      uint32 // of regions in use
	CreatorPID uint32
	Regions    [MaxRegions]Region
}

// Region is one part of the segment.
type Region struct {
	_ structs.HostLayout

	Offset uint32 // from the start of the segment in bytes, a multiple of RegionAlignment
	Size   uint32 // in bytes
}

// RegionAlignment is the alignment of every region in bytes.
const RegionAlignment = 4096

// Hello is the first message on a connection: what the worker wants and who it
// says it is. All numbers are little-endian, as on every machine that runs
// Kong.
type Hello struct {
	_ structs.HostLayout

	Magic   uint32
	Version uint32
	App     uint32
	Kind    uint32    // one of the kinds below
	Worker  uint32    // number of the worker, for logs
	PID     uint32    // of the worker, for logs: the kernel's word counts
	CPU     uint32    // the worker runs on, CPUUnknown if it is not pinned
	Session uint32    // HelloDoorbell, HelloTrace: the session that this connection is about
	Token   [16]uint8 // HelloDoorbell: as in the welcome of that session
}

// Kinds of hello.
const (
	// HelloAttach asks for a new session. The connection stays open for the
	// session's whole life.
	HelloAttach = 1
	// HelloDoorbell makes the connection the doorbell of a session: each byte
	// that comes from the server is one ring. A newer one replaces an older.
	HelloDoorbell = 2
	// HelloInspect asks for the server's figures: the welcome is followed by
	// JSON text, then the server closes.
	HelloInspect = 3
	// HelloAttachSocket asks for a new session without shared memory. A Header
	// follows the welcome: each side makes a segment of its own like it, which
	// nobody else sees. What the regions' users carry from one segment to the
	// other follows on the connection, both ways, in their own format. There is
	// no LeaveByte.
	HelloAttachSocket = 4
	// HelloTrace asks for a copy of the frames of the session that is named: the
	// welcome is followed by JSON text, until either side hangs up.
	HelloTrace = 5
	// HelloWatch says that somebody looks at the server's figures for as long as
	// the connection stays open: those that cost something are kept meanwhile. A
	// welcome is all that comes back.
	HelloWatch = 6
)

// CPUUnknown says in a hello that the worker is not bound to one CPU.
const CPUUnknown = 0xffffffff

// Welcome answers a hello. With status WelcomeOK of a HelloAttach it carries
// two file descriptors (SCM_RIGHTS): the segment's memfd and the socket that rings
// the server, with whatever is sent.
type Welcome struct {
	_ structs.HostLayout

	Magic       uint32
	Version     uint32
	App         uint32
	Status      uint32
	Session     uint32
	SegmentSize uint32
	Token       [16]uint8
	Limit       uint32 // of the application; opaque here
	ReasonSize  uint32
	Reason      [208]uint8 // text for the log of the refused side
}

// Statuses of a welcome.
const (
	WelcomeOK        = 0
	WelcomeVersion   = 1 // the versions differ
	WelcomeDenied    = 2 // the peer's uid may not attach
	WelcomeBad       = 3 // the hello does not make sense
	WelcomeExhausted = 4 // no more sessions
	WelcomeNoMemory  = 5 // no shared memory here: HelloAttachSocket may do
)

// Sizes of the messages in bytes.
const (
	HelloSize   = 48
	WelcomeSize = 256
)

// LeaveByte is what a worker sends on its control connection when it shuts
// down: the server closes the doorbell connection, the session goes on until
// the control connection hangs up.
const LeaveByte = 'L'

// A wrong size or offset does not compile: the index is out of range.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(Hello{})-HelloSize]
	_ = [1]struct{}{}[unsafe.Sizeof(Welcome{})-WelcomeSize]
	_ = [1]struct{}{}[unsafe.Sizeof(Header{})-32-8*MaxRegions]
	_ = [1]struct{}{}[unsafe.Offsetof(Header{}.Regions)-32]
	_ = [1]struct{}{}[unsafe.Sizeof(Region{})-8]
)
