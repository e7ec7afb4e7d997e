package e2e_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/luabridge/testbed"
	"github.com/kongring/kongring/server/wire"
)

// refuser is a server that refuses events, or starts, with a status and a text.
type refuser struct {
	start, event   uint8
	text           string
	starts, events atomic.Int64
}

// answer answers a worker's messages.
func (f *refuser) answer(s *handSession) {
	for s.ctx.Err() == nil {
		frame, ok, err := s.in.Read(nil)
		if err != nil {
			return
		}
		if !ok {
			time.Sleep(time.Millisecond)
			continue
		}
		head, _, err := wire.ReadHead(frame.Payload)
		if err != nil {
			return
		}
		switch head.Type {
		case wire.TypeStart:
			head.Type, head.Code, head.Arg = wire.TypeStarted, f.start, uint32(f.starts.Add(1))
		case wire.TypeEvent:
			f.events.Add(1)
			head.Type, head.Code, head.Arg = wire.TypeDone, f.event, 0
		default:
			continue
		}
		reply := wire.AppendHead(nil, head)
		if head.Code != wire.StatusOK {
			reply = msgp.AppendString(reply, f.text)
		}
		_, _ = s.out.Write(reply, false)
		_ = s.doorbell.Ring()
	}
}

// Each refusal has an answer for the client, and so many tries and no more,
// whatever the server says in words.
func TestRefusalsAreTriedOnceMore(t *testing.T) {
	for _, tc := range []struct {
		name           string
		start, event   uint8
		text           string
		status         int
		starts, events int64
	}{
		{"no instance", wire.StatusOK, wire.StatusNoInstance, "what?", 500, 2, 2},
		{"no phase", wire.StatusOK, wire.StatusNoPhase, "no plugin instance 1: no instance", 500, 1, 1},
		{"panic", wire.StatusOK, wire.StatusPanic, "no instance 1 in this session", 500, 1, 1},
		{"stops", wire.StatusOK, wire.StatusShutdown, "I stop", 503, 2, 2},
		{"bad config", wire.StatusBadConfig, 0, "the plugin server stops", 500, 1, 0},
		{"no plugin", wire.StatusNoPlugin, 0, "closed", 500, 1, 0},
		{"failed start", wire.StatusFailed, 0, "timeout", 500, 1, 0},
		{"no start, it stops", wire.StatusShutdown, 0, "bye", 503, 2, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := start(t, func(o *testbed.Options) {
				o.NoServer = true
				handlerOf(t, o, "")
				o.Config = entities(map[string]object{"direct": nil})
			})
			f := &refuser{start: tc.start, event: tc.event, text: tc.text}
			s := serveByHand(t, b.Socket(), 1<<12, f.answer)
			defer s.stop()
			b.logged("attached to .* as session")
			require.Equal(t, tc.status, b.do("nothing").status)
			b.logged(`plugin probe, .*phase access: .*` + tc.text)
			require.Equal(t, [2]int64{tc.starts, tc.events}, [2]int64{f.starts.Load(), f.events.Load()}, "starts and events")
		})
	}
}

// A phase that the handler.lua of another version of the plugin names.
func TestPhaseThatThePluginHasNot(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		handlerOf(t, o, `phases = { "response" }`)
		o.Config = config(nil)
		delete(o.Config, "global_plugins")
	})
	r, err := b.try("/probe", nil)
	require.NoError(t, err)
	require.Equal(t, 500, r.status)
	b.logged(`plugin probe, .*phase response: failed: plugin probe has no handler for phase response`)
	stats, err := b.Server.Stats()
	require.NoError(t, err)
	require.EqualValues(t, 1, stats.Sessions[0].Server.Events)
}
