package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/wire"
)

// closeInstance ends the worker's use of an instance.
func (w *worker) closeInstance(id uint32) {
	w.t.Helper()
	w.send(wire.Head{Type: wire.TypeClose, Arg: id}, nil)
}

// No number of an instance means another one later, and what was closed is not
// found.
func TestNumbersOfInstances(t *testing.T) {
	s, socket := start(t, withScript(func(*scripted, *pdk.PDK) {}))
	w := attach(t, socket)
	first := w.instance("scripted", `{}`)
	w.closeInstance(first)
	second := w.instance("scripted", `{}`)
	require.NotEqual(t, first, second)
	done, _ := w.expect(wire.TypeDone, w.event(0, first))
	require.Equal(t, uint8(wire.StatusNoInstance), done.Code)
	done, _ = w.expect(wire.TypeDone, w.event(0, second))
	require.Equal(t, uint8(wire.StatusOK), done.Code)
	require.Equal(t, 1, s.Stats().Instances)
}

// A worker that lives long may start any number of instances, one after the
// other: Kong makes new config tables at each change of anything. Only what is
// open at a time has a limit.
func TestInstancesWithoutEnd(t *testing.T) {
	const limit = 3
	s, socket := start(t, server.WithMaxInstances(limit), withScript(func(*scripted, *pdk.PDK) {}))
	w := attach(t, socket)
	var open []uint32
	for range 10 * limit {
		open = append(open, w.instance("scripted", `{}`))
		if len(open) == limit {
			w.closeInstance(open[0])
			open = open[1:]
		}
	}
	w.expect(wire.TypeDone, w.event(0, open[0]))
	require.Equal(t, 1, s.Stats().Instances)
	w.instance("scripted", `{}`)
	refused, body := w.startInstance("scripted", "entity", `{}`)
	require.Equal(t, uint8(wire.StatusFailed), refused.Code)
	require.Contains(t, string(body), "3 instances are open in this session")
}

// What one worker closes goes on for the others, and for the events that are
// under way; a new config is there before the old one goes.
func TestClosedWhileInUse(t *testing.T) {
	release, names := make(chan struct{}), make(chan string, 10)
	s, socket := start(t, withScript(func(s *scripted, _ *pdk.PDK) {
		if s.Name == "old" {
			<-release
		}
		names <- s.Name
	}))
	a, b := attach(t, socket), attach(t, socket)
	old := a.instance("scripted", `{"name":"old","__seq__":1}`)
	same := b.instance("scripted", `{"name":"old","__seq__":2}`)
	require.Equal(t, 1, s.Stats().Instances)
	waits := a.event(0, old)

	started, _ := a.startIn(2, "scripted", "entity", `{"name":"new","__seq__":3}`)
	next := started.Arg
	a.closeInstance(old)
	a.expect(wire.TypeDone, a.event(1, next))
	require.Equal(t, "new", <-names)
	require.Equal(t, 2, s.Stats().Instances, "the other worker has it")

	b.closeInstance(same)
	b.instance("scripted", `{"name":"new","__seq__":4}`) // answered behind the close
	require.Equal(t, 1, s.Stats().Instances)
	close(release)
	done, _ := a.expect(wire.TypeDone, waits)
	require.Equal(t, uint8(wire.StatusOK), done.Code)
	require.Equal(t, "old", <-names)
}

// A Kong without the bridge hears of a restart too late for the request that it
// sends: its number is of no instance of the new process.
func TestStockInstancesAfterARestart(t *testing.T) {
	opt := withScript(func(*scripted, *pdk.PDK) {})
	_, first := start(t, opt)
	_, second := start(t, opt)
	old, kong := newStockKong(t, first), newStockKong(t, second)
	for range 20 {
		kong.instance("scripted", `{}`)
		id := old.instance("scripted", `{}`)
		_, text := kong.call("HandleEvent", table{"InstanceId": id, "EventName": "access"})
		require.Contains(t, text, "no plugin instance")
	}
}
