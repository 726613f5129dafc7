package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/text"
)

// captured is a screen with a frame, wide letters, gaps, colours and a struck line.
const captured = "Uid 1\n" +
	"┌────────┬──────────┬───────┐\n" +
	"│ code   │ name     │ price │\n" +
	"├────────┼──────────┼───────┤\n" +
	"│ 600009 │ 上海机场 │ \x1b[31m+7.00\x1b[0m │\n" +
	"│ 600028 │ ＡＢ é   │  \x1b[1;32m5.8\x1b[22m5\x1b[39m │\n" +
	"└────────┴──────────┴───────┘\n" +
	"  \x1b[2m20:15\x1b[0m   \x1b[9m买入 SH.1    300\x1b[29m  x<y&\"z\"  合计\n" +
	"\n" +
	">>> buy"

// letter is a letter of a picture, with its x in pixels and the attributes of its word.
type letter struct {
	text string
	x    float64
	attr map[string]string
}

// picture is a picture as a renderer sees it: letters by their y, the style of the group
// around them, and the data of the paths.
type picture struct {
	lines map[int][]letter
	style string
	paths []string
}

// parse parses a picture. It reports text that depends on how a renderer treats blanks or
// widths.
func parse(t *testing.T, svg []byte) (p picture) {
	t.Helper()
	p.lines = make(map[int][]letter)
	attr := make(map[string]string)
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return p
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			attr = make(map[string]string)
			for _, a := range token.Attr {
				attr[a.Name.Local] = a.Value
			}
			switch token.Name.Local {
			case "g":
				p.style = attr["style"]
			case "path":
				p.paths = append(p.paths, attr["d"])
			}
		case xml.CharData:
			if attr["y"] != "" && attr["text-anchor"] == "" && attr["width"] == "" &&
				strings.TrimSpace(string(token)) != "" {
				p.word(t, string(token), attr)
			}
		}
	}
}

// word adds the letters of a word, each of which must have an x of its own.
func (p *picture) word(t *testing.T, word string, attr map[string]string) {
	t.Helper()
	y, err := strconv.Atoi(attr["y"])
	if err != nil {
		t.Fatal(err)
	}
	if strings.IndexFunc(word, unicode.IsSpace) >= 0 {
		t.Errorf("the word %q has blanks in it", word)
	}
	xs := strings.Fields(attr["x"])
	if len(xs) != len([]rune(word)) {
		t.Errorf("the word %q has %d places for %d letters", word, len(xs), len([]rune(word)))
		return
	}
	for i, r := range []rune(word) {
		x, err := strconv.ParseFloat(xs[i], 64)
		if err != nil {
			t.Fatal(err)
		}
		p.lines[y] = append(p.lines[y], letter{string(r), x, attr})
	}
}

func drawn(t *testing.T, captured, title string) (picture, []byte) {
	t.Helper()
	var b bytes.Buffer
	if err := run(strings.NewReader(captured), &b, title); err != nil {
		t.Fatal(err)
	}
	return parse(t, b.Bytes()), b.Bytes()
}

// bare returns text without its colours.
func bare(captured string) string {
	for {
		before, after, ok := strings.Cut(captured, "\x1b[")
		if !ok {
			return captured
		}
		_, after, _ = strings.Cut(after, "m")
		captured = before + after
	}
}

// TestEveryLetterIsInItsColumn: the position of a letter depends only on its x, not on how
// the renderer treats blanks and font widths.
func TestEveryLetterIsInItsColumn(t *testing.T) {
	p, svg := drawn(t, captured, "a  title")
	for n, line := range strings.Split(bare(captured), "\n") {
		var want []letter
		column := 0
		for _, r := range line {
			x := 14 + 8.4*float64(column)
			if text.RuneWidth(r) == 2 {
				x += (2*8.4 - 15) / 2 // centred in two columns
			}
			if r != ' ' && !strings.ContainsRune("─│┌┐└┘├┤┬┴┼", r) {
				want = append(want, letter{text: string(r), x: x})
			}
			column += text.RuneWidth(r)
		}
		got := p.lines[30+14+18*n+14]
		if len(got) != len(want) {
			t.Errorf("line %q has %d letters, want %d", line, len(got), len(want))
			continue
		}
		for i := range want {
			if got[i].text != want[i].text || math.Abs(got[i].x-want[i].x) > 0.01 {
				t.Errorf("line %q: %q at %.2f, want %q at %.2f", line, got[i].text, got[i].x, want[i].text, want[i].x)
			}
		}
	}
	standsByItself(t, svg, &p)
}

// standsByItself checks that nothing is stretched, and that blanks in a title are kept by a
// style that renderers support.
func standsByItself(t *testing.T, svg []byte, p *picture) {
	t.Helper()
	for _, stretched := range []string{"textLength", "lengthAdjust", "xml:space"} {
		if bytes.Contains(svg, []byte(stretched)) {
			t.Errorf("there is %s", stretched)
		}
	}
	if !strings.Contains(p.style, "white-space:pre") {
		t.Errorf("the style of the text is %q", p.style)
	}
}

// TestWideLettersAreWordsByThemselves: some renderers use only the first x of a text.
func TestWideLettersAreWordsByThemselves(t *testing.T) {
	_, svg := drawn(t, captured, "")
	for _, want := range []string{">上<", ">海<", ">Ａ<", ">é<", ">600009<", ">SH.1<", ">x&lt;y&amp;&#34;z&#34;<"} {
		if !bytes.Contains(svg, []byte(want)) {
			t.Errorf("there is no %s in\n%s", want, svg)
		}
	}
}

func TestColours(t *testing.T) {
	p, _ := drawn(t, captured+" \x1b[33mQ\nR\x1b[mS", "")
	looks := make(map[string]string)
	for _, line := range p.lines {
		for _, l := range line {
			looks[l.text] = strings.TrimSpace(l.attr["fill"] + " " + l.attr["font-weight"] + " " + l.attr["opacity"])
		}
	}
	for letter, want := range map[string]string{
		"U": "", "+": "#ef5b63", "8": "#53b97c bold", "x": "", "Q": "#d7b25e", "R": "#d7b25e", "S": "", ">": "",
	} {
		if looks[letter] != want {
			t.Errorf("%s is drawn %q, want %q", letter, looks[letter], want)
		}
	}
	if first := p.lines[30+14+18*7+14][0]; first.text != "2" || first.attr["opacity"] != "0.6" {
		t.Errorf("%+v is not faint", first)
	}
}

// TestLinesMeet: a frame has no gaps between lines or letters, and a struck text none at
// its blanks.
func TestLinesMeet(t *testing.T) {
	p, _ := drawn(t, "┌─┐\n│ │\n├─┤\n└─┘\n\x1b[9ma  买\x1b[0m b", "")
	if len(p.paths) != 2 { // the path of the bar, and one for all lines
		t.Fatalf("paths: %q", p.paths)
	}
	dots := make(map[[2]int]bool)
	for _, part := range strings.SplitAfter(strings.TrimSpace(p.paths[1]), "z") {
		if part == "" {
			continue
		}
		var x0, x1, back float64
		var y0, y1, again int
		if _, err := fmt.Sscanf(part, "M%f %dH%fv1H%fz", &x0, &y0, &x1, &back); err == nil {
			y1 = y0 + 1
		} else if _, err := fmt.Sscanf(part, "M%f %dV%dh1V%dz", &x0, &y0, &y1, &again); err == nil {
			x1 = x0 + 1
		} else {
			t.Fatalf("%q is no line", part)
		}
		for x := int(math.Round(x0)); x < int(math.Round(x1)); x++ {
			for y := y0; y < y1; y++ {
				dots[[2]int{x, y}] = true
			}
		}
	}
	const leftSide, rightSide = 18, 35        // the centres of columns 0 and 2
	const top, bottom = 44 + 9, 44 + 3*18 + 9 // the centres of lines 0 and 3
	for y := top; y <= bottom; y++ {
		if !dots[[2]int{leftSide, y}] || !dots[[2]int{rightSide, y}] {
			t.Errorf("a side has a gap at %d", y)
		}
	}
	for x := leftSide; x <= rightSide; x++ {
		if !dots[[2]int{x, top}] || !dots[[2]int{x, top + 2*18}] || !dots[[2]int{x, bottom}] {
			t.Errorf("a row of the frame has a gap at %d", x)
		}
	}
	for _, outside := range [][2]int{
		{leftSide - 1, top}, {leftSide, top - 1}, {rightSide + 1, bottom}, {rightSide, bottom + 1}, {leftSide + 5,
			top + 18},
	} {
		if dots[outside] {
			t.Errorf("a line goes through %v", outside)
		}
	}
	for x := 14; x < 14+42; x++ { // five columns
		if !dots[[2]int{x, 44 + 4*18 + 9}] {
			t.Errorf("the line through the struck text has a gap at %d", x)
		}
	}
	if dots[[2]int{14 + 43, 44 + 4*18 + 9}] {
		t.Error("what is not struck is struck")
	}
}

// TestNotDrawn: what the picture cannot show as on the screen is refused, with the line
// number.
func TestNotDrawn(t *testing.T) {
	for captured, says := range map[string]string{
		"a\n\x1b[7mb":                "line 2: colour \"7\": code 7 is not drawn",
		"\x1b[38;5;1mb":              "code 38 is not drawn",
		"\x1b[2Jb":                   "begins no colour",
		"\x1b[31":                    "begins no colour",
		"\x1b[99999999999999999999m": "value out of range",
	} {
		var b bytes.Buffer
		err := run(strings.NewReader(captured), &b, "")
		if err == nil || !strings.Contains(err.Error(), says) || b.Len() > 0 {
			t.Errorf("%q: %v, want %q", captured, err, says)
		}
	}
}

// TestCommittedPictures: the pictures of README and docs were drawn by this program.
func TestCommittedPictures(t *testing.T) {
	files, err := filepath.Glob("../../docs/images/*.svg")
	if err != nil || len(files) < 4 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			svg, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p := parse(t, svg)
			standsByItself(t, svg, &p)
			letters := 0
			for y, line := range p.lines {
				for _, l := range line {
					letters++
					column := (l.x - 14) / 8.4
					if text.RuneWidth([]rune(l.text)[0]) == 2 {
						column = (l.x - 14 - (2*8.4-15)/2) / 8.4
					}
					if math.Abs(column-math.Round(column)) > 0.01 || (y-30-14-14)%18 != 0 {
						t.Errorf("%q is at %.2f %d, which is no column of a line", l.text, l.x, y)
					}
				}
			}
			if letters < 300 {
				t.Errorf("%d letters", letters)
			}
		})
	}
}
