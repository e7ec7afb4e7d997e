package server_test

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// What a session does is the same over the socket.
func TestSameOverTheSocket(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"event":               TestEventRunsHandler,
		"slow handler":        TestSlowHandlerDelaysNobody,
		"pieces":              TestBigResultsComeInPieces,
		"panic":               TestPanicFailsItsEventOnly,
		"calls after the end": TestCallsAfterTheEnd,
		"worker's death":      TestWorkerDeathEndsItsEvents,
		"instances":           TestInstancesAreShared,
		"instance errors":     TestInstanceErrors,
		"goroutines":          TestGoroutinesOfAHandlerMayCallSideBySide,
		"interleaved":         TestEventsInterleave,
		"slow handlers":       TestManySlowHandlers,
		"watchdog":            TestWatchdogRestsAndWakes,
		"posted writes":       TestWritesRideWithTheNextMessage,
		"early writes":        TestManyWritesAreSentEarly,
		"profile":             TestProfileLearnsAndForgets,
		"drain":               TestServeDrains,
		"generations":         TestNewGenerationEndsTheOld,
	} {
		t.Run(name, func(t *testing.T) {
			overSocket(t)
			test(t)
		})
	}
}

// Both carriers in one server, each event on its own.
func TestCarriersSideBySide(t *testing.T) {
	s, socket := start(t, obedient())
	first, second := attach(t, socket), attachSocket(t, socket)
	one, two := first.instance("scripted", `{}`), second.instance("scripted", `{}`)
	for range 10 {
		first.expect(wire.TypeDone, first.event(1, one))
		second.expect(wire.TypeDone, second.event(1, two))
	}
	require.Eventually(t, func() bool {
		done := map[string]uint64{} // counted behind the last message
		for _, n := range s.Stats().Sessions {
			done[n.Carrier] = n.Server.EventsDone
		}
		return maps.Equal(map[string]uint64{"ring": 10, "socket": 10}, done)
	}, patience, time.Millisecond)
}

// A worker that breaks a rule on the socket is told off by name, and by itself.
func TestStreamThatLies(t *testing.T) {
	for _, tc := range []struct {
		name, says string
		bytes      []byte
	}{
		{"length", "frame word 0x1ffffff0 on the socket: the limit is 252 bytes", []byte{0xf0, 0xff, 0xff, 0x1f}},
		{"one too long", "frame word 0xfd on", []byte{253, 0, 0, 0}},
		{"bits", "frame word 0x80000001 on", []byte{1, 0, 0, 0x80, 7}},
		{"short message", "message of 3 bytes", []byte{3, 0, 0, 0, 1, 2, 3}},
		{"text", "frame word 0x20544547 on", []byte("GET / HTTP/1.1\r\n\r\n")},
		{"type", "message type 77", append([]byte{12, 0, 0, 0, 77}, make([]byte, 11)...)},
		{"counters", "counters of 5 bytes, want 152, over the socket", append([]byte{17, 0, 0, 0, wire.TypeCounters}, make([]byte, 16)...)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			log := new(record)
			s, socket := start(t, log.option(), obedient(), server.WithRingCapacity(1<<10))
			honest, liar := attachSocket(t, socket), attachSocket(t, socket)
			_, err := liar.a.Write(tc.bytes)
			require.NoError(t, err)
			liar.waitHangUp()
			require.Eventually(t, func() bool { return len(log.lines(t, "session closed")) == 1 }, patience, time.Millisecond)
			require.Contains(t, log.lines(t, "session closed")[0]["cause"], tc.says)
			honest.expect(wire.TypeDone, honest.event(1, honest.instance("scripted", `{}`)))
			require.EqualValues(t, 1, s.Stats().SessionsFailed)
		})
	}
}

// Close ends a session whose worker does not read, and what its handlers wait
// for.
func TestCloseWithAWorkerThatDoesNotRead(t *testing.T) {
	s, socket := start(t, server.WithRingCapacity(1<<10), withScript(func(_ *scripted, kong *pdk.PDK) {
		kong.Response.Exit(200, bytes.Repeat([]byte("x"), 8<<20), nil)
	}))
	w := attachSocket(t, socket)
	w.event(1, w.instance("scripted", `{}`))
	require.Eventually(t, func() bool {
		c := s.Stats().Sessions[0].Server
		return c.FullWaits > 0
	}, patience, time.Millisecond)
	require.NoError(t, s.Close())
}

// A session over the socket has no doorbell.
func TestNoDoorbellOverTheSocket(t *testing.T) {
	_, socket := start(t, obedient())
	w := attachSocket(t, socket)
	_, err := shm.Dial(socket, shm.Hello{
		Kind: shm.HelloDoorbell, App: wire.Version, Session: w.a.Welcome.Session, Token: w.a.Welcome.Token,
	}, patience)
	require.ErrorIs(t, err, shm.ErrRefused)
	require.ErrorContains(t, err, "its frames come over the socket")
	w.expect(wire.TypeDone, w.event(1, w.instance("scripted", `{}`)))
}

// Counters that the worker does not share come as a message; over the rings
// nobody sends them.
func TestCountersOfAWorker(t *testing.T) {
	s, socket := start(t, obedient())
	var body []byte
	for i := range 19 {
		body = binary.LittleEndian.AppendUint64(body, math.Float64bits(float64(i+1)))
	}
	w := attachSocket(t, socket)
	w.send(wire.Head{Type: wire.TypeCounters}, body)
	require.Eventually(t, func() bool {
		return s.Stats().Sessions[0].Bridge.FramesIn == 1
	}, patience, time.Millisecond)
	require.Equal(t, 2.0, s.Stats().Sessions[0].Bridge.FramesOut)
	require.Equal(t, 19.0, s.Stats().Sessions[0].Bridge.LogLevel)
	w.hangUp()

	w = attach(t, socket)
	w.send(wire.Head{Type: wire.TypeCounters}, body)
	w.waitHangUp()
	require.EqualValues(t, 1, s.Stats().SessionsFailed)
}
