package server_test

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server/wire"
)

// BenchmarkColdStart starts the process of the example hello each time anew. A
// worker that waits for it attaches, opens its doorbell, starts an instance and
// has it serve a request with two PDK calls. The metrics are milliseconds from
// before the process was started:
//
//	go test ./server -run '^$' -bench ColdStart -benchtime 30x
//
// The same through nginx is in luabridge/e2e.
func BenchmarkColdStart(b *testing.B) {
	binary := filepath.Join(b.TempDir(), "hello")
	out, err := exec.Command("go", "build", "-o", binary, "./examples/cmd/hello").CombinedOutput()
	require.NoError(b, err, "%s", out)
	var listening, attached, served time.Duration
	for b.Loop() {
		socket := socketPath(b)
		began := time.Now()
		cmd := exec.Command(binary, "-socket", socket)
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		require.NoError(b, cmd.Start())
		for {
			conn, err := net.Dial("unix", socket)
			if err == nil {
				require.NoError(b, conn.Close())
				break
			}
			require.Less(b, time.Since(began), patience, err)
			time.Sleep(50 * time.Microsecond)
		}
		listening += time.Since(began)
		w := attach(b, socket)
		attached += time.Since(began)
		event := w.event(0, w.instance("hello", `{"message": "hello"}`))
		for _, value := range []string{"you", "/path"} { // of the header and the path
			call, _ := w.expect(wire.TypeCall, event)
			w.answer(call, msgp.AppendString(nil, value))
		}
		done, body := w.expect(wire.TypeDone, event)
		served += time.Since(began)
		require.Equal(b, uint8(wire.StatusOK), done.Code, "%s", body)

		b.StopTimer()
		w.hangUp()
		require.NoError(b, cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(b, cmd.Wait())
		b.StartTimer()
	}
	for what, sum := range map[string]time.Duration{"listening": listening, "attached": attached, "served": served} {
		b.ReportMetric(float64(sum)/float64(b.N)/1e6, fmt.Sprintf("ms/%s", what))
	}
}
