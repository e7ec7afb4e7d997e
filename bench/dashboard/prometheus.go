package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kongring/kongring/luabridge/testbed"
)

const (
	scrapeEvery = 2 * time.Second
	rateWindow  = 4 * scrapeEvery // what Grafana takes at least for $__rate_interval
	patience    = 30 * time.Second
)

// prometheus is a running one.
type prometheus struct {
	url   string
	cmd   *exec.Cmd
	log   bytes.Buffer
	ended chan struct{}
}

// startPrometheus starts one that listens on one address and scrapes another. It
// dies with this process.
func startPrometheus(ctx context.Context, dir, address, target string) (*prometheus, error) {
	config := fmt.Sprintf("global:\n  scrape_interval: %v\nscrape_configs:\n- job_name: kongring\n  static_configs:\n  - targets: [%q]\n", scrapeEvery, target)
	path := filepath.Join(dir, "prometheus.yml")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		return nil, err
	}
	p := &prometheus{url: "http://" + address, ended: make(chan struct{})}
	p.cmd = exec.Command("prometheus", "--config.file="+path, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w (Debian: apt-get install prometheus)", err)
	}
	go func() { defer close(p.ended); _ = p.cmd.Wait() }()
	err := testbed.Eventually(ctx, patience, "prometheus answers", func() bool {
		answer, err := http.Get(p.url + "/-/ready")
		if err == nil {
			_ = answer.Body.Close()
		}
		return err == nil && answer.StatusCode == http.StatusOK
	})
	if err != nil {
		_ = p.stop()
		return nil, fmt.Errorf("%w\n%s", err, &p.log)
	}
	return p, nil
}

// stop ends it and waits for that.
func (p *prometheus) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		return nil
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.ended
		return fmt.Errorf("prometheus did not end within %v", patience)
	}
}

// panel is one of the dashboard with what Prometheus says to it.
type panel struct {
	title, unit string
	targets     []target
	lines       []line
}

type target struct{ Expr, LegendFormat string }

// line is a series, of seconds since the first point and values.
type line struct {
	label  string
	points [][2]float64
}

// readPanels gives the panels of the dashboard's first row.
func readPanels(path string) (all []panel, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var d struct {
		Panels []struct {
			Type, Title string
			FieldConfig struct{ Defaults struct{ Unit string } }
			Targets     []target
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for rows, i := 0, 0; i < len(d.Panels) && rows < 2; i++ {
		if p := d.Panels[i]; p.Type == "row" {
			rows++
		} else {
			all = append(all, panel{title: p.Title, unit: p.FieldConfig.Defaults.Unit, targets: p.Targets})
		}
	}
	return all, nil
}

// fill asks for the panel's lines in a span of time.
func (p *prometheus) fill(ctx context.Context, to *panel, from, until time.Time) error {
	for _, t := range to.targets {
		expr := strings.NewReplacer("$instance", ".*", "$plugin", ".*", "$__rate_interval", rateWindow.String()).Replace(t.Expr)
		query := url.Values{
			"query": {expr}, "step": {scrapeEvery.String()},
			"start": {strconv.FormatInt(from.Unix(), 10)}, "end": {strconv.FormatInt(until.Unix(), 10)},
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/api/v1/query_range?"+query.Encode(), nil)
		if err != nil {
			return err
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		var said struct {
			Status, Error string
			Data          struct {
				Result []struct {
					Metric map[string]string
					Values [][2]json.RawMessage
				}
			}
		}
		err = json.NewDecoder(answer.Body).Decode(&said)
		_ = answer.Body.Close()
		if err == nil && said.Status != "success" {
			err = errors.New(said.Error)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", expr, err)
		}
		for _, series := range said.Data.Result {
			l := line{label: legend(t.LegendFormat, series.Metric)}
			for _, point := range series.Values {
				at, value, err := number(point)
				if err != nil {
					return fmt.Errorf("%s: %w", expr, err)
				}
				l.points = append(l.points, [2]float64{at - float64(from.Unix()), value})
			}
			to.lines = append(to.lines, l)
		}
	}
	if len(to.lines) == 0 {
		return fmt.Errorf("panel %q is empty", to.title)
	}
	return nil
}

// number reads a point: a time, and a value as text.
func number(point [2]json.RawMessage) (at, value float64, err error) {
	if err := json.Unmarshal(point[0], &at); err != nil {
		return 0, 0, err
	}
	var text string
	if err := json.Unmarshal(point[1], &text); err != nil {
		return 0, 0, err
	}
	value, err = strconv.ParseFloat(text, 64)
	return at, value, err
}

// legend fills labels into a format such as "p50 {{plugin}}".
func legend(format string, labels map[string]string) string {
	for name, value := range labels {
		format = strings.ReplaceAll(format, "{{"+name+"}}", value)
	}
	return format
}
