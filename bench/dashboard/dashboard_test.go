package main

import (
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const grafana = "../../server/metrics/grafana.json"

func TestFirstRowOfTheDashboard(t *testing.T) {
	panels, err := readPanels(grafana)
	require.NoError(t, err)
	var titles []string
	for _, p := range panels {
		titles = append(titles, p.title)
	}
	require.Equal(t, []string{"Events a second", "Duration", "Errors a second"}, titles)
	require.Equal(t, "s", panels[1].unit)
	require.Len(t, panels[1].targets, 2)
}

// What Prometheus says becomes lines with their legends, and a picture that is
// small enough to be kept.
func TestPicture(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		require.Equal(t, "/api/v1/query_range", r.URL.Path)
		require.NotContains(t, r.FormValue("query"), "$")
		var points []string
		for i := range 100 {
			points = append(points, fmt.Sprintf(`[%d,"%g"]`, 1000+2*i, 0.001*float64(1+i)))
		}
		fmt.Fprintf(w, `{"status":"success","data":{"result":[
			{"metric":{"plugin":"p","phase":"access","kind":"panic"},"values":[%s]},
			{"metric":{"plugin":"idle","phase":"access","kind":"panic"},"values":[[1000,"NaN"]]}]}}`, strings.Join(points, ","))
	}))
	defer server.Close()
	panels, err := readPanels(grafana)
	require.NoError(t, err)
	p := &prometheus{url: server.URL}
	for i := range panels {
		require.NoError(t, p.fill(t.Context(), &panels[i], time.Unix(1000, 0), time.Unix(1198, 0)))
	}
	require.Equal(t, 4, asked)
	require.Equal(t, "p50 p access", panels[1].lines[0].label)
	require.Equal(t, [2]float64{198, 0.1}, panels[1].lines[0].points[99])
	require.Equal(t, "panic p access", panels[2].lines[0].label)

	file := filepath.Join(t.TempDir(), "a.png")
	require.NoError(t, savePicture(panels, file))
	in, err := os.Open(file)
	require.NoError(t, err)
	defer in.Close()
	image, err := png.Decode(in)
	require.NoError(t, err)
	require.Equal(t, 1280, image.Bounds().Dx())
	stat, err := in.Stat()
	require.NoError(t, err)
	require.Less(t, stat.Size(), int64(100<<10))
}

func TestWhatPrometheusRefuses(t *testing.T) {
	answer := `{"status":"error","error":"no such function"}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer) }))
	defer server.Close()
	p := &prometheus{url: server.URL}
	to := panel{title: "a", targets: []target{{Expr: "up("}}}
	require.EqualError(t, p.fill(t.Context(), &to, time.Unix(0, 0), time.Unix(9, 0)), "up(: no such function")
	answer = `{"status":"success","data":{"result":[]}}`
	require.EqualError(t, p.fill(t.Context(), &to, time.Unix(0, 0), time.Unix(9, 0)), `panel "a" is empty`)
}
