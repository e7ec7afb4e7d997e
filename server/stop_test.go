package server_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// A server that stops tells its workers, whichever way they have, refuses what
// they send before they notice, and leaves when they have hung up, however long
// they have no event under way.
func TestServeDismissesItsWorkers(t *testing.T) {
	t.Run("doorbell", func(t *testing.T) { handOver(t, attach, (*worker).waitDismissed) })
	t.Run("socket", func(t *testing.T) { handOver(t, attachSocket, (*worker).waitDismissed) })
	t.Run("worker that leaves", func(t *testing.T) {
		handOver(t, func(t testing.TB, socket string) *worker {
			w := attach(t, socket)
			require.NoError(t, w.a.Leave())
			w.waitDismissed() // nobody answers the doorbell
			return w
		}, func(*worker) {})
	})
}

func handOver(t *testing.T, attach func(testing.TB, string) *worker, told func(*worker)) {
	socket := socketPath(t)
	s := newServer(t, socket)
	ctx, stop := context.WithCancel(t.Context())
	ended := serve(ctx, s)
	listening(t, socket)
	w := attach(t, socket)
	instance := w.instance("scripted", `{}`)
	refused := func() bool {
		done, _ := w.expect(wire.TypeDone, w.event(1, instance))
		return done.Code == wire.StatusShutdown
	}
	stop()
	told(w)
	require.Eventually(t, refused, patience, time.Millisecond)
	for range 5 {
		time.Sleep(20 * time.Millisecond) // several looks of the server
		require.True(t, refused())
	}
	require.Empty(t, ended)
	w.hangUp()
	require.NoError(t, within(t, ended))
}

// A doorbell that a worker opens at a server that stops is hung up as well.
func TestServeDismissesALateDoorbell(t *testing.T) {
	socket := socketPath(t)
	s := newServer(t, socket)
	ctx, stop := context.WithCancel(t.Context())
	ended := serve(ctx, s)
	listening(t, socket)
	w := attach(t, socket)
	late, err := net.Dial("unix", socket)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.Greeting() == 1 }, patience, time.Millisecond)
	stop()
	w.waitDismissed()
	sayHello(t, late, shm.Hello{Kind: shm.HelloDoorbell, Session: w.a.Welcome.Session, Token: w.a.Welcome.Token})
	_, err = io.ReadAll(late) // up to the hang-up
	require.NoError(t, err)
	require.NoError(t, late.Close())
	w.hangUp()
	require.NoError(t, within(t, ended))
}
