package wire_test

import (
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/server/wire/golden"
	"github.com/kongring/kongring/shm"
	"github.com/kongring/kongring/shm/leaktest"
)

func TestMain(m *testing.M) { leaktest.VerifyTestMain(m) }

var update = flag.Bool("update", false, "write the golden frames anew, and the page with them")

const patience = 20 * time.Second

// versionLine is the first line of each file.
func versionLine() string { return fmt.Sprintf("kongring protocol %d.%d", shm.Version, wire.Version) }

func TestGoldenFiles(t *testing.T) {
	names := map[string]bool{}
	for _, g := range goldens {
		path := filepath.Join(golden.Folder(), g.name+".hex")
		names[path] = true
		want := golden.Render(versionLine()+"\n"+g.about, g.fields)
		if *update {
			require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
		}
		got, err := os.ReadFile(path)
		require.NoError(t, err, "write it: go test ./server/wire -run Golden -update")
		is, _, _ := strings.Cut(strings.TrimPrefix(string(got), "# "), "\n")
		require.Equal(t, versionLine(), is, "%s.hex is of another version: look what the change makes of frames_test.go "+
			"and PROTOCOL.md, then go test ./server/wire -run Golden -update", g.name)
		require.Equal(t, want, string(got), "%s.hex: if that is meant to change, it takes a new wire.Version, "+
			"and go test ./server/wire -run Golden -update", g.name)
	}
	files, err := filepath.Glob(filepath.Join(golden.Folder(), "*"))
	require.NoError(t, err)
	for _, file := range files {
		require.True(t, names[file], "nothing in frames_test.go for %s", file)
	}
}

func TestGoldenText(t *testing.T) {
	b, err := golden.Parse("# 01\n02 03*3 # 04\n\n0f\n")
	require.NoError(t, err)
	require.Equal(t, []byte{2, 3, 3, 3, 15}, b)
	for _, word := range []string{"1", "123", "xy", "00*", "00*0", "00*-1", "*3", "0x00"} {
		_, err := golden.Parse("00 " + word)
		require.ErrorContains(t, err, `"`+word+`" is no byte`)
	}
	for _, b := range [][]byte{nil, {1}, make([]byte, 7), make([]byte, 8), []byte("aaaaaaaab"), append(make([]byte, 30), 1, 2)} {
		again, err := golden.Parse(golden.Render("a\nb", []golden.Field{{Bytes: b, Note: "00"}, {Bytes: b}}))
		require.NoError(t, err)
		require.Equal(t, string(b)+string(b), string(again))
	}
}

// TestGoldenMessages compares what this package writes and reads.
func TestGoldenMessages(t *testing.T) {
	start := golden.Read("start")
	head, body, err := wire.ReadHead(start)
	require.NoError(t, err)
	require.Equal(t, wire.Head{Type: wire.TypeStart, Slot: 1, Generation: 1}, head)
	var request wire.StartInstance
	rest, err := request.UnmarshalMsg(body)
	require.NoError(t, err)
	require.Empty(t, rest)
	require.Equal(t, wire.StartInstance{Plugin: "hello", Key: "6f1c0a", Seq: 7, Config: []byte(`{"message":"hi"}`)}, request)
	again, err := request.MarshalMsg(wire.AppendHead(nil, head))
	require.NoError(t, err)
	require.Equal(t, start, again)

	counters := golden.Read("counters")[wire.HeadSize:]
	region := make([]byte, wire.CountersSize)
	copy(region, counters)
	w := wire.WorkerCountersAt(region)
	require.Equal(t, wire.WorkerCounters{
		FramesIn: 9, FramesOut: 8, BytesIn: 700, BytesOut: 600, SpinsPaid: 5, SpinsUnpaid: 4, Sleeps: 3, Doorbells: 2,
		LateFrames: 1, Events: 4, EventsDone: 3, EventTicks: 2.5e6, Calls: 1, Errors: 1, Deadlines: 1, Open: 1,
		TicksPerUS: 2100, LogLevel: 5,
	}, *w)
	require.Len(t, counters, 8*len(w.Words()))
	require.Equal(t, math.Float64bits(5), w.Words()[wire.LogLevelWord])
}

func TestGoldenRing(t *testing.T) {
	want := golden.Read("ring")
	mem := make([]byte, ring.Size(ring.MinCapacity))
	require.NoError(t, ring.Format(mem))
	p, err := ring.NewProducer(mem)
	require.NoError(t, err)
	for _, payload := range []string{strings.Repeat("a", 100), strings.Repeat("b", 200)} {
		ok, err := p.Write([]byte(payload), false)
		require.NoError(t, err)
		require.True(t, ok)
	}
	require.Equal(t, want, mem)

	c, err := ring.NewConsumer(want)
	require.NoError(t, err)
	for _, payload := range []string{strings.Repeat("a", 100), strings.Repeat("b", 200)} {
		frame, ok, err := c.Read(nil)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, payload, string(frame.Payload))
		require.False(t, frame.More)
	}
	require.False(t, c.Ready())
}

// accept gives the next connection of a listener.
func accept(t *testing.T, l interface{ Accept() (net.Conn, error) }) (net.Conn, []byte) {
	t.Helper()
	conn, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	hello := make([]byte, shm.HelloSize)
	_, err = io.ReadFull(conn, hello)
	require.NoError(t, err)
	return conn, hello
}

// TestGoldenHelloOfDial is a worker in Go and a server that has but the files.
func TestGoldenHelloOfDial(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	defer l.Close()
	for _, tc := range []struct {
		golden, answer string
		hello          shm.Hello
		err            error
	}{
		{"hello-doorbell", "welcome", shm.Hello{Kind: shm.HelloDoorbell, Session: 7, Token: [16]byte([]byte(token))}, nil},
		{"hello", "welcome", shm.Hello{Kind: shm.HelloAttach}, shm.ErrSegment}, // no descriptors from here
		{"hello", "welcome-refused", shm.Hello{Kind: shm.HelloAttach}, shm.ErrRefused},
	} {
		type dialled struct {
			a   *shm.Attachment
			err error
		}
		done := make(chan dialled, 1)
		go func() {
			h := tc.hello
			h.App, h.Worker, h.PID, h.CPU = wire.Version, 1, 4711, shm.CPUUnknown
			a, err := shm.Dial(path, h, patience)
			done <- dialled{a, err}
		}()
		conn, hello := accept(t, l)
		require.Equal(t, golden.Read(tc.golden), hello)
		_, err := conn.Write(golden.Read(tc.answer))
		require.NoError(t, err)
		got := <-done
		if tc.err != nil {
			require.ErrorIs(t, got.err, tc.err)
			if tc.answer == "welcome-refused" {
				require.ErrorContains(t, got.err, "status 1: versions differ")
			}
			continue
		}
		require.NoError(t, got.err)
		w := got.a.Welcome
		require.Equal(t, shm.Welcome{
			Magic: shm.Magic, Version: shm.Version, App: wire.Version, Session: 7, SegmentSize: size,
			Token: [16]byte([]byte(token)), Limit: 64 << 20,
		}, w)
		require.NoError(t, got.a.Close())
	}
}

// TestGoldenWelcomeOfConn is a server in Go and a worker that has but the files.
func TestGoldenWelcomeOfConn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := shm.Listen(path, 0o600)
	require.NoError(t, err)
	defer l.Close()
	segment, err := shm.CreatePrivate(wire.Version, 7, ringSize, ringSize, wire.CountersSize, wire.CountersSize)
	require.NoError(t, err)
	yes := shm.Welcome{Session: 7, Token: [16]byte([]byte(token)), Limit: 64 << 20}
	for _, tc := range []struct {
		hello  string
		kind   uint32
		answer func(*shm.Conn) error
		want   []byte
	}{
		{"hello", shm.HelloAttach, func(c *shm.Conn) error { return c.Welcome(wire.Version, yes, segment, nil) },
			append(golden.Read("welcome"), golden.Read("header")...)},
		{"hello-doorbell", shm.HelloDoorbell, func(c *shm.Conn) error {
			return c.Refuse(wire.Version, shm.WelcomeVersion, refusedText)
		}, golden.Read("welcome-refused")},
	} {
		conn, err := net.Dial("unix", path)
		require.NoError(t, err)
		defer conn.Close()
		_, err = conn.Write(golden.Read(tc.hello))
		require.NoError(t, err)
		c, err := l.Accept()
		require.NoError(t, err)
		h, err := c.ReadHello(wire.Version, patience)
		require.NoError(t, err)
		require.Equal(t, tc.kind, h.Kind)
		require.Equal(t, [3]uint32{1, 4711, shm.CPUUnknown}, [3]uint32{h.Worker, h.PID, h.CPU})
		if h.Kind == shm.HelloDoorbell {
			require.EqualValues(t, 7, h.Session)
			require.Equal(t, token, string(h.Token[:]))
		}
		require.NoError(t, tc.answer(c))
		require.NoError(t, c.Close())
		got, err := io.ReadAll(conn)
		require.NoError(t, err)
		const pid = shm.WelcomeSize + 28 // of this process, and of none in the file
		if len(got) > pid {
			require.EqualValues(t, os.Getpid(), binary.LittleEndian.Uint32(got[pid:]))
			copy(got[pid:pid+4], tc.want[pid:])
		}
		require.Equal(t, tc.want, got)
	}
}
