package top

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/metrics"
	"github.com/kongring/kongring/server/wire"
)

// at is a sample of one server with the given sessions, so many seconds later.
func at(seconds int, sessions ...server.SessionStats) sample {
	start := time.Date(2000, 1, 2, 3, 4, 5, 0, time.UTC)
	return sample{start.Add(time.Duration(seconds) * time.Second), []answer{{
		socket: "/run/my-plugin.socket", stats: server.Stats{PID: 7, Sessions: sessions},
	}}}
}

func session(id, worker uint32) server.SessionStats {
	return server.SessionStats{Session: id, Worker: worker, PID: 100 + int(id), Carrier: "ring"}
}

// busy is a session that grew since session was it, for 2 seconds.
func busy(id, worker uint32) server.SessionStats {
	s := session(id, worker)
	s.Server = wire.ServerCounters{
		EventsDone: 200, RoundTrips: 100, MemoHits: 200, PrefetchHits: 300, Posted: 400, Wasted: 100,
		SpinsPaid: 30, SpinsUnpaid: 10, Doorbells: 6, Sleeps: 8,
	}
	s.Bridge = wire.WorkerCounters{Doorbells: 4, Sleeps: 2, Errors: 5}
	s.UnderWay, s.Capacity, s.ToServer, s.ToWorker = 9, 1000, 100, 250
	cell := metrics.Cell{
		Events: 200, Calls: [metrics.Answers]uint64{300, 200, 400, 100}, Wasted: 100,
		Failed: [metrics.Failures]uint64{metrics.Panic: 2, metrics.Busy: 3},
	}
	for range 98 {
		cell.Latency.Count(100 * time.Microsecond)
	}
	cell.Latency.Count(10 * time.Millisecond)
	cell.Latency.Count(10 * time.Millisecond)
	s.Events = []metrics.Row{{Plugin: "p", Phase: "access", Cell: cell}}
	return s
}

// withStock adds what Kongs without the bridge did.
func withStock(s sample, events uint64) sample {
	s.servers[0].stats.Stock.Events = []metrics.Row{{Plugin: "q", Phase: "log", Cell: metrics.Cell{Events: events}}}
	return s
}

func TestPlugins(t *testing.T) {
	before, after := session(1, 4), busy(1, 4)
	before.Events = []metrics.Row{{Plugin: "p", Phase: "access"}}
	for range 1000 { // long ago
		before.Events[0].Latency.Count(time.Second)
	}
	after.Events[0].Add(&before.Events[0].Cell)
	got := plugins(withStock(at(0, before), 10), withStock(at(2, after, busy(2, 1)), 30))
	require.Len(t, got, 3)
	r := got[0]
	require.Equal(t, []string{"p", "access"}, []string{r.Plugin, r.Phase})
	require.Equal(t, uint32(4), r.Worker)
	for _, tc := range []struct {
		got       *float64
		want, off float64
	}{
		{r.Events, 100, 0}, {r.Calls, 5, 0}, {r.Prefetch, 0.75, 0}, {&r.Errors, 5, 0}, {r.P50, 100, 0.125}, {r.P99, 10_000, 0.125},
	} {
		require.NotNil(t, tc.got)
		require.InEpsilon(t, tc.want, *tc.got, tc.off+1e-9)
	}
	require.Nil(t, got[1].Events, "there is no earlier sample of it")
	require.Nil(t, got[1].P50)
	require.Equal(t, []string{"q", "log", "stock"}, []string{got[2].Plugin, got[2].Phase, got[2].Carrier})
	require.InDelta(t, 10, *got[2].Events, 1e-9)
	require.Nil(t, got[2].P50, "nothing was measured")
	table, _ := tableNamed("plugins")
	require.Regexp(t, `^my-plugin +q +log +- +10 +- +- +0.0 +- +0$`, table.of(got[2]))
	require.Regexp(t, `^my-plugin +p +access +4 +100 +\d+u +\S+m +5.0 +75 +5$`, table.of(r))
	text, err := json.Marshal(got[0])
	require.NoError(t, err)
	require.Contains(t, string(text), `"plugin":"p"`)
	require.NotContains(t, string(text), "ring_fill")
}

func TestDuration(t *testing.T) {
	for micros, want := range map[float64]string{
		0: "0.0u", 9.94: "9.9u", 9.96: "10u", 999.4: "999u", 999.6: "1.0m", 12_345: "12m", 999_600: "1.0s", 17_179_869: "17.2s",
	} {
		require.Equal(t, want, duration(micros))
	}
}

func TestWorkers(t *testing.T) {
	got := workers(at(0, session(1, 0)), at(2, busy(1, 0), busy(2, 1)))
	require.Len(t, got, 2)
	for _, tc := range []struct {
		got  *float64
		want float64
	}{
		{got[0].Events, 100}, {got[0].Calls, 5}, {got[0].Prefetch, 0.75}, {got[0].Spins, 0.75},
		{got[0].Doorbells, 5}, {got[0].Sleeps, 5}, {got[0].Fill, 0.25}, {&got[0].Errors, 5}, {&got[0].Open, 9},
	} {
		require.NotNil(t, tc.got)
		require.InDelta(t, tc.want, *tc.got, 1e-9)
	}
	require.Equal(t, "my-plugin", got[0].Server)
	require.Nil(t, got[1].Events, "there is no earlier sample of it")

	// Another server of the same path has sessions of the same numbers.
	other := at(0, session(1, 0))
	other.servers[0].stats.PID++
	require.Nil(t, workers(other, at(2, busy(1, 0)))[0].Events)
}

// What a worker says of itself, or a stranger that listens at the path, is no
// reason to write nonsense.
func TestRowsOfALiar(t *testing.T) {
	for _, lie := range []float64{-1, math.NaN(), math.Inf(1), math.Inf(-1), 1e300} {
		s := busy(1, 0)
		s.Bridge = wire.WorkerCounters{Doorbells: lie, Sleeps: lie, Errors: lie}
		s.Carrier, s.Events[0].Plugin, s.Events[0].Phase = "\x1b[2J", "\x1b[2J", "\x1b[2J"
		table, _ := tableNamed("plugins")
		require.NotContains(t, table.of(plugins(at(0, session(1, 0)), at(2, s))[0]), "\x1b")
		table, _ = tableNamed("workers")
		r := workers(at(0, session(1, 0)), at(2, s))[0]
		require.Zero(t, r.Errors)
		require.InDelta(t, 3, *r.Doorbells, 1e-9)
		require.NotContains(t, table.of(r), "\x1b")
		_, err := json.Marshal(r)
		require.NoError(t, err)
	}
}

func TestTablesAre80Wide(t *testing.T) {
	s := busy(1, 4_000_000_000)
	s.PID, s.Carrier, s.UnderWay = 4194304, "socket", 4096
	s.Bridge.Errors = 1e12
	s.Server.EventsDone, s.Server.Doorbells, s.Server.RoundTrips, s.Server.Sleeps = 1e12, 1e12, 1e15, 1e12
	s.Events[0].Plugin, s.Events[0].Phase = strings.Repeat("é", 60), "certificate"
	s.Events[0].Failed[metrics.Lost] = 1e12
	for _, table := range tables {
		require.LessOrEqual(t, utf8.RuneCountInString(table.heads()), 80)
		r := table.rows(at(0, session(1, 0)), at(2, s))[0]
		r.Server = strings.Repeat("é", 60)
		require.LessOrEqual(t, utf8.RuneCountInString(table.of(r)), 80, table.of(r))
	}
	for n, want := range map[float64]string{0: "0", 9999: "9999", 9999.6: "10k", 999_400: "999k", 999_600: "1M", 1e18: "lots"} {
		require.Equal(t, want, short(n))
	}
}

func TestSortAndFilter(t *testing.T) {
	table, _ := tableNamed("workers")
	v := view{table: table, before: at(0, session(1, 1), session(2, 0)), now: at(2, busy(1, 1), session(2, 0), session(3, 2))}
	workers := func(by string, filters ...string) (all []uint32) {
		var err error
		v.sort = by
		v.filters, err = table.filters(filters)
		require.NoError(t, err)
		for _, r := range v.rows() {
			all = append(all, r.Worker)
		}
		return all
	}
	require.Equal(t, []uint32{0, 1, 2}, workers("server"))
	for _, by := range table.orders()[1:] {
		require.Equal(t, uint32(1), workers(by)[0], by)
	}
	require.Equal(t, []uint32{1}, workers("server", "worker=1"))
	require.Equal(t, []uint32{0}, workers("server", "pid=102", "carrier=ring"))
	require.Equal(t, []uint32{0, 1, 2}, workers("server", "server=my-plugin"))
	require.Equal(t, []uint32{2}, workers("server", "session=3"))
	require.Empty(t, workers("server", "carrier=socket"))
	for _, bad := range []string{"worker", "worker=", "nothing=1", "", "plugin=p"} {
		_, err := table.filters([]string{bad})
		require.Error(t, err, bad)
	}
}

func TestSortAndFilterPlugins(t *testing.T) {
	table, _ := tableNamed("plugins")
	v := view{table: table, sort: byServer, before: withStock(at(0, session(1, 1)), 0), now: withStock(at(2, busy(1, 1)), 4)}
	names := func(by string, filters ...string) (all []string) {
		var err error
		v.sort = by
		v.filters, err = table.filters(filters)
		require.NoError(t, err)
		for _, r := range v.rows() {
			all = append(all, r.Plugin)
		}
		return all
	}
	require.Equal(t, []string{"q", "p"}, names(byServer), "of no worker first")
	for _, by := range table.orders()[1:] {
		require.Equal(t, []string{"p", "q"}, names(by), by)
	}
	require.Equal(t, []string{"p"}, names("p99", "plugin=p", "phase=access"))
	require.Equal(t, []string{"q"}, names("p99", "carrier=stock"))

	v.sort = "p99"
	v.turn()
	require.Equal(t, "workers", v.table.name)
	require.Equal(t, byServer, v.sort, "it has no such column")
	v.filters = []filter{{"plugin", "q"}, {"worker", "1"}}
	require.Len(t, v.rows(), 1, "nor such a label")
	v.next()
	require.Equal(t, "events", v.sort)
	v.turn()
	require.Equal(t, "plugins", v.table.name)
	require.Equal(t, "events", v.sort)
}

// A frame fits into any terminal.
func TestFrame(t *testing.T) {
	v := view{sort: byServer, before: at(0, session(1, 0)), now: at(2, busy(1, 0), session(2, 1), session(3, 2))}
	v.now.servers = append(v.now.servers, answer{socket: "/run/x", err: errors.New("no plugin server\x1b[2J listens")})
	for width := 1; width < 100; width += 3 {
		for height := 1; height < 12; height++ {
			v.table = tables[(width+height)%len(tables)]
			text := v.frame(width, height)
			text = strings.TrimSuffix(strings.TrimPrefix(text, home), clearBelow)
			lines := strings.Split(text, "\r\n")
			require.LessOrEqual(t, len(lines), height)
			for _, line := range lines {
				var cleared bool
				line, cleared = strings.CutPrefix(line, clearLine)
				require.True(t, cleared)
				require.LessOrEqual(t, utf8.RuneCountInString(line), width)
				require.NotContains(t, line, "\x1b")
			}
		}
	}
	v.table, _ = tableNamed("workers")
	require.Contains(t, v.frame(80, 24), "SILENT 1")
	require.Contains(t, v.frame(80, 24), "! no plugin server")
	require.Contains(t, v.frame(80, 5), "lines more")
	require.Contains(t, v.frame(80, 24), "03:04:07")
}
