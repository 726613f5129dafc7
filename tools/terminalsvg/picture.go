package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// The picture's measures, in pixels, and its colours.
const (
	cellWidth, lineHeight, fontSize = 8.4, 18, 14
	wideSize                        = 15 // of the font of wide letters, which are as wide as it is high: two columns
	margin, bar                     = 14, 30
	baseline, middle                = 14, 9 // of a line, from its top: letters stand on it, lines go along it

	background, barColour, plain, dim = "#1b1d23", "#2a2d35", "#d4d7dd", "#9aa0ab"

	fonts = "'DejaVu Sans Mono','Cascadia Mono',Menlo,Consolas,'Noto Sans Mono CJK SC','Noto Sans CJK SC'," +
		"'PingFang SC','Microsoft YaHei',monospace"
)

// draw writes the picture. Places are all that it relies on: each letter has an x, so that it stands in its column
// whatever font there is; frames are lines, so that they meet; and blanks are not written, since renderers do not
// agree on which of them count.
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

// window draws what is around the screen: a bar with three buttons above it.
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

// left is the x of a column's left side.
func left(column int) float64 { return margin + float64(column)*cellWidth }

// number writes a coordinate.
func number(v float64) string { return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64) }

// word is neighbouring letters of one look.
type word []cell

// words are what is to be written of a line: neither blanks nor frames. A wide letter is a word by itself, for
// renderers that heed the first x of a word alone: the font's width of it is not that of two columns.
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
		for range c.letter { // marks that combine with a letter count too
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

// attributes are those of SVG. That letters are struck is not among them: the line through them is drawn, since it goes
// through blanks too.
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
