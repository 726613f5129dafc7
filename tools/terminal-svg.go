//go:build ignore

// Command terminal-svg draws a terminal's screen: it reads text with colours, as `tmux capture-pane -e -p` writes it, and writes
// an SVG picture in which every letter stands in its column, wide ones in two.
//
//	tmux capture-pane -e -p | go run tools/terminal-svg.go -title "papertape client" > picture.svg
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"html"
	"io"
	"log"
	"os"
	"strconv"
	"strings"
)

// The picture's measures, in pixels, and its colours.
const (
	cellWidth, lineHeight, fontSize = 8.4, 17, 14
	margin, bar                     = 14, 30

	background, barColour, plain = "#1b1d23", "#2a2d35", "#d4d7dd"
	fonts                        = "'DejaVu Sans Mono','Cascadia Mono',Menlo,Consolas,'Noto Sans Mono CJK SC','PingFang SC','Microsoft YaHei',monospace"
)

var palette = [8]string{"#5c6370", "#ef5b63", "#53b97c", "#d7b25e", "#5ea1e0", "#b57edc", "#4fb9c4", "#d4d7dd"}

// look is how letters are drawn.
type look struct {
	colour              string
	bold, faint, struck bool
}

// run is letters of one look and one width, from a column on.
type run struct {
	look
	column int
	wide   bool
	text   strings.Builder
	cells  int
}

func main() {
	title := flag.String("title", "papertape client", "what stands in the bar above the screen")
	width := flag.Int("columns", 0, "of the screen, at least")
	flag.Parse()
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	w := bufio.NewWriter(os.Stdout)
	draw(w, string(bytes.TrimRight(text, "\n ")), *title, *width)
	if err := w.Flush(); err != nil {
		log.Fatal(err)
	}
}

func draw(w io.Writer, text, title string, columns int) {
	var lines [][]*run
	now := look{colour: plain}
	for _, line := range strings.Split(text, "\n") {
		var runs []*run
		runs, now = split(line, now)
		lines = append(lines, runs)
		if n := len(runs); n > 0 {
			columns = max(columns, runs[n-1].column+runs[n-1].cells)
		}
	}
	width := float64(columns)*cellWidth + 2*margin
	height := len(lines)*lineHeight + bar + 2*margin
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %d" width="%.0f" height="%d" role="img" aria-label="%s">`+"\n",
		width, height, width, height, html.EscapeString(title))
	fmt.Fprintf(w, `<rect width="100%%" height="100%%" rx="8" fill="%s"/><path d="M0 %d V8 a8 8 0 0 1 8 -8 H%.0f a8 8 0 0 1 8 8 V%d z" fill="%s"/>`+"\n",
		background, bar, width-8, bar, barColour)
	for i, c := range []string{"#ef5b63", "#d7b25e", "#53b97c"} {
		fmt.Fprintf(w, `<circle cx="%d" cy="%d" r="5.5" fill="%s"/>`, 18+i*19, bar/2, c)
	}
	fmt.Fprintf(w, "\n"+`<g font-family="%s" font-size="%d" xml:space="preserve">`+"\n", fonts, fontSize)
	fmt.Fprintf(w, `<text x="%.0f" y="%d" text-anchor="middle" fill="#9aa0ab" font-size="12">%s</text>`+"\n", width/2, bar/2+4, html.EscapeString(title))
	for n, runs := range lines {
		for _, r := range runs {
			r.draw(w, float64(bar+margin+n*lineHeight)+fontSize-1)
		}
	}
	fmt.Fprintln(w, "</g>\n</svg>")
}

func (r *run) draw(w io.Writer, y float64) {
	text := r.text.String()
	if strings.TrimSpace(text) == "" && !r.struck {
		return
	}
	style := ""
	if r.bold {
		style += ` font-weight="bold"`
	}
	if r.faint {
		style += ` opacity="0.6"`
	}
	if r.struck {
		style += ` text-decoration="line-through"`
	}
	x := margin + float64(r.column)*cellWidth
	place := fmt.Sprintf(`x="%.1f" textLength="%.1f" lengthAdjust="spacingAndGlyphs"`, x, float64(r.cells)*cellWidth)
	if r.wide { // each letter in its place, whatever its width
		place = `x="`
		for n := range r.cells / 2 {
			place += fmt.Sprintf("%.1f ", x+float64(2*n)*cellWidth+(2*cellWidth-fontSize)/2)
		}
		place = strings.TrimSpace(place) + `"`
	}
	fmt.Fprintf(w, `<text %s y="%.0f" fill="%s"%s>%s</text>`+"\n", place, y, r.colour, style, html.EscapeString(text))
}

// split cuts a line where its look or the width of its letters changes, and where there is a gap of some spaces.
func split(line string, now look) (runs []*run, after look) {
	column, spaces := 0, 0
	for line != "" {
		if codes, rest, ok := sequence(line); ok {
			now.change(codes)
			line = rest
			continue
		}
		r := []rune(line)[0]
		line = line[len(string(r)):]
		cells := widthOf(r)
		var last *run
		if len(runs) > 0 {
			last = runs[len(runs)-1]
		}
		gap := r != ' ' && spaces > 1
		if spaces++; r != ' ' {
			spaces = 0
		}
		if last == nil || last.look != now || last.wide != (cells == 2) || gap {
			last = &run{look: now, column: column, wide: cells == 2}
			runs = append(runs, last)
		}
		last.text.WriteRune(r)
		last.cells += cells
		column += cells
	}
	return runs, now
}

// sequence takes ESC [ codes m, or another sequence, which is dropped, from the beginning of a line.
func sequence(line string) (codes, rest string, ok bool) {
	if !strings.HasPrefix(line, "\x1b") {
		return "", line, false
	}
	end := strings.IndexFunc(line[1:], func(r rune) bool { return r >= '@' && r <= '~' && r != '[' })
	if end < 0 {
		return "", "", true
	}
	if line[1+end] == 'm' {
		codes = strings.TrimPrefix(line[1:1+end], "[")
		if codes == "" {
			codes = "0"
		}
	}
	return codes, line[2+end:], true
}

func (l *look) change(codes string) {
	for _, code := range strings.Split(codes, ";") {
		n, err := strconv.Atoi(code)
		switch {
		case err != nil:
		case n == 0:
			*l = look{colour: plain}
		case n == 1:
			l.bold = true
		case n == 2:
			l.faint = true
		case n == 9:
			l.struck = true
		case n == 22:
			l.bold, l.faint = false, false
		case n == 29:
			l.struck = false
		case n >= 30 && n <= 37:
			l.colour = palette[n-30]
		case n == 39:
			l.colour = plain
		}
	}
}

// widthOf is 2 for the letters that East Asian screens show in two columns.
func widthOf(r rune) int {
	for _, wide := range [...][2]rune{
		{0x1100, 0x115f}, {0x2e80, 0x303e}, {0x3041, 0x33ff}, {0x3400, 0x4dbf}, {0x4e00, 0x9fff}, {0xa000, 0xa4cf},
		{0xac00, 0xd7a3}, {0xf900, 0xfaff}, {0xfe30, 0xfe4f}, {0xff01, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x1faff}, {0x20000, 0x3fffd},
	} {
		if r >= wide[0] && r <= wide[1] {
			return 2
		}
	}
	return 1
}
