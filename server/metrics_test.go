package server_test

import (
	"bufio"
	"context"
	"io"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tinylib/msgp/msgp"

	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/pdk"
	"github.com/kongring/kongring/server/wire"
)

// shown is what a server shows to Prometheus: values by series, as they stand
// in the text.
type shown map[string]float64

// scrape asks for the metrics at an address, as the flag -metrics has it.
func scrape(t testing.TB, address string) shown {
	t.Helper()
	status, text := ask(t, address, "/metrics")
	require.Equal(t, http.StatusOK, status, text)
	out := shown{}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if line := lines.Text(); !strings.HasPrefix(line, "#") {
			at := strings.LastIndexByte(line, ' ')
			value, err := strconv.ParseFloat(line[at+1:], 64)
			require.NoError(t, err, line)
			out[line[:at]] = value
		}
	}
	return out
}

// ask asks an address of metrics for a path.
func ask(t testing.TB, address, path string) (status int, body string) {
	t.Helper()
	status, body, err := tryAsk(address, path)
	require.NoError(t, err)
	return status, body
}

func tryAsk(address, path string) (status int, body string, err error) {
	c := http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if path, ok := strings.CutPrefix(address, "unix:"); ok {
				return new(net.Dialer).DialContext(ctx, "unix", path)
			}
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		},
	}}
	r, err := c.Get("http://server" + path)
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	return r.StatusCode, string(text), err
}

// unixAddress gives an address for metrics that nobody has.
func unixAddress(t testing.TB) string {
	return "unix:" + filepath.Join(filepath.Dir(socketPath(t)), "m")
}

// until scrapes until a series has a value.
func until(t testing.TB, address, series string, want float64) (got shown) {
	t.Helper()
	require.Eventually(t, func() bool { got = scrape(t, address); return got[series] == want }, patience, time.Millisecond, series)
	return got
}

// withCalls is a plugin that makes a call of each kind.
func withCalls() server.Option {
	return withScript(func(s *scripted, kong *pdk.PDK) {
		switch s.Name {
		case "panic":
			panic("boom")
		case "waits":
			<-kong.Context().Done()
			return
		}
		for range 3 {
			_, err := kong.Request.GetPath()
			must(err)
		}
		must(kong.Response.SetHeader("a", "1"))
		must(kong.Response.SetHeader("b", "2"))
	})
}

// play runs an event of withCalls to its end.
func (w *worker) play(slot uint16, instance uint32) {
	w.t.Helper()
	head := w.event(slot, instance)
	for {
		got, _ := w.receive()
		switch got.Type {
		case wire.TypeProfile:
		case wire.TypeCall:
			w.answer(head, msgp.AppendString(nil, "/"))
		default:
			require.Equal(w.t, uint8(wire.TypeDone), got.Type)
			return
		}
	}
}

const accessed = `{phase="access",plugin="scripted"}`

func TestMetricsAreWhatStatsSay(t *testing.T) {
	for _, tc := range []struct {
		name     string
		bySocket bool
	}{{"ring", false}, {"socket", true}} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.bySocket {
				overSocket(t)
			}
			address := unixAddress(t)
			s, socket := plain(t, withCalls(), server.WithMetrics(address), server.WithoutPrefetch())
			w := attach(t, socket)
			in, boom := w.instance("scripted", `{}`), w.instance("scripted", `{"name":"panic"}`)
			const events, panics = 20, 3
			for range events {
				w.play(1, in)
			}
			for range panics {
				w.expectPanic(w.event(2, boom))
			}
			w.expect(wire.TypeDone, w.event(3, 77))
			w.startInstance("nobody", "e", "{}")

			until(t, address, "kongring_events_total"+accessed, events+panics)
			require.Eventually(t, func() bool {
				c := s.Stats().Sessions[0].Server
				return c.Events == c.EventsDone
			}, patience, time.Millisecond)
			got := scrape(t, address)
			stats := s.Stats()
			c := stats.Sessions[0].Server
			for series, want := range map[string]uint64{
				`kongring_session_events_begun_total{side="server"}`:                                    c.Events,
				`kongring_session_events_ended_total{side="server"}`:                                    c.EventsDone,
				`kongring_event_errors_total{kind="panic",phase="access",plugin="scripted"}`:            c.Panics,
				`kongring_event_errors_total{kind="no_instance",phase="",plugin=""}`:                    1,
				`kongring_event_errors_total{kind="busy",phase="access",plugin="scripted"}`:             c.Overloads,
				`kongring_pdk_calls_total{answered="memo",phase="access",plugin="scripted"}`:            c.MemoHits,
				`kongring_pdk_calls_total{answered="posted",phase="access",plugin="scripted"}`:          c.Posted,
				`kongring_pdk_calls_total{answered="prefetched",phase="access",plugin="scripted"}`:      c.PrefetchHits,
				`kongring_pdk_calls_total{answered="round_trip",phase="access",plugin="scripted"}`:      c.RoundTrips,
				`kongring_prefetch_wasted_total` + accessed:                                             c.Wasted,
				`kongring_pdk_method_calls_total{answered="memo",method="kong.request.get_path"}`:       2 * events,
				`kongring_pdk_method_calls_total{answered="round_trip",method="kong.request.get_path"}`: events,
				`kongring_pdk_method_calls_total{answered="posted",method="kong.response.set_header"}`:  2 * events,
				`kongring_frames_total{from="worker"}`:                                                  c.FramesIn,
				`kongring_frames_total{from="server"}`:                                                  c.FramesOut,
				`kongring_frame_bytes_total{from="worker"}`:                                             c.BytesIn,
				`kongring_frame_bytes_total{from="server"}`:                                             c.BytesOut,
				`kongring_late_frames_total{side="server"}`:                                             c.LateFrames,
				`kongring_full_waits_total{side="server"}`:                                              c.FullWaits,
				`kongring_instances_started_total`:                                                      c.Instances,
				`kongring_instance_start_failures_total`:                                                c.StartsFailed,
				`kongring_instances`:                                                                    uint64(stats.Instances),
				`kongring_sessions{carrier="` + tc.name + `"}`:                                          1,
				`kongring_sessions_begun_total{carrier="` + tc.name + `"}`:                              stats.SessionsBegun,
				`kongring_sessions_failed_total{kind="damage"}`:                                         stats.SessionsFailed,
				`kongring_connections_refused_total{kind="other"}`:                                      stats.Refused,
				`kongring_connections_refused_total{kind="denied"}`:                                     stats.Denied,
				`kongring_events_under_way`:                                                             0,
				`kongring_event_duration_seconds_count` + accessed:                                      events + panics,
				`kongring_event_duration_seconds_bucket{phase="access",plugin="scripted",le="+Inf"}`:    events + panics,
				`kongring_plugin_info{plugin="scripted",version="0.1"}`:                                 1,
			} {
				value, ok := got[series]
				require.True(t, ok, series)
				require.EqualValues(t, want, value, series)
			}
			require.EqualValues(t, panics, c.Panics)
			require.Positive(t, got["kongring_event_duration_seconds_sum"+accessed])
			require.EqualValues(t, c.MemoHits+c.RoundTrips+c.Posted, 5*events+asksOfPanic*panics)
		})
	}
}

// What ended badly is counted by why.
func TestMetricsKnowWhyEventsEnd(t *testing.T) {
	address := unixAddress(t)
	_, socket := plain(t, server.WithMetrics(address), withHeld(nil, server.MaxEvents(1)), withCalls())
	w := attach(t, socket)
	waits := w.instance("scripted", `{"name":"waits"}`)
	for status, kind := range map[uint8]string{
		wire.StatusDeadline: "deadline", wire.StatusClientGone: "client_gone", wire.StatusLuaError: "lua_error", wire.StatusOK: "given_up",
	} {
		w.cancel(w.event(1, waits), status, "no more")
		until(t, address, `kongring_event_errors_total{kind="`+kind+`",phase="access",plugin="scripted"}`, 1)
	}
	odd := w.head(wire.TypeEvent, 2)
	odd.Code, odd.Arg = wire.PhaseLog, waits
	w.send(odd, nil)
	w.expect(wire.TypeDone, odd)
	until(t, address, `kongring_event_errors_total{kind="no_phase",phase="",plugin=""}`, 1)

	w.event(3, waits)
	until(t, address, "kongring_events_under_way", 1)
	w.hangUp()
	got := until(t, address, `kongring_event_errors_total{kind="lost",phase="access",plugin="scripted"}`, 1)
	require.EqualValues(t, 1, got[`kongring_event_errors_total{kind="deadline",phase="access",plugin="scripted"}`])
}

// No counter falls while events run and sessions end, however often one looks.
func TestCountersNeverFall(t *testing.T) {
	address := unixAddress(t)
	_, socket := plain(t, withCalls(), server.WithMetrics(address))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 30 {
			w := attach(t, socket)
			in := w.instance("scripted", `{}`)
			for range 20 {
				w.play(1, in)
			}
			w.hangUp()
		}
	}()
	counter := regexp.MustCompile(`_total(\{|$)|_bucket\{|_count(\{|$)|_sum(\{|$)`)
	last, looks := shown{}, 0
	for running := true; running; looks++ {
		select {
		case <-done:
			running = false
		default:
		}
		now := scrape(t, address)
		for series, before := range last {
			if strings.HasPrefix(series, "kongring_") && counter.MatchString(series) {
				require.GreaterOrEqual(t, now[series], before, series)
			}
		}
		last = now
	}
	got := until(t, address, `kongring_sessions{carrier="ring"}`, 0)
	require.EqualValues(t, 600, got[`kongring_session_events_begun_total{side="server"}`])
	require.EqualValues(t, 600, got["kongring_events_total"+accessed])
	require.EqualValues(t, 30, got[`kongring_reattachments_total{process="same"}`]+1)
	t.Logf("%d looks", looks)
}

// A session that has ended is counted once, also while it is still on the list.
func TestSessionsAreCountedOnce(t *testing.T) {
	s, socket := plain(t, withCalls())
	w := attach(t, socket)
	w.play(1, w.instance("scripted", `{}`))
	eventsOf(t, s, "scripted", 1)
	before := s.Observe()
	s.FoldAttached()
	after := s.Observe()
	require.Equal(t, before.Events, after.Events)
	require.Equal(t, before.Server.BytesIn, after.Server.BytesIn)
	require.Positive(t, after.Server.BytesIn)
}

// What a worker writes into its counters is shown only as far as it can be so.
func TestMetricsOfAWorkerThatLies(t *testing.T) {
	address := unixAddress(t)
	_, socket := plain(t, withCalls(), server.WithMetrics(address))
	w := attach(t, socket)
	in := w.instance("scripted", `{}`)
	w.play(1, in)
	c := wire.WorkerCountersAt(w.a.Segment.Region(wire.RegionWorkerCounters))
	set := func(calls, out, ticks, perMicro, open float64) {
		c.Calls, c.BytesOut, c.EventTicks, c.TicksPerUS, c.Open = calls, out, ticks, perMicro, open
	}
	is := func(calls, seconds, slots float64) {
		t.Helper()
		got := scrape(t, address)
		require.Equal(t, calls, got["kongring_worker_pdk_calls_total"])
		require.Equal(t, seconds, got["kongring_worker_event_seconds_total"])
		require.Equal(t, slots, got[`kongring_worker_slots{worker="0"}`])
		require.GreaterOrEqual(t, got[`kongring_ring_used_bytes{ring="to_server",worker="0"}`], 0.0)
		require.LessOrEqual(t, got[`kongring_ring_used_bytes{ring="to_server",worker="0"}`], got[`kongring_ring_capacity_bytes{worker="0"}`])
	}
	set(7, 1<<40, 2e6, 1, 3)
	is(7, 2, 3)
	set(math.NaN(), math.Inf(1), 2e6, 0, -1)
	is(7, 2, 0)
	set(math.Inf(1), -5, math.Inf(1), math.NaN(), math.NaN())
	is(7, 2, 0)
	set(5, math.NaN(), 1e6, 1, 1e9)
	is(7, 2, 0)
	set(8, 0, 3e6, 1, 4)
	is(8, 3, 4)
	w.hangUp()
	got := until(t, address, `kongring_sessions{carrier="ring"}`, 0)
	require.Equal(t, 8.0, got["kongring_worker_pdk_calls_total"], "of a session that has ended")
	require.Equal(t, 3.0, got["kongring_worker_event_seconds_total"])
	require.NotContains(t, got, `kongring_worker_slots{worker="0"}`)
}
