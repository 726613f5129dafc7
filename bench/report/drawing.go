package report

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// The colours of everything that is not data. The background is always white.
const (
	ink, dim, grid, ground = "#1f2328", "#57606a", "#e3e6ea", "#ffffff"

	fonts = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
)

// drawing is an unfinished SVG picture. It has no style sheet and no ids, since it is part
// of a page with other pictures. Text is anchored at its start, middle or end, so that it
// is placed correctly in any font.
type drawing struct{ bytes.Buffer }

func newDrawing(width, height int, title string) *drawing {
	d := new(drawing)
	d.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="%s" `,
		width, height, width, height, fonts)
	d.add(`role="img" aria-label="%s">`+"\n", html.EscapeString(title))
	d.rect(0, 0, float64(width), float64(height), ground)
	d.add(`<text x="%d" y="%d" font-size="%d" font-weight="bold" fill="%s">%s</text>`+"\n",
		edge, titleLine, titleSize, ink, html.EscapeString(title))
	return d
}

func (d *drawing) add(format string, args ...any) { _, _ = fmt.Fprintf(d, format, args...) }

func (d *drawing) text(x, y float64, anchor string, size int, colour, text string) {
	d.add(`<text x="%s" y="%s" text-anchor="%s" font-size="%d" fill="%s">%s</text>`+"\n",
		coordinate(x), coordinate(y), anchor, size, colour, html.EscapeString(text))
}

func (d *drawing) rect(x, y, width, height float64, colour string) {
	d.add(`<rect x="%s" y="%s" width="%s" height="%s" fill="%s"/>`+"\n",
		coordinate(x), coordinate(y), coordinate(width), coordinate(height), colour)
}

func (d *drawing) line(x1, y1, x2, y2 float64, colour string) {
	d.add(`<path d="M%s %sL%s %s" stroke="%s"/>`+"\n",
		coordinate(x1), coordinate(y1), coordinate(x2), coordinate(y2), colour)
}

// ticksBelow draws the ticks of an axis below a plot, their labels, and the name of its
// unit.
func (d *drawing) ticksBelow(x *axis, top, bottom float64, counts string) {
	for i, label := range x.labels() {
		at := x.at(x.ticks[i])
		d.line(at, top, at, bottom, grid)
		d.text(at, bottom+tickGap+textSize, "middle", textSize, ink, label)
	}
	d.text((x.from+x.to)/2, bottom+below-edge, "middle", textSize, dim, counts)
}

// series draws a line through points, which are in pixels, with a dot at each.
func (d *drawing) series(points []point, l lineLook) {
	var path strings.Builder
	for i, p := range points {
		path.WriteByte("ML"[min(i, 1)])
		path.WriteString(coordinate(p.x) + " " + coordinate(p.y))
	}
	d.add(`<path d="%s" fill="none" stroke="%s" stroke-width="2" stroke-linejoin="round"`, &path, l.colour)
	if l.dashes != "" {
		d.add(` stroke-dasharray="%s"`, l.dashes)
	}
	d.add("/>\n")
	for _, p := range points {
		d.add(`<circle cx="%s" cy="%s" r="3.5" fill="%s"/>`+"\n", coordinate(p.x), coordinate(p.y), l.colour)
	}
}

// close returns the finished picture.
func (d *drawing) close() []byte {
	d.add("</svg>\n")
	return d.Bytes()
}

// coordinate formats a length to a hundredth of a pixel.
func coordinate(v float64) string { return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64) }
