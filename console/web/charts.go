package web

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// The charts are drawn here and not by scripts, so that they are there with the page. The content policy allows no
// styles, so all is in attributes.

const (
	sparkWidth, sparkHeight = 120, 26
	curveWidth, curveHeight = 900, 170
	curveLeft, curveBottom  = 4, 18 // room beside and below the curve
)

// spark draws a list of numbers, null where there is none, above 0.
func spark(values any, label string) template.HTML { return sparkFrom(values, label, true) }

// sparkPrice draws prices: what they were is of interest, and not that they are far from 0.
func sparkPrice(values any, label string) template.HTML { return sparkFrom(values, label, false) }

func sparkFrom(values any, label string, zero bool) template.HTML {
	list, _ := values.([]any)
	points := make([]float64, len(list))
	for i, v := range list {
		points[i] = number(v)
	}
	return template.HTML(fmt.Sprintf( //nolint:gosec // the label is escaped, the rest are numbers
		`<svg class="spark" viewBox="0 0 %d %d" preserveAspectRatio="none" role="img" aria-label="%s">`+
			`<polyline class="area" points="%s"/><polyline points="%s"/></svg>`,
		sparkWidth, sparkHeight, template.HTMLEscapeString(label), areaOf(sparkPoints(points, zero)),
		sparkPoints(points, zero)))
}

// sparkPoints returns the points of a line from the least value, or from 0 if that is less, to the greatest.
func sparkPoints(values []float64, zero bool) string {
	low, high := bounds(values)
	if zero {
		low = min(0, low)
	}
	if high <= low {
		high = low + 1
	}
	var b strings.Builder
	for i, v := range values {
		if math.IsNaN(v) {
			continue
		}
		x := float64(i) / float64(max(1, len(values)-1)) * sparkWidth
		y := 1 + (high-v)/(high-low)*(sparkHeight-2)
		_, _ = fmt.Fprintf(&b, "%.1f,%.1f ", x, y)
	}
	return strings.TrimSpace(b.String())
}

// areaOf closes a line along the bottom.
func areaOf(points string) string {
	first, _, _ := strings.Cut(points, ",")
	last := points[strings.LastIndexByte(points, ' ')+1:]
	last, _, _ = strings.Cut(last, ",")
	if first == "" {
		return ""
	}
	return fmt.Sprintf("%s,%d %s %s,%d", first, sparkHeight, points, last, sparkHeight)
}

// bounds returns the least and the greatest of values.
func bounds(values []float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if !math.IsNaN(v) {
			low, high = min(low, v), max(high, v)
		}
	}
	if low > high {
		return 0, 0
	}
	return low, high
}

// gauge draws what there is of what there may be. It says so in words too.
func gauge(value, limit any, low bool, label string) template.HTML {
	v, l := number(value), number(limit)
	class, full := "", 0.0
	if !math.IsNaN(v) && l > 0 {
		full = min(1, v/l)
		if low { // it is to stay above: full is far away, and ten times the limit looks it
			full = min(1, v/(10*l))
		}
		switch {
		case low && v < l, !low && v >= l:
			class = " bad"
		case low && v < 4*l, !low && v > 0.9*l:
			class = " warn"
		}
	}
	return template.HTML(fmt.Sprintf( //nolint:gosec // the label is escaped, the rest are numbers
		`<svg class="gauge%s" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="%s">`+
			`<rect class="rail" width="100" height="8"/><rect class="fill" width="%.1f" height="8"/></svg>`,
		class, template.HTMLEscapeString(label), full*100))
}

// curve is a curve of equity as it is drawn.
type curve struct {
	from, to  time.Time
	low, high float64
}

func (c *curve) x(at time.Time) float64 {
	span := c.to.Sub(c.from).Seconds()
	if span <= 0 {
		return curveWidth - curveLeft
	}
	return curveLeft + at.Sub(c.from).Seconds()/span*(curveWidth-2*curveLeft)
}

func (c *curve) y(v float64) float64 {
	return 8 + (c.high-v)/(c.high-c.low)*(curveHeight-curveBottom-12)
}

// drawCurve draws an account's equity: the last of each part of the time, within a band from the least to the
// greatest, and its busts and bookings.
func drawCurve(equity any, label string) template.HTML {
	points, _ := at(equity, "points").([]any)
	if len(points) < 2 {
		return ""
	}
	c := newCurve(points)
	var line, upper, lower []string
	for _, p := range points {
		x := c.x(timeOf(at(p, "time")))
		line = append(line, fmt.Sprintf("%.1f,%.1f", x, c.y(number(at(p, "last")))))
		upper = append(upper, fmt.Sprintf("%.1f,%.1f", x, c.y(number(at(p, "max")))))
		lower = append([]string{fmt.Sprintf("%.1f,%.1f", x, c.y(number(at(p, "min"))))}, lower...)
	}
	var b strings.Builder
	const begin = `<svg class="chart" viewBox="0 0 %d %d" preserveAspectRatio="none" role="img" aria-label="%s">`
	_, _ = fmt.Fprintf(&b, begin,
		curveWidth, curveHeight, template.HTMLEscapeString(label))
	for i := range 4 {
		y := c.y(c.low + (c.high-c.low)*float64(i)/3)
		_, _ = fmt.Fprintf(&b, `<line class="grid" x1="0" x2="%d" y1="%.1f" y2="%.1f"/>`, curveWidth, y, y)
	}
	_, _ = fmt.Fprintf(&b, `<polygon class="band" points="%s %s"/><polyline class="curve" points="%s"/>`,
		strings.Join(upper, " "), strings.Join(lower, " "), strings.Join(line, " "))
	c.mark(&b, at(equity, "marks"))
	b.WriteString("</svg>")
	return template.HTML(b.String()) //nolint:gosec // the label is escaped, the rest are numbers
}

func newCurve(points []any) *curve {
	c := &curve{from: timeOf(at(points[0], "time")), to: timeOf(at(points[len(points)-1], "time"))}
	var all []float64
	for _, p := range points {
		all = append(all, number(at(p, "min")), number(at(p, "max")), number(at(p, "last")))
	}
	if c.low, c.high = bounds(all); c.high == c.low {
		c.low, c.high = c.low-1, c.high+1
	}
	return c
}

// mark draws the busts and the bookings of cash.
func (c *curve) mark(b *strings.Builder, marks any) {
	list, _ := marks.([]any)
	for _, m := range list {
		class := "bust"
		if text(at(m, "kind")) == "adjustment" {
			class = "cash"
		}
		x := c.x(timeOf(at(m, "time")))
		if x < 0 {
			continue
		}
		_, _ = fmt.Fprintf(b, `<line class="%s" x1="%.1f" x2="%.1f" y1="4" y2="%d"><title>%s</title></line>`,
			class, x, x, curveHeight-curveBottom, template.HTMLEscapeString(text(at(m, "text"))))
	}
}

func timeOf(value any) time.Time {
	moment, _ := time.Parse(time.RFC3339Nano, text(value)) // zero if it is none
	return moment
}

// Scale are the least and the greatest equity of a curve, which stand beside it.
func (v *view) Scale(equity any) []string {
	points, _ := at(equity, "points").([]any)
	if len(points) < 2 {
		return nil
	}
	c := newCurve(points)
	show := func(f float64) string { return grouped(strconv.FormatFloat(f, 'f', 2, 64)) }
	return []string{show(c.low), show(c.high)}
}
