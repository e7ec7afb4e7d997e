package suite

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
)

// Ring is what the ring costs by itself, with 64 bytes of payload and both sides
// spinning; and the same in other ways. Ratios are medians of those within a
// round, and to the C round trip of that round.
type Ring struct {
	CRoundTrip float64      `json:"c_rtt_ns"`
	GoGo       float64      `json:"go_go_rtt_ns"`
	GoGoToC    float64      `json:"go_go_to_c"`
	LuaGo      float64      `json:"lua_go_rtt_ns,omitempty"`
	LuaGoToC   float64      `json:"lua_go_to_c,omitempty"`
	Stream     float64      `json:"go_go_frame_ns"`
	StreamToC  float64      `json:"go_go_frame_to_c"`
	Figures    []RingFigure `json:"figures"`
}

// RingFigure is one figure of the command bench/ring.
type RingFigure struct {
	Sides string  `json:"sides"`
	Way   string  `json:"way"`
	Size  int     `json:"bytes"`
	Sleep bool    `json:"sleep"`
	NS    float64 `json:"ns"`
	Least float64 `json:"ns_least"`
	ToC   float64 `json:"to_c"`
	Rate  float64 `json:"mb_per_s,omitempty"`
}

// runRing lets the command bench/ring measure.
func (r *run) runRing(ctx context.Context, report *Report) error {
	cores, err := twoCores()
	if err != nil || cores == nil || r.ringRounds == 0 {
		return err
	}
	r.step(r.ringCost(), "ring")
	program := filepath.Join(r.dir, "ring")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./bench/ring")
	build.Dir = r.build.Root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build bench/ring: %w: %s", err, out)
	}
	args := []string{
		"-json", "-rounds", strconv.Itoa(r.ringRounds), "-sizes", r.ringSizes,
		"-trips", strconv.Itoa(r.ringSteps), "-frames", strconv.Itoa(4 * r.ringSteps),
	}
	if r.ringSleep {
		args = append(args, "-sleep")
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Stderr = r.build.Root, r.progress.to
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("bench/ring: %w", err)
	}
	report.Ring = &Ring{}
	return report.Ring.read(out)
}

// read takes what the command printed.
func (g *Ring) read(out []byte) error {
	if err := json.Unmarshal(out, g); err != nil {
		return fmt.Errorf("bench/ring: %w", err)
	}
	for _, f := range g.Figures {
		if f.Size != 64 || f.Sleep {
			continue
		}
		switch f.Sides + ", " + f.Way {
		case "go-go, round trip":
			g.GoGo, g.GoGoToC = f.NS, f.ToC
		case "lua-go, round trip":
			g.LuaGo, g.LuaGoToC = f.NS, f.ToC
		case "go-go, one way":
			g.Stream, g.StreamToC = f.NS, f.ToC
		}
	}
	if g.GoGo == 0 || g.Stream == 0 {
		return fmt.Errorf("bench/ring: figures are missing in %s", out)
	}
	return nil
}
