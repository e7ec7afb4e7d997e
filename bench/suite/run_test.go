package suite

import (
	"errors"
	"io"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/luabridge/host"
	"github.com/kongring/kongring/luabridge/testbed"
)

func newRun(t *testing.T) *run {
	if testing.Short() {
		t.Skip("starts nginx several times")
	}
	r := &run{Plan: Quick(), dir: t.TempDir(), progress: io.Discard}
	r.eventCalls, r.eventSeconds = []int{0, 3}, 0.001
	var err error
	r.build, err = testbed.Compile(t.Context(), r.dir, "./bench/callserver")
	require.NoError(t, err)
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
	if _, err := exec.LookPath("wrk"); err != nil {
		t.Skip(err)
	}
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
