package main

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/text"
)

// look says how letters are drawn.
type look struct {
	colour              string // "": the colour of plain text
	bold, faint, struck bool
}

// cell is a letter at its position, with its combining marks.
type cell struct {
	look
	letter string
	column int
	width  int // in columns
}

// blank reports whether a cell shows nothing, except perhaps a line through it.
func (c *cell) blank() bool { return c.letter == " " }

// screen holds the lines of a screen.
type screen [][]cell

// read parses a screen from captured text. Colours continue from one line to the next, as
// in a terminal.
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

// escape starts a control sequence (ECMA-48).
const escape = "\x1b["

// sequence parses ESC [ codes m at the start of a line. Other sequences move the cursor or
// erase; a captured screen has none.
func sequence(line string) (codes, rest string, err error) {
	codes, rest, ok := strings.Cut(line[len(escape):], "m")
	if !ok || strings.Trim(codes, "0123456789;") != "" {
		return "", "", fmt.Errorf("%.12q begins no colour: the screen is to be captured by tmux capture-pane -e -p",
			line)
	}
	return codes, rest, nil
}

// palette holds the eight colours of ECMA-48, as drawn on the picture's background.
var palette = [8]string{"#5c6370", "#ef5b63", "#53b97c", "#d7b25e", "#5ea1e0", "#b57edc", "#4fb9c4", "#d4d7dd"}

// change applies codes of Select Graphic Rendition. A code that cannot be drawn is an
// error, because the picture would differ from the screen.
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
		case n == 49: // the background is drawn anyway
		default:
			return fmt.Errorf("colour %q: code %d is not drawn; 0, 1, 2, 9, 22, 29, 30 to 37, 39 and 49 are", codes, n)
		}
	}
	return nil
}
