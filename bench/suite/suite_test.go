package suite

import (
	"bytes"
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kongring/kongring/bench"
)

const wrkOutput = `Running 1s test @ http://127.0.0.1:8000/?q=1
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   322.03us  213.65us   1.98ms   99.00%
    Req/Sec    42.95k     3.90k   49.07k    63.64%
  Latency Distribution
     50%  305.00us
     75%  417.00us
     90%    1.02ms
     99%    1.50s 
  47012 requests in 1.10s, 8.43MB read
Requests/sec:  42744.86
Transfer/sec:      7.66MB
`

func TestWrkIsRead(t *testing.T) {
	r, err := parseWrk(wrkOutput)
	require.NoError(t, err)
	require.Equal(t, wrkResult{requests: 47012, rps: 42744.86, p50: 305, p90: 1020, p99: 1.5e6, max: 1980}, r)
}

func TestWrkFailures(t *testing.T) {
	after := func(line string) string {
		return strings.Replace(wrkOutput, "Requests/sec", line+"\nRequests/sec", 1)
	}
	for name, tt := range map[string]struct{ out, want string }{
		"status":  {after("  Non-2xx or 3xx responses: 5"), "Non-2xx or 3xx responses: 5"},
		"socket":  {after("  Socket errors: connect 0, read 0, write 0, timeout 3"), "timeout 3"},
		"nothing": {"", "lacks figures"},
		"latency": {strings.Replace(wrkOutput, "99%    1.50s ", "99%    -", 1), "lacks figures"},
		"most":    {strings.Replace(wrkOutput, "1.98ms", "-", 1), "lacks figures"},
		"silence": {strings.Replace(wrkOutput, "47012 requests", "0 requests", 1), "no request was answered"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseWrk(tt.out)
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestStatIsRead(t *testing.T) {
	n, err := parseStat("42 (a ) (b) 7) S 1 42 42 0 -1 4194560 100 0 0 0 120 34 5 6 20 0 1 0 99 1000 200\n")
	require.NoError(t, err)
	require.EqualValues(t, 154, n)
	for _, text := range []string{"", "42 (x) S 1 2", "42 (x) S 1 42 42 0 -1 4194560 100 0 0 0 u 34 5 6"} {
		_, err := parseStat(text)
		require.Error(t, err, text)
	}
	_, err = lookAt(os.Getpid())
	require.NoError(t, err)
	_, err = lookAt(-1)
	require.Error(t, err)
}

func TestStatusIsRead(t *testing.T) {
	text := "Name:\tx\nRssAnon:\t    1234 kB\nnonvoluntary_ctxt_switches:\t3\nvoluntary_ctxt_switches:\t7\n"
	require.EqualValues(t, 1234, statusNumber(text, "RssAnon"))
	require.EqualValues(t, 7, statusNumber(text, "voluntary_ctxt_switches"))
	require.EqualValues(t, 3, statusNumber(text, "nonvoluntary_ctxt_switches"))
	require.Zero(t, statusNumber(text, "VmRSS"))
	require.Equal(t, process{ticks: 2, switches: 5}, process{5, 7}.since(process{3, 2}))
}

func TestLimitsAreRead(t *testing.T) {
	samples := map[string][]float64{"futex": {1}}
	require.NoError(t, parseLimits("syscall 166.4\nfutex 38167.0\nmemcpy-1024 315.9\n", samples))
	require.Equal(t, map[string][]float64{"syscall": {166.4}, "futex": {1, 38167}, "memcpy-1024": {315.9}}, samples)
	for _, text := range []string{"syscall\n", "syscall x\n", "syscall 0\n"} {
		require.ErrorContains(t, parseLimits(text, samples), "read a figure", text)
	}
}

const ringOutput = `{"c_rtt_ns":400,"figures":[
{"sides":"go-go","way":"round trip","bytes":16,"ns":500,"to_c":1.25},
{"sides":"go-go","way":"round trip","bytes":64,"ns":600,"to_c":1.5},
{"sides":"go-go","way":"round trip","bytes":64,"sleep":true,"ns":60000,"to_c":150},
{"sides":"lua-go","way":"round trip","bytes":64,"ns":640,"to_c":1.6},
{"sides":"go-go","way":"one way","bytes":64,"ns":80,"to_c":0.2,"mb_per_s":800}]}`

func TestRingIsRead(t *testing.T) {
	var g Ring
	require.NoError(t, g.read([]byte(ringOutput)))
	require.Equal(t, []float64{400, 600, 1.5, 640, 1.6, 80, 0.2},
		[]float64{g.CRoundTrip, g.GoGo, g.GoGoToC, g.LuaGo, g.LuaGoToC, g.Stream, g.StreamToC})
	require.Len(t, g.Figures, 5)
	require.ErrorContains(t, (&Ring{}).read([]byte(`{"figures":[]}`)), "missing")
	require.Error(t, (&Ring{}).read([]byte(`no JSON`)))
}

// fixture is a report of three rounds of three modes, made up.
func fixture() Report {
	r := Report{Plan: Full(), Machine: bench.Facts{
		CPU: "AMD EPYC", Cores: 2, Virtual: true, Kernel: "6.1.0", Governor: "none",
		Go: "go1.26 linux/amd64", Nginx: "1.22.1", LuaJIT: "LuaJIT 2.1", Load: "0.1 0.1 0.1 1/1 1",
	}}
	r.Limits = Limits{CRoundTrip: 100, SystemCall: 50, Futex: 5000, Eventfd: 6000, Socket: 7000}
	r.Ring = &Ring{}
	if err := r.Ring.read([]byte(ringOutput)); err != nil {
		panic(err)
	}
	perCall := map[string]float64{"lua": 70, "ring": 90, "ring-sync": 400, "stock": 70000}
	for _, name := range []string{"lua", "ring", "ring-sync", "stock"} {
		for _, kind := range kinds {
			for _, n := range []int{0, 10, 50} {
				ns := float64(n) * perCall[name]
				if name != "lua" {
					ns += 350
				}
				r.Event = append(r.Event, newEvent(name, kind, n, []float64{ns + 1, ns - 1, ns}))
			}
		}
	}
	for _, conns := range []int{1, 16} {
		for _, n := range []int{0, 10, 50} {
			for i, name := range []string{"lua", "ring", "stock"} {
				h := HTTP{Mode: name, N: n, Conns: conns}
				for round := range 3 {
					f := Figures{RPS: float64(60000 - 200*n - 10000*i + 1000*round), P50: 100, P90: 150, P99: 200 + float64(i*100), NginxCPU: 10, ServerCPU: 5}
					switch name {
					case "ring":
						f.PerEvent = &Counters{PrefetchHits: float64(n)}
					case "stock":
						f.RPS, f.P99, f.NginxCPU, f.ServerCPU = 40000/float64(1+n), 600+200*float64(n), 40*float64(1+n), 35*float64(1+n)
					}
					h.Samples = append(h.Samples, f)
				}
				r.HTTP = append(r.HTTP, h)
			}
		}
	}
	r.Body = []Body{newBody("ring", 1<<20, []float64{2000, 4000, 1000}, []float64{900, 1000, 800})}
	r.Scale = &Scale{
		Workers: []Workers{{1, 50000, 900}}, Slow: []Slow{{16, 10, 1500, 1600}},
		Idle: &Idle{Sessions: 64, SegmentKiB: 1040, ServerKiB: 12, EventNS: 2000, AloneNS: 1900},
	}
	r.Server = Server{AllocsPerEvent: 0.0004, Allocs: []Allocs{{"header", 0, 0.0004}, {"header", 10, 10}}}
	r.summarize()
	r.Targets = r.compare()
	return r
}

func TestSummary(t *testing.T) {
	r := fixture()
	h := r.row("ring", 10, 16)
	require.Equal(t, 49000.0, h.RPS)
	require.Equal(t, 48000.0, h.Least.RPS)
	require.Equal(t, 50000.0, h.Most.RPS)
	require.Equal(t, 49.0/59, h.RPSToLua)
	require.Equal(t, 1.5, h.P99ToLua)
	require.Equal(t, 10.0, h.PerEvent.PrefetchHits)
	stock := r.row("stock", 10, 16)
	require.Equal(t, median([]float64{48000 / stock.RPS, 49000 / stock.RPS, 50000 / stock.RPS}), h.RPSToStock)
	require.InDelta(t, 15/(75*11.0), h.CPUToStock, 1e-9)
	require.Equal(t, Event{Mode: "ring", Kind: "header", N: 10, NS: 1250, Least: 1249, Most: 1251}, r.Event[len(kinds)*3+1])
	require.Nil(t, r.row("ring", 7, 16))
	require.Zero(t, medianRatio([]float64{1}, []float64{0}))
	body := r.Body[0]
	require.Equal(t, []float64{2000, 900, 0.45}, []float64{body.NS, body.Memcpy, body.ToMemcpy})
	require.InDelta(t, 2*1048576*1000/2000.0, body.Rate, 1e-6)
	require.Zero(t, newBody("ring", 1, []float64{1}, nil).ToMemcpy, "no copies on one core")
}

// each row of the table, with figures that are known.
func TestTargets(t *testing.T) {
	r := fixture()
	var out strings.Builder
	r.WriteTargets(&out)
	require.Equal(t, `| figure | target | measured | |
|---|---|---|---|
| ring, Go and Go, round trip | ≤ 1.5 C | 1.5 C | met |
| ring, Go and LuaJIT, round trip | ≤ 2 C | 1.6 C | met |
| ring, Go to Go, one frame of a stream | ≤ 0.17 C | 0.2 C | missed |
| event without PDK calls, over the empty handler in Lua | ≤ 4 C | 3.5 C | met |
| one call more that is a round trip, over Lua | ≤ 2.5 C | 3.3 C | missed |
| one getter more whose value came along or is known | ≤ 0.3 C | 0.9 C | missed |
| one setter more, over Lua | ≤ 1 C | 0.2 C | met |
| req/s ÷ Lua, 16 connections, the worst N | ≥ 0.8 | 0.8 (N = 50) | met |
| req/s ÷ Lua, 16 connections, N = 50 | ≥ 1 | 0.8 | missed |
| p99 ÷ Lua, 1 connection, the worst N | ≤ 1.5 | 1.5 (N = 0) | met |
| p99 ÷ Lua, 16 connections, the worst N | ≤ 1.5 | 1.5 (N = 0) | met |
| req/s ÷ stock, 16 connections, N = 10 | ≥ 8 | 13.48 | met |
| CPU per request ÷ stock, 16 connections, N = 10 | ≤ 0.2 | 0.02 | met |
| heap allocations of the server for an event | ≤ 0 | 0 | met |
| idle, hundredths of a second of CPU in 10 s | ≤ 0 | 0 | met |
| body of 1 MiB to the plugin and back, speed ÷ memcpy | ≥ 0.5 | 0.45 | missed |

`, out.String())
}

// Nothing measured is no success.
func TestTargetsOfNothing(t *testing.T) {
	r := Report{}
	for _, target := range r.compare() {
		require.Nil(t, target.Measured, target.Name)
		require.False(t, target.Met(), target.Name)
	}
	r.Targets = r.compare()
	var out strings.Builder
	r.WriteTargets(&out)
	require.Equal(t, len(r.Targets), strings.Count(out.String(), "| not measured |"))
}

// Other programs read these keys.
func TestJSONKeys(t *testing.T) {
	text, err := json.Marshal(fixture())
	require.NoError(t, err)
	var got struct {
		Machine, Limits, Server, Ring map[string]interface{}
		Event, HTTP, Body, Targets    []map[string]interface{}
	}
	require.NoError(t, json.Unmarshal(text, &got))
	has := func(object map[string]interface{}, keys string) {
		t.Helper()
		for _, key := range strings.Fields(keys) {
			require.Contains(t, object, key)
		}
	}
	has(got.Machine, "cpu cores kernel governor go nginx luajit virtual load")
	has(got.Limits, "c_rtt_ns syscall_ns futex_rtt_ns eventfd_rtt_ns socket_rtt_ns")
	has(got.Ring, "c_rtt_ns go_go_rtt_ns lua_go_rtt_ns go_go_frame_ns figures")
	has(got.Body[0], "mode bytes ns_per_event memcpy_ns to_memcpy")
	has(got.Targets[0], "name target measured")
	has(got.Event[0], "mode kind n ns_per_event")
	has(got.HTTP[0], "mode n conns rps p50_us p90_us p99_us nginx_cpu_us server_cpu_us nginx_switches server_switches")
	require.NotContains(t, got.HTTP[0], "per_event")
	has(got.HTTP[1]["per_event"].(map[string]interface{}), "round_trips prefetch_hits server_sleeps")
	has(got.Server, "allocs_per_event allocs idle_ticks_per_10s")
}

func TestText(t *testing.T) {
	r := fixture()
	var out strings.Builder
	require.NoError(t, r.WriteText(&out))
	require.Contains(t, out.String(), "CPU     AMD EPYC, 2 cores, virtual, governor none\n")
	require.Regexp(t, `(?m)^ +ring +16 +10 +49000 +48000 +50000 +0\.83 `, out.String())
}

func TestPicture(t *testing.T) {
	r := fixture()
	dir := t.TempDir()
	svg, bitmap := filepath.Join(dir, "p.svg"), filepath.Join(dir, "p.png")
	require.NoError(t, r.SavePicture(Throughput, 16, svg, bitmap))

	text, err := os.ReadFile(svg)
	require.NoError(t, err)
	for _, want := range []string{
		"requests per second", "PDK calls for each request", "AMD EPYC, 2 cores (virtual)", "the plugin in Lua", "kongring", "stock", ">60,000<", ">50<", ">0<",
	} {
		require.Contains(t, string(text), want)
	}
	file, err := os.Open(bitmap)
	require.NoError(t, err)
	defer file.Close()
	image, err := png.Decode(file)
	require.NoError(t, err)
	require.Equal(t, 900, image.Bounds().Dx())
	require.Equal(t, 500, image.Bounds().Dy())
}

func TestPictureOfLatency(t *testing.T) {
	r := fixture()
	svg := filepath.Join(t.TempDir(), "p.svg")
	require.NoError(t, r.SavePicture(Latency, 1, svg))
	text, err := os.ReadFile(svg)
	require.NoError(t, err)
	for _, want := range []string{"99th percentile", ", 1 connection", "p99 in µs", ">200<", ">10,000<"} {
		require.Contains(t, string(text), want)
	}
	require.NotContains(t, string(text), ">0.", "powers of ten")
}

func TestRoundTicks(t *testing.T) {
	for _, tt := range []struct {
		most         float64
		second, last string
		n            int
	}{
		{51, "10", "50", 6},
		{114000, "20,000", "100,000", 6},
		{8000, "1,000", "8,000", 9},
	} {
		ticks := roundTicks(0, tt.most)
		require.Equal(t, "0", ticks[0].Label)
		require.Equal(t, tt.second, ticks[1].Label)
		require.Len(t, ticks, tt.n)
		require.Equal(t, tt.last, ticks[len(ticks)-1].Label)
	}
}

// Modes that were asked for are measured in the order of the tables; beside ring,
// one of the others says what it is to that, round by round.
func TestNamedModes(t *testing.T) {
	var names []string
	for _, m := range (Plan{Modes: []string{"ring-metrics", "ring"}}).modes() {
		names = append(names, m.name)
	}
	require.Equal(t, []string{"ring", "ring-metrics"}, names)
	require.Len(t, Plan{}.modes(), len(modes))
	require.NotContains(t, names, "lua")

	r := Report{Plan: Plan{Modes: names, Rounds: 3}}
	for i, name := range names {
		h := HTTP{Mode: name, N: 10, Conns: 16}
		for round := range 3 {
			busy := 1 + 0.5*float64(round) // which the ratios do not show
			h.Samples = append(h.Samples, Figures{
				RPS: 10_000 / busy * (1 - 0.01*float64(i)), P99: 200 * busy * (1 + 0.1*float64(i)),
				NginxCPU: 10 * busy, ServerCPU: 10 * busy * (1 + 0.04*float64(i)), PerEvent: &Counters{},
			})
		}
		r.HTTP = append(r.HTTP, h)
	}
	r.summarize()
	require.Nil(t, r.HTTP[0].ToRing)
	got := r.HTTP[1].ToRing
	require.InDelta(t, 0.99, got.RPS, 1e-9)
	require.InDelta(t, 1.1, got.P99, 1e-9)
	require.InDelta(t, 1.02, got.CPU, 1e-9)
	var text bytes.Buffer
	require.NoError(t, r.WriteText(&text))
	require.Regexp(t, `(?m)^ *ring-metrics +16 +10 +0\.990 +1\.100 +1\.020$`, text.String())
	require.NotContains(t, text.String(), "Allocations")
}
