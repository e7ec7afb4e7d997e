package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// wrk sends requests for the time of a sample. It takes whole seconds, so it is
// told a few more, and interrupted: then it prints what it has. An answer that
// takes more than 2 s is an error, unless more flags say otherwise.
func (r *run) wrk(ctx context.Context, url string, conns int, more ...string) (wrkResult, error) {
	limit := strconv.Itoa(int(math.Ceil(r.Seconds)) + 2)
	args := []string{"-t1", "-c" + strconv.Itoa(conns), "-d" + limit, "--latency"}
	args = append(args, more...)
	for _, h := range headers {
		args = append(args, "-H", h+": "+value)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "wrk", append(args, url)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return wrkResult{}, fmt.Errorf("wrk: %w", err)
	}
	timer := time.AfterFunc(time.Duration(r.Seconds*float64(time.Second)), func() { _ = cmd.Process.Signal(os.Interrupt) })
	defer timer.Stop()
	if err := cmd.Wait(); err != nil {
		return wrkResult{}, fmt.Errorf("wrk: %w: %s", err, &out)
	}
	result, err := parseWrk(out.String())
	if err != nil {
		return result, fmt.Errorf("%w\n%s", err, &out)
	}
	return result, nil
}

// wrkResult is what wrk printed; latencies in microseconds.
type wrkResult struct {
	requests, rps float64
	p50, p90, p99 float64
	max           float64
}

var (
	wrkRequests = regexp.MustCompile(`(?m)^\s*(\d+) requests in `)
	wrkRate     = regexp.MustCompile(`(?m)^Requests/sec:\s+([\d.]+)`)
	wrkLatency  = regexp.MustCompile(`(?m)^\s*(50|90|99)%\s+([\d.]+(?:us|ms|s|m|h))\s*$`)
	wrkMost     = regexp.MustCompile(`(?m)^[ \t]*(Latency)(?:[ \t]+\S+){2}[ \t]+([\d.]+(?:us|ms|s|m|h))\s`)
	wrkFailure  = regexp.MustCompile(`(?m)^\s*((?:Socket errors|Non-2xx or 3xx responses): .*)$`)
)

// parseWrk reads the output of wrk --latency. Requests that failed are an error.
func parseWrk(out string) (r wrkResult, err error) {
	if failure := wrkFailure.FindStringSubmatch(out); failure != nil {
		return r, fmt.Errorf("wrk: %s", failure[1])
	}
	latencies := map[string]*float64{"50": &r.p50, "90": &r.p90, "99": &r.p99, "Latency": &r.max}
	for _, m := range append(wrkLatency.FindAllStringSubmatch(out, -1), wrkMost.FindAllStringSubmatch(out, -1)...) {
		d, err := time.ParseDuration(m[2])
		if err != nil {
			return r, fmt.Errorf("wrk: latency: %w", err)
		}
		*latencies[m[1]] = float64(d) / float64(time.Microsecond)
	}
	requests, rate := wrkRequests.FindStringSubmatch(out), wrkRate.FindStringSubmatch(out)
	if requests == nil || rate == nil || r.p50 == 0 || r.p90 == 0 || r.p99 == 0 || r.max == 0 {
		return r, errors.New("wrk: its output lacks figures")
	}
	r.requests, _ = strconv.ParseFloat(requests[1], 64)
	r.rps, err = strconv.ParseFloat(rate[1], 64)
	if err == nil && r.requests == 0 {
		err = errors.New("wrk: no request was answered")
	}
	return r, err
}
