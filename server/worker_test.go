package server_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// patience bounds every wait of these tests.
const patience = 20 * time.Second

// start runs a server with the given plugins until the test ends.
func start(t *testing.T, opts ...server.Option) (*server.Server, string) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	opts = append([]server.Option{
		server.WithSocket(socket), server.WithGrace(patience), server.WithLogger(testLogger(t)),
	}, opts...)
	s, err := server.New(opts...)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(context.Background()) }()
	t.Cleanup(func() {
		require.NoError(t, s.Close())
		require.ErrorIs(t, <-ended, server.ErrServerClosed)
	})
	require.Eventually(t, func() bool {
		a, err := shm.Dial(socket, shm.Hello{Kind: shm.HelloInspect, App: wire.Version}, patience)
		if err != nil {
			return false
		}
		require.NoError(t, a.Close())
		return true
	}, patience, time.Millisecond)
	return s, socket
}

func testLogger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, nil))
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	if testing.Verbose() {
		w.t.Output().Write(b) //nolint:errcheck
	}
	return len(b), nil
}

// worker plays the Lua bridge: it attaches and speaks the messages by hand.
type worker struct {
	t        *testing.T
	a        *shm.Attachment
	doorbell *shm.Attachment
	in       *ring.Consumer
	out      *ring.Producer
	next     uint32
}

func attach(t *testing.T, socket string) *worker {
	t.Helper()
	a, err := shm.Dial(socket, shm.Hello{Kind: shm.HelloAttach, App: wire.Version, CPU: shm.CPUUnknown}, patience)
	require.NoError(t, err)
	w := &worker{t: t, a: a}
	w.out, err = ring.NewProducer(a.Segment.Region(wire.RegionToServer))
	require.NoError(t, err)
	w.in, err = ring.NewConsumer(a.Segment.Region(wire.RegionToWorker))
	require.NoError(t, err)
	w.doorbell, err = shm.Dial(socket, shm.Hello{
		Kind: shm.HelloDoorbell, App: wire.Version, Session: a.Welcome.Session, Token: a.Welcome.Token,
	}, patience)
	require.NoError(t, err)
	t.Cleanup(w.hangUp)
	return w
}

func (w *worker) hangUp() {
	_ = w.doorbell.Close()
	_ = w.a.Close()
}

// send writes a message, in frames of at most piece bytes of body.
func (w *worker) send(head wire.Head, body []byte) {
	w.t.Helper()
	for {
		n := min(len(body), w.out.MaxPayload()-wire.HeadSize)
		frame := append(wire.AppendHead(nil, head), body[:n]...)
		body = body[n:]
		for deadline := time.Now().Add(patience); ; {
			ok, err := w.out.Write(frame, len(body) > 0)
			require.NoError(w.t, err)
			if w.out.ClaimWake() {
				require.NoError(w.t, w.a.Bell.Ring())
			}
			if ok {
				break
			}
			require.True(w.t, time.Now().Before(deadline), "the ring stays full")
			if w.out.Wait(len(frame)) {
				require.NoError(w.t, w.doorbell.WaitRing())
			}
		}
		if len(body) == 0 {
			return
		}
	}
}

// receive waits for the next message, and puts its pieces together.
func (w *worker) receive() (wire.Head, []byte) {
	w.t.Helper()
	var whole []byte
	for {
		frame, ok, err := w.in.Read(nil)
		require.NoError(w.t, err)
		if w.in.ClaimWake() {
			require.NoError(w.t, w.a.Bell.Ring())
		}
		if !ok {
			if w.in.Sleep() {
				if w.in.ClaimWake() {
					require.NoError(w.t, w.a.Bell.Ring())
				}
				require.NoError(w.t, w.doorbell.WaitRing())
				w.in.Awake()
			}
			continue
		}
		head, body, err := wire.ReadHead(frame.Payload)
		require.NoError(w.t, err)
		whole = append(whole, body...)
		if !frame.More {
			return head, whole
		}
	}
}

// expect receives a message of a type for the slot that head names.
func (w *worker) expect(kind uint8, head wire.Head) (wire.Head, []byte) {
	w.t.Helper()
	got, body := w.receive()
	require.Equal(w.t, kind, got.Type, "%+v %q", got, body)
	require.Equal(w.t, head.Slot, got.Slot)
	require.Equal(w.t, head.Generation, got.Generation)
	return got, body
}

// instance starts an instance and gives its number.
func (w *worker) instance(plugin, config string) uint32 {
	w.t.Helper()
	got, body := w.startInstance(plugin, "entity", config)
	require.Equal(w.t, uint8(wire.StatusOK), got.Code, "%s", body)
	return got.Arg
}

func (w *worker) startInstance(plugin, key, config string) (wire.Head, []byte) {
	w.t.Helper()
	request := wire.StartInstance{Plugin: plugin, Key: key, Config: []byte(config)}
	body, err := request.MarshalMsg(nil)
	require.NoError(w.t, err)
	head := w.head(wire.TypeStart, 0)
	w.send(head, body)
	return w.expect(wire.TypeStarted, head)
}

// head makes the head of a new conversation in a slot.
func (w *worker) head(kind uint8, slot uint16) wire.Head {
	w.next++
	return wire.Head{Type: kind, Slot: slot, Generation: w.next}
}

// event begins an event in a slot.
func (w *worker) event(slot uint16, instance uint32) wire.Head {
	w.t.Helper()
	head := w.head(wire.TypeEvent, slot)
	head.Code, head.Arg = wire.PhaseAccess, instance
	w.send(head, nil)
	return head
}

// answer sends the result of the call in the slot that head names.
func (w *worker) answer(head wire.Head, body []byte) {
	w.t.Helper()
	head.Type, head.Code, head.Arg = wire.TypeReturn, wire.StatusOK, 0
	w.send(head, body)
}

func (w *worker) cancel(head wire.Head, status uint8, text string) {
	w.t.Helper()
	head.Type, head.Code, head.Arg = wire.TypeCancel, status, 0
	w.send(head, msgp.AppendString(nil, text))
}
