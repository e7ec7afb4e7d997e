package server_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/server/wire/golden"
)

// greeter is the plugin of the golden frames.
type greeter struct {
	Message string `json:"message"`
	run     func(g *greeter, kong *pdk.PDK, name string)
}

func (g *greeter) Access(kong *pdk.PDK) {
	// Both fail in an event that was given up before its handler began, which then
	// has no name.
	_ = kong.Response.SetHeader("x-hello", g.Message)
	name, _ := kong.Request.GetHeader("x-name")
	g.run(g, kong, name)
}

// withGreeter runs the plugin; names gets what each handler read, and ended the
// context of one whose request had no name, once that is over.
func withGreeter(names chan<- string, ended chan<- error) server.Option {
	run := func(_ *greeter, kong *pdk.PDK, name string) {
		defer func() { names <- name }()
		switch {
		case name == "":
			<-kong.Context().Done()
			ended <- context.Cause(kong.Context())
		case len(names) == 0:
			must(kong.Response.SetStatus(201))
		default:
			kong.Response.Exit(403, []byte("no"), nil)
		}
	}
	return server.WithPlugin("hello", func() interface{} { return &greeter{run: run} }, "0.1", 1,
		server.Prefetch("access", server.Get("kong.request.get_header", "x-name")))
}

// TestGoldenConversation is a worker that has but the golden frames: what the
// server answers is in them, byte by byte.
func TestGoldenConversation(t *testing.T) {
	for _, carrier := range []string{"ring", "socket"} {
		t.Run(carrier, func(t *testing.T) {
			if carrier == "socket" {
				overSocket(t)
			}
			names, ended := make(chan string, 3), make(chan error, 1)
			s, socket := plain(t, withGreeter(names, ended), server.WithRingCapacity(ring.MinCapacity))
			w := attach(t, socket)
			say := func(name string) {
				t.Helper()
				require.NoError(t, w.sendFrame(golden.Read(name), false))
			}
			hear := func(name string) {
				t.Helper()
				frame, err := w.frame()
				require.NoError(t, err)
				require.False(t, frame.More)
				require.Equal(t, golden.Read(name), frame.Payload, name)
			}
			say("start")
			hear("started")
			say("event")
			hear("call")
			say("return")
			hear("done")
			hear("profile")
			say("event-values")
			hear("exit")
			say("event-no-value")
			say("event-rewrite") // its slot is the other's: that is given up
			hear("done-refused")
			require.ErrorContains(t, <-ended, "the worker gave it up")
			require.Equal(t, []string{"ada", "ada", ""}, []string{<-names, <-names, <-names})

			say("close")
			if w.stream != nil {
				say("counters")
				require.Eventually(t, func() bool { return s.Stats().Sessions[0].Bridge.LogLevel == 5 }, patience, 1e6)
			}
			require.Eventually(t, func() bool { return s.Stats().Instances == 0 }, patience, 1e6)
		})
	}
}

// TestGoldenCancel is an event whose time is over.
func TestGoldenCancel(t *testing.T) {
	names, ended := make(chan string, 1), make(chan error, 1)
	_, socket := plain(t, withGreeter(names, ended))
	w := attach(t, socket)
	w.instance("hello", `{"message":"hi"}`)
	event := golden.Read("event-no-value")
	event = event[:wire.HeadSize] // no profile is known yet
	require.NoError(t, w.sendFrame(event, false))
	frame, err := w.frame()
	require.NoError(t, err)
	call, _, err := wire.ReadHead(frame.Payload)
	require.NoError(t, err)
	w.answer(call, []byte{0xc0})
	require.NoError(t, w.sendFrame(golden.Read("cancel"), false))
	require.ErrorContains(t, <-ended, "the event's time is over")
	require.Equal(t, "", <-names)
}

// TestGoldenStream is a message in pieces, and two frames in one write, as bytes
// on the connection.
func TestGoldenStream(t *testing.T) {
	overSocket(t)
	names := make(chan string, 1)
	s, socket := plain(t, withGreeter(names, nil), server.WithRingCapacity(ring.MinCapacity))
	w := attach(t, socket)
	require.NoError(t, w.sendFrame(golden.Read("start"), false))
	_, err := w.frame()
	require.NoError(t, err)
	_, err = w.a.Write(golden.Read("socket"))
	require.NoError(t, err)
	frame, err := w.frame()
	require.NoError(t, err)
	require.Equal(t, golden.Read("call"), frame.Payload)
	_, err = w.a.Write(golden.Read("pieces"))
	require.NoError(t, err)
	require.Len(t, <-names, 300)
	frame, err = w.frame()
	require.NoError(t, err)
	require.Equal(t, golden.Read("done"), frame.Payload)
	require.Eventually(t, func() bool { return s.Stats().Instances == 0 }, patience, 1e6)

	stream := server.AppendFrame(nil, ring.Frame{Payload: golden.Read("event")})
	require.Equal(t, golden.Read("socket"), server.AppendFrame(stream, ring.Frame{Payload: golden.Read("close")}))
}
