package suite

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"github.com/kongring/kongring/bench"
)

// Limits are what no software can beat, and what the kernel's own ways cost.
// They are missing on a machine with one core.
type Limits struct {
	CRoundTrip float64 `json:"c_rtt_ns,omitempty"`
	SystemCall float64 `json:"syscall_ns,omitempty"`
	Futex      float64 `json:"futex_rtt_ns,omitempty"`
	Eventfd    float64 `json:"eventfd_rtt_ns,omitempty"`
	Socket     float64 `json:"socket_rtt_ns,omitempty"`
}

// twoCores gives the first two cores, as arguments; nothing where there is one.
func twoCores() ([]string, error) {
	cpus, err := bench.CPUs()
	if err != nil || len(cpus) < 2 {
		return nil, err
	}
	return []string{strconv.Itoa(cpus[0]), strconv.Itoa(cpus[1])}, nil
}

// runLimits measures the limits once in each round, and the copies of bodies.
func (r *run) runLimits(ctx context.Context, report *Report) error {
	cores, err := twoCores()
	if err != nil || cores == nil {
		return err
	}
	pingPong, err := bench.BuildPingPong(r.dir)
	if err != nil {
		return err
	}
	limits, err := bench.BuildLimits(r.dir)
	if err != nil {
		return err
	}
	samples := map[string][]float64{}
	for round := range r.Rounds {
		r.step(limitCost, "limits: round %d of %d", round+1, r.Rounds)
		out, err := exec.CommandContext(ctx, pingPong, append(cores, "100000", "3")...).Output()
		if err != nil {
			return fmt.Errorf("pingpong: %w", err)
		}
		var ns float64
		if _, err := fmt.Sscan(string(out), &ns); err != nil {
			return fmt.Errorf("pingpong: read a number from %q: %w", out, err)
		}
		samples["c"] = append(samples["c"], ns)
		if out, err = exec.CommandContext(ctx, limits, append(cores, strconv.Itoa(r.trips))...).Output(); err != nil {
			return fmt.Errorf("limits: %w", err)
		}
		if err := parseLimits(string(out), samples); err != nil {
			return err
		}
	}
	report.Limits = Limits{
		CRoundTrip: median(samples["c"]), SystemCall: median(samples["syscall"]), Futex: median(samples["futex"]),
		Eventfd: median(samples["eventfd"]), Socket: median(samples["socket"]),
	}
	return nil
}

// parseLimits adds the figures that limits.c printed to their samples.
func parseLimits(out string, samples map[string][]float64) error {
	for line := range strings.Lines(out) {
		var name string
		var ns float64
		if n, _ := fmt.Sscan(line, &name, &ns); n != 2 || ns <= 0 {
			return fmt.Errorf("limits: read a figure from %q", line)
		}
		samples[name] = append(samples[name], ns)
	}
	return nil
}
