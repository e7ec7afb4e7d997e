package suite

import (
	"errors"
	"fmt"
	"image/color"
	"os"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// soakHeight is that of the picture of a soak, 780 dots: three panels.
const soakHeight = 780 * vg.Inch / 96

// soakLine is a line against the time.
type soakLine struct {
	label  string // in the legend, if there is more than one
	colour color.Color
	figure func(SoakSample) float64
}

var (
	soakBlue = color.RGBA{R: 0x00, G: 0x6d, B: 0xb3, A: 0xff}
	soakRed  = color.RGBA{R: 0xd5, G: 0x5e, B: 0x00, A: 0xff}
)

// soakPanels are the panels from the top to the bottom.
var soakPanels = []struct {
	axis  string
	log   bool // a busy machine makes it a hundred times as much at times
	lines []soakLine
}{
	{"resident memory, MiB", false, []soakLine{
		{"nginx worker", soakBlue, func(s SoakSample) float64 { return float64(s.Worker.KiB) / 1024 }},
		{"plugin server", soakRed, func(s SoakSample) float64 { return float64(s.Server.KiB) / 1024 }},
	}},
	{"p99 in µs", true, []soakLine{{"", soakBlue, func(s SoakSample) float64 { return s.P99 }}}},
	{"requests per second", false, []soakLine{{"", soakBlue, func(s SoakSample) float64 { return s.RPS }}}},
}

// savePicture draws memory, latency and throughput against the time, one below
// the other.
func (s *Soak) savePicture(file string) (err error) {
	var panels [][]*plot.Plot
	for i := range soakPanels {
		p, err := s.panel(i)
		if err != nil {
			return fmt.Errorf("picture: %w", err)
		}
		panels = append(panels, []*plot.Plot{p})
	}
	image := vgimg.New(pictureWidth, soakHeight)
	tiles := draw.Tiles{Rows: len(panels), Cols: 1, PadY: vg.Points(10), PadTop: vg.Points(6), PadRight: vg.Points(16)}
	for i, row := range plot.Align(panels, tiles, draw.New(image)) {
		panels[i][0].Draw(row[0])
	}
	out, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("picture: %w", err)
	}
	_, err = vgimg.PngCanvas{Canvas: image}.WriteTo(out)
	return errors.Join(err, out.Close())
}

func (s *Soak) panel(n int) (*plot.Plot, error) {
	what := soakPanels[n]
	p := newPlot()
	if n == 0 {
		p.Title.Text = s.title()
	}
	if n == len(soakPanels)-1 {
		p.X.Label.Text = "minutes"
	}
	p.Y.Label.Text = what.axis
	for _, l := range what.lines {
		data := make(plotter.XYs, len(s.Samples))
		for i, sample := range s.Samples {
			data[i] = plotter.XY{X: sample.Second / 60, Y: l.figure(sample)}
		}
		line, err := plotter.NewLine(data)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = l.colour, vg.Points(2)
		p.Add(line)
		if l.label != "" {
			p.Legend.Add(l.label, line)
		}
	}
	p.X.Min, p.X.Tick.Marker = 0, plot.TickerFunc(roundTicks)
	if what.log {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.TickerFunc(powerTicks)
		p.Y.Min, p.Y.Max = max(p.Y.Min, 1)/1.5, max(p.Y.Max, 10)*1.5
	} else {
		p.Y.Min, p.Y.Max, p.Y.Tick.Marker = 0, max(p.Y.Max, 1)*1.3, plot.TickerFunc(roundTicks)
	}
	return p, nil
}

func (s *Soak) title() string {
	f := s.Machine
	virtual := ""
	if f.Virtual {
		virtual = " (virtual)"
	}
	return fmt.Sprintf("%v of full load: %s, %d calls (%s) for each request, one nginx worker\n%s, %d cores%s, with a load of %.1f (median) of this and whatever else ran",
		time.Duration(s.Took*float64(time.Second)).Round(time.Second), plural(s.Conns, "connection"), s.Calls, s.Kind,
		f.CPU, f.Cores, virtual, middle(s.Samples, func(m SoakSample) float64 { return m.Load }))
}
