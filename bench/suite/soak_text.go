package suite

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Save writes a soak as text, JSON and a picture into a folder, which is made: as
// soak, or soak-socket, with their ends.
func (s *Soak) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	name := filepath.Join(dir, "soak")
	if s.Mode != "ring" {
		name += "-" + s.Mode
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	var table bytes.Buffer
	s.WriteText(&table)
	return errors.Join(
		os.WriteFile(name+".json", append(text, '\n'), 0o644),
		os.WriteFile(name+".txt", table.Bytes(), 0o644),
		s.savePicture(name+".png"),
	)
}

// WriteText writes a soak for people: where it ran, the verdict, and the samples.
func (s *Soak) WriteText(out io.Writer) {
	f := s.Machine
	virtual := ""
	if f.Virtual {
		virtual = ", virtual"
	}
	fmt.Fprintf(out, "%s, soak of mode %s, %s, %d calls (%s) for each request\nCPU     %s, %d cores%s, governor %s\nkernel  %s\nGo      %s\nnginx   %s\nLuaJIT  %s\nload    %s (before), %s (after)\n\n%s\n\n",
		s.When.Format(time.RFC3339), s.Mode, plural(s.Conns, "connection"), s.Calls, s.Kind,
		f.CPU, f.Cores, virtual, f.Governor, f.Kernel, f.Go, f.Nginx, f.LuaJIT, f.Load, s.LoadAfter, s.Verdict)
	table(out, func(w io.Writer) {
		fmt.Fprint(w, "second\treq/s\tp50 µs\tp99 µs\tmost ms\topen events\tworker KiB\tfds\tserver KiB\tfds\tgoroutines\tload\twaited %\t\n")
		for _, m := range s.Samples {
			fmt.Fprintf(w, "%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%d\t%d\t%d\t%d\t%d\t%d\t%.2f\t%.0f\t\n", m.Second, m.RPS, m.P50, m.P99, m.Most/1000, m.Open,
				m.Worker.KiB, m.Worker.FDs, m.Server.KiB, m.Server.FDs, m.Server.Goroutines, m.Load, 100*m.Waited)
		}
	})
	fmt.Fprintf(out, "A sample is one run of wrk, with connections of its own. Open events and load are of its middle; memory,\n"+
		"descriptors and goroutines of the rest behind it. Load is the machine's, with whatever else runs on it;\n"+
		"waited is how long the worker could have run, but had no core.\n"+
		"Memory in the last fifth may be %.0f %% more than in the second (medians); descriptors and goroutines none.\n", 100*(soakGrowth-1))
}
