package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/kongring/kongring/server/metrics"
)

// WithMetrics shows the server to Prometheus at an address: HOST:PORT, such as
// 127.0.0.1:9542, where an empty host stands for all of the machine's, or
// unix:PATH, a Unix socket with the mode and the group of the control socket. It
// answers GET /metrics and /healthz to whoever reaches it. Without it no times and
// no methods are counted, and nothing listens.
//
// Where another server has the address, [Server.Serve] gives an error that wraps
// syscall.EADDRINUSE, unless the server took the control socket over: then it
// serves, and has the address as soon as the one before it has ended.
// METRICS.md lists what there is.
func WithMetrics(address string) Option {
	return func(o *options) (err error) {
		o.metricsNetwork, o.metricsAddress, err = metrics.ParseAddress(address)
		return err
	}
}

// WithMetricsPprof adds /debug/pprof/ to what [WithMetrics] answers, for go tool
// pprof. It shows and slows down whatever the process does: the address is to be
// one that others do not reach.
func WithMetricsPprof() Option {
	return func(o *options) error { o.metricsPprof = true; return nil }
}

// metered tells whether the server counts for metrics.
func (s *Server) metered() bool { return s.options.metricsNetwork != "" }

// newCalls makes the counters by method; nil without metrics.
func (s *Server) newCalls() *metrics.Calls {
	if !s.metered() {
		return nil
	}
	return new(metrics.Calls)
}

// collector gives what a scrape reads.
func (s *Server) collector() *metrics.Collector {
	var plugins []metrics.Plugin
	for _, p := range s.options.plugins {
		plugins = append(plugins, metrics.Plugin{Name: p.name, Version: p.version, Phases: p.phases})
	}
	return metrics.NewCollector(plugins, ownVersion(), s.observe)
}

// exporter is what answers to Prometheus.
type exporter struct {
	cancel context.CancelFunc
	ended  chan struct{} // closed when nothing listens any more
}

// addressLook is how often the address of the metrics is tried that the server
// before this one has.
const addressLook = 100 * time.Millisecond

// claimMetrics takes the address of the metrics. Where it is in use the listener
// is nil, and the error says so.
func (s *Server) claimMetrics() (l net.Listener, inUse, err error) {
	if !s.metered() {
		return nil, nil, nil
	}
	l, err = metrics.Listen(s.options.metricsNetwork, s.options.metricsAddress, s.options.mode, s.options.gid)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, err, nil
	}
	return l, nil, err
}

// export answers to Prometheus until the exporter's end, on l or, where that is
// nil, as soon as the address is free. It gives nil where metrics are off.
func (s *Server) export(l net.Listener) *exporter {
	if !s.metered() {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	e := &exporter{cancel, make(chan struct{})}
	go func() {
		defer close(e.ended)
		for ; l == nil; l, _, _ = s.claimMetrics() {
			select {
			case <-time.After(addressLook):
			case <-ctx.Done():
				return
			}
		}
		answers := metrics.Serve(l, metrics.Options{
			Collector: s.collector(), Health: s.health, Profiles: s.options.metricsPprof, Logger: s.options.logger,
		})
		s.options.logger.Info("metrics", "address", l.Addr().String(), "pprof", s.options.metricsPprof)
		<-ctx.Done()
		answers.Close()
	}()
	return e
}

func (e *exporter) end() {
	if e != nil {
		e.cancel()
		<-e.ended
	}
}

// health says why the server takes no events, if it does not.
func (s *Server) health() error {
	if s.draining() {
		return errStops
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("%w: it was closed", errStops)
	}
	return nil
}
