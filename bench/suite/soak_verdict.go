package suite

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// soakGrowth is how much more memory than in the second fifth a process may have
// in the last one: it is called flat below.
const soakGrowth = 1.1

// fifth gives the samples of a fifth of a soak, counted from 0; none if there are
// not enough to say anything.
func (s *Soak) fifth(n int) []SoakSample {
	return s.Samples[len(s.Samples)*n/5 : len(s.Samples)*(n+1)/5]
}

// middle is the median of a figure of samples.
func middle(samples []SoakSample, figure func(SoakSample) float64) float64 {
	list := make([]float64, len(samples))
	for i, sample := range samples {
		list[i] = figure(sample)
	}
	return median(list)
}

// soakMemory are the processes whose memory is looked at.
var soakMemory = []struct {
	name string
	kib  func(SoakSample) float64
}{
	{"worker", func(s SoakSample) float64 { return float64(s.Worker.KiB) }},
	{"server", func(s SoakSample) float64 { return float64(s.Server.KiB) }},
}

// soakCounts are what may not grow at all.
var soakCounts = []struct {
	name  string
	count func(SoakSample) int
}{
	{"descriptors of the worker", func(s SoakSample) int { return s.Worker.FDs }},
	{"descriptors of the server", func(s SoakSample) int { return s.Server.FDs }},
	{"goroutines of the server", func(s SoakSample) int { return s.Server.Goroutines }},
}

// growth compares the last fifth with the second, after the warm-up: medians of
// the memory; and the fewest descriptors and goroutines with the most. Each thing
// that grew is an error.
func (s *Soak) growth() error {
	warm, end := s.fifth(1), s.fifth(4)
	if len(warm) == 0 {
		return errors.New("too short to say whether anything grows")
	}
	var errs []error
	for _, m := range soakMemory {
		if from, to := middle(warm, m.kib), middle(end, m.kib); to > soakGrowth*from {
			errs = append(errs, fmt.Errorf("memory of the %s grew from %.0f KiB in the second fifth to %.0f KiB in the last", m.name, from, to))
		}
	}
	for _, c := range soakCounts {
		most, fewest := c.count(warm[0]), c.count(end[0])
		for _, sample := range warm {
			most = max(most, c.count(sample))
		}
		for _, sample := range end {
			fewest = min(fewest, c.count(sample))
		}
		if fewest > most {
			errs = append(errs, fmt.Errorf("%s grew from %d at most in the second fifth to %d at least in the last", c.name, most, fewest))
		}
	}
	return errors.Join(errs...)
}

// conclude writes the verdict, in one line: what failed, or what held.
func (s *Soak) conclude(err error) {
	if err != nil {
		s.Verdict = "FAILED: " + strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' }), "; ")
		return
	}
	warm, end := s.fifth(1), s.fifth(4)
	worker, server := soakMemory[0].kib, soakMemory[1].kib
	s.Verdict = fmt.Sprintf("ok: %s requests in %v, errors 0; %s events, each with one end on both sides; "+
		"memory in the second fifth and in the last: worker %.1f and %.1f MiB, server %.1f and %.1f MiB; no more descriptors or goroutines",
		thousands(s.Requests), time.Duration(s.Took*float64(time.Second)).Round(time.Second), thousands(float64(s.Events)),
		middle(warm, worker)/1024, middle(end, worker)/1024, middle(warm, server)/1024, middle(end, server)/1024)
}
