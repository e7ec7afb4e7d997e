package metrics

import (
	"fmt"
	"net/http"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"strconv"
	"time"
)

// The profiles as go tool pprof and go tool trace ask for them. They are not
// net/http/pprof's: that puts itself on http.DefaultServeMux, which a plugin may
// serve to anybody.

// Bounds of how long a profile takes.
const (
	profileSeconds = 30 // unless it is said
	maxSeconds     = 300
)

func profile(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	switch name {
	case "":
		fmt.Fprintln(w, "profile: of the processor, for ?seconds=30\ntrace: of the scheduler, for ?seconds=30")
		for _, p := range pprof.Profiles() {
			fmt.Fprintf(w, "%s: %d\n", p.Name(), p.Count())
		}
		return
	case "profile":
		during(w, r, func() error { return pprof.StartCPUProfile(w) }, pprof.StopCPUProfile)
		return
	case "trace":
		during(w, r, func() error { return trace.Start(w) }, trace.Stop)
		return
	}
	p := pprof.Lookup(name)
	if p == nil {
		http.Error(w, fmt.Sprintf("no profile named %q", name), http.StatusNotFound)
		return
	}
	if name == "heap" && r.FormValue("gc") != "" {
		runtime.GC()
	}
	debug, _ := strconv.Atoi(r.FormValue("debug")) // 0: what the tool reads
	if debug == 0 {
		w.Header().Set("Content-Type", "application/octet-stream")
	}
	_ = p.WriteTo(w, debug) // an error is the reader's going away
}

// during records from start to stop, for the time that was asked for or until
// nobody waits.
func during(w http.ResponseWriter, r *http.Request, start func() error, stop func()) {
	seconds := profileSeconds
	if text := r.FormValue("seconds"); text != "" {
		var err error
		if seconds, err = strconv.Atoi(text); err != nil || seconds < 1 || seconds > maxSeconds {
			http.Error(w, fmt.Sprintf("seconds=%s: want 1 to %d", text, maxSeconds), http.StatusBadRequest)
			return
		}
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if err := start(); err != nil { // one is being recorded
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	defer stop()
	select {
	case <-time.After(time.Duration(seconds) * time.Second):
	case <-r.Context().Done():
	}
}
