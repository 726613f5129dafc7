package report

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// Sizes of a picture.
const (
	width  = 22 * vg.Centimeter
	height = 11 * vg.Centimeter
)

// series is a line of a plot.
type series struct {
	name string
	xys  plotter.XYs
}

// palette tells lines apart, also for those who see few colours.
func palette(i int) color.Color {
	colors := [...]color.RGBA{
		{0x00, 0x5f, 0x9e, 0xff}, {0xd5, 0x5e, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff},
		{0x8a, 0x6d, 0x00, 0xff}, {0x56, 0xb4, 0xe9, 0xff}, {0x66, 0x66, 0x66, 0xff},
	}
	return colors[i%len(colors)]
}

// axes are the words and the scales of a plot.
type axes struct {
	title, x, y string
	logX, logY  bool
}

func (a axes) plot() *plot.Plot {
	p := plot.New()
	for _, f := range []*font.Font{
		&p.Title.TextStyle.Font, &p.Legend.TextStyle.Font, &p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Tick.Label.Font,
	} {
		f.Variant, f.Size = "Sans", vg.Points(9)
	}
	p.Title.TextStyle.Font.Size = vg.Points(11)
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = a.title, a.x, a.y
	p.Legend.Top, p.Legend.Left = true, true
	if a.logX {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, decades{}
	}
	if a.logY {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, decades{}
	}
	p.Add(plotter.NewGrid())
	return p
}

// round writes a number that has one digit.
func round(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'f', 0, 64) + " M"
	case v >= 1:
		return thousands(int64(math.Round(v)))
	}
	return strconv.FormatFloat(v, 'g', 1, 64)
}

// decades are ticks at 1, 2 and 5 of each power of ten, named as people do.
type decades struct{}

// Ticks are those from low to high.
func (decades) Ticks(low, high float64) (ticks []plot.Tick) {
	for power := math.Pow(10, math.Floor(math.Log10(low))); power <= high; power *= 10 {
		for _, step := range []float64{1, 2, 5} {
			if v := step * power; v >= low*0.999 && v <= high*1.001 {
				ticks = append(ticks, plot.Tick{Value: v, Label: round(v)})
			}
		}
	}
	return ticks
}

// lines is a plot of some lines. Points that a logarithm does not have are left out.
func lines(a axes, list []series) ([]byte, error) {
	p := a.plot()
	drawn := 0
	for i, s := range list {
		var xys plotter.XYs
		for _, xy := range s.xys {
			if (!a.logX || xy.X > 0) && (!a.logY || xy.Y > 0) {
				xys = append(xys, xy)
			}
		}
		if len(xys) == 0 {
			continue
		}
		line, points, err := plotter.NewLinePoints(xys)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.title, err)
		}
		line.Color, line.Width = palette(i), vg.Points(1.6)
		points.Color, points.Radius = palette(i), vg.Points(2.5)
		p.Add(line, points)
		p.Legend.Add(s.name, line, points)
		drawn++
	}
	if drawn == 0 {
		return nil, nil
	}
	widen(&p.X, a.logX)
	widen(&p.Y, a.logY)
	return draw(p)
}

// widen gives an axis room, so that it is no point and that its last tick is on it.
func widen(axis *plot.Axis, log bool) {
	if log {
		axis.Min, axis.Max = axis.Min/1.15, axis.Max*1.6
		return
	}
	axis.Min, axis.Max = min(0, axis.Min), axis.Max*1.35
}

// bar is one of a picture.
type bar struct {
	name  string
	value float64
}

// bars is a picture of bars that lie on their side, the first on top.
func bars(a axes, list []bar) ([]byte, error) {
	if len(list) == 0 {
		return nil, nil
	}
	p := a.plot()
	names := make([]string, len(list))
	for i, b := range list {
		place := len(list) - 1 - i
		names[place] = b.name
		chart, err := plotter.NewBarChart(plotter.Values{b.value}, vg.Points(14))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.title, err)
		}
		chart.Horizontal, chart.XMin, chart.Color, chart.LineStyle.Width = true, float64(place), palette(i), 0
		p.Add(chart)
	}
	p.NominalY(names...)
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, p.X.Max*1.1, -0.6, float64(len(list))-0.4
	p.Y.Padding = vg.Points(14) // for fonts that are wider than the one it was measured with
	return draw(p)
}

func draw(p *plot.Plot) ([]byte, error) {
	w, err := p.WriterTo(width, height, "svg")
	if err != nil {
		return nil, fmt.Errorf("draw %s: %w", p.Title.Text, err)
	}
	var b bytes.Buffer
	if _, err = w.WriteTo(&b); err != nil {
		return nil, err
	}
	return bytes.ReplaceAll(b.Bytes(), []byte(family), []byte(families)), nil
}

// The font that plots are measured with, and those of the same widths where it is not installed.
const (
	family   = "font-family:Liberation Sans"
	families = "font-family:Liberation Sans, Arial, Helvetica, sans-serif"
)
