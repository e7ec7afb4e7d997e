package metrics

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// dashboard is as much of Grafana's format as is looked at.
type dashboard struct {
	Panels []struct {
		Title, Type, Description string
		ID                       int
		GridPos                  struct{ H, W, X, Y int }
		Targets                  []struct{ Expr, RefID string }
	}
	Templating struct {
		List []struct{ Name, Definition string }
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile("grafana.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &d))
	return d
}

// requireKnown fails where an expression has a name that no family has, or of
// one of them a label that it has not. The process's own names are not looked at.
func requireKnown(t *testing.T, expr string) {
	t.Helper()
	series := map[string]*family{}
	for _, f := range families {
		series[f.name] = f
		if f == duration {
			series[f.name+"_bucket"] = f
		}
	}
	for _, used := range regexp.MustCompile(`(kongring_\w+)(?:\{([^}]*)\})?`).FindAllStringSubmatch(expr, -1) {
		f := series[used[1]]
		require.NotNil(t, f, "%s in %s", used[1], expr)
		for _, label := range regexp.MustCompile(`(\w+)=`).FindAllStringSubmatch(used[2], -1) {
			require.Contains(t, append([]string{"instance"}, f.labels...), label[1], "of %s in %s", used[1], expr)
		}
	}
}

func TestDashboard(t *testing.T) {
	d := readDashboard(t)
	ids, used := map[int]bool{}, ""
	var taken [100][24]string
	for _, p := range d.Panels {
		require.False(t, ids[p.ID], p.Title)
		ids[p.ID] = true
		for y := range p.GridPos.H {
			for x := range p.GridPos.W {
				at := &taken[p.GridPos.Y+y][p.GridPos.X+x]
				require.Empty(t, *at, "%s lies on it", p.Title)
				*at = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		require.NotEmpty(t, p.Description, p.Title)
		require.NotEmpty(t, p.Targets, p.Title)
		for _, target := range p.Targets {
			requireKnown(t, target.Expr)
			used += target.Expr
		}
	}
	for _, v := range d.Templating.List {
		requireKnown(t, v.Definition)
		require.Contains(t, used+"$datasource", "$"+v.Name)
	}
}

func TestAlerts(t *testing.T) {
	text, err := os.ReadFile("alerts.yml")
	require.NoError(t, err)
	alerts := 0
	for _, rule := range strings.Split(string(text), "- alert: ")[1:] {
		alerts++
		_, expr, ok := strings.Cut(rule, "expr: ")
		require.True(t, ok)
		expr, _, ok = strings.Cut(expr, "labels:")
		require.True(t, ok)
		require.Contains(t, expr, "kongring_")
		requireKnown(t, expr)
	}
	require.GreaterOrEqual(t, alerts, 8)
}

// Prometheus' own tool takes the rules, and as rules the expressions of the
// dashboard and of the page.
func TestPromtool(t *testing.T) {
	tool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("no promtool on PATH: it is in Debian's package prometheus")
	}
	check := func(path string) {
		out, err := exec.Command(tool, "check", "rules", path).CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "SUCCESS")
	}
	check("alerts.yml")

	var exprs []string
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			exprs = append(exprs, target.Expr)
		}
	}
	page, err := os.ReadFile("../METRICS.md")
	require.NoError(t, err)
	_, queries, _ := strings.Cut(string(page), "## Useful queries\n\n```\n")
	queries, _, _ = strings.Cut(queries, "```")
	for line := range strings.Lines(queries) {
		if !strings.HasPrefix(line, "#") {
			exprs = append(exprs, line)
			requireKnown(t, line)
		}
	}
	require.Greater(t, len(exprs), 20)
	rules := "groups:\n- name: all\n  rules:\n"
	for i, expr := range exprs {
		expr = strings.ReplaceAll(strings.TrimSpace(expr), "$__rate_interval", "5m")
		rules += fmt.Sprintf("  - record: rule:%d\n    expr: %q\n", i, expr)
	}
	path := filepath.Join(t.TempDir(), "rules.yml")
	require.NoError(t, os.WriteFile(path, []byte(rules), 0o600))
	check(path)
}
