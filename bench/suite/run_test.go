package suite

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/bench"
	"github.com/kongring/kongring/luabridge/host"
	"github.com/kongring/kongring/luabridge/testbed"
)

func newRun(t *testing.T) *run {
	if testing.Short() {
		t.Skip("starts nginx several times")
	}
	r := &run{Plan: Quick(), dir: t.TempDir(), progress: NewProgress(io.Discard)}
	r.eventCalls, r.eventSeconds, r.Seconds, r.warmUp = []int{0, 3}, 0.001, 0.2, time.Millisecond
	var err error
	r.build, err = FromSource(t.Context(), r.dir)
	require.NoError(t, err)
	r.lua = filepath.Join(r.dir, "lua")
	require.NoError(t, os.CopyFS(r.lua, bench.Lua()))
	return r
}

// needsNginx skips a test where there is none.
func needsNginx(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, host.ErrUnavailable) {
		t.Skip(err)
	}
	require.NoError(t, err)
}

func needsWrk(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("wrk"); err != nil {
		t.Skip(err)
	}
}

func TestEventsOfEachMode(t *testing.T) {
	r := newRun(t)
	for _, m := range modes {
		if m.event {
			n := 0
			needsNginx(t, r.events(t.Context(), m, func(string, int, float64) { n++ }))
			require.Equal(t, len(kinds)*len(r.eventCalls), n, m.name)
		}
	}
}

func TestRequestsOfEachMode(t *testing.T) {
	needsWrk(t)
	r := newRun(t)
	for _, m := range modes {
		if !m.http {
			continue
		}
		f, err := r.requests(t.Context(), m, 3, 2)
		needsNginx(t, err)
		require.Positive(t, f.RPS, m.name)
		require.Equal(t, m.rings, f.PerEvent != nil, m.name)
		if m.rings {
			require.Less(t, f.PerEvent.RoundTrips, 1.0, "values come along")
			require.Greater(t, f.PerEvent.PrefetchHits, 2.0)
		}
	}
}

// With metrics, the server counts for them.
func TestRequestsWithMetrics(t *testing.T) {
	needsWrk(t)
	r := newRun(t)
	m := modeNamed("ring-metrics")
	f, err := r.requests(t.Context(), m, 3, 2)
	needsNginx(t, err)
	require.Positive(t, f.RPS)
	err = r.withBed(t.Context(), m, m.plugin, []interface{}{route("/", m.plugin, map[string]interface{}{"n": 1, "kind": "header"})}, func(b *testbed.Bed) error {
		client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(filepath.Dir(b.Socket()), "m"))
		}}}
		defer client.CloseIdleConnections()
		answer, err := client.Get("http://server/metrics")
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		require.Contains(t, string(text), "kongring_events_total")
		return err
	})
	require.NoError(t, err)
}

// A plugin that fails does not pass as a quick one.
func TestFailedRequestsAreNoFigures(t *testing.T) {
	r := newRun(t)
	m := modeNamed("lua")
	r.Kind = "no such kind"
	_, err := r.requests(t.Context(), m, 3, 2)
	if errors.Is(err, host.ErrUnavailable) {
		t.Skip(err)
	}
	require.ErrorContains(t, err, "status 500")
}

func TestBodiesOfEachMode(t *testing.T) {
	r := newRun(t)
	r.bodies = []int{1 << 10, 1 << 20}
	for _, m := range modes {
		if m.http {
			var lengths []int
			needsNginx(t, r.bodiesOf(t.Context(), m, func(n int, ns float64) { lengths = append(lengths, n) }))
			require.Equal(t, r.bodies, lengths, m.name)
		}
	}
}

func TestAllocations(t *testing.T) {
	r := newRun(t)
	var report Report
	needsNginx(t, r.runAllocs(t.Context(), &report))
	require.Len(t, report.Server.Allocs, len(allocCells))
	require.Equal(t, report.Server.Allocs[0].PerEvent, report.Server.AllocsPerEvent)
	// Each header is a string of its own, of ten calls eight.
	require.Greater(t, report.Server.Allocs[1].PerEvent, report.Server.AllocsPerEvent+7)
}

func TestScale(t *testing.T) {
	needsWrk(t)
	r := newRun(t)
	r.workers, r.idleSessions, r.slowConns, r.idleFor = []int{2}, 3, []int{2}, time.Millisecond
	var report Report
	needsNginx(t, r.runScale(t.Context(), &report))
	s := report.Scale
	require.Positive(t, s.Workers[0].RPS)
	require.LessOrEqual(t, s.Slow[0].RPS, s.Slow[0].Possible*1.1)
	require.Equal(t, 3, s.Idle.Sessions)
	require.Greater(t, s.Idle.SegmentKiB, 1024.0, "two rings of 512 KiB")
}

// The quick run as a whole, with figures that are worth nothing.
func TestQuickRun(t *testing.T) {
	needsWrk(t)
	if err := host.Available(); err != nil {
		t.Skip(err)
	}
	if testing.Short() {
		t.Skip("starts nginx several times")
	}
	plan := Quick()
	plan.Seconds, plan.warmUp, plan.eventSeconds, plan.idleFor = 0.1, time.Millisecond, 0.001, time.Millisecond
	plan.trips, plan.ringRounds, plan.ringSteps = 100, 1, 2000
	plan.calls, plan.conns, plan.eventCalls, plan.bodies = []int{10}, []int{16}, []int{0, 10, 50}, []int{1 << 20}
	progress := NewProgress(io.Discard)
	report, err := RunBuild(t.Context(), plan, FromSource, progress)
	require.NoError(t, err)
	require.InDelta(t, progress.all, progress.done, 1e-6, "each step was foreseen")

	text, err := json.Marshal(report)
	require.NoError(t, err)
	var got Report
	require.NoError(t, json.Unmarshal(text, &got))
	for _, m := range []string{"lua", "ring", "stock"} {
		require.True(t, slices.ContainsFunc(got.HTTP, func(h HTTP) bool { return h.Mode == m && h.RPS > 0 }), m)
		require.True(t, slices.ContainsFunc(got.Event, func(e Event) bool { return e.Mode == m && e.Kind == "mix" && e.N == 50 }), m)
	}
	cores, err := twoCores()
	require.NoError(t, err)
	for _, target := range got.Targets {
		// Without N = 50 and one connection, and C without a second core.
		if cores != nil && !strings.Contains(target.Name, "N = 50") && !strings.Contains(target.Name, "1 connection,") {
			require.NotNil(t, target.Measured, target.Name)
		}
	}
	require.Positive(t, report.row("stock", 10, 16).ServerCPU+report.row("stock", 10, 16).ServerSwitches)
}
