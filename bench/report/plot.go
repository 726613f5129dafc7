package report

import (
	"slices"
	"strings"
)

// point is a point of a line.
type point struct{ x, y float64 }

// series is a line of a plot.
type series struct {
	name   string
	points []point
}

// axes holds the texts and the kinds of scale of a plot.
type axes struct {
	title, x, y string
	logX, logY  bool
}

// lacks reports whether a logarithmic axis cannot show a point.
func (a *axes) lacks(p point) bool { return a.logX && p.x <= 0 || a.logY && p.y <= 0 }

// The dimensions of a plot, in pixels. Nothing overlaps as long as letters are at most
// letterWide of their size wide. Fonts differ, and the viewer chooses one.
const (
	wide       = 860
	linesHigh  = 400
	edge       = 18 // between the frame and the drawing
	letterWide = 0.65
	titleSize  = 15
	textSize   = 12
	titleLine  = edge + 14 // the baseline of the title
	plotTop    = 74
	tickGap    = 8  // between an axis and its labels
	below      = 56 // room below the plot for its labels and the name of its unit
	inset      = 14 // between the sides of a plot and its first and last tick
	key        = 30 // length of a line in the legend
	keyHigh    = 22
	barHigh    = 16
	rowHigh    = 26
	ticksMost  = 9
)

// widthOf returns the width of the longest text.
func widthOf(texts ...string) float64 {
	letters := 0
	for _, t := range texts {
		letters = max(letters, len([]rune(t)))
	}
	return float64(letters) * letterWide * textSize
}

// lines draws a plot of lines. It returns nil if no line has two points, since a table
// shows that better. Points that a logarithmic axis cannot show are left out.
func lines(a axes, list []series) []byte {
	var drawn []series
	var names []string
	var all []point
	longest := 0
	for _, s := range list {
		points := slices.DeleteFunc(slices.Clone(s.points), a.lacks)
		if len(points) > 0 {
			drawn, names, all = append(drawn, series{s.name, points}), append(names, s.name), append(all, points...)
			longest = max(longest, len(points))
		}
	}
	if longest < 2 {
		return nil
	}
	x := span(a.logX, all, func(p point) float64 { return p.x })
	y := span(a.logY, all, func(p point) float64 { return p.y })
	const bottom = linesHigh - below
	left, right := edge+widthOf(y.labels()...)+tickGap, wide-2*edge-key-tickGap-widthOf(names...)
	x.from, x.to, y.from, y.to = left+inset, right-inset, bottom, plotTop
	d := newDrawing(wide, linesHigh, a.title)
	d.text(edge, plotTop-20, "start", textSize, dim, a.y)
	for i, label := range y.labels() {
		d.line(left, y.at(y.ticks[i]), right, y.at(y.ticks[i]), grid)
		d.text(left-tickGap, y.at(y.ticks[i])+4, "end", textSize, ink, label)
	}
	d.ticksBelow(&x, plotTop, bottom, a.x)
	for i, s := range drawn {
		for j, p := range s.points {
			s.points[j] = point{x.at(p.x), y.at(p.y)}
		}
		d.series(s.points, lookOf(names, i))
		d.legend(right+edge, float64(plotTop+keyHigh*i), s.name, lookOf(names, i))
	}
	return d.close()
}

// legend draws one line of the legend.
func (d *drawing) legend(x, y float64, name string, l lineLook) {
	d.series([]point{{x, y}, {x + key, y}}, l)
	d.text(x+key+tickGap, y+4, "start", textSize, ink, name)
}

// span returns an axis for one coordinate of the points.
func span(log bool, all []point, of func(point) float64) axis {
	low, high := of(all[0]), of(all[0])
	for _, p := range all {
		low, high = min(low, of(p)), max(high, of(p))
	}
	if log {
		return logarithmic(low, high, ticksMost)
	}
	return linear(high, ticksMost)
}

// bar is a bar of a picture.
type bar struct {
	name  string
	value float64
}

// bars draws horizontal bars, the first on top, each with its value. It returns nil if
// there are none.
func bars(a axes, list []bar) []byte {
	if len(list) == 0 {
		return nil
	}
	var names, values []string
	high := 0.0
	for _, b := range list {
		names, values, high = append(names, b.name), append(values, number(b.value)), max(high, b.value)
	}
	bottom := float64(titleLine + edge + rowHigh*len(list))
	left := edge + widthOf(names...) + tickGap
	x := linear(high, ticksMost)
	x.from, x.to = left, wide-edge-tickGap-widthOf(append(values, x.labels()...)...)
	d := newDrawing(wide, int(bottom)+below, a.title)
	d.ticksBelow(&x, titleLine+edge, bottom, a.x)
	for i, b := range list {
		middle := float64(titleLine + edge + rowHigh*i + rowHigh/2)
		d.rect(left, middle-barHigh/2, x.at(b.value)-left, barHigh, familyOf(b.name)[0])
		d.text(left-tickGap, middle+4, "end", textSize, ink, b.name)
		d.text(x.at(b.value)+tickGap, middle+4, "start", textSize, ink, values[i])
	}
	return d.close()
}

// lineLook is the look of a line.
type lineLook struct{ colour, dashes string }

// familyOf returns the colours of a contender and its variants. Each family has one hue,
// and the hues can be told apart by colour-blind people.
func familyOf(name string) []string {
	kind, _, _ := strings.Cut(name, ",")
	kind, _, _ = strings.Cut(kind, ":")
	switch kind {
	case "papertape":
		return []string{"#005f9e", "#56b4e9", "#3a3ab0"}
	case "baseline":
		return []string{"#d55e00", "#e69f00", "#cc79a7", "#8a6d00"}
	case "echo":
		return []string{"#7d838c", "#4b5058", "#a9aeb6"}
	}
	return []string{"#009e73", "#5fbf6a"}
}

// lookOf returns the look of the i-th line. All but the first of a family are dashed, each
// differently.
func lookOf(names []string, i int) lineLook {
	colours, before := familyOf(names[i]), 0
	for _, name := range names[:i] {
		if familyOf(name)[0] == colours[0] {
			before++
		}
	}
	dashes := [...]string{"", "8 4", "3 3", "10 3 3 3"}
	return lineLook{colours[before%len(colours)], dashes[before%len(dashes)]}
}
