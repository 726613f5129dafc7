package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// The dimensions of the picture, in pixels, and its colours.
const (
	cellWidth, lineHeight, fontSize = 8.4, 18, 14
	// The font size for wide letters, whose width equals the size: they take two columns.
	wideSize    = 15
	margin, bar = 14, 30
	// Offsets from the top of a line: letters stand on the baseline, lines run along the
	// middle.
	baseline, middle = 14, 9

	background, barColour, plain, dim = "#1b1d23", "#2a2d35", "#d4d7dd", "#9aa0ab"

	fonts = "'DejaVu Sans Mono','Cascadia Mono',Menlo,Consolas,'Noto Sans Mono CJK SC','Noto Sans CJK SC'," +
		"'PingFang SC','Microsoft YaHei',monospace"
)

// draw writes the picture. It relies only on positions. Each letter has an x, so that it is
// in its column in any font. Frames are lines, so that they meet. Blanks are omitted, since
// renderers disagree on which of them count.
func (s screen) draw(b *bytes.Buffer, title string) {
	width, height := s.size()
	window(b, width, height, html.EscapeString(title))
	fmt.Fprintf(b, `<g font-family="%s" font-size="%d" fill="%s" style="white-space:pre">`+"\n", fonts, fontSize, plain)
	fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="middle" fill="%s" font-size="12">%s</text>`+"\n",
		width/2, bar/2+4, dim, html.EscapeString(title))
	for n, cells := range s {
		for _, w := range words(cells) {
			w.draw(b, bar+margin+n*lineHeight)
		}
	}
	s.drawLines(b)
	fmt.Fprintln(b, "</g>\n</svg>")
}

// window draws the area around the screen, with a bar and three buttons above it.
func window(b *bytes.Buffer, width, height int, label string) {
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" `+
		`aria-label="%s">`+"\n", width, height, width, height, label)
	fmt.Fprintf(b, `<rect width="100%%" height="100%%" rx="8" fill="%s"/>`, background)
	fmt.Fprintf(b, `<path d="M0 %d V8 a8 8 0 0 1 8 -8 H%d a8 8 0 0 1 8 8 V%d z" fill="%s"/>`+"\n",
		bar, width-8, bar, barColour)
	for i, c := range []string{"#ef5b63", "#d7b25e", "#53b97c"} {
		fmt.Fprintf(b, `<circle cx="%d" cy="%d" r="5.5" fill="%s"/>`, 18+i*19, bar/2, c)
	}
	fmt.Fprintln(b)
}

func (s screen) size() (width, height int) {
	columns := 0
	for _, cells := range s {
		if n := len(cells); n > 0 {
			columns = max(columns, cells[n-1].column+cells[n-1].width)
		}
	}
	return int(math.Ceil(float64(columns)*cellWidth)) + 2*margin, bar + 2*margin + len(s)*lineHeight
}

// left returns the x of a column's left side.
func left(column int) float64 { return margin + float64(column)*cellWidth }

// number formats a coordinate.
func number(v float64) string { return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64) }

// word is a run of adjacent letters with the same look.
type word []cell

// words returns the words to be written of a line, without blanks and frames. A wide letter
// is a word by itself, because some renderers use only the first x of a word and then
// advance by the font's width, which is not that of two columns.
func words(cells []cell) (list []word) {
	var last *cell
	for i := range cells {
		c := &cells[i]
		switch {
		case c.blank() || arms[c.letter] != 0:
			last = nil
			continue
		case last == nil || last.look != c.look || last.width != 1 || c.width != 1:
			list = append(list, nil)
		}
		list[len(list)-1] = append(list[len(list)-1], *c)
		last = c
	}
	return list
}

func (w word) draw(b *bytes.Buffer, top int) {
	var xs []string
	var letters strings.Builder
	for _, c := range w {
		x := left(c.column)
		if c.width > 1 {
			x += (float64(c.width)*cellWidth - wideSize) / 2
		}
		for range c.letter { // combining marks count too
			xs = append(xs, number(x))
		}
		letters.WriteString(c.letter)
	}
	attributes := w[0].attributes()
	if w[0].width > 1 {
		attributes += fmt.Sprintf(` font-size="%d"`, wideSize)
	}
	fmt.Fprintf(b, `<text x="%s" y="%d"%s>%s</text>`+"\n",
		strings.Join(xs, " "), top+baseline, attributes, html.EscapeString(letters.String()))
}

// attributes returns the SVG attributes of a look. Strikethrough is not one of them: it is
// drawn as a line, since it also crosses blanks.
func (l look) attributes() (attributes string) {
	if l.colour != "" {
		attributes += fmt.Sprintf(` fill="%s"`, l.colour)
	}
	if l.bold {
		attributes += ` font-weight="bold"`
	}
	if l.faint {
		attributes += ` opacity="0.6"`
	}
	return attributes
}
