package report

import (
	"slices"
	"strings"
)

// point is of a line.
type point struct{ x, y float64 }

// series is a line of a plot.
type series struct {
	name   string
	points []point
}

// axes are the words and the scales of a plot.
type axes struct {
	title, x, y string
	logX, logY  bool
}

// lacks says that a logarithm has no place for a point.
func (a *axes) lacks(p point) bool { return a.logX && p.x <= 0 || a.logY && p.y <= 0 }

// Measures of a plot, in pixels. Nothing lies on anything else as long as letters are no wider than letterWide of
// their size: fonts differ, and who shows the picture chooses one.
const (
	wide       = 860
	linesHigh  = 400
	edge       = 18 // between the frame and what is drawn
	letterWide = 0.65
	titleSize  = 15
	textSize   = 12
	titleLine  = edge + 14 // the baseline of the title
	plotTop    = 74
	tickGap    = 8  // between an axis and its labels
	below      = 56 // the plot are its labels and what it counts
	inset      = 14 // between the sides of a plot and its first and last tick
	key        = 30 // the line of a legend
	keyHigh    = 22
	barHigh    = 16
	rowHigh    = 26
	ticksMost  = 9
)

// widthOf is the room that the longest text takes.
func widthOf(texts ...string) float64 {
	letters := 0
	for _, t := range texts {
		letters = max(letters, len([]rune(t)))
	}
	return float64(letters) * letterWide * textSize
}

// lines is a plot of some lines; nil if none of them has two points: a table says what one is better. Points that a
// logarithm does not have are left out.
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

// legend is a line of one.
func (d *drawing) legend(x, y float64, name string, l lineLook) {
	d.series([]point{{x, y}, {x + key, y}}, l)
	d.text(x+key+tickGap, y+4, "start", textSize, ink, name)
}

// span is an axis for a coordinate of points.
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

// bar is one of a picture.
type bar struct {
	name  string
	value float64
}

// bars is a picture of bars that lie on their side, the first on top, each with its value; nil if there are none.
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

// lineLook is what a line looks like.
type lineLook struct{ colour, dashes string }

// familyOf is the colours of a contender and its variants: of one hue each, and apart for those who see few colours.
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

// lookOf is the look of the i-th of some lines: all but the first of a family are dashed, each in its own way.
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
