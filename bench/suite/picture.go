package suite

import (
	"fmt"
	"image/color"
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Size of the picture: 900 by 500 at the 96 dots per inch of the PNG.
const (
	pictureWidth  = 900 * vg.Inch / 96
	pictureHeight = 500 * vg.Inch / 96
)

// Picture is what a picture shows, against calls per request.
type Picture struct {
	what   string // begins the title
	axis   string
	figure func(Figures) float64
	log    bool // one of the modes is in another league
}

// The pictures that there are.
var (
	Throughput = Picture{"Requests per second", "requests per second", func(f Figures) float64 { return f.RPS }, false}
	Latency    = Picture{"99th percentile of the latency", "p99 in µs", func(f Figures) float64 { return f.P99 }, true}
)

// SavePicture draws a picture for a number of connections, one line for each
// mode, into files whose ends say how (.svg, .png). Bars go from the least to
// the most.
func (r *Report) SavePicture(what Picture, conns int, files ...string) error {
	p, err := r.draw(what, conns)
	if err != nil {
		return fmt.Errorf("picture: %w", err)
	}
	for _, file := range files {
		if err := p.Save(pictureWidth, pictureHeight, file); err != nil {
			return fmt.Errorf("picture: %w", err)
		}
	}
	return nil
}

func (r *Report) draw(what Picture, conns int) (*plot.Plot, error) {
	p := newPlot()
	p.Title.Text = r.title(what, conns)
	p.X.Label.Text = "PDK calls for each request (" + r.Kind + ")"
	p.Y.Label.Text = what.axis
	for _, m := range r.modes() {
		if err := r.line(p, m, what, conns); err != nil {
			return nil, err
		}
	}
	// With room for the legend above.
	p.X.Min, p.X.Max = 0, max(p.X.Max, 1)*1.02
	p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(roundTicks), plot.TickerFunc(roundTicks)
	if what.log {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.TickerFunc(powerTicks)
		p.Y.Min, p.Y.Max = max(p.Y.Min, 1)/1.5, max(p.Y.Max, 10)*6
	} else {
		p.Y.Min, p.Y.Max = 0, max(p.Y.Max, 1)*1.3
	}
	return p, nil
}

// newPlot is an empty plot with a grid, and the looks that all have.
func newPlot() *plot.Plot {
	p := plot.New()
	p.Title.Padding = vg.Points(10)
	p.X.Label.Padding, p.Y.Label.Padding = vg.Points(6), vg.Points(6)
	p.Legend.Top = true
	p.Legend.XOffs, p.Legend.Padding = -vg.Points(10), vg.Points(3)
	for _, text := range []*draw.TextStyle{
		&p.Title.TextStyle, &p.Legend.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label,
	} {
		text.Font.Variant = "Sans"
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{Y: 0xd8}, color.Gray{Y: 0xd8}
	p.Add(grid)
	return p
}

// powerTicks puts ticks at 1, 2 and 5 times the powers of ten.
func powerTicks(least, most float64) (ticks []plot.Tick) {
	for power := math.Pow(10, math.Floor(math.Log10(least))); power <= most; power *= 10 {
		for _, n := range []float64{1, 2, 5} {
			if v := n * power; v >= least && v <= most {
				ticks = append(ticks, plot.Tick{Value: v, Label: thousands(v)})
			}
		}
	}
	return ticks
}

// roundTicks puts at most ten ticks, at round numbers.
func roundTicks(least, most float64) (ticks []plot.Tick) {
	step := math.Pow(10, math.Ceil(math.Log10((most-least)/10)))
	for _, divisor := range []float64{5, 2} {
		if (most-least)/step*divisor <= 10 {
			step /= divisor
			break
		}
	}
	for v := least; v <= most; v += step {
		ticks = append(ticks, plot.Tick{Value: v, Label: thousands(v)})
	}
	return ticks
}

// thousands writes a number like 12,000.
func thousands(v float64) string {
	text := strconv.FormatFloat(math.Round(v*1e6)/1e6, 'f', -1, 64)
	for i := len(text) - 3; v >= 1000 && i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func (r *Report) title(what Picture, conns int) string {
	f := r.Machine
	virtual := ""
	if f.Virtual {
		virtual = " (virtual)"
	}
	return fmt.Sprintf("%s, one nginx worker, %s\n%s, %d cores%s, Linux %s, nginx %s, %s",
		what.what, plural(conns, "connection"), f.CPU, f.Cores, virtual, f.Kernel, f.Nginx, strings.Fields(f.Go + " ")[0])
}

// points are a line with what its bars need.
type points struct {
	plotter.XYs
	plotter.YErrors
}

// line adds a mode to the picture, if it was measured.
func (r *Report) line(p *plot.Plot, m mode, what Picture, conns int) error {
	var data points
	for _, h := range r.HTTP {
		if h.Mode == m.name && h.Conns == conns {
			y := what.figure(h.Figures)
			data.XYs = append(data.XYs, plotter.XY{X: float64(h.N), Y: y})
			data.YErrors = append(data.YErrors, struct{ Low, High float64 }{y - what.figure(h.Least), what.figure(h.Most) - y})
		}
	}
	if len(data.XYs) == 0 {
		return nil
	}
	line, dots, err := plotter.NewLinePoints(data.XYs)
	if err != nil {
		return err
	}
	bars, err := plotter.NewYErrorBars(data)
	if err != nil {
		return err
	}
	line.Color, line.Width = m.colour, vg.Points(2)
	dots.Color, dots.Shape, dots.Radius = m.colour, draw.CircleGlyph{}, vg.Points(3)
	bars.Color = m.colour
	p.Add(line, dots, bars)
	p.Legend.Add(m.label, line, dots)
	return nil
}
