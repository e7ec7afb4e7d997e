package interop

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/shm"
)

// What a producer hands to a consumer by P1 and gets back by P2 (package ring) is
// compared byte by byte.

// capacity of the rings: small, so that both ends of them are reached all the
// time.
const capacity = 8 << 10

// link is one side's end of a ring that goes one way.
type link struct {
	mem      []byte
	wait     func() error // sleeps until the other side rings
	ring     func() error // rings the other side
	progress *atomic.Int64
}

// tally is what one side of a link did.
type tally struct {
	Frames int // written or read
	Sleeps int // times it slept: for a frame, or for room
	Rings  int // times it rang the other side
}

// xorshift is the random sequence that Go and Lua compute alike.
type xorshift uint32

func (x *xorshift) next() uint32 {
	v := uint32(*x)
	v ^= v << 13
	v ^= v >> 17
	v ^= v << 5
	*x = xorshift(v)
	return v
}

// below gives a number below n.
func (x *xorshift) below(n int) int { return int(x.next()>>8) % n }

// frames is the sequence of frames that both sides compute from a seed.
type frames struct {
	random     xorshift
	noise      []byte
	maxPayload int
}

const noiseSize = 64 << 10

func newFrames(seed uint32, maxPayload int) *frames {
	f := &frames{random: xorshift(seed), noise: make([]byte, noiseSize+maxPayload), maxPayload: maxPayload}
	for i := range f.noise {
		f.noise[i] = byte(f.random.next() >> 24)
	}
	return f
}

// next gives the next frame: mostly a small one.
func (f *frames) next() (payload []byte, more bool) {
	limit := 64
	switch class := f.random.below(64); {
	case class == 0:
		limit = f.maxPayload
	case class < 8:
		limit = 256
	}
	n := f.random.below(limit + 1)
	at := f.random.below(noiseSize)
	return f.noise[at : at+n], f.random.next()>>31 == 1
}

// mood decides when a side dawdles and how long it looks before it sleeps.
type mood struct{ random xorshift }

func (m *mood) dawdle() {
	if m.random.below(256) == 0 {
		ring.Pause(uint32(m.random.below(500)))
	}
}

func (m *mood) looks() int {
	if m.random.below(2) == 0 {
		return 0
	}
	return m.random.below(300)
}

// produce writes n frames.
func produce(l link, seed uint32, n int) (tally, error) {
	var did tally
	p, err := ring.NewProducer(l.mem)
	if err != nil {
		return did, err
	}
	f, m := newFrames(seed, p.MaxPayload()), mood{xorshift(seed + 1)}
	for did.Frames < n {
		payload, more := f.next()
		for {
			ok, err := p.Write(payload, more)
			if err != nil {
				return did, err
			}
			if ok {
				break
			}
			if p.Wait(len(payload)) {
				did.Sleeps++
				if err := l.wait(); err != nil {
					return did, fmt.Errorf("frame %d: wait for room: %w", did.Frames, err)
				}
			}
		}
		if p.ClaimWake() {
			did.Rings++
			if err := l.ring(); err != nil {
				return did, err
			}
		}
		did.Frames++
		l.progress.Add(1)
		m.dawdle()
	}
	return did, nil
}

// consume reads n frames and compares every byte.
func consume(l link, seed uint32, n int) (tally, error) {
	var did tally
	c, err := ring.NewConsumer(l.mem)
	if err != nil {
		return did, err
	}
	f, m := newFrames(seed, c.MaxPayload()), mood{xorshift(seed + 2)}
	claim := func() error {
		if !c.ClaimWake() {
			return nil
		}
		did.Rings++
		return l.ring()
	}
	buf := make([]byte, 0, c.MaxPayload())
	for did.Frames < n {
		frame, ok, err := c.Read(buf)
		if err != nil {
			return did, err
		}
		if err := claim(); err != nil {
			return did, err
		}
		if ok {
			payload, more := f.next()
			if !bytes.Equal(payload, frame.Payload) || more != frame.More {
				return did, fmt.Errorf("frame %d: got %d bytes, more %t; want %d, %t, or their content differs",
					did.Frames, len(frame.Payload), frame.More, len(payload), more)
			}
			did.Frames++
			l.progress.Add(1)
			m.dawdle()
			continue
		}
		if c.Spin(m.looks()) || !c.Sleep() {
			continue
		}
		did.Sleeps++
		err = claim() // Sleep gave bytes back
		if err == nil {
			err = l.wait()
		}
		c.Awake()
		if err != nil {
			return did, fmt.Errorf("frame %d: wait for it: %w", did.Frames, err)
		}
	}
	return did, nil
}

type outcome struct {
	tally tally
	err   error
}

// run runs one side of a link in a goroutine.
func run(side func(link, uint32, int) (tally, error), l link, seed uint32, n int) <-chan outcome {
	result := make(chan outcome, 1)
	go func() {
		did, err := side(l, seed, n)
		result <- outcome{did, err}
	}()
	return result
}

// requireBusy checks that n frames went over a link and that its two sides
// slept and woke each other all the time.
func requireBusy(t *testing.T, name string, n int, producer, consumer tally) {
	t.Helper()
	t.Logf("%s: producer %+v, consumer %+v", name, producer, consumer)
	require.Equal(t, n, producer.Frames)
	require.Equal(t, n, consumer.Frames)
	many := n / 2000
	require.Greater(t, consumer.Sleeps, many, "the consumer hardly slept")
	require.Greater(t, producer.Sleeps, many, "the producer hardly slept")
	require.Greater(t, producer.Rings, many, "the consumer was hardly rung")
	require.Greater(t, consumer.Rings, many, "the producer was hardly rung")
}

// Two Go processes, one ring in each direction, all four sides at once. A
// session goes one way, so that each side has a doorbell of its own; in the
// first the child produces, in the second it consumes.
func TestStreamGoGo(t *testing.T) {
	n := 10_000_000
	if testing.Short() || raceEnabled {
		n = 200_000
	}
	l := listen(t)
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe, l.Path(), strconv.Itoa(n))
	cmd.Env = append(os.Environ(), role+"=stream")
	child := start(t, cmd)

	var progress atomic.Int64
	var links [2]link
	var closers []func() error
	for i := range links {
		seg, bell := newSegment(t, 1, capacity), newBell(t)
		control, err := l.Accept()
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, control.Close()) })
		_, err = control.ReadHello(app, patience)
		require.NoError(t, err)
		require.NoError(t, control.Welcome(app, shm.Welcome{}, seg, bell))
		doorbell, err := l.Accept()
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, doorbell.Close()) })
		_, err = doorbell.ReadHello(app, patience)
		require.NoError(t, err)
		require.NoError(t, doorbell.Welcome(app, shm.Welcome{}, nil, nil))
		links[i] = link{mem: seg.Region(0), wait: bell.Wait, ring: doorbell.Ring, progress: &progress}
		closers = append(closers, bell.Close, doorbell.Close)
	}
	watch(t, &progress, func() {
		for _, c := range closers {
			_ = c()
		}
	})

	reading := run(consume, links[0], 1001, n)
	writing := run(produce, links[1], 2002, n)
	read, written := <-reading, <-writing
	if err := errors.Join(read.err, written.err); err != nil {
		t.Fatal(errors.Join(err, child.kill()))
	}
	var childDid [2]tally
	require.NoError(t, json.Unmarshal([]byte(child.finish(t)), &childDid))
	requireBusy(t, "child to parent", n, childDid[0], read.tally)
	requireBusy(t, "parent to child", n, written.tally, childDid[1])
}

// streamChild is the other process of TestStreamGoGo.
func streamChild(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	var results [2]<-chan outcome
	for i, side := range []func(link, uint32, int) (tally, error){produce, consume} {
		session, err := shm.Dial(args[0], shm.Hello{App: app, Kind: shm.HelloAttach}, patience)
		if err != nil {
			return err
		}
		doorbell, err := shm.Dial(args[0], shm.Hello{App: app, Kind: shm.HelloDoorbell}, patience)
		if err != nil {
			return err
		}
		l := link{
			mem: session.Segment.Region(0), wait: doorbell.WaitRing, ring: session.Bell.Ring,
			progress: new(atomic.Int64),
		}
		results[i] = run(side, l, uint32(1001*(i+1)), n)
	}
	produced, consumed := <-results[0], <-results[1]
	if err := errors.Join(produced.err, consumed.err); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode([2]tally{produced.tally, consumed.tally})
}

// LuaJIT on the one side, Go on the other, each direction by itself.
func TestStreamLuaGo(t *testing.T) {
	n := 1_000_000
	if testing.Short() || raceEnabled {
		n = 50_000
	}
	for _, tc := range []struct {
		name, lua string
		goes      func(link, uint32, int) (tally, error)
	}{
		{"lua to go", "produce", consume},
		{"go to lua", "consume", produce},
	} {
		t.Run(tc.name, func(t *testing.T) {
			seg, bell := newSegment(t, 1, capacity), newBell(t)
			luaBell, luaFile := newRinger(t)
			files := append(handOver(t, seg, bell), luaFile)
			const seed = 3003
			lua := start(t, luajit(t, "stream.lua", files, tc.lua, seed, n, int(patience.Milliseconds())))

			var progress atomic.Int64
			watch(t, &progress, func() { _ = bell.Close() })
			l := link{mem: seg.Region(0), wait: bell.Wait, ring: luaBell.Ring, progress: &progress}
			did := <-run(tc.goes, l, seed, n)
			if did.err != nil {
				t.Fatal(errors.Join(did.err, lua.kill()))
			}
			var luaDid tally
			require.NoError(t, json.Unmarshal([]byte(lua.finish(t)), &luaDid))
			if tc.lua == "produce" {
				requireBusy(t, tc.name, n, luaDid, did.tally)
			} else {
				requireBusy(t, tc.name, n, did.tally, luaDid)
			}
		})
	}
}
