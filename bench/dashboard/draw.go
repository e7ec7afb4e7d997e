package main

import (
	"cmp"
	"errors"
	"fmt"
	"image/color"
	"math"
	"os"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// Size of the picture: 1280 by 340 dots.
const (
	width  = 1280 * vg.Inch / 96
	height = 340 * vg.Inch / 96
)

var colours = []color.Color{
	color.RGBA{R: 0x00, G: 0x6d, B: 0xb3, A: 0xff}, color.RGBA{R: 0xd5, G: 0x5e, B: 0x00, A: 0xff},
	color.RGBA{R: 0x00, G: 0x9e, B: 0x73, A: 0xff}, color.RGBA{R: 0xcc, G: 0x79, B: 0xa7, A: 0xff},
}

// savePicture draws panels beside each other.
func savePicture(panels []panel, file string) error {
	row := make([]*plot.Plot, len(panels))
	for i, p := range panels {
		var err error
		if row[i], err = drawPanel(p); err != nil {
			return fmt.Errorf("panel %q: %w", p.title, err)
		}
	}
	image := vgimg.New(width, height)
	tiles := draw.Tiles{Rows: 1, Cols: len(row), PadX: vg.Points(14), PadTop: vg.Points(6), PadBottom: vg.Points(4), PadRight: vg.Points(12)}
	for i, canvas := range plot.Align([][]*plot.Plot{row}, tiles, draw.New(image))[0] {
		row[i].Draw(canvas)
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = vgimg.PngCanvas{Canvas: image}.WriteTo(out)
	return errors.Join(err, out.Close())
}

func drawPanel(p panel) (*plot.Plot, error) {
	scale, unit := scaleOf(p.unit)
	out := plot.New()
	out.Title.Text, out.Title.Padding = p.title, vg.Points(6)
	out.X.Label.Text, out.Y.Label.Text = "seconds", unit
	out.Legend.Top, out.Legend.XOffs = true, -vg.Points(6)
	for _, text := range []*draw.TextStyle{
		&out.Title.TextStyle, &out.Legend.TextStyle, &out.X.Label.TextStyle, &out.Y.Label.TextStyle, &out.X.Tick.Label, &out.Y.Tick.Label,
	} {
		text.Font.Variant = "Sans"
	}
	out.Legend.TextStyle.Font.Size = vg.Points(9)
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{Y: 0xd8}, color.Gray{Y: 0xd8}
	out.Add(grid)
	drawnLines := 0
	slices.SortFunc(p.lines, func(a, b line) int { return cmp.Compare(a.label, b.label) })
	for _, l := range p.lines {
		var data plotter.XYs
		most := 0.0
		for _, point := range l.points {
			if y := point[1] * scale; !math.IsNaN(y) && !math.IsInf(y, 0) {
				data = append(data, plotter.XY{X: point[0], Y: y})
				most = max(most, y)
			}
		}
		if most == 0 { // a plugin that had no event
			continue
		}
		drawn, err := plotter.NewLine(data)
		if err != nil {
			return nil, err
		}
		drawn.Color, drawn.Width = colours[drawnLines%len(colours)], vg.Points(1.5)
		drawnLines++
		out.Add(drawn)
		out.Legend.Add(l.label, drawn)
	}
	if p.unit == "s" && out.Y.Min > 0 { // plugins that wait beside such that do not
		out.Y.Scale, out.Y.Tick.Marker = plot.LogScale{}, plot.TickerFunc(powers)
		out.Y.Min, out.Y.Max = out.Y.Min/1.5, out.Y.Max*40
	} else {
		out.Y.Min, out.Y.Max = 0, max(out.Y.Max, 1e-3)*1.3 // room for the legend
	}
	return out, nil
}

// scaleOf gives how a unit of Grafana's is drawn.
func scaleOf(unit string) (scale float64, label string) {
	switch unit {
	case "s":
		return 1e6, "µs"
	case "ops":
		return 1, "per second"
	case "percentunit":
		return 100, "%"
	}
	return 1, ""
}

// powers puts ticks at the powers of ten.
func powers(least, most float64) (ticks []plot.Tick) {
	for power := math.Pow(10, math.Floor(math.Log10(least))); power <= most; power *= 10 {
		if power >= least {
			ticks = append(ticks, plot.Tick{Value: power, Label: strconv.FormatFloat(power, 'f', -1, 64)})
		}
	}
	return ticks
}
