// Package log writes to Kong's error log.
package log

import (
	"encoding/json"
	"fmt"

	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// Log is kong.Log of a handler. Its methods may be called in every phase.
type Log struct{ bridge.PdkBridge }

// New gives the Log of the event that b belongs to.
func New(b bridge.PdkBridge) Log { return Log{b} }

// Level is how grave a line is, as nginx counts: the lower, the graver.
type Level int

// The levels.
const (
	LevelEmerg Level = iota + 1
	LevelAlert
	LevelCrit
	LevelErr
	LevelWarn
	LevelNotice
	LevelInfo
	LevelDebug
)

// Enabled tells whether Kong writes lines of a level now, for lines that cost
// something to make. It asks nobody.
func (l Log) Enabled(level Level) bool { return int(level) <= bridge.LogLevelOf(l.PdkBridge) }

// Emerg writes a line to Kong's error log at level emerg.
func (l Log) Emerg(args ...interface{}) error { return l.line(wire.LogEmerg, LevelEmerg, args) }

// Alert writes a line to Kong's error log at level alert.
func (l Log) Alert(args ...interface{}) error { return l.line(wire.LogAlert, LevelAlert, args) }

// Crit writes a line to Kong's error log at level crit.
func (l Log) Crit(args ...interface{}) error { return l.line(wire.LogCrit, LevelCrit, args) }

// Err writes a line to Kong's error log at level err.
func (l Log) Err(args ...interface{}) error { return l.line(wire.LogErr, LevelErr, args) }

// Warn writes a line to Kong's error log at level warn.
func (l Log) Warn(args ...interface{}) error { return l.line(wire.LogWarn, LevelWarn, args) }

// Notice writes a line to Kong's error log at level notice.
func (l Log) Notice(args ...interface{}) error { return l.line(wire.LogNotice, LevelNotice, args) }

// Info writes a line to Kong's error log at level info.
func (l Log) Info(args ...interface{}) error { return l.line(wire.LogInfo, LevelInfo, args) }

// Debug writes a line to Kong's error log at level debug.
func (l Log) Debug(args ...interface{}) error { return l.line(wire.LogDebug, LevelDebug, args) }

// Serialize gives the JSON text that Kong's logging plugins send.
// Phases: log.
func (l Log) Serialize() (s string, err error) {
	return l.Ask(wire.LogSerialize).ToString()
}

// SerializeMap is Serialize as a map, with the types that encoding/json makes.
func (l Log) SerializeMap() (map[string]interface{}, error) {
	text, err := l.Serialize()
	if err != nil || text == "" {
		return nil, err
	}
	var m map[string]interface{}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return nil, fmt.Errorf("what kong.log.serialize gave: %w", err)
	}
	return m, nil
}

// Mode says when SetSerializeValue sets a value.
type Mode string

// Modes.
const (
	Set     Mode = "set"     // in any case
	Add     Mode = "add"     // where there is none
	Replace Mode = "replace" // where there is one
)

// SetSerializeValue sets a value in what Serialize, and with it Kong's logging
// plugins, will give; nil takes it out. key is a path: names joined by dots. See
// [bridge.Call.Value] for the types of value. In the log phase only this
// handler's own Serialize sees it: the other plugins have logged.
// Phases: rewrite, access, response, log.
func (l Log) SetSerializeValue(key string, value interface{}, mode Mode) error {
	return l.Ask(wire.LogSetSerializeValue).String(key).Value(value).
		Field("mode", string(mode)).Done()
}

// line sends args, which Lua writes one behind the other without a separator.
// An error stands for its text. An argument of another type that Lua has not
// gives an error and logs nothing.
func (l Log) line(m wire.MethodID, level Level, args []interface{}) error {
	c := l.Ask(m)
	for _, a := range args {
		if err, ok := a.(error); ok {
			a = err.Error()
		}
		c.Value(a)
	}
	return c.Log(int(level))
}
