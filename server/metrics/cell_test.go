package metrics

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server/wire"
)

func TestBuckets(t *testing.T) {
	for _, tc := range []struct {
		ns   uint64
		want int
	}{
		{0, 0}, {1, 0}, {1 << 10, 0}, {1<<10 + 1, 1}, {1280, 1}, {1281, 2}, {1 << 11, 4}, {1<<11 + 1, 5},
		{1 << 34, Buckets - 2}, {1<<34 + 1, Buckets - 1}, {math.MaxUint64, Buckets - 1},
	} {
		require.Equal(t, tc.want, bucket(tc.ns), "%d ns", tc.ns)
	}
	for b := range Buckets - 1 {
		require.Equal(t, b, bucket(bound(b)))
		require.Equal(t, b+1, bucket(bound(b)+1))
	}
}

func TestQuantile(t *testing.T) {
	var l Latency
	_, ok := l.Quantile(0.5)
	require.False(t, ok)
	for micros := range 1000 {
		l.Count(time.Duration(micros+1) * time.Microsecond)
	}
	for q, want := range map[float64]float64{0.01: 10, 0.5: 500, 0.9: 900, 0.99: 990, 1: 1000} {
		got, ok := l.Quantile(q)
		require.True(t, ok)
		require.InEpsilon(t, want, float64(got)/1e3, 0.125, "%v: %v", q, got)
	}
	l.Count(time.Hour)
	got, _ := l.Quantile(1)
	require.Equal(t, time.Duration(1<<34), got)
	before := l
	l.Count(-1) // a clock that goes back
	require.Equal(t, before.Counts[0]+1, l.Counts[0])
	require.Equal(t, before.Nanos, l.Nanos)
}

func TestLatencySince(t *testing.T) {
	var was, is Latency
	was.Count(time.Millisecond)
	is = was
	is.Count(time.Second)
	more := is.Since(&was)
	require.EqualValues(t, 1, more.Total())
	require.EqualValues(t, 1e9, more.Nanos)
	more = was.Since(&is) // another server's
	require.Zero(t, more)
}

func TestCellsAddUp(t *testing.T) {
	a := Cell{Events: 1, Calls: [Answers]uint64{1, 2, 3, 4}, Wasted: 5, Failed: [Failures]uint64{Lost: 6}}
	a.Latency.Count(time.Second)
	b := a
	b.Add(&a)
	require.Equal(t, Cell{
		Events: 2, Calls: [Answers]uint64{2, 4, 6, 8}, Wasted: 10, Failed: [Failures]uint64{Lost: 12}, Latency: b.Latency,
	}, b)
	require.EqualValues(t, 2, b.Latency.Total())
	require.EqualValues(t, 2e9, b.Latency.Nanos)
}

func TestTable(t *testing.T) {
	var table Table
	require.Zero(t, table.Cell("p", "access"))
	rows := []Row{{Plugin: "p", Phase: "access", Cell: Cell{Events: 1}}, {Plugin: "p", Phase: "log", Cell: Cell{Events: 2}}}
	table.Add(rows)
	table.Add(rows[:1])
	same := table.Clone()
	same.Add(rows)
	require.EqualValues(t, 2, table.Cell("p", "access").Events)
	require.EqualValues(t, 2, table.Cell("p", "log").Events)
	require.EqualValues(t, 3, same.Cell("p", "access").Events)
}

// A row is what kongring top reads: no histogram where nothing was timed.
func TestRowAsJSON(t *testing.T) {
	row := Row{Plugin: "p", Phase: "access", Cell: Cell{Events: 3}}
	text, err := json.Marshal(row)
	require.NoError(t, err)
	require.NotContains(t, string(text), "Latency")
	row.Latency.Count(1)
	text, err = json.Marshal(row)
	require.NoError(t, err)
	var back Row
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, row, back)
}

func TestCountingAllocatesNothing(t *testing.T) {
	cell, calls := new(Cell), new(Calls)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		cell.Latency.Count(time.Millisecond)
		calls.Count(wire.RequestGetPath, Prefetched)
	}))
	var none *Calls
	none.Count(wire.RequestGetPath, Memo)
	var sum Methods
	sum.Add(none)
	require.Zero(t, sum)
	sum.Add(calls)
	require.EqualValues(t, 101, sum[wire.RequestGetPath][Prefetched])
}
