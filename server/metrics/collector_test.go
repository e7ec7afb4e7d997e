package metrics

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server/wire"
)

// What is shown follows Prometheus' rules for names and helps, and is the same
// set of series before and after the first event.
func TestNamesAreClean(t *testing.T) {
	shot := Snapshot{Workers: []Worker{{Number: 1, Shared: true, Capacity: 1024}}}
	c := NewCollector([]Plugin{{Name: "p", Version: "1", Phases: []string{"access", "log"}}}, "v1", func() Snapshot { return shot })
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	require.Empty(t, problems)

	before := testutil.CollectAndCount(c)
	cell := Cell{Events: 3, Wasted: 1}
	cell.Latency.Count(time.Second)
	for kind := range cell.Failed {
		cell.Failed[kind] = 7
	}
	shot.Events.Add([]Row{{Plugin: "p", Phase: "access", Cell: cell}, {Plugin: "p", Phase: "log", Cell: cell}})
	require.Equal(t, before, testutil.CollectAndCount(c))
	shot.Methods[wire.RequestGetPath][Memo] = 5
	shot.Methods[0][RoundTrip] = 1
	require.Equal(t, before+2, testutil.CollectAndCount(c))
}

// A time stands in each bucket whose bound is no less, and in the sum.
func TestHistogram(t *testing.T) {
	var cell Cell
	for range 2 {
		cell.Latency.Count(3 * time.Microsecond)
	}
	cell.Latency.Count(time.Hour)
	var shot Snapshot
	shot.Events.Add([]Row{{Plugin: "p", Phase: "access", Cell: cell}})
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(NewCollector([]Plugin{{Name: "p", Phases: []string{"access"}}}, "v1", func() Snapshot { return shot }))
	all, err := registry.Gather()
	require.NoError(t, err)
	for _, f := range all {
		if f.GetName() != "kongring_event_duration_seconds" {
			continue
		}
		h := f.GetMetric()[0].GetHistogram()
		require.EqualValues(t, 3, h.GetSampleCount())
		require.InDelta(t, 3600, h.GetSampleSum(), 1e-3)
		below := map[float64]uint64{}
		for _, b := range h.GetBucket() {
			below[b.GetUpperBound()] = b.GetCumulativeCount()
		}
		require.Len(t, below, lastPower-firstPower+1)
		require.Zero(t, below[2048e-9])
		require.EqualValues(t, 2, below[4096e-9])
		require.EqualValues(t, 2, below[float64(1<<34)/1e9], "an hour is beyond it")
		return
	}
	t.Fatal("no histogram")
}
