package main

import (
	"bytes"
	"fmt"
	"math"
	"strings"
)

// arm is a line from the centre of a cell to one of its sides.
type arm uint8

const (
	toLeft arm = 1 << iota
	toRight
	up
	down
)

// arms are the arms of the characters that frames consist of.
var arms = map[string]arm{
	"─": toLeft | toRight, "│": up | down, "┼": toLeft | toRight | up | down,
	"┌": toRight | down, "┐": toLeft | down, "└": toRight | up, "┘": toLeft | up,
	"├": up | down | toRight, "┤": up | down | toLeft, "┬": toLeft | toRight | down, "┴": toLeft | toRight | up,
}

// lines are all lines of one look, one pixel wide: a path of thin rectangles, with edges on
// whole pixels where possible.
type lines struct {
	look
	path strings.Builder
}

// drawLines draws the frames, and the lines through struck text.
func (s screen) drawLines(b *bytes.Buffer) {
	var all []*lines
	of := func(l look) *lines {
		l.bold, l.struck = false, false
		for _, known := range all {
			if known.look == l {
				return known
			}
		}
		all = append(all, &lines{look: l})
		return all[len(all)-1]
	}
	for n, cells := range s {
		top := bar + margin + n*lineHeight
		for i := range cells {
			c := &cells[i]
			of(c.look).frame(c, top)
			if c.struck {
				of(c.look).horizontal(left(c.column), left(c.column+c.width), top+middle)
			}
		}
	}
	for _, l := range all {
		if l.path.Len() > 0 {
			fmt.Fprintf(b, `<path d="%s"%s/>`+"\n", &l.path, l.attributes())
		}
	}
}

// frame draws the arms of a cell.
func (l *lines) frame(c *cell, top int) {
	has := arms[c.letter]
	centre := math.Floor(left(c.column) + cellWidth/2)
	switch has & (toLeft | toRight) {
	case toLeft:
		l.horizontal(left(c.column), centre+1, top+middle)
	case toRight:
		l.horizontal(centre, left(c.column+1), top+middle)
	case toLeft | toRight:
		l.horizontal(left(c.column), left(c.column+1), top+middle)
	}
	switch has & (up | down) {
	case up:
		l.vertical(centre, top, top+middle+1)
	case down:
		l.vertical(centre, top+middle, top+lineHeight)
	case up | down:
		l.vertical(centre, top, top+lineHeight)
	}
}

func (l *lines) horizontal(from, to float64, y int) {
	fmt.Fprintf(&l.path, "M%s %dH%sv1H%sz", number(from), y, number(to), number(from))
}

func (l *lines) vertical(x float64, from, to int) {
	fmt.Fprintf(&l.path, "M%s %dV%dh1V%dz", number(x), from, to, from)
}
