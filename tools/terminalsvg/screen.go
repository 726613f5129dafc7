package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/text"
)

// look is how letters are drawn.
type look struct {
	colour              string // "": that of plain text
	bold, faint, struck bool
}

// cell is a letter in its place, with the marks that combine with it.
type cell struct {
	look
	letter string
	column int
	width  int // in columns
}

// blank says that nothing is seen of a cell, but a line through it.
func (c *cell) blank() bool { return c.letter == " " }

// screen is its lines.
type screen [][]cell

// read takes a screen from captured text. Colours go on from one line to the next, as they do in a terminal.
func read(captured string) (screen, error) {
	var s screen
	var now look
	for n, line := range strings.Split(captured, "\n") {
		cells, after, err := readLine(line, now)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		s, now = append(s, cells), after
	}
	return s, nil
}

func readLine(line string, now look) (cells []cell, after look, err error) {
	column := 0
	for line != "" {
		if strings.HasPrefix(line, escape) {
			codes, rest, err := sequence(line)
			if err == nil {
				err = now.change(codes)
			}
			if err != nil {
				return nil, now, err
			}
			line = rest
			continue
		}
		r, size := utf8.DecodeRuneInString(line)
		line = line[size:]
		width := text.RuneWidth(r)
		switch {
		case unicode.IsControl(r):
		case width > 0:
			cells = append(cells, cell{now, string(r), column, width})
			column += width
		case len(cells) > 0:
			cells[len(cells)-1].letter += string(r)
		}
	}
	return cells, now, nil
}

// escape begins what is no text (ECMA-48).
const escape = "\x1b["

// sequence takes ESC [ codes m from the beginning of a line. Others move the cursor or erase: a captured screen has
// none.
func sequence(line string) (codes, rest string, err error) {
	codes, rest, ok := strings.Cut(line[len(escape):], "m")
	if !ok || strings.Trim(codes, "0123456789;") != "" {
		return "", "", fmt.Errorf("%.12q begins no colour: the screen is to be captured by tmux capture-pane -e -p", line)
	}
	return codes, rest, nil
}

// palette is the eight colours of ECMA-48, as they are drawn on the background of the picture.
var palette = [8]string{"#5c6370", "#ef5b63", "#53b97c", "#d7b25e", "#5ea1e0", "#b57edc", "#4fb9c4", "#d4d7dd"}

// change applies codes of Select Graphic Rendition. One that it cannot draw is an error: the picture would not be what
// was seen.
func (l *look) change(codes string) error {
	for code := range strings.SplitSeq(codes, ";") {
		n, err := strconv.Atoi(code)
		if code != "" && err != nil {
			return fmt.Errorf("colour %q: %w", codes, err)
		}
		switch {
		case n == 0:
			*l = look{}
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
			l.colour = ""
		case n == 49: // the background that is drawn anyway
		default:
			return fmt.Errorf("colour %q: code %d is not drawn; 0, 1, 2, 9, 22, 29, 30 to 37, 39 and 49 are", codes, n)
		}
	}
	return nil
}
