package server_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/server/wire/golden"
	"github.com/kongring/kongring/shm"
)

// follow traces the session of a worker until the test ends.
func follow(t testing.TB, socket string, w *worker) *server.Tracing {
	t.Helper()
	trace, err := server.Trace(socket, w.a.Welcome.Session, patience)
	require.NoError(t, err)
	t.Cleanup(func() { _ = trace.Close() })
	return trace
}

// nextFrame waits for a frame of a trace.
func nextFrame(t testing.TB, trace *server.Tracing) server.TraceFrame {
	t.Helper()
	late := time.AfterFunc(patience, func() { _ = trace.Close() })
	defer late.Stop()
	frame, err := trace.Next()
	require.NoError(t, err)
	return frame
}

// What either side says is in the trace, byte by byte and in order, and so is what
// was said before it that its frames are about.
func TestTrace(t *testing.T) {
	for _, carrier := range []string{"ring", "socket"} {
		t.Run(carrier, func(t *testing.T) {
			if carrier == "socket" {
				overSocket(t)
			}
			names, ended := make(chan string, 3), make(chan error, 1)
			_, socket := plain(t, withGreeter(names, ended), server.WithRingCapacity(ring.MinCapacity))
			w := attach(t, socket)
			hear := func() {
				_, err := w.frame()
				require.NoError(t, err)
			}
			require.NoError(t, w.sendFrame(golden.Read("start"), false))
			hear()
			trace := follow(t, socket, w)
			require.Equal(t, carrier, trace.Start.Carrier)
			require.Len(t, trace.Start.Instances, 1)
			in := trace.Start.Instances[0]
			require.EqualValues(t, 1, in.Number)
			require.Equal(t, "hello", in.Plugin)
			require.JSONEq(t, `{"message":"hi"}`, string(in.Config))
			require.Contains(t, string(trace.Start.Schemas["hello"]), `"message"`)
			require.Equal(t, []server.TraceProfile{{Instance: 1, Phase: wire.PhaseAccess, Body: golden.Read("profile")[wire.HeadSize:]}},
				trace.Start.Profiles)

			at := int64(0)
			for _, name := range []string{"event", "call", "return", "done", "profile"} {
				said := name == "event" || name == "return"
				if said {
					require.NoError(t, w.sendFrame(golden.Read(name), false))
				} else {
					hear()
				}
				frame := nextFrame(t, trace)
				require.Equal(t, golden.Read(name), frame.Frame, name)
				require.Equal(t, said, frame.FromWorker)
				require.False(t, frame.More)
				require.Zero(t, frame.Lost)
				require.GreaterOrEqual(t, frame.At, at)
				at = frame.At
			}
			require.Equal(t, "ada", <-names)
			w.hangUp()
			_, err := trace.Next()
			require.ErrorIs(t, err, io.EOF, "with the session")
		})
	}
}

func TestTraceRefusals(t *testing.T) {
	s, socket := start(t, obedient())
	w := attach(t, socket)
	first := follow(t, socket, w)
	_, err := server.Trace(socket, w.a.Welcome.Session, patience)
	require.ErrorIs(t, err, shm.ErrRefused)
	require.ErrorContains(t, err, "session 1 is traced already")
	_, err = server.Trace(socket, 7, patience)
	require.ErrorContains(t, err, "no session 7")
	require.EqualValues(t, 2, s.Stats().Refused)

	// The next one may, once the first has gone.
	require.NoError(t, first.Close())
	_, err = first.Next()
	require.ErrorIs(t, err, shm.ErrClosed)
	require.Eventually(t, func() bool {
		next, err := server.Trace(socket, w.a.Welcome.Session, patience)
		if err == nil {
			require.NoError(t, next.Close())
		}
		return err == nil
	}, patience, time.Millisecond)
}

// Who may attach may not therefore read what others' requests have.
func TestWhoMayTrace(t *testing.T) {
	needRoot(t)
	_, socket := start(t, obedient(), server.WithSocketMode(0o666), server.WithUID(stranger))
	require.NoError(t, os.Chmod(filepath.Dir(socket), 0o755))
	attach(t, socket)
	out, err := play(t, "trace", socket, asStranger())
	require.Error(t, err)
	require.Contains(t, out, fmt.Sprintf("status %d: uid 65534 may not trace: root and the server's own user may", shm.WelcomeDenied))
	_, err = play(t, "inspect", socket, asStranger())
	require.NoError(t, err)
}

// playTrace asks for a trace of the first session.
func playTrace(socket string) error {
	_, err := server.Trace(socket, 1, patience)
	return err
}

// Who does not read costs the session nothing: frames are dropped and counted, and
// in the end so is the reader.
func TestTraceThatIsNotRead(t *testing.T) {
	tap := server.NewTap()
	frame := ring.Frame{Payload: make([]byte, 1<<20), More: true}
	for range 20 {
		tap.Take(true, frame)
	}
	frames := tap.Fetch()
	require.Len(t, frames, 7, "what 8 MiB hold")
	tap.Take(true, ring.Frame{Payload: frame.Payload}) // the last piece of what was lost
	tap.Take(false, ring.Frame{Payload: []byte("next")})
	tap.Take(true, ring.Frame{Payload: frame.Payload})
	frames = tap.Fetch()
	require.Len(t, frames, 2)
	require.EqualValues(t, 14, frames[0].Lost)
	require.Equal(t, "next", string(frames[0].Frame))
	require.Zero(t, frames[1].Lost)
	require.Empty(t, tap.Fetch())

	_, socket := start(t, obedient())
	w := attach(t, socket)
	calls := w.instance("scripted", `{"name":"calls"}`)
	follow(t, socket, w)
	for range 2000 { // many more than the connection holds
		w.oneEvent(0, calls)
	}
}

// A server that stops ends its traces.
func TestTraceOfAServerThatStops(t *testing.T) {
	s, socket := start(t, obedient())
	w := attach(t, socket)
	trace := follow(t, socket, w)
	require.NoError(t, s.Close())
	late := time.AfterFunc(patience, func() { _ = trace.Close() })
	defer late.Stop()
	_, err := trace.Next()
	require.ErrorIs(t, err, io.EOF)
}
