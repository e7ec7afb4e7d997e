package server_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
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
func start(t testing.TB, opts ...server.Option) (*server.Server, string) {
	t.Helper()
	// Every call is a message of its own.
	return plain(t, append([]server.Option{
		server.SyncWrites(), server.WithoutMemo(), server.WithoutPrefetch(),
	}, opts...)...)
}

// plain is start with everything on that saves round trips.
func plain(t testing.TB, opts ...server.Option) (*server.Server, string) {
	t.Helper()
	socket := socketPath(t)
	s, err := server.New(append([]server.Option{
		server.WithSocket(socket), server.WithGrace(patience), server.WithLogger(testLogger(t)),
	}, opts...)...)
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

// socketPath gives a path that is short enough however long the test's name.
func socketPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "server")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return filepath.Join(dir, "s")
}

func testLogger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, nil))
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	if testing.Verbose() {
		w.t.Output().Write(b) //nolint:errcheck
	}
	return len(b), nil
}

// worker plays the Lua bridge: it attaches and speaks the messages by hand.
type worker struct {
	t        testing.TB
	a        *shm.Attachment
	doorbell *shm.Attachment
	in       *ring.Consumer
	out      *ring.Producer
	stream   *bufio.Reader // in the place of rings and doorbell, over the socket
	buf      []byte        // of the last frame of stream
	next     uint32
	told     bool          // over the socket, that the server stops
	over     chan struct{} // closed when the server hung up; made once it dismissed the worker
}

// overSocket makes the workers of a test attach by the socket.
func overSocket(t testing.TB) {
	bySocket = true
	t.Cleanup(func() { bySocket = false })
}

var bySocket bool

func attach(t testing.TB, socket string) *worker {
	t.Helper()
	if bySocket {
		return attachSocket(t, socket)
	}
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

func attachSocket(t testing.TB, socket string) *worker {
	t.Helper()
	a, err := shm.Dial(socket, shm.Hello{Kind: shm.HelloAttachSocket, App: wire.Version, CPU: shm.CPUUnknown}, patience)
	require.NoError(t, err)
	w := &worker{t: t, a: a, stream: bufio.NewReader(a)}
	w.out, err = ring.NewProducer(a.Segment.Region(wire.RegionToServer)) // for its limit
	require.NoError(t, err)
	t.Cleanup(w.hangUp)
	return w
}

func (w *worker) hangUp() {
	if w.doorbell != nil {
		_ = w.doorbell.Close()
	}
	_ = w.a.Close()
}

// overdue hangs up after a while, which ends a wait that is not over yet. The
// caller stops it.
func (w *worker) overdue() *time.Timer { return time.AfterFunc(patience, w.hangUp) }

// send writes a message, in as many frames as it takes.
func (w *worker) send(head wire.Head, body []byte) {
	w.t.Helper()
	for {
		n := min(len(body), w.out.MaxPayload()-wire.HeadSize)
		frame := append(wire.AppendHead(nil, head), body[:n]...)
		body = body[n:]
		require.NoError(w.t, w.sendFrame(frame, len(body) > 0))
		if len(body) == 0 {
			return
		}
	}
}

// sendFrame writes one frame, whatever stands in it.
func (w *worker) sendFrame(frame []byte, more bool) error {
	if w.stream != nil {
		defer w.overdue().Stop()
		_, err := w.a.Write(server.AppendFrame(nil, ring.Frame{Payload: frame, More: more}))
		return err
	}
	for {
		ok, err := w.out.Write(frame, more)
		if err == nil && w.out.ClaimWake() {
			err = w.a.Bell.Ring()
		}
		if ok || err != nil {
			return err
		}
		if w.out.Wait(len(frame)) {
			if err := w.waitRing(); err != nil {
				return err
			}
		}
	}
}

// waitRing waits for a ring of the server; one that stops rings no more, and
// this gives nil now and then. It gives io.EOF when the server hung up.
func (w *worker) waitRing() error {
	overdue := time.AfterFunc(patience, func() { _ = w.doorbell.Close() })
	defer overdue.Stop()
	err := w.doorbell.WaitRing()
	if !errors.Is(err, io.EOF) {
		return err
	}
	if w.over == nil {
		w.over = make(chan struct{})
		go func() { defer close(w.over); _ = w.a.WaitRing() }()
	}
	select {
	case <-w.over:
		return err
	case <-time.After(time.Millisecond):
		return nil
	}
}

// waitDismissed waits for the server's word that it stops, where nothing else is
// to come.
func (w *worker) waitDismissed() {
	w.t.Helper()
	if w.stream == nil {
		defer w.overdue().Stop()
		for err := error(nil); err == nil; { // the first ring is that of its making
			err = w.doorbell.WaitRing()
			require.NotErrorIs(w.t, err, shm.ErrClosed, "the doorbell is not hung up")
		}
		return
	}
	for !w.told {
		frame, err := w.frame()
		require.NoError(w.t, err)
		head, _, err := wire.ReadHead(frame.Payload)
		require.NoError(w.t, err)
		require.Equal(w.t, wire.Head{Type: wire.TypeDismiss}, head)
		w.told = true
	}
}

// waitHangUp waits until the server hung up the session's connection.
func (w *worker) waitHangUp() {
	w.t.Helper()
	defer w.overdue().Stop()
	for {
		if err := w.a.WaitRing(); err != nil {
			require.NotErrorIs(w.t, err, shm.ErrClosed, "the server did not hang up")
			return
		}
	}
}

// receive waits for the next message, and puts its pieces together.
func (w *worker) receive() (wire.Head, []byte) {
	w.t.Helper()
	head, body, err := w.receiveOrEnd()
	require.NoError(w.t, err)
	return head, body
}

// receiveOrEnd is receive that gives io.EOF once the server hung up. A dismissal
// is taken in on the way.
func (w *worker) receiveOrEnd() (wire.Head, []byte, error) {
	var whole []byte
	for {
		frame, err := w.frame()
		if err != nil {
			return wire.Head{}, nil, err
		}
		head, body, err := wire.ReadHead(frame.Payload)
		if err != nil {
			return wire.Head{}, nil, err
		}
		if head.Type == wire.TypeDismiss {
			w.told = true
			continue
		}
		whole = append(whole, body...)
		if !frame.More {
			return head, whole, nil
		}
	}
}

// frame waits for the next frame.
func (w *worker) frame() (frame ring.Frame, err error) {
	if w.stream != nil {
		defer w.overdue().Stop()
		frame, err = server.ReadFrame(w.stream, w.buf, w.out.MaxPayload())
		w.buf = frame.Payload
		return frame, err
	}
	for {
		frame, ok, err := w.in.Read(nil)
		if err == nil && w.in.ClaimWake() {
			err = w.a.Bell.Ring()
		}
		if ok || err != nil {
			return frame, err
		}
		if w.in.Sleep() {
			if w.in.ClaimWake() {
				if err := w.a.Bell.Ring(); err != nil {
					return frame, err
				}
			}
			if err := w.waitRing(); err != nil {
				return frame, err
			}
			w.in.Awake()
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

// asksOfPanic is how many calls the log line of a panic in phase access takes
// where Kong knows neither route nor request id.
const asksOfPanic = 4

// expectPanic answers what the server asks for its log, with nil, and receives the
// end of an event whose handler panicked.
func (w *worker) expectPanic(head wire.Head) []byte {
	w.t.Helper()
	for {
		got, body := w.receive()
		require.Equal(w.t, head.Slot, got.Slot)
		require.Equal(w.t, head.Generation, got.Generation)
		if got.Type == wire.TypeDone {
			require.Equal(w.t, uint8(wire.StatusPanic), got.Code)
			return body
		}
		require.Equal(w.t, uint8(wire.TypeCall), got.Type)
		w.answer(head, []byte{0xc0})
	}
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
	return w.startIn(0, plugin, key, config)
}

// startIn is startInstance in a given slot.
func (w *worker) startIn(slot uint16, plugin, key, config string) (wire.Head, []byte) {
	w.t.Helper()
	request := wire.StartInstance{Plugin: plugin, Key: key, Config: []byte(config)}
	body, err := request.MarshalMsg(nil)
	require.NoError(w.t, err)
	head := w.head(wire.TypeStart, slot)
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
