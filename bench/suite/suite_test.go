package suite

import (
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
	require.Equal(t, wrkResult{requests: 47012, rps: 42744.86, p50: 305, p90: 1020, p99: 1.5e6}, r)
}

func TestWrkFailures(t *testing.T) {
	after := func(line string) string {
		return strings.Replace(wrkOutput, "Requests/sec", line+"\nRequests/sec", 1)
	}
	for name, tt := range map[string]struct{ out, want string }{
		"status":  {after("  Non-2xx or 3xx responses: 5"), "Non-2xx or 3xx responses: 5"},
		"socket":  {after("  Socket errors: connect 0, read 0, write 0, timeout 3"), "timeout 3"},
		"nothing": {"", "lacks figures"},
		"latency": {strings.Replace(wrkOutput, "99%    1.50s", "99%    -", 1), "lacks figures"},
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
	_, err = ticks(os.Getpid())
	require.NoError(t, err)
}

// fixture is a report of three rounds of two modes, made up.
func fixture() Report {
	r := Report{Plan: Full(), Machine: bench.Facts{
		CPU: "AMD EPYC", Cores: 2, Virtual: true, Kernel: "6.1.0", Go: "go1.26 linux/amd64", Nginx: "1.22.1", LuaJIT: "LuaJIT 2.1", Load: "0.1 0.1 0.1 1/1 1",
	}}
	r.Limits.CRoundTrip = 100
	r.Event = []Event{newEvent("ring", "header", 10, []float64{3, 1, 2})}
	for _, n := range []int{0, 10, 50} {
		for i, name := range []string{"lua", "ring"} {
			h := HTTP{Mode: name, N: n, Conns: 16}
			for round := range 3 {
				f := Figures{RPS: float64(60000 - 200*n - 10000*i + 1000*round), P50: 100, P90: 150, P99: 200 + float64(i*100)}
				if name == "ring" {
					f.PerEvent = &Counters{PrefetchHits: float64(n)}
				}
				h.Samples = append(h.Samples, f)
			}
			r.HTTP = append(r.HTTP, h)
		}
	}
	r.summarize()
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
	require.Equal(t, Event{Mode: "ring", Kind: "header", N: 10, NS: 2, Least: 1, Most: 3}, r.Event[0])
}

// Other programs read these keys.
func TestJSONKeys(t *testing.T) {
	text, err := json.Marshal(fixture())
	require.NoError(t, err)
	var got struct {
		Machine, Limits, Server map[string]interface{}
		Event, HTTP             []map[string]interface{}
	}
	require.NoError(t, json.Unmarshal(text, &got))
	has := func(object map[string]interface{}, keys string) {
		t.Helper()
		for _, key := range strings.Fields(keys) {
			require.Contains(t, object, key)
		}
	}
	has(got.Machine, "cpu cores kernel go nginx luajit virtual load")
	has(got.Limits, "c_rtt_ns")
	has(got.Event[0], "mode kind n ns_per_event")
	has(got.HTTP[0], "mode n conns rps p50_us p90_us p99_us nginx_cpu_us server_cpu_us")
	require.NotContains(t, got.HTTP[0], "per_event")
	has(got.HTTP[1]["per_event"].(map[string]interface{}), "round_trips prefetch_hits server_sleeps")
	has(got.Server, "idle_ticks_per_10s")
}

func TestText(t *testing.T) {
	r := fixture()
	var out strings.Builder
	require.NoError(t, r.WriteText(&out))
	require.Contains(t, out.String(), "CPU     AMD EPYC, 2 cores, virtual\n")
	require.Regexp(t, `(?m)^ +ring +16 +10 +49000 +48000 +50000 +0\.83 `, out.String())
}

func TestPicture(t *testing.T) {
	r := fixture()
	dir := t.TempDir()
	svg, bitmap := filepath.Join(dir, "p.svg"), filepath.Join(dir, "p.png")
	require.NoError(t, r.SavePicture(16, svg, bitmap))

	text, err := os.ReadFile(svg)
	require.NoError(t, err)
	for _, want := range []string{
		"requests per second", "PDK calls for each request", "AMD EPYC, 2 cores (virtual)", "the plugin in Lua", "kongring", ">60,000<", ">50<", ">0<",
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
