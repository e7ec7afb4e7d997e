package metrics

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Limits of what those who ask may take.
const (
	askTime    = 5 * time.Second  // to say what they want
	answerTime = 10 * time.Second // to take an answer, but for profiles
	idleTime   = time.Minute
	atOnce     = 4 // scrapes
	leaveTime  = time.Second
)

// Options are what a [Server] shows.
type Options struct {
	Collector *Collector
	Health    func() error // says why the server takes no events, or nil
	Profiles  bool         // the profiles of the process too
	Logger    *slog.Logger
}

// Handler answers /metrics, with the figures of the Go runtime and the process,
// /healthz and, where the options say so, /debug/pprof/.
func Handler(o Options) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(o.Collector, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", soon(promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn), MaxRequestsInFlight: atOnce,
	})))
	mux.Handle("GET /healthz", soon(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := o.Health(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ok\n"))
	})))
	if o.Profiles {
		mux.HandleFunc("GET /debug/pprof/{name...}", profile)
	}
	return mux
}

// soon bounds the time that the answer may take.
func soon(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerTime))
		h.ServeHTTP(w, r)
	})
}

// Server answers on a listener.
type Server struct {
	http  *http.Server
	ended chan struct{}
}

// Serve answers on l until Close.
func Serve(l net.Listener, o Options) *Server {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{
		http: &http.Server{
			Handler: Handler(o), ReadTimeout: askTime, IdleTimeout: idleTime, MaxHeaderBytes: 16 << 10,
			ErrorLog:    slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
			BaseContext: func(net.Listener) context.Context { return ctx },
		},
		ended: make(chan struct{}),
	}
	s.http.RegisterOnShutdown(cancel) // profiles come to their end
	go func() {
		defer close(s.ended)
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			o.Logger.Error("metrics", "error", err)
		}
	}()
	return s
}

// Close stops answering: those who are being answered have a second for it. It
// closes the listener.
func (s *Server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
	<-s.ended
}
