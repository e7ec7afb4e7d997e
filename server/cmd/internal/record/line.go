package record

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/kongring/kongring/server/wire"
)

// Version is the version of the file.
const Version = 1

// Header is the first line of a file.
type Header struct {
	Version  int       `json:"kongring_trace"`
	Protocol string    `json:"protocol"` // of the server
	Started  time.Time `json:"started"`
	Session  uint32    `json:"session"`
	Worker   uint32    `json:"worker"`
	Carrier  string    `json:"carrier"`
	LogLevel int       `json:"log_level"` // nginx's: lines above it were not sent
	Redacted bool      `json:"redacted"`
}

// Line is any other line. What stands in it depends on its type.
type Line struct {
	At   int64  `json:"at"` // microseconds since the start
	Type string `json:"type"`

	Event string `json:"event,omitempty"` // slot and generation

	Instance uint32          `json:"instance,omitempty"`
	Plugin   string          `json:"plugin,omitempty"`
	Entity   string          `json:"entity,omitempty"`
	Config   json.RawMessage `json:"config,omitempty"`

	Phase  string  `json:"phase,omitempty"`
	Values []Value `json:"values,omitempty"` // that came along with an event
	Writes []Call  `json:"writes,omitempty"` // that waited for the message
	Method string  `json:"method,omitempty"`
	Args   []any   `json:"args,omitempty"`
	Status string  `json:"status,omitempty"`
	Value  any     `json:"value,omitempty"` // nil where there is none
	Text   string  `json:"text,omitempty"`
	Frames uint64  `json:"frames,omitempty"`
}

// Call is a PDK method with its arguments.
type Call struct {
	Method string `json:"method"`
	Args   []any  `json:"args"`
}

// Value is a getter with what it gives.
type Value struct {
	Call
	Value   any  `json:"value,omitempty"`
	Missing bool `json:"missing,omitempty"` // it could not be had, and is asked for
}

// Types of line.
const (
	TypeInstance = "instance" // a plugin with a config
	TypeConstant = "constant" // a getter that the session asks for no more
	TypeEvent    = "event"
	TypeCall     = "call"
	TypeReturn   = "return"
	TypeDone     = "done"
	TypeExit     = "exit"
	TypeCancel   = "cancel"
	TypeLost     = "lost" // frames are missing here
	TypeEnd      = "end"  // the last line: why there are no more
)

// Ends of a record, the texts of its last line.
const (
	EndTime   = "the time is over"
	EndFrames = "enough frames"
	EndBytes  = "enough bytes"
	EndAsked  = "interrupted"
	EndHangUp = "the session ended"
)

// statuses are the names of a message's status.
var statuses = [...]string{
	wire.StatusOK: "ok", wire.StatusPanic: "panic", wire.StatusNoInstance: "no instance", wire.StatusNoPhase: "no phase",
	wire.StatusNoPlugin: "no plugin", wire.StatusBadConfig: "bad config", wire.StatusDeadline: "deadline",
	wire.StatusLuaError: "lua error", wire.StatusClientGone: "client gone", wire.StatusShutdown: "shutdown",
	wire.StatusUnencodable: "unencodable", wire.StatusFailed: "failed", wire.StatusBusy: "busy",
}

// StatusName gives the name of a status.
func StatusName(status uint8) string {
	if int(status) < len(statuses) {
		return statuses[status]
	}
	return fmt.Sprintf("status %d", status)
}

// StatusOf gives the status of a name.
func StatusOf(name string) (status uint8, found bool) {
	i := slices.Index(statuses[:], name)
	return uint8(max(i, 0)), i >= 0
}

// PhaseOf gives the phase of a name.
func PhaseOf(name string) (phase uint8, found bool) {
	i := slices.Index(wire.PhaseNames[:], name)
	return uint8(max(i, 0)), i > 0
}

// MethodOf gives the method of a name, 0 if this version has none of that name.
func MethodOf(name string) wire.MethodID {
	i := slices.IndexFunc(wire.Methods[:], func(m wire.Method) bool { return m.Name == name })
	return wire.MethodID(max(i, 0))
}
