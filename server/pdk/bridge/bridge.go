// Package bridge connects the PDK's packages with the event that a handler
// runs for. It is shaped like go-pdk's package of the same name: every type of
// the PDK embeds a [PdkBridge], is a small value that may be copied, and
// promotes its methods.
package bridge

import (
	"context"

	"github.com/kongring/kongring/server/wire"
)

// PdkBridge is the way of one PDK value to its event. Its methods may be
// called by several goroutines of a handler at once. A bridge that outlives
// its event never reaches another one: its calls give [ErrOver].
type PdkBridge struct {
	call *Call
	life uint64
}

// Ask begins a call of m: the caller adds the arguments in order and ends it
// with one of the methods of [Call] that give a result. Until then other calls
// of the same event wait.
func (p PdkBridge) Ask(m wire.MethodID) *Call { return p.call.begin(p.life, m) }

// ContextOf gives the context of the bridge's event, one that is cancelled
// already when the event is over.
func ContextOf(p PdkBridge) context.Context {
	p.call.mu.Lock()
	defer p.call.mu.Unlock()
	if p.life != p.call.life {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(ErrOver)
		return ctx
	}
	return p.call.transport.Context()
}

// LogLevelOf gives the level above which lines are not written, as nginx counts;
// 0 when the event is over.
func LogLevelOf(p PdkBridge) int {
	p.call.mu.Lock()
	defer p.call.mu.Unlock()
	if p.life != p.call.life {
		return 0
	}
	return p.call.transport.LogLevel()
}
