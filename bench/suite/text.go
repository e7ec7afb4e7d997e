package suite

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// WriteText writes the report for people.
func (r *Report) WriteText(out io.Writer) error {
	f := r.Machine
	virtual := ""
	if f.Virtual {
		virtual = ", virtual"
	}
	fmt.Fprintf(out, "%s, rounds: %d, a sample: %g s, kind of calls: %s\nCPU     %s, %d cores%s, governor %s\nkernel  %s\nGo      %s\nnginx   %s\nLuaJIT  %s\nload    %s (before)\n",
		r.When.Format(time.RFC3339), r.Rounds, r.Seconds, r.Kind, f.CPU, f.Cores, virtual, f.Governor, f.Kernel, f.Go, f.Nginx, f.LuaJIT, f.Load)
	if len(r.Strays) > 0 {
		fmt.Fprintf(out, "there were already: %v\n", r.Strays)
	}
	fmt.Fprintln(out)
	parts := []func(io.Writer){
		r.WriteTargets, r.writeLimits, r.writeRing, r.writeEvents, r.writeRequests, r.writeCounters, r.writeBodies, r.writeScale, r.writeServer,
	}
	if r.Modes != nil {
		parts = []func(io.Writer){r.writeEvents, r.writeRequests, r.writeToRing, r.writeCounters}
	}
	for _, part := range parts {
		part(out)
	}
	_, err := fmt.Fprintln(out, "Least and most are of the rounds. Compare by ratio, and within one run.")
	return err
}

// table writes a table whose columns tabs separate.
func table(out io.Writer, rows func(w io.Writer)) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	rows(w)
	_ = w.Flush()
	fmt.Fprintln(out)
}

func (r *Report) writeLimits(out io.Writer) {
	l := r.Limits
	if l.CRoundTrip == 0 {
		return
	}
	table(out, func(w io.Writer) {
		fmt.Fprint(w, "Limits\tns\t÷ C\t\n")
		for _, row := range []struct {
			name string
			ns   float64
		}{
			{"C: round trip of a cache line between two cores", l.CRoundTrip}, {"system call", l.SystemCall},
			{"futex, round trip", l.Futex}, {"eventfd, round trip", l.Eventfd}, {"Unix socket, round trip", l.Socket},
		} {
			fmt.Fprintf(w, "%s\t%.0f\t%.1f\t\n", row.name, row.ns, row.ns/l.CRoundTrip)
		}
	})
}

func (r *Report) writeRing(out io.Writer) {
	if r.Ring == nil {
		return
	}
	table(out, func(w io.Writer) {
		fmt.Fprint(w, "Ring\t\tbytes\tns\tleast\t÷ C\tMB/s\t\n")
		for _, f := range r.Ring.Figures {
			waiting := "spinning"
			if f.Sleep {
				waiting = "sleeping"
			}
			fmt.Fprintf(w, "%s, %s\t%s\t%d\t%.0f\t%.0f\t%.2f\t%s\t\n", f.Sides, f.Way, waiting, f.Size, f.NS, f.Least, f.ToC, unless0(f.Rate))
		}
	})
}

// unless0 writes a whole number, nothing for one that is missing.
func unless0(f float64) string {
	if f == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", f)
}

func (r *Report) writeEvents(out io.Writer) {
	table(out, func(w io.Writer) {
		fmt.Fprint(w, "One event\tkind\tcalls\tns\tleast\tmost\t÷ C\t\n")
		for _, e := range r.Event {
			ratio := "-"
			if r.Limits.CRoundTrip > 0 {
				ratio = fmt.Sprintf("%.1f", e.NS/r.Limits.CRoundTrip)
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%.0f\t%.0f\t%.0f\t%s\t\n", e.Mode, e.Kind, e.N, e.NS, e.Least, e.Most, ratio)
		}
	})
}

func (r *Report) writeRequests(out io.Writer) {
	table(out, func(w io.Writer) {
		fmt.Fprint(w, "Requests\tconns\tcalls\treq/s\tleast\tmost\t÷ lua\t÷ stock\tp50 µs\tp90 µs\tp99 µs\t÷ lua\tCPU µs nginx\tserver\tswitches nginx\tserver\t\n")
		for _, h := range r.HTTP {
			fmt.Fprintf(w, "%s\t%d\t%d\t%.0f\t%.0f\t%.0f\t%.2f\t%.1f\t%.0f\t%.0f\t%.0f\t%.2f\t%.1f\t%.1f\t%.2f\t%.2f\t\n",
				h.Mode, h.Conns, h.N, h.RPS, h.Least.RPS, h.Most.RPS, h.RPSToLua, h.RPSToStock,
				h.P50, h.P90, h.P99, h.P99ToLua, h.NginxCPU, h.ServerCPU, h.NginxSwitches, h.ServerSwitches)
		}
	})
}

func (r *Report) writeToRing(out io.Writer) {
	if !slices.ContainsFunc(r.HTTP, func(h HTTP) bool { return h.ToRing != nil }) {
		return
	}
	table(out, func(w io.Writer) {
		fmt.Fprint(w, "Requests ÷ ring\tconns\tcalls\treq/s\tp99\tCPU\t\n")
		for _, h := range r.HTTP {
			if t := h.ToRing; t != nil {
				fmt.Fprintf(w, "%s\t%d\t%d\t%.3f\t%.3f\t%.3f\t\n", h.Mode, h.Conns, h.N, t.RPS, t.P99, t.CPU)
			}
		}
	})
}

func (r *Report) writeCounters(out io.Writer) {
	table(out, func(w io.Writer) {
		fmt.Fprint(w, "Per event\tconns\tcalls\tround trips\tvalues that came along\tserver: bells\tsleeps\tworker: bells\tsleeps\t\n")
		for _, h := range r.HTTP {
			if c := h.PerEvent; c != nil {
				fmt.Fprintf(w, "%s\t%d\t%d\t%.2f\t%.2f\t%.3f\t%.3f\t%.3f\t%.3f\t\n", h.Mode, h.Conns, h.N,
					c.RoundTrips, c.PrefetchHits, c.ServerDoorbells, c.ServerSleeps, c.WorkerDoorbells, c.WorkerSleeps)
			}
		}
	})
}

func (r *Report) writeBodies(out io.Writer) {
	table(out, func(w io.Writer) {
		fmt.Fprint(w, "Body there and back\tbytes\tµs\tleast\tmost\tMB/s\tmemcpy µs\tspeed ÷ memcpy\t\n")
		for _, b := range r.Body {
			fmt.Fprintf(w, "%s\t%d\t%.1f\t%.1f\t%.1f\t%.0f\t%.1f\t%.2f\t\n",
				b.Mode, b.Bytes, b.NS/1000, b.Least/1000, b.Most/1000, b.Rate, b.Memcpy/1000, b.ToMemcpy)
		}
	})
}

func (r *Report) writeScale(out io.Writer) {
	s := r.Scale
	if s == nil {
		return
	}
	table(out, func(w io.Writer) {
		fmt.Fprint(w, "Workers, 64 connections\treq/s\tp99 µs\t\n")
		for _, n := range s.Workers {
			fmt.Fprintf(w, "%d\t%.0f\t%.0f\t\n", n.Workers, n.RPS, n.P99)
		}
	})
	table(out, func(w io.Writer) {
		fmt.Fprint(w, "Handlers that wait\tms\treq/s\tpossible\t\n")
		for _, n := range s.Slow {
			fmt.Fprintf(w, "%d\t%d\t%.0f\t%.0f\t\n", n.Conns, n.Milliseconds, n.RPS, n.Possible)
		}
	})
	if i := s.Idle; i != nil {
		fmt.Fprintf(out, "%d idle sessions: %.0f KiB shared and %.0f KiB of the server's own for each; %d ticks (1/100 s) in 10 s;\n"+
			"an event of ten calls beside them: %.0f ns, without them %.0f ns\n\n",
			i.Sessions, i.SegmentKiB, i.ServerKiB, i.IdleTicks, i.EventNS, i.AloneNS)
	}
}

func (r *Report) writeServer(out io.Writer) {
	table(out, func(w io.Writer) {
		fmt.Fprint(w, "Allocations\tcalls\tfor each event\t\n")
		for _, a := range r.Server.Allocs {
			fmt.Fprintf(w, "%s\t%d\t%.3f\t\n", a.Kind, a.N, a.PerEvent)
		}
	})
	fmt.Fprintf(out, "idle    %d ticks (1/100 s) of worker and server in 10 s without traffic\n\n", r.Server.IdleTicks)
}
