package server_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/pdk/bridge"
	"github.com/kongring/kongring/server/wire"
)

// loud has decoders that tell what they got.
type loud struct {
	handling
	Bad   refuses `json:"bad"`
	Worse panics2 `json:"worse"`
}

type (
	refuses struct{}
	panics2 struct{}
)

func (*refuses) UnmarshalText(text []byte) error { return fmt.Errorf("not %s", text) }
func (*panics2) UnmarshalText(text []byte) error { panic("no idea what to do with " + string(text)) }

// What is refused has a reason that errors.Is finds, and a status that goes with
// it; the text names the field and no value.
func TestRefusals(t *testing.T) {
	s, socket := start(t, withScript(func(*scripted, *pdk.PDK) {}),
		server.WithPlugin("loud", func() interface{} { return &loud{} }, "1", 1),
		server.WithPlugin("upset", func() interface{} { return &upset{} }, "1", 1))
	w := attach(t, socket)
	in := w.instance("scripted", `{}`)
	begin := func(plugin, config string) func() error {
		return func() error {
			return s.TryStart(&wire.StartInstance{Plugin: plugin, Key: "k", Config: []byte(config)})
		}
	}
	event := func(instance uint32, phase uint8) func() error {
		return func() error { return s.TryEvent(wire.Head{Arg: instance, Code: phase}) }
	}
	for _, tc := range []struct {
		name   string
		try    func() error
		reason error
		status uint8
		text   string
	}{
		{"plugin", begin("q", `{}`), server.ErrNoPlugin, wire.StatusNoPlugin, `no plugin named "q" in this server`},
		{"type of a field", begin("scripted", `{"name":["secret"]}`), server.ErrBadConfig, wire.StatusBadConfig,
			`config of plugin scripted: field "name" does not fit the Go type string`},
		{"decoder that refuses", begin("loud", `{"bad":"secret"}`), server.ErrBadConfig, wire.StatusBadConfig,
			`config of plugin loud: field "bad": it does not fit the plugin's config struct`},
		{"decoder that panics", begin("loud", `{"worse":"secret"}`), server.ErrBadConfig, wire.StatusBadConfig,
			`config of plugin loud: field "worse": the plugin panicked while it decoded it`},
		{"config that refuses", begin("upset", `{"any":"secret"}`), server.ErrBadConfig, wire.StatusBadConfig,
			`config of plugin upset: field "any": it does not fit the plugin's config struct`},
		{"no JSON", begin("loud", `{"bad":secret}`), server.ErrBadConfig, wire.StatusBadConfig,
			`config of plugin loud: no JSON: fault at byte 8`},
		{"instance", event(in+1, wire.PhaseAccess), server.ErrNoInstance, wire.StatusNoInstance, "no instance 2 in this session"},
		{"instance 0", event(0, wire.PhaseAccess), server.ErrNoInstance, wire.StatusNoInstance, "no instance 0 in this session"},
		{"phase", event(in, wire.PhaseLog), server.ErrNoPhase, wire.StatusNoPhase, "plugin scripted has no handler for phase log"},
		{"phase that is none", event(in, 200), server.ErrNoPhase, wire.StatusNoPhase, "plugin scripted has no handler for phase number 200"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.try()
			require.ErrorIs(t, err, tc.reason)
			for _, other := range []error{server.ErrNoPlugin, server.ErrBadConfig, server.ErrNoInstance, server.ErrNoPhase, server.ErrStops} {
				require.True(t, other == tc.reason || !errors.Is(err, other), "%v is %v", err, other)
			}
			require.Equal(t, tc.text, err.Error())
			require.Equal(t, tc.status, server.StatusOf(fmt.Errorf("around it: %w", err)))
		})
	}
	require.Equal(t, uint8(wire.StatusFailed), server.StatusOf(errors.New("something else")))
	require.Equal(t, uint8(wire.StatusShutdown), server.StatusOf(server.ErrStops))
}

// upset refuses each config but an empty one.
type upset struct{ handling }

func (*upset) UnmarshalJSON(text []byte) error {
	if string(text) != "{}" {
		return fmt.Errorf("what is %s", text)
	}
	return nil
}

// A plugin's calls in an event whose session is closed give an error that wraps
// bridge.ErrOver, at once.
func TestCallsInAClosedSession(t *testing.T) {
	errs, closed := make(chan error, 2), make(chan struct{})
	s, socket := start(t, withScript(func(_ *scripted, kong *pdk.PDK) {
		<-closed
		_, err := kong.Request.GetPath()
		errs <- err
		errs <- kong.Response.SetHeader("a", "b")
	}))
	w := attach(t, socket)
	w.event(0, w.instance("scripted", `{}`))
	require.Eventually(t, func() bool { return s.Stats().Sessions[0].UnderWay == 1 }, patience, time.Millisecond)
	w.send(wire.Head{Type: 99}, nil) // which ends it
	w.waitHangUp()
	close(closed)
	require.ErrorIs(t, <-errs, bridge.ErrOver)
	require.ErrorIs(t, <-errs, bridge.ErrOver)
}
