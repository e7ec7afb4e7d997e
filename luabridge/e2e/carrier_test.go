package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/testbed"
	"github.com/kongring/kongring/ring"
	"github.com/kongring/kongring/server/wire"
	"github.com/kongring/kongring/shm"
)

// What requests see is the same over the socket, also when something goes
// wrong.
func TestOverTheSocket(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"getters":              TestGetters,
		"bodies":               TestBodiesOfAllSizes,
		"exit in rewrite":      TestExitInRewrite,
		"log phase":            TestLogPhase,
		"many at once":         TestManyAtOnce,
		"fewer trips":          TestSameWithAndWithoutRoundTrips,
		"refused write":        TestRefusedWriteEndsTheEvent,
		"panic":                TestPanicFailsItsRequestOnly,
		"server's death":       TestServerDeathFailsAtOnce,
		"failure policy":       TestFailurePolicyOpen,
		"deadline":             TestSlowHandlerMeetsItsDeadline,
		"forbidden call":       TestForbiddenCallFailsTheEvent,
		"call after exit":      TestCallAfterExit,
		"goroutine":            TestGoroutineThatOutlivesItsHandler,
		"worker's death":       TestWorkerDeathFreesItsSession,
		"reload":               TestReloadUnderLoad,
		"graceful stop":        TestServerStopsGracefully,
		"big exit":             TestBigExit,
		"cancel without room":  TestCancelThatFindsNoRoom,
		"cancel that waits":    TestCancelThatComesLater,
		"message cut off":      TestMessageCutOff,
		"message too long":     TestMessageBeyondTheLimit,
		"long error":           TestLongErrorText,
		"death while leaving":  TestServerDeathWhileTheWorkerLeaves,
		"leaving at once":      TestLeavingWhileAttaching,
		"end with the hang-up": TestEndThatComesWithTheHangUp,
		"handshake":            TestHandshake,
		"handshakes":           TestManyHandshakes,
		"failing handshake":    TestHandshakeThatFails,
		"attaching handshake":  TestAttachDuringTheHandshake,
	} {
		t.Run(name, func(t *testing.T) {
			overSocket(t)
			test(t)
		})
	}
}

// carrierNow is the carrier of the one session that is there once those are gone
// that came to nothing.
func (b *bed) carrierNow() (carrier string) {
	b.t.Helper()
	b.eventually("one session is left", func() bool {
		stats, err := b.Server.Stats()
		require.NoError(b.t, err)
		if len(stats.Sessions) != 1 {
			return false
		}
		carrier = stats.Sessions[0].Carrier
		return true
	})
	return carrier
}

const (
	serverWarns = "shared memory is refused: workers attach by the socket"
	workerWarns = "no shared memory, the messages go over the socket: "
)

func (b *bed) warnings() (server, worker int) {
	b.t.Helper()
	log, err := b.Host.ErrorLog()
	require.NoError(b.t, err)
	return strings.Count(b.Server.Log(), serverWarns), strings.Count(log, workerWarns)
}

// The kernel refuses the server shared memory: requests succeed, and each log
// says why, once. When it is granted later, it is used.
func TestSharedMemoryIsRefused(t *testing.T) {
	b := start(t, func(o *testbed.Options) { o.Args = []string{"-no-memfd"} })
	again := func() {
		require.NoError(t, b.StartServer(b.ctx))
		b.eventually("requests succeed again", func() bool { return b.do("nothing").status == 200 })
	}
	for range 20 {
		b.answers()
	}
	require.Equal(t, "socket", b.carrierNow())
	server, worker := b.warnings()
	require.Equal(t, 1, server, b.Server.Log())
	require.Equal(t, 1, worker)
	b.logged(serverWarns + `.*memfd_create: operation not permitted`)
	b.logged(workerWarns + `.*memfd_create: operation not permitted`)

	b.Server.Kill()
	again()
	server, worker = b.warnings()
	require.Equal(t, 2, server, "one for each process")
	require.Equal(t, 1, worker, "the reason has not changed")

	b.Server.Kill()
	require.NoError(t, os.Rename(b.Socket(), b.Socket()+".old"))
	var err error
	b.Server, err = testbed.StartServer(b.ctx, build.Server, b.Socket(), filepath.Join(filepath.Dir(b.Socket()), "server.log"))
	require.NoError(t, err)
	b.eventually("requests succeed again", func() bool { return b.do("nothing").status == 200 })
	require.Equal(t, "ring", b.carrierNow())
}

// The worker cannot map what it got.
func TestMappingIsRefused(t *testing.T) {
	b := start(t, func(o *testbed.Options) {
		patched(t, o, "sys.lua", "MAP_SHARED_POPULATE_FIXED = bor(1, 0x8000, 0x10)", "MAP_SHARED_POPULATE_FIXED = 0x10")
	})
	for range 20 {
		b.answers()
	}
	require.Equal(t, "socket", b.carrierNow())
	server, worker := b.warnings()
	require.Zero(t, server)
	require.Equal(t, 1, worker)
	b.logged(workerWarns + `failed to map the segment: Invalid argument`)
}

// The operator chooses.
func TestCarrierOfAHandler(t *testing.T) {
	for _, tc := range []struct {
		name, flag, option, env string
		carrier                 string // "" when there is no session
	}{
		{"auto", "auto", "", "", "ring"},
		{"handler", "auto", "socket", "ring", "socket"},
		{"environment", "auto", "", "socket", "socket"},
		{"never the socket", "socket", "ring", "", ""},
		{"never the socket, granted", "auto", "ring", "", "ring"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := start(t, func(o *testbed.Options) {
				o.Carrier = tc.flag
				delete(o.Config, "global_plugins")
				more := ""
				if tc.option != "" {
					more = fmt.Sprintf("carrier = %q", tc.option)
				}
				handlerOf(t, o, more)
				if tc.env != "" {
					o.Host.Env = map[string]string{"KONGRING_CARRIER": tc.env}
				}
				o.Config["plugins"] = []string{"probe"}
			})
			if tc.carrier == "" {
				require.Equal(t, 503, b.do("nothing").status)
				b.logged("the server refused: no shared memory: the plugin server was told to use the socket")
				return
			}
			b.answers()
			require.Equal(t, tc.carrier, b.carrierNow())
			_, worker := b.warnings()
			require.Zero(t, worker, "what was chosen is no reason to warn")
		})
	}
}

// A server that sends rubbish over the socket loses its session and nothing
// else.
func TestServerThatLiesOverTheSocket(t *testing.T) {
	frame := func(payload []byte) []byte {
		return append([]byte{byte(len(payload)), 0, 0, 0}, payload...)
	}
	size := ring.Size(1 << 12)
	for _, tc := range []struct {
		name, reason string
		bytes        []byte
		app          uint32 // in the header of the segment
		region       int    // size of a ring there
	}{
		{"length", `closed: frame word 0x000003fd on the socket: the limit is 1020 bytes`, []byte{0xfd, 3, 0, 0}, wire.Version, size},
		{"bits", `closed: frame word 0x80000003 on the socket`, []byte{3, 0, 0, 0x80, 1, 2, 3}, wire.Version, size},
		{"short message", `closed: message of 3 bytes`, frame([]byte("abc")), wire.Version, size},
		{"unknown slot", `closed: type 8 for slot 77, which was never opened`,
			frame(wire.AppendHead(nil, wire.Head{Type: wire.TypeDone, Slot: 77, Generation: 1})), wire.Version, size},
		{"header", fmt.Sprintf(`the segment's header is wrong: magic 0x3147524b version %d.99`, shm.Version), nil, 99, size},
		{"no ring", `memory does not hold a ring: 100 bytes`, nil, wire.Version, 100},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := start(t, func(o *testbed.Options) { o.NoServer = true })
			liar, err := shm.Listen(b.Socket(), 0o600)
			require.NoError(t, err)
			served := make(chan struct{})
			segment, err := shm.CreatePrivate(tc.app, 1, tc.region, tc.region, wire.CountersSize, wire.CountersSize)
			require.NoError(t, err)
			go func() { defer close(served); serveStreamLies(liar, segment, tc.bytes) }()
			b.eventually("the lie is found", func() bool {
				require.Equal(t, 503, b.do("nothing").status)
				log, err := b.Host.ErrorLog()
				require.NoError(t, err)
				return strings.Contains(log, tc.reason)
			})
			require.NoError(t, liar.Close())
			<-served
			require.NoError(t, b.StartServer(b.ctx))
			b.eventually("requests succeed", func() bool { return b.do("nothing").status == 200 })
		})
	}
}

// serveStreamLies has no shared memory, and once a worker has sent something it
// answers with lies.
func serveStreamLies(l *shm.Listener, segment *shm.Segment, lies []byte) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		hello, err := c.ReadHello(wire.Version, time.Second)
		switch {
		case err != nil:
		case hello.Kind == shm.HelloAttach:
			_ = c.Refuse(wire.Version, shm.WelcomeNoMemory, "none here")
		case hello.Kind == shm.HelloAttachSocket:
			_ = c.Welcome(wire.Version, shm.Welcome{Session: 1, Limit: 1 << 20}, segment, nil)
			_, _ = c.Read(make([]byte, 1))
			_ = c.Write(lies, time.Second)
			for err == nil { // until the worker hangs up
				_, err = c.Read(make([]byte, 1<<10))
			}
		}
		_ = c.Close()
	}
}

// A request outlives its worker's session: it ended since nobody needed it, and
// the log phase makes another one.
func TestLateEventWhileTheWorkerLeaves(t *testing.T) {
	overSocket(t)
	b := start(t, nil)
	old, err := b.Host.Workers()
	require.NoError(t, err)
	upload := make(chan int, 1)
	go func() {
		// The plugins run before the body is there.
		r, err := http.NewRequestWithContext(b.ctx, http.MethodPost, b.Host.URL()+"/probe/late", &trickle{last: 2 * time.Second})
		require.NoError(t, err)
		r.ContentLength = trickleBytes
		response, err := b.Client.Do(r)
		require.NoError(t, err)
		_ = response.Body.Close()
		upload <- response.StatusCode
	}()
	b.eventually("rewrite and access are over", func() bool {
		stats, err := b.Server.Stats()
		require.NoError(t, err)
		return len(stats.Sessions) == 1 && stats.Sessions[0].Server.EventsDone == 2
	})
	require.NoError(t, b.Host.Reload(b.ctx))
	b.eventually("the old worker's session is over", func() bool {
		stats, err := b.Server.Stats()
		require.NoError(t, err)
		return stats.SessionsBegun == 2 && len(stats.Sessions) == 1 && stats.Sessions[0].PID != old[0]
	})
	require.Empty(t, upload)
	require.Equal(t, 200, <-upload)
	b.logged(strconv.Itoa(old[0]) + `.*\[probe\] log phase: /probe/late 200`)
	stats, err := b.Server.Stats()
	require.NoError(t, err)
	require.EqualValues(t, 3, stats.SessionsBegun)
	require.Zero(t, stats.SessionsFailed)
	b.Client.CloseIdleConnections()
	b.eventually("the old worker is gone", func() bool { return syscall.Kill(old[0], 0) != nil })
}

// Without traffic nobody uses the processor.
func TestIdleOverTheSocket(t *testing.T) {
	overSocket(t)
	b := start(t, nil)
	for range 50 {
		b.answers()
	}
	workers, err := b.Host.Workers()
	require.NoError(t, err)
	ticks := func() (sum int) {
		for _, pid := range append(workers, b.Server.PID()) {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			require.NoError(t, err)
			fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')'):]))
			for _, field := range fields[12:14] { // utime, stime
				n, err := strconv.Atoi(field)
				require.NoError(t, err)
				sum += n
			}
		}
		return sum
	}
	// A few tries: the counters go over after the last event, and the processes
	// may have something of their own to do.
	err = testbed.Eventually(b.ctx, time.Minute, "three idle seconds without a tick", func() bool {
		before := ticks()
		ctx, stop := context.WithTimeout(b.ctx, 3*time.Second)
		defer stop()
		<-ctx.Done()
		return ticks() == before
	})
	require.NoError(t, err)
}

// nginx quits while requests are under way: they come to their end.
func TestQuitWithRequestsUnderWay(t *testing.T) {
	overSocket(t)
	b := start(t, nil)
	const requests = 10
	done := make(chan reply, requests)
	for range requests {
		go func() {
			// A POST: the client would try a GET again.
			r, err := b.try("/probe", []byte("body"), "x-do", "sleep:300ms")
			if err != nil {
				r.body = err.Error()
			}
			done <- r
		}()
	}
	b.eventually("they are under way", func() bool {
		stats, err := b.Server.Stats()
		require.NoError(t, err)
		return len(stats.Sessions) == 1 && stats.Sessions[0].UnderWay == requests
	})
	require.NoError(t, b.Host.Stop(b.ctx))
	for range requests {
		r := <-done
		require.Equal(t, 200, r.status, r.body)
		require.Equal(t, "body", r.body)
	}
	stats, err := b.Server.Stats()
	require.NoError(t, err)
	require.Zero(t, stats.SessionsFailed)
}

// A worker is told to leave while its socket is full and the server stands
// still.
func TestLeavingWithAFullSocket(t *testing.T) {
	overSocket(t)
	b := start(t, func(o *testbed.Options) {
		delete(o.Config, "global_plugins")
		o.Config["routes"].([]interface{})[1].(object)["plugins"] = []interface{}{
			object{"name": "probe", "config": object{"do": "nothing:" + strings.Repeat("x", 2<<20)}},
		}
		handlerOf(t, o, "timeout = 1")
	})
	b.logged("attached to")
	b.signal(syscall.SIGSTOP)
	old, err := b.Host.Workers()
	require.NoError(t, err)
	// The config is longer than ring and socket together.
	require.Equal(t, 504, b.do("").status)
	require.NoError(t, b.Host.Reload(b.ctx))
	b.Client.CloseIdleConnections()
	b.eventually("the old worker is gone", func() bool { return syscall.Kill(old[0], 0) != nil })
	b.signal(syscall.SIGCONT)
	b.eventually("requests succeed", func() bool { return b.do("").status == 200 })
}
