package wire_test

import (
	"encoding/binary"
	"math"
	"strings"

	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/server/wire/golden"
	"github.com/kongring/kongring/shm"
)

// The golden frames, field by field. Each is written down here by itself, without
// the code that makes it in a server or a worker: that is compared with it.

type fields []golden.Field

func (f fields) u8(n uint8, note string) fields {
	return append(f, golden.Field{Bytes: []byte{n}, Note: note})
}

func (f fields) u16(n uint16, note string) fields {
	return append(f, golden.Field{Bytes: binary.LittleEndian.AppendUint16(nil, n), Note: note})
}

func (f fields) u32(n uint32, note string) fields {
	return append(f, golden.Field{Bytes: binary.LittleEndian.AppendUint32(nil, n), Note: note})
}

func (f fields) f64(n float64, note string) fields {
	return append(f, golden.Field{Bytes: binary.LittleEndian.AppendUint64(nil, math.Float64bits(n)), Note: note})
}

func (f fields) raw(bytes, note string) fields {
	return append(f, golden.Field{Bytes: []byte(bytes), Note: note})
}

// str is a MessagePack string of up to 31 bytes, and what is longer as str 8.
func (f fields) str(s, note string) fields {
	if len(s) < 32 {
		return f.raw(string([]byte{0xa0 | byte(len(s))})+s, note)
	}
	return f.raw("\xd9"+string([]byte{byte(len(s))})+s, note)
}

func (f fields) zeros(n int, note string) fields { return f.raw(strings.Repeat("\x00", n), note) }

func (f fields) head(kind, code uint8, what string, slot uint16, generation, arg uint32, of string) fields {
	return f.u8(kind, "type: "+what).u8(code, "code").u16(slot, "slot").u32(generation, "generation").u32(arg, "arg: "+of)
}

func (f fields) hello(kind, session uint32, what string) fields {
	return f.raw("KRG1", "magic").u32(shm.Version, "version of the hand-over").u32(wire.Version, "version of the messages").
		u32(kind, "kind: "+what).u32(1, "number of the worker").u32(4711, "its pid").
		u32(shm.CPUUnknown, "its CPU: not bound to one").u32(session, "session")
}

func (f fields) welcome(status, session, size uint32, what string) fields {
	return f.raw("KRG1", "magic").u32(shm.Version, "version of the hand-over").u32(wire.Version, "version of the messages").
		u32(status, "status: "+what).u32(session, "session").u32(size, "size of the segment")
}

const token = "0123456789abcdef"

// capacity of the rings, the least there is; regions of a segment with them.
const (
	capacity   = ring.MinCapacity
	ringSize   = ring.ControlSize + capacity
	regionRoom = shm.RegionAlignment
	size       = shm.HeaderSize + 4*regionRoom
)

const refusedText = "versions differ"

// args begins an array of n arguments, as the server writes it.
func (f fields) args(n uint16, note string) fields {
	return f.raw(string([]byte{0xdc, byte(n >> 8), byte(n)}), note)
}

func methodArg(id wire.MethodID, writes uint32) uint32 { return uint32(id) | writes<<wire.ArgWrites }

// setHeader is the write that the example's handler makes.
func (f fields) setHeader() fields {
	return f.u16(uint16(wire.ResponseSetHeader), "write: kong.response.set_header").
		args(2, "two arguments").str("x-hello", "").str("hi", "")
}

const long = 300 // bytes of a value that takes two frames

type goldenFile struct {
	name, about string
	fields      fields
}

var goldens = []goldenFile{
	{"hello", "A worker asks for a new session with shared memory.",
		fields{}.hello(shm.HelloAttach, 0, "attach").zeros(16, "token: only of a doorbell")},
	{"hello-doorbell", "The worker opens the connection on which the server rings it.",
		fields{}.hello(shm.HelloDoorbell, 7, "doorbell").raw(token, "token, from the welcome")},
	{"welcome", "The server accepts the worker of hello.hex. Two descriptors come with it.",
		fields{}.welcome(shm.WelcomeOK, 7, size, "accepted").raw(token, "token").
			u32(64<<20, "limit: longest message").u32(0, "length of the reason").zeros(208, "reason")},
	{"welcome-refused", "The server refuses a worker.",
		fields{}.welcome(shm.WelcomeVersion, 0, 0, "versions differ").zeros(16, "token").
			u32(0, "limit").u32(uint32(len(refusedText)), "length of the reason").raw(refusedText, "reason").
			zeros(208-len(refusedText), "")},
	{"header", "The header of a segment with two rings of 1024 bytes.",
		fields{}.raw("KRG1", "magic").u32(shm.Version, "version of the hand-over").u32(wire.Version, "version of the messages").
			u32(7, "session").u32(size, "size of the segment").u32(8, "size of an entry").u32(4, "regions").u32(4712, "pid of the server").
			u32(shm.HeaderSize, "ring to the server: offset").u32(ringSize, "and size").
			u32(shm.HeaderSize+regionRoom, "ring to the worker: offset").u32(ringSize, "and size").
			u32(shm.HeaderSize+2*regionRoom, "counters of the server: offset").u32(wire.CountersSize, "and size").
			u32(shm.HeaderSize+3*regionRoom, "counters of the worker: offset").u32(wire.CountersSize, "and size").
			zeros(4*8, "no more regions")},
	{"ring", "A ring of 1024 bytes after two frames, of which the second needed a pad.",
		fields{}.u32(ring.Start, "consumed: nothing yet").zeros(124, "").u32(0, "sleeping").zeros(124, "").u32(0, "starved").zeros(124, "").
			u32(ring.Committed|200, "offset 0: the second frame").raw(strings.Repeat("b", 200), "").zeros(4, "filling").
			zeros(768-208, "offset 208: free").
			u32(ring.Committed|100, "offset 768: the first frame").raw(strings.Repeat("a", 100), "").
			u32(ring.Committed|ring.Pad|148, "offset 872: the pad, to the end").zeros(148, "")},
	{"start", "A worker starts an instance of the plugin hello.",
		fields{}.head(wire.TypeStart, 0, "START", 1, 1, 0, "none").raw("\x94", "array of four").str("hello", "plugin").
			str("6f1c0a", "key of the entity").raw("\x07", "number of the config").
			raw("\xc4\x10", "config: bin of 16 bytes").raw(`{"message":"hi"}`, "")},
	{"started", "It runs, and has the number 1.",
		fields{}.head(wire.TypeStarted, wire.StatusOK, "STARTED", 1, 1, 1, "instance")},
	{"event", "A request is in the phase access: the plugin's handler is to run.",
		fields{}.head(wire.TypeEvent, wire.PhaseAccess, "EVENT", 1, 2, 1, "instance")},
	{"call", "The handler set a header, and asks for one.",
		fields{}.head(wire.TypeCall, 0, "CALL", 1, 2, methodArg(wire.RequestGetHeader, 1), "method 14, 1 write").setHeader().
			args(1, "arguments of the method: one").str("x-name", "")},
	{"return", "The header's value.",
		fields{}.head(wire.TypeReturn, wire.StatusOK, "RETURN", 1, 2, 0, "none").str("ada", "result")},
	{"done", "The handler set a status and has returned.",
		fields{}.head(wire.TypeDone, wire.StatusOK, "DONE", 1, 2, methodArg(0, 1), "1 write").
			u16(uint16(wire.ResponseSetStatus), "write: kong.response.set_status").args(1, "one argument").raw("\xd1\x00\xc9", "201")},
	{"profile", "The server wants the header along with each such event.",
		fields{}.head(wire.TypeProfile, wire.PhaseAccess, "PROFILE", 0, 0, 1, "instance").u32(1, "version").
			u32(16<<10, "bytes of values at most").u16(1, "getters").
			u16(uint16(wire.RequestGetHeader), "kong.request.get_header").args(1, "its arguments").str("x-name", "")},
	{"event-values", "The next request, with the value.",
		fields{}.head(wire.TypeEvent, wire.PhaseAccess, "EVENT", 1, 3, 1, "instance").u32(1, "version of the profile").
			u16(1, "values").u32(4, "length of the value").str("ada", "")},
	{"exit", "The handler answers the client.",
		fields{}.head(wire.TypeExit, 0, "EXIT", 1, 3, methodArg(wire.ResponseExit, 1), "method 27, 1 write").setHeader().
			args(2, "arguments of kong.response.exit").raw("\xd1\x01\x93", "403").raw("\xc4\x02no", "body: bin")},
	{"event-no-value", "A request without that header.",
		fields{}.head(wire.TypeEvent, wire.PhaseAccess, "EVENT", 1, 4, 1, "instance").u32(1, "version of the profile").
			u16(1, "values").u32(1, "length of the value").raw("\xc0", "nil")},
	{"cancel", "It took too long.",
		fields{}.head(wire.TypeCancel, wire.StatusDeadline, "CANCEL", 1, 4, 0, "none").str("the event's time is over", "text")},
	{"event-rewrite", "An event in the phase rewrite, which this plugin has no handler for.",
		fields{}.head(wire.TypeEvent, wire.PhaseRewrite, "EVENT", 1, 5, 1, "instance")},
	{"done-refused", "The server refuses the event of event-rewrite.hex.",
		fields{}.head(wire.TypeDone, wire.StatusNoPhase, "DONE", 1, 5, 0, "none").
			str("plugin hello has no handler for phase rewrite", "text: str 8")},
	{"close", "The worker needs the instance no more.",
		fields{}.head(wire.TypeClose, 0, "CLOSE", 0, 0, 1, "instance")},
	{"counters", "Counters of a worker, which only go over the socket.",
		fields{}.head(wire.TypeCounters, 0, "COUNTERS", 0, 0, 0, "none").
			f64(9, "frames in").f64(8, "frames out").f64(700, "bytes in").f64(600, "bytes out").
			f64(5, "spins that paid").f64(4, "spins that did not").f64(3, "sleeps").f64(2, "doorbells").f64(0, "waits for room").
			f64(1, "late frames").f64(4, "events").f64(3, "events done").f64(2.5e6, "ticks in events").f64(1, "calls").
			f64(1, "errors").f64(1, "deadlines").f64(1, "open slots").f64(2100, "ticks in a microsecond").f64(5, "log level: notice")},
	{"dismiss", "The server takes no more events, and has no doorbell to hang up.",
		fields{}.head(wire.TypeDismiss, 0, "DISMISS", 0, 0, 0, "none")},
	{"socket", "Two frames as they go over the socket: event.hex, and close.hex.",
		fields{}.u32(12, "word: length 12").head(wire.TypeEvent, wire.PhaseAccess, "EVENT", 1, 2, 1, "instance").
			u32(12, "word: length 12").head(wire.TypeClose, 0, "CLOSE", 0, 0, 1, "instance")},
	{"pieces", "A RETURN of 315 bytes in two pieces, over the socket; rings of 1024 bytes\nhave frames of 252 bytes at most.",
		fields{}.u32(ring.More|252, "word: more, length 252").head(wire.TypeReturn, wire.StatusOK, "RETURN", 1, 2, 0, "none").
			raw("\xda\x01\x2c", "result: str 16 of 300 bytes").raw(strings.Repeat("v", 237), "").
			u32(75, "word: length 75").head(wire.TypeReturn, wire.StatusOK, "RETURN", 1, 2, 0, "none").
			raw(strings.Repeat("v", long-237), "")},
}
