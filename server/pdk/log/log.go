// Package log writes to Kong's error log.
package log

import (
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// Log is kong.Log of a handler. Its methods may be called in every phase.
type Log struct{ bridge.PdkBridge }

// New gives the Log of the event that b belongs to.
func New(b bridge.PdkBridge) Log { return Log{b} }

// Alert writes a line to Kong's error log at level alert.
func (l Log) Alert(args ...interface{}) error { return l.line(wire.LogAlert, levelAlert, args) }

// Crit writes a line to Kong's error log at level crit.
func (l Log) Crit(args ...interface{}) error { return l.line(wire.LogCrit, levelCrit, args) }

// Err writes a line to Kong's error log at level err.
func (l Log) Err(args ...interface{}) error { return l.line(wire.LogErr, levelErr, args) }

// Warn writes a line to Kong's error log at level warn.
func (l Log) Warn(args ...interface{}) error { return l.line(wire.LogWarn, levelWarn, args) }

// Notice writes a line to Kong's error log at level notice.
func (l Log) Notice(args ...interface{}) error { return l.line(wire.LogNotice, levelNotice, args) }

// Info writes a line to Kong's error log at level info.
func (l Log) Info(args ...interface{}) error { return l.line(wire.LogInfo, levelInfo, args) }

// Debug writes a line to Kong's error log at level debug.
func (l Log) Debug(args ...interface{}) error { return l.line(wire.LogDebug, levelDebug, args) }

// Serialize gives the JSON text that Kong's logging plugins send.
// Phases: log.
func (l Log) Serialize() (s string, err error) {
	return l.Ask(wire.LogSerialize).ToString()
}

// Levels of lines, as nginx counts.
const (
	levelAlert = iota + 2
	levelCrit
	levelErr
	levelWarn
	levelNotice
	levelInfo
	levelDebug
)

// line sends args, which Lua writes one behind the other without a separator.
// An argument of a type that Lua has not gives an error and logs nothing.
func (l Log) line(m wire.MethodID, level int, args []interface{}) error {
	c := l.Ask(m)
	for _, a := range args {
		c.Value(a)
	}
	return c.Log(level)
}
