package server_test

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/wire"
)

// A server that Kong started goes on when it is told to stop, until the next one
// listens or Kong is gone.
func TestSuccession(t *testing.T) {
	script := withScript(func(*scripted, *pdk.PDK) {})
	for name, follow := range map[string]func(t *testing.T, socket string, kong *exec.Cmd){
		"next server": func(t *testing.T, socket string, _ *exec.Cmd) { serveAt(t, socket, script) },
		"Kong ends": func(t *testing.T, _ string, kong *exec.Cmd) {
			require.NoError(t, kong.Process.Kill())
			_ = kong.Wait()
		},
	} {
		t.Run(name, func(t *testing.T) {
			kong := exec.Command("sleep", "600")
			require.NoError(t, kong.Start())
			t.Cleanup(func() {
				_ = kong.Process.Kill()
				_ = kong.Wait()
			})
			socket, logger := socketPath(t), new(record)
			s, err := server.New(server.WithSocket(socket), server.WithGrace(patience), logger.option(), script)
			require.NoError(t, err)
			s.SetMaster(kong.Process.Pid)
			ctx, stop := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- s.Serve(ctx) }()
			listening(t, socket)
			stop()
			require.Eventually(t, func() bool { return strings.Contains(logger.String(), "told to stop") }, patience, time.Millisecond)
			w := attach(t, socket)
			w.expect(wire.TypeDone, w.event(0, w.instance("scripted", `{}`)))
			require.False(t, s.Draining())
			follow(t, socket, kong)
			w.waitDismissed()
			w.hangUp()
			require.NoError(t, within(t, ended))
		})
	}
}

// A server that another one took over from sends Kong there, whether it is told
// to stop or not.
func TestStockSuccession(t *testing.T) {
	for name, told := range map[string]bool{"told to stop": true, "not yet": false} {
		t.Run(name, func(t *testing.T) { stockSuccession(t, told) })
	}
}

func stockSuccession(t *testing.T, told bool) {
	script := withScript(func(_ *scripted, kong *pdk.PDK) {
		if path, err := kong.Request.GetPath(); err != nil || path != "/p" {
			panic(fmt.Sprint(path, err))
		}
	})
	socket := socketPath(t)
	s, stop := serveAt(t, socket, script)
	k := newStockKong(t, socket)
	in := k.instance("scripted", `{}`)
	step := k.handle(in)
	ask := func(c *stockConn, method string, arg interface{}) (interface{}, string) {
		id := k.id.Add(1)
		_, err := c.Write(pack(nil, list{0, id, "plugin." + method, list{arg}}))
		require.NoError(t, err)
		result, text, err := c.response(id)
		require.NoError(t, err)
		return result, text
	}
	first, second := k.dial(), k.dial()
	for _, c := range []*stockConn{first, second} { // until the server has them
		_, text := ask(c, "InstanceStatus", in)
		require.Empty(t, text)
	}
	_, stopNext := serveAt(t, socket, script)
	if told {
		stop()
		require.Eventually(t, s.Draining, patience, time.Millisecond)
	}

	_, text := ask(first, "HandleEvent", table{"InstanceId": in, "EventName": "access"})
	require.Equal(t, fmt.Sprintf("no plugin instance %v", in), text)
	_, text = ask(second, "StartInstance", table{"Name": "scripted", "Config": "{}"})
	require.Empty(t, text)
	for _, c := range []*stockConn{first, second} {
		_, err := c.in.ReadIntf()
		require.ErrorIs(t, err, io.EOF, "Kong is to take another connection")
	}
	again := k.dial()
	in, text = ask(again, "StartInstance", table{"Name": "scripted", "Config": "{}"})
	require.Empty(t, text)
	require.NoError(t, again.Close())
	require.NotNil(t, in)
	require.True(t, k.step(step, "Step", "/p").ret, "the event under way ends in order")
	stopNext()
}

// serveAt runs a server until stop is called or the test ends.
func serveAt(t *testing.T, socket string, script server.Option) (s *server.Server, stop func()) {
	s, err := server.New(server.WithSocket(socket), server.WithGrace(patience), server.WithLogger(testLogger(t)), script)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	require.Eventually(t, s.Listening, patience, time.Millisecond)
	return s, cancel
}
