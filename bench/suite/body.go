package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strconv"

	"github.com/kongring/kongring/bench"
	"github.com/kongring/kongring/luabridge/host"
	"github.com/kongring/kongring/luabridge/testbed"
)

// Body is what one event costs that takes a request's body to the plugin and
// back again.
type Body struct {
	Mode     string  `json:"mode"`
	Bytes    int     `json:"bytes"`
	NS       float64 `json:"ns_per_event"`
	Least    float64 `json:"ns_least"`
	Most     float64 `json:"ns_most"`
	Memcpy   float64 `json:"memcpy_ns,omitempty"` // the same, copied by two cores in C
	ToMemcpy float64 `json:"to_memcpy,omitempty"` // its speed ÷ that of memcpy
	Rate     float64 `json:"mb_per_s"`            // both ways together
}

// roomForBody keeps bodies in memory: what is asked is not how quick a disk is.
const roomForBody = "client_body_buffer_size 32m;"

func (r *run) runBodies(ctx context.Context, report *Report) error {
	type cell struct {
		mode  string
		bytes int
	}
	samples := map[cell][]float64{}
	copies := map[string][]float64{}
	for round := range r.Rounds {
		if err := r.copies(ctx, copies); err != nil {
			return err
		}
		for _, m := range modes {
			if !m.http {
				continue
			}
			r.step(r.bodyCost(), "bodies: round %d of %d, %s", round+1, r.Rounds, m.name)
			err := r.bodiesOf(ctx, m, func(n int, ns float64) {
				samples[cell{m.name, n}] = append(samples[cell{m.name, n}], ns)
			})
			if err != nil {
				return fmt.Errorf("mode %s: %w", m.name, err)
			}
		}
	}
	for _, n := range r.bodies {
		for _, m := range modes {
			if ns := samples[cell{m.name, n}]; ns != nil {
				report.Body = append(report.Body, newBody(m.name, n, ns, copies[fmt.Sprint("memcpy-", n)]))
			}
		}
	}
	return nil
}

// newBody makes a row; copies are those of the same rounds, or missing.
func newBody(mode string, n int, ns, copies []float64) Body {
	e := newEvent(mode, "body", 1, ns)
	row := Body{Mode: mode, Bytes: n, NS: e.NS, Least: e.Least, Most: e.Most, Rate: 2 * float64(n) * 1000 / e.NS}
	if len(copies) == len(ns) {
		row.Memcpy = median(copies)
		row.ToMemcpy = medianRatio(copies, ns)
	}
	return row
}

// copies measures how long two cores take to copy bodies there and back.
func (r *run) copies(ctx context.Context, samples map[string][]float64) error {
	cores, err := twoCores()
	if err != nil || cores == nil {
		return err
	}
	program, err := bench.BuildLimits(r.dir)
	if err != nil {
		return err
	}
	args := append(cores, strconv.Itoa(r.trips))
	for _, n := range r.bodies {
		args = append(args, strconv.Itoa(n))
	}
	out, err := exec.CommandContext(ctx, program, args...).Output()
	if err != nil {
		return fmt.Errorf("limits: %w", err)
	}
	return parseLimits(string(out), samples)
}

// bodiesOf measures all lengths of body in a mode once.
func (r *run) bodiesOf(ctx context.Context, m mode, give func(n int, ns float64)) error {
	routes := []interface{}{r.loop("/", m.plugin, "body", 1)}
	return r.withHost(ctx, m, host.Options{ExtraServer: roomForBody}, []string{"calls-loop"}, routes, func(b *testbed.Bed) error {
		for _, n := range r.bodies {
			body := bytes.Repeat([]byte("kongring"), n/8+1)[:n]
			text, err := send(ctx, b, http.MethodPost, "/", body)
			if err != nil {
				return fmt.Errorf("body of %d bytes: %w", n, err)
			}
			ns, err := strconv.ParseFloat(text, 64)
			if err == nil && ns <= 0 {
				err = errors.New("no time was measured")
			}
			if err != nil {
				return fmt.Errorf("body of %d bytes: %w", n, err)
			}
			give(n, ns)
		}
		return nil
	})
}
