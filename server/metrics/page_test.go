package metrics

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write METRICS.md")

// table is the part of the page that is written by this test.
func table() string {
	var b strings.Builder
	b.WriteString("| name | kind | labels | what |\n|---|---|---|---|\n")
	for _, f := range families {
		kind := map[prometheus.ValueType]string{
			prometheus.CounterValue: "counter", prometheus.GaugeValue: "gauge", prometheus.UntypedValue: "histogram",
		}[f.kind]
		labels := "–"
		if len(f.labels) > 0 {
			labels = "`" + strings.Join(f.labels, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.name, kind, labels, f.help)
	}
	return b.String()
}

// The page has all families, with their labels and helps; so do the names of
// failures and answers stand in it.
func TestWrittenPage(t *testing.T) {
	const path, begin, end = "../METRICS.md", "<!-- begin -->\n", "<!-- end -->\n"
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(page), begin)
	require.True(t, ok)
	_, after, ok := strings.Cut(rest, end)
	require.True(t, ok)
	want := before + begin + table() + end + after
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o644))
		page = []byte(want)
	}
	require.Equal(t, want, string(page), "go test ./server/metrics -run Written -update writes it")
	for _, name := range append(failureNames[:], answerNames[:]...) {
		require.Contains(t, after, "\n| `"+name+"` |")
	}
}
