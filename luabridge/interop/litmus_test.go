package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/kongring/kongring/ring"
)

// The litmus tests run one handshake of package ring per round, both sides at
// the same moment, and compare what each concluded: it is a missed wake-up when
// one says "I sleep, you ring me" and the other "nobody to ring". Nobody really
// sleeps, so that a round costs two meetings of the processes and no more.
//
// A fence that is missing shows here, as mutants without it do.

// meeting is where two processes wait for each other, each with a word of its
// own, 128 bytes apart; a third word carries what the Lua side concluded.
type meeting struct {
	mine, theirs, concluded *atomic.Uint32
	count                   uint32
}

func newMeeting(mem []byte) *meeting {
	at := func(offset int) *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Pointer(&mem[offset])) }
	return &meeting{mine: at(0), theirs: at(128), concluded: at(256)}
}

// meet waits until the other side came here as often as this one.
func (m *meeting) meet() error {
	m.count++
	m.mine.Store(m.count)
	var since time.Time
	for looks := 0; int32(m.theirs.Load()-m.count) < 0; looks++ {
		if looks < 1000 {
			ring.Pause(1)
			continue
		}
		// The other side may need this core.
		_, _, _ = unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
		if since.IsZero() {
			since = time.Now()
		} else if time.Since(since) > patience {
			return fmt.Errorf("nobody comes to meeting %d", m.count)
		}
	}
	return nil
}

// handshake is one side of a handshake. act races with the other side and
// gives this side's conclusion; settle makes ready for the next round.
type handshake struct {
	act    func() (bool, error)
	settle func(concluded, missed bool) error
}

var errUnexpected = errors.New("the ring is not as the round before left it")

func check(ok bool, err error) error {
	if err == nil && !ok {
		err = errUnexpected
	}
	return err
}

// sides are the four sides of P3 and P4 in Go; testdata/litmus.lua has their
// twins. A round of P3 sends an empty frame to a consumer that goes to sleep. A
// round of P4 starts with a ring that is full of frames, of which the consumer
// reads one while the producer is about to wait.
var sides = map[string]func(mem []byte) (handshake, error){
	"P3 consumer": func(mem []byte) (handshake, error) {
		c, err := ring.NewConsumer(mem)
		return handshake{
			act: func() (bool, error) { return c.Sleep(), nil },
			settle: func(slept, _ bool) error {
				if slept {
					c.Awake()
				}
				_, ok, err := c.Read(nil)
				return check(ok, err)
			},
		}, err
	},
	"P3 producer": func(mem []byte) (handshake, error) {
		p, err := ring.NewProducer(mem)
		return handshake{
			act: func() (bool, error) {
				ok, err := p.Write(nil, false)
				return p.ClaimWake(), check(ok, err)
			},
			settle: func(bool, bool) error { return nil },
		}, err
	},
	"P4 consumer": func(mem []byte) (handshake, error) {
		c, err := ring.NewConsumer(mem)
		if err != nil {
			return handshake{}, err
		}
		buf := make([]byte, 0, c.MaxPayload())
		return handshake{
			act: func() (bool, error) {
				_, ok, err := c.Read(buf) // the longest frame: it is given back at once
				return c.ClaimWake(), check(ok, err)
			},
			settle: func(bool, bool) error { return nil },
		}, nil
	},
	"P4 producer": func(mem []byte) (handshake, error) {
		p, err := ring.NewProducer(mem)
		if err != nil {
			return handshake{}, err
		}
		payload := make([]byte, p.MaxPayload())
		for ok := true; ok; {
			if ok, err = p.Write(payload, false); err != nil {
				return handshake{}, err
			}
		}
		return handshake{
			act: func() (bool, error) { return p.Wait(len(payload)), nil },
			settle: func(_, missed bool) error {
				if missed {
					p.Wait(len(payload)) // takes the announcement back
				}
				return check(p.Write(payload, false))
			},
		}, nil
	},
}

// score is how often each side concluded that it sleeps or rings.
type score struct{ Sleeper, Ringer, Missed int }

// play runs Go's side of rounds. sleeper tells which conclusion is Go's.
func play(h handshake, m *meeting, rounds int, sleeper bool) (score, error) {
	var s score
	// Lua's side dawdles for a fixed time and this one as long as makes either
	// outcome as likely as the other: then the two are really at it together.
	dawdle, jitter := 0, xorshift(77)
	if err := m.meet(); err != nil { // the other side is ready too
		return s, err
	}
	for range rounds {
		if err := m.meet(); err != nil {
			return s, err
		}
		for range dawdle + jitter.below(64) {
			jitter.next()
		}
		mine, err := h.act()
		if err != nil {
			return s, err
		}
		if err := m.meet(); err != nil {
			return s, err
		}
		theirs := m.concluded.Load() == 1
		sleeps, rings := mine, theirs
		if !sleeper {
			sleeps, rings = theirs, mine
		}
		missed := sleeps && !rings
		if late := sleeps != sleeper; late { // the other side was first
			dawdle = max(0, dawdle-1)
		} else {
			dawdle = min(dawdle+1, 2000)
		}
		if sleeps {
			s.Sleeper++
		}
		if rings {
			s.Ringer++
		}
		if missed {
			s.Missed++
		}
		if err := h.settle(mine, missed); err != nil {
			return s, err
		}
	}
	return s, nil
}

// litmus plays rounds of a handshake against LuaJIT.
func litmus(t *testing.T, pair, goSide, luaSide string, mutant bool, rounds int) score {
	t.Helper()
	seg, bell := newSegment(t, 1, ring.MinCapacity), newBell(t)
	h, err := sides[pair+" "+goSide](seg.Region(0))
	require.NoError(t, err)
	lua := start(t, luajit(t, "litmus.lua", handOver(t, seg, bell),
		pair, luaSide, mutant, rounds, int(patience.Milliseconds())))
	defer pinApart(t, lua)()
	s, err := play(h, newMeeting(seg.Region(1)), rounds, (pair == "P3") == (goSide == "consumer"))
	if err != nil {
		t.Fatal(errors.Join(err, lua.kill()))
	}
	var luaConcluded int
	require.NoError(t, json.Unmarshal([]byte(lua.finish(t)), &luaConcluded))
	t.Logf("%s, %s is LuaJIT, mutant %t: %d rounds, %+v", pair, luaSide, mutant, rounds, s)
	return s
}

// pinApart gives this goroutine and the other process a core each, where there
// are two, until the function that it gives is called.
func pinApart(t *testing.T, other *process) func() {
	t.Helper()
	var all, one unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &all))
	runtime.LockOSThread()
	pids := [...]int{0, other.cmd.Process.Pid}
	for cpu, n := 0, 0; n < len(pids) && cpu < 8*len(all); cpu++ {
		if all.IsSet(cpu) && all.Count() > 1 {
			one.Zero()
			one.Set(cpu)
			require.NoError(t, unix.SchedSetaffinity(pids[n], &one))
			n++
		}
	}
	return func() {
		_ = unix.SchedSetaffinity(0, &all)
		runtime.UnlockOSThread()
	}
}

var litmusCases = []struct{ pair, goSide, luaSide string }{
	{"P3", "consumer", "producer"},
	{"P3", "producer", "consumer"},
	{"P4", "consumer", "producer"},
	{"P4", "producer", "consumer"},
}

func TestLitmusNoWakeUpIsMissed(t *testing.T) {
	rounds := 1_000_000
	if testing.Short() || raceEnabled {
		rounds = 100_000
	}
	for _, tc := range litmusCases {
		t.Run(tc.pair+" "+tc.luaSide+" in lua", func(t *testing.T) {
			require.Zero(t, litmus(t, tc.pair, tc.goSide, tc.luaSide, false, rounds).Missed)
		})
	}
}

// The same with the fence left out on the Lua side: the test above sees what it
// is there to see.
func TestLitmusSeesAMissingFence(t *testing.T) {
	const tries, rounds = 5, 200_000
	for _, tc := range litmusCases {
		t.Run(tc.pair+" "+tc.luaSide+" in lua", func(t *testing.T) {
			for range tries {
				if litmus(t, tc.pair, tc.goSide, tc.luaSide, true, rounds).Missed > 0 {
					return
				}
			}
			t.Logf("no miss in %d tries: this machine hides the missing fence", tries)
		})
	}
}
