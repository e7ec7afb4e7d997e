package server_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// scripted is a plugin whose handler each test brings along.
type scripted struct {
	Name   string `json:"name"`
	access func(*scripted, *pdk.PDK)
}

func (s *scripted) Access(kong *pdk.PDK) { s.access(s, kong) }

func withScript(access func(*scripted, *pdk.PDK)) server.Option {
	return server.WithPlugin("scripted", func() interface{} { return &scripted{access: access} }, "0.1", 1)
}

func TestEventRunsHandler(t *testing.T) {
	_, socket := start(t, withScript(func(s *scripted, kong *pdk.PDK) {
		path, err := kong.Request.GetPath()
		if err != nil {
			panic(err)
		}
		if err := kong.Response.SetHeader("x-"+s.Name, path); err != nil {
			panic(err)
		}
	}))
	w := attach(t, socket)
	in := w.instance("scripted", `{"name":"here","__seq__":7}`)
	for range 1000 {
		head := w.event(3, in)
		call, body := w.expect(wire.TypeCall, head)
		require.Equal(t, "kong.request.get_path", wire.MethodID(call.Arg).String())
		require.Equal(t, []byte{0xdc, 0, 0}, body, "no arguments")
		w.answer(head, msgp.AppendString(nil, "/a/b"))

		call, body = w.expect(wire.TypeCall, head)
		require.Equal(t, "kong.response.set_header", wire.MethodID(call.Arg).String())
		args, _, err := msgp.ReadIntfBytes(body)
		require.NoError(t, err)
		require.Equal(t, []interface{}{"x-here", "/a/b"}, args)
		w.answer(head, msgp.AppendNil(nil))

		done, _ := w.expect(wire.TypeDone, head)
		require.Equal(t, uint8(wire.StatusOK), done.Code)
	}
}

func TestSlowHandlerDelaysNobody(t *testing.T) {
	release := make(chan struct{})
	_, socket := start(t, withScript(func(s *scripted, kong *pdk.PDK) {
		if s.Name == "slow" {
			<-release
		}
	}))
	w := attach(t, socket)
	slow, quick := w.instance("scripted", `{"name":"slow"}`), w.instance("scripted", `{"name":"quick"}`)
	first := w.event(0, slow)
	for range 100 {
		w.expect(wire.TypeDone, w.event(1, quick))
	}
	close(release)
	w.expect(wire.TypeDone, first)
}

func TestBigResultsComeInPieces(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<20/16)
	got := make(chan []byte, 1)
	_, socket := start(t, server.WithRingCapacity(16<<10), withScript(func(_ *scripted, kong *pdk.PDK) {
		body, err := kong.Request.GetRawBody()
		if err != nil {
			panic(err)
		}
		got <- body
		kong.Response.Exit(200, body, nil)
	}))
	w := attach(t, socket)
	head := w.event(0, w.instance("scripted", `{}`))
	w.expect(wire.TypeCall, head)
	w.answer(head, msgp.AppendBytes(msgp.AppendInt(msgp.AppendArrayHeader(nil, 2), 0), want))
	exit, body := w.expect(wire.TypeExit, head)
	require.Equal(t, "kong.response.exit", wire.MethodID(exit.Arg).String())
	args, _, err := msgp.ReadIntfBytes(body)
	require.NoError(t, err)
	require.Equal(t, want, args.([]interface{})[1])
	require.Equal(t, want, <-got)
}

func TestPanicFailsItsEventOnly(t *testing.T) {
	s, socket := start(t, withScript(func(s *scripted, _ *pdk.PDK) { panic("boom " + s.Name) }))
	w := attach(t, socket)
	in := w.instance("scripted", `{"name":"x"}`)
	for range 3 {
		body := w.expectPanic(w.event(0, in))
		text, _, err := msgp.ReadStringBytes(body)
		require.NoError(t, err)
		require.Contains(t, text, "boom x")
		require.Contains(t, text, "server_test.go", "the stack tells where")
	}
	require.Equal(t, uint64(3), s.Stats().Sessions[0].Server.Panics)
}

func TestCallsAfterTheEnd(t *testing.T) {
	errs := make(chan error, 4)
	cancelled := make(chan struct{}, 1)
	_, socket := start(t, withScript(func(s *scripted, kong *pdk.PDK) {
		switch s.Name {
		case "exit":
			kong.Response.ExitStatus(403)
		case "cancel":
			_, err := kong.Request.GetPath()
			errs <- err
			<-kong.Context().Done()
			cancelled <- struct{}{}
		}
		_, err := kong.Request.GetPath()
		errs <- err
	}))
	w := attach(t, socket)

	head := w.event(0, w.instance("scripted", `{"name":"exit"}`))
	w.expect(wire.TypeExit, head)
	require.ErrorIs(t, <-errs, bridge.ErrOver)

	head = w.event(0, w.instance("scripted", `{"name":"cancel"}`))
	w.expect(wire.TypeCall, head)
	w.cancel(head, wire.StatusLuaError, "phase forbids it")
	err := <-errs
	require.ErrorIs(t, err, bridge.ErrOver)
	require.ErrorContains(t, err, "phase forbids it")
	<-cancelled
	require.ErrorIs(t, <-errs, bridge.ErrOver)
}

func TestWorkerDeathEndsItsEvents(t *testing.T) {
	errs := make(chan error, 1)
	s, socket := start(t, withScript(func(_ *scripted, kong *pdk.PDK) {
		<-kong.Context().Done()
		_, err := kong.Request.GetPath()
		errs <- err
	}))
	w := attach(t, socket)
	w.event(0, w.instance("scripted", `{}`))
	require.Eventually(t, func() bool { return s.Stats().Sessions[0].UnderWay == 1 }, patience, time.Millisecond)
	w.hangUp()
	require.ErrorIs(t, <-errs, bridge.ErrOver)
	require.Eventually(t, func() bool { return len(s.Stats().Sessions) == 0 }, patience, time.Millisecond)
}

func TestInstancesAreShared(t *testing.T) {
	made := make(chan struct{}, 10)
	_, socket := start(t, server.WithPlugin("p", func() interface{} {
		made <- struct{}{}
		return &scripted{}
	}, "0.1", 1))
	<-made // the constructor runs once to learn the phases
	a, b := attach(t, socket), attach(t, socket)
	a.instance("p", `{"name":"x","__seq__":1,"__key__":"a"}`)
	b.instance("p", `{"__seq__":2, "name":"x"}`)
	require.Len(t, made, 1, "one instance for two workers")
	b.instance("p", `{"name":"y"}`)
	require.Len(t, made, 2, "another config, another instance")
}

// The end of an instance is the end of no other, and of one that several workers
// use only for those that said so.
func TestCloseLeavesTheOthers(t *testing.T) {
	s, socket := start(t, withScript(func(*scripted, *pdk.PDK) {}))
	a, b := attach(t, socket), attach(t, socket)
	shared, own := a.instance("scripted", `{"name":"x"}`), a.instance("scripted", `{"name":"y"}`)
	same := b.instance("scripted", `{"name":"x"}`)
	require.Equal(t, 2, s.Instances())
	status := func(w *worker, instance uint32) uint8 {
		done, _ := w.expect(wire.TypeDone, w.event(0, instance))
		return done.Code
	}
	a.send(wire.Head{Type: wire.TypeClose, Arg: shared}, nil)
	require.Equal(t, uint8(wire.StatusNoInstance), status(a, shared))
	require.Equal(t, uint8(wire.StatusOK), status(a, own))
	require.Equal(t, uint8(wire.StatusOK), status(b, same))
	require.Equal(t, 2, s.Instances())
	a.hangUp()
	require.Eventually(t, func() bool { return s.Instances() == 1 }, patience, time.Millisecond)
	require.Equal(t, uint8(wire.StatusOK), status(b, same))
}

// strict has a field that decodes its own text.
type strict struct {
	scripted
	At time.Time `json:"at"`
}

func TestInstanceErrors(t *testing.T) {
	_, socket := start(t, server.WithPlugin("strict", func() interface{} { return &strict{} }, "0.1", 1), server.WithPlugin("p", func() interface{} { return &scripted{} }, "0.1", 1))
	w := attach(t, socket)
	for _, tc := range []struct {
		name, plugin, config string
		status               uint8
		text                 string
	}{
		{"unknown plugin", "q", `{}`, wire.StatusNoPlugin, `no plugin named "q"`},
		{"not JSON", "p", `{`, wire.StatusBadConfig, "does not fit"},
		{"wrong type", "p", `{"name":{"secret":1}}`, wire.StatusBadConfig, `field "name" does not fit the Go type string`},
		{"own decoder", "strict", `{"name":"a","at":"secret"}`, wire.StatusBadConfig,
			`config of plugin strict: field "at": it does not fit the plugin's config struct`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, body := w.startInstance(tc.plugin, "k", tc.config)
			require.Equal(t, tc.status, got.Code)
			require.Contains(t, string(body), tc.text)
			require.NotContains(t, string(body), "secret")
		})
	}
	done, _ := w.expect(wire.TypeDone, w.event(0, 99))
	require.Equal(t, uint8(wire.StatusNoInstance), done.Code)
}

func TestGoroutinesOfAHandlerMayCallSideBySide(t *testing.T) {
	_, socket := start(t, withScript(func(_ *scripted, kong *pdk.PDK) {
		const each, goroutines = 20, 4
		failed := make(chan error, goroutines)
		for range goroutines {
			go func() {
				var all error
				for range each {
					if got, err := kong.Request.GetHeader("a"); err != nil || got != "b" {
						all = errors.Join(all, err, errors.New(got))
					}
				}
				failed <- all
			}()
		}
		for range goroutines {
			if err := <-failed; err != nil {
				panic(err)
			}
		}
	}))
	w := attach(t, socket)
	in := w.instance("scripted", `{}`)
	for range 5 {
		head := w.event(0, in)
		for range 80 {
			w.expect(wire.TypeCall, head)
			w.answer(head, msgp.AppendString(nil, "b"))
		}
		done, body := w.expect(wire.TypeDone, head)
		require.Equal(t, uint8(wire.StatusOK), done.Code, "%s", body)
	}
}
