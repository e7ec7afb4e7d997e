package suite

import (
	"encoding/json"
	"errors"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/bench"
	"github.com/kongring/kongring/luabridge/host"
	"github.com/kongring/kongring/server"
	"github.com/kongring/kongring/server/wire"
)

func TestSoak(t *testing.T) {
	needsWrk(t)
	if err := host.Available(); err != nil {
		t.Skip("skipped: ", err)
	}
	s, err := RunSoak(t.Context(), "ring", 2500*time.Millisecond, 300*time.Millisecond, t.Output())
	require.ErrorContains(t, err, "too short to say")
	require.NotEmpty(t, s.Samples)
	for _, sample := range s.Samples {
		require.Positive(t, sample.RPS)
		require.Positive(t, sample.P50)
		require.GreaterOrEqual(t, sample.P99, sample.P50)
		require.GreaterOrEqual(t, sample.Most, sample.P99)
		for _, p := range []Footprint{sample.Worker, sample.Server} {
			require.Positive(t, p.KiB)
			require.Positive(t, p.FDs)
		}
		require.Positive(t, sample.Server.Goroutines)
	}
	require.GreaterOrEqual(t, float64(s.Events), s.Requests)
	require.Positive(t, s.Requests)
}

// hour is a soak of an hour, made up.
func hour() Soak {
	s := Soak{
		Machine: bench.Facts{CPU: "AMD EPYC", Cores: 2}, Mode: "ring", Kind: "mix", Conns: 16, Calls: 10,
		Took: 3600, Requests: 120e6, Events: 120e6 + 7,
	}
	for i := range 120 {
		s.Samples = append(s.Samples, SoakSample{
			Second: 30 * float64(i+1), RPS: 33000, P50: 400, P99: 900, Most: 52000, Open: 7, Load: 2.5, Waited: 0.42,
			Worker: Footprint{KiB: 15360, FDs: 20}, Server: Footprint{KiB: 13312, FDs: 9, Goroutines: 8},
		})
	}
	return s
}

func TestWhatGrows(t *testing.T) {
	for name, tt := range map[string]struct {
		sample func(i int, s *SoakSample)
		want   string
	}{
		"nothing": {func(i int, s *SoakSample) { s.Worker.KiB += int64(i); s.Server.FDs += i % 3 }, ""},
		"warm-up": {func(i int, s *SoakSample) {
			if i < 20 {
				s.Worker.KiB, s.Server.FDs = 1, 1
			}
		}, ""},
		"once": {func(i int, s *SoakSample) {
			if i == 119 {
				s.Worker.KiB, s.Server.Goroutines = 99999, 99
			}
		}, ""},
		"worker": {func(i int, s *SoakSample) { s.Worker.KiB += 30 * int64(i) }, "memory of the worker grew from 16440 KiB"},
		"server": {func(i int, s *SoakSample) { s.Server.KiB += 30 * int64(i) }, "memory of the server grew from 14392 KiB"},
		"fds": {func(i int, s *SoakSample) {
			if i > 60 {
				s.Worker.FDs++
			}
		}, "descriptors of the worker grew from 20 at most in the second fifth to 21 at least in the last"},
		"server's fds": {func(i int, s *SoakSample) { s.Server.FDs += i / 20 }, "descriptors of the server grew from 11 "},
		"goroutines":   {func(i int, s *SoakSample) { s.Server.Goroutines += i / 20 }, "goroutines of the server grew from 10 "},
	} {
		t.Run(name, func(t *testing.T) {
			s := hour()
			for i := range s.Samples {
				tt.sample(i, &s.Samples[i])
			}
			if err := s.growth(); tt.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tt.want)
			}
		})
	}
}

func TestCountersThatDiffer(t *testing.T) {
	for want, change := range map[string]func(*server.Stats){
		"":               func(*server.Stats) {},
		"0 sessions now": func(s *server.Stats) { s.Sessions = nil },
		"2 begun":        func(s *server.Stats) { s.SessionsBegun++ },
		"1 failed":       func(s *server.Stats) { s.SessionsFailed++ },
		"server 10 begun, 9 done; worker 10 begun, 10 done": func(s *server.Stats) { s.Sessions[0].Server.EventsDone-- },
		"worker 11 begun, 10 done":                          func(s *server.Stats) { s.Sessions[0].Bridge.Events++ },
		"worker 10 begun, 9 done":                           func(s *server.Stats) { s.Sessions[0].Bridge.EventsDone-- },
		"without an end: server 1, worker 0":                func(s *server.Stats) { s.Sessions[0].UnderWay++ },
		"without an end: server 0, worker 1":                func(s *server.Stats) { s.Sessions[0].Bridge.Open++ },
		"1 events failed in the worker":                     func(s *server.Stats) { s.Sessions[0].Bridge.Errors++ },
	} {
		stats := server.Stats{SessionsBegun: 1, Sessions: []server.SessionStats{{
			Server: wire.ServerCounters{Events: 10, EventsDone: 10}, Bridge: wire.WorkerCounters{Events: 10, EventsDone: 10},
		}}}
		require.ErrorContains(t, agree(stats, 11), "11 requests, but 10 events")
		change(&stats)
		if err := agree(stats, 9); want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, want)
		}
	}
}

func TestSoakIsSaved(t *testing.T) {
	s := hour()
	s.conclude(nil)
	require.Equal(t, "ok: 120,000,000 requests in 1h0m0s, errors 0; 120,000,007 events, each with one end on both sides; "+
		"memory in the second fifth and in the last: worker 15.0 and 15.0 MiB, server 13.0 and 13.0 MiB; no more descriptors or goroutines", s.Verdict)
	dir := filepath.Join(t.TempDir(), "machine")
	require.NoError(t, s.Save(dir))

	text, err := os.ReadFile(filepath.Join(dir, "soak.txt"))
	require.NoError(t, err)
	require.Contains(t, string(text), "\n"+s.Verdict+"\n")
	require.Regexp(t, `(?m)^ +3600 +33000 +400 +900 +52 +7 +15360 +20 +13312 +9 +8 +2\.50 +42 *$`, string(text))

	text, err = os.ReadFile(filepath.Join(dir, "soak.json"))
	require.NoError(t, err)
	for _, key := range strings.Fields("when machine load_after mode kind conns calls took_s requests events verdict samples " +
		"second rps p50_us p99_us most_us open load waited worker server rss_kib fds goroutines") {
		require.Contains(t, string(text), `"`+key+`":`)
	}
	var got Soak
	require.NoError(t, json.Unmarshal(text, &got))
	require.Equal(t, s, got)

	file, err := os.Open(filepath.Join(dir, "soak.png"))
	require.NoError(t, err)
	defer file.Close()
	image, err := png.Decode(file)
	require.NoError(t, err)
	require.Equal(t, 780, image.Bounds().Dy())

	s.Mode = "socket"
	s.conclude(errors.Join(errors.New("this"), errors.New("that")))
	require.Equal(t, "FAILED: this; that", s.Verdict)
	require.NoError(t, s.Save(dir))
	require.FileExists(t, filepath.Join(dir, "soak-socket.png"))
}

func TestSoakStretch(t *testing.T) {
	for length, want := range map[time.Duration]time.Duration{
		time.Hour: 30 * time.Second, 10 * time.Minute: 5 * time.Second, time.Minute: 5 * time.Second, 10 * time.Second: time.Second,
	} {
		require.Equal(t, want, SoakStretch(length), length)
	}
}
