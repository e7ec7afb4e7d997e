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
	s.UnderWay = 9
	return s
}

func TestRows(t *testing.T) {
	got := rows(at(0, session(1, 0)), at(2, busy(1, 0), busy(2, 1)))
	require.Len(t, got, 2)
	for _, tc := range []struct {
		got  *float64
		want float64
	}{
		{got[0].Events, 100}, {got[0].Calls, 5}, {got[0].Prefetch, 0.75}, {got[0].Spins, 0.75},
		{got[0].Doorbells, 5}, {got[0].Sleeps, 5}, {&got[0].Errors, 5}, {&got[0].Open, 9},
	} {
		require.NotNil(t, tc.got)
		require.InDelta(t, tc.want, *tc.got, 1e-9)
	}
	require.Equal(t, "my-plugin", got[0].Server)
	require.Nil(t, got[1].Events, "there is no earlier sample of it")

	// Another server of the same path has sessions of the same numbers.
	other := at(0, session(1, 0))
	other.servers[0].stats.PID++
	require.Nil(t, rows(other, at(2, busy(1, 0)))[0].Events)
}

// What a worker says of itself, or a stranger that listens at the path, is no
// reason to write nonsense.
func TestRowsOfALiar(t *testing.T) {
	for _, lie := range []float64{-1, math.NaN(), math.Inf(1), math.Inf(-1), 1e300} {
		s := busy(1, 0)
		s.Bridge = wire.WorkerCounters{Doorbells: lie, Sleeps: lie, Errors: lie}
		s.Carrier = "\x1b[2J"
		r := rows(at(0, session(1, 0)), at(2, s))[0]
		require.Zero(t, r.Errors)
		require.InDelta(t, 3, *r.Doorbells, 1e-9)
		require.NotContains(t, r.line(), "\x1b")
		_, err := json.Marshal(r)
		require.NoError(t, err)
	}
}

func TestTableIs80Wide(t *testing.T) {
	require.LessOrEqual(t, utf8.RuneCountInString(heads), 80)
	s := busy(1, 4_000_000_000)
	s.PID, s.Carrier, s.UnderWay = 4194304, "socket", 4096
	s.Bridge.Errors = 1e12
	s.Server.EventsDone, s.Server.Doorbells, s.Server.RoundTrips, s.Server.Sleeps = 1e12, 1e12, 1e15, 1e12
	r := rows(at(0, session(1, 0)), at(2, s))[0]
	r.Server = strings.Repeat("é", 60)
	require.LessOrEqual(t, utf8.RuneCountInString(r.line()), 80, r.line())
	for n, want := range map[float64]string{0: "0", 9999: "9999", 9999.6: "10k", 999_400: "999k", 999_600: "1M", 1e18: "lots"} {
		require.Equal(t, want, short(n))
	}
}

func TestSortAndFilter(t *testing.T) {
	v := view{before: at(0, session(1, 1), session(2, 0)), now: at(2, busy(1, 1), session(2, 0), session(3, 2))}
	workers := func(by string, filters ...string) (all []uint32) {
		var err error
		v.sort = by
		v.filters, err = readFilters(filters)
		require.NoError(t, err)
		for _, r := range v.rows() {
			all = append(all, r.Worker)
		}
		return all
	}
	require.Equal(t, []uint32{0, 1, 2}, workers("server"))
	for _, by := range orders[1:] {
		require.Equal(t, uint32(1), workers(by)[0], by)
	}
	require.Equal(t, []uint32{1}, workers("server", "worker=1"))
	require.Equal(t, []uint32{0}, workers("server", "pid=102", "carrier=ring"))
	require.Equal(t, []uint32{0, 1, 2}, workers("server", "server=my-plugin"))
	require.Equal(t, []uint32{2}, workers("server", "session=3"))
	require.Empty(t, workers("server", "carrier=socket"))
	for _, bad := range []string{"worker", "worker=", "nothing=1", ""} {
		_, err := readFilters([]string{bad})
		require.Error(t, err, bad)
	}
}

// A frame fits into any terminal.
func TestFrame(t *testing.T) {
	v := view{sort: "server", before: at(0, session(1, 0)), now: at(2, busy(1, 0), session(2, 1), session(3, 2))}
	v.now.servers = append(v.now.servers, answer{socket: "/run/x", err: errors.New("no plugin server\x1b[2J listens")})
	for width := 1; width < 100; width += 3 {
		for height := 1; height < 12; height++ {
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
	require.Contains(t, v.frame(80, 24), "SILENT 1")
	require.Contains(t, v.frame(80, 24), "! no plugin server")
	require.Contains(t, v.frame(80, 5), "lines more")
	require.Contains(t, v.frame(80, 24), "03:04:07")
}
