package main

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/text"
)

// vt emulates the screen of a terminal, as a person would see it. It understands the sequences that
// papertape's terminal uses, and fails the test on others. Lines wrap at the right edge.
type vt struct {
	t *testing.T

	mu      sync.Mutex
	changed chan struct{} // closed, and replaced, at every change
	width   int
	height  int
	above   []string // lines that have scrolled off
	rows    [][]cell
	x, y    int
	full    bool   // the last column was written, so the next letter wraps
	style   string // the current codes between ESC [ and m
	rest    []byte // an incomplete letter or sequence
	marks   bool   // bracketed paste mode
	bells   int

	noCursor bool     // the cursor is hidden
	own      [][]cell // the screen of before, while the program has one of its own; nil: it has none
}

// cell is a column of a row. The second cell of a wide letter has no text.
type cell struct {
	text  string
	style string
}

func newVT(t *testing.T, width, height int) *vt {
	s := &vt{t: t, changed: make(chan struct{}), width: width, height: height}
	for range height {
		s.rows = append(s.rows, blank(width))
	}
	return s
}

func blank(width int) []cell {
	row := make([]cell, width)
	for i := range row {
		row[i].text = " "
	}
	return row
}

// Write processes the program's output.
func (s *vt) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rest = append(s.rest, p...)
	for len(s.rest) > 0 {
		n := s.take(s.rest)
		if n == 0 {
			break
		}
		s.rest = s.rest[n:]
	}
	close(s.changed)
	s.changed = make(chan struct{})
	return len(p), nil
}

// take processes the first letter or sequence and returns its length, or 0 if it is incomplete.
func (s *vt) take(p []byte) int {
	if p[0] == 0x1b {
		return s.sequence(p)
	}
	if !utf8.FullRune(p) {
		return 0
	}
	r, n := utf8.DecodeRune(p)
	switch r {
	case '\r':
		s.x, s.full = 0, false
	case '\n':
		s.down()
	case '\b':
		s.x, s.full = max(s.x-1, 0), false
	case '\a':
		s.bells++
	default:
		if r < ' ' {
			s.t.Errorf("the program wrote %q", r)
		}
		s.put(r)
	}
	return n
}

func (s *vt) put(r rune) {
	width := text.RuneWidth(r)
	if width == 0 {
		return
	}
	if s.full || s.x+width > s.width {
		s.x, s.full = 0, false
		s.down()
	}
	s.rows[s.y][s.x] = cell{string(r), s.style}
	if width == 2 {
		s.rows[s.y][s.x+1] = cell{"", s.style}
	}
	s.x += width
	if s.x >= s.width {
		s.x, s.full = s.width-1, true
	}
}

func (s *vt) down() {
	if s.y < s.height-1 {
		s.y++
		return
	}
	s.above = append(s.above, rowText(s.rows[0]))
	s.rows = append(s.rows[1:], blank(s.width))
}

// sequence processes the escape sequence after ESC.
func (s *vt) sequence(p []byte) int {
	if len(p) < 3 {
		return 0
	}
	end := 2
	if p[2] == '?' {
		end++
	}
	for end < len(p) && (p[end] >= '0' && p[end] <= '9' || p[end] == ';') {
		end++
	}
	if end == len(p) {
		return 0
	}
	if p[1] != '[' {
		s.t.Errorf("the program wrote %q", p[:2])
		return 2
	}
	codes := string(p[2:end])
	n, _ := strconv.Atoi(codes) // no codes: 0
	count := max(n, 1)
	s.full = s.full && p[end] == 'm'
	switch p[end] {
	case 'A':
		s.y = max(s.y-count, 0)
	case 'B':
		s.y = min(s.y+count, s.height-1)
	case 'C':
		s.x = min(s.x+count, s.width-1)
	case 'D':
		s.x = max(s.x-count, 0)
	case 'G':
		s.x = min(count, s.width) - 1
	case 'H':
		s.x, s.y = 0, 0
	case 'J', 'K':
		s.erase(p[end] == 'J', n)
	case 'm':
		if s.style = codes; codes == "0" {
			s.style = ""
		}
	case 'h', 'l':
		s.mode(codes, p[end] == 'h')
	default: // for example a query, which this terminal does not answer
		s.t.Errorf("the program wrote %q", p[:end+1])
	}
	return end + 1
}

// mode turns a mode on or off.
func (s *vt) mode(code string, on bool) {
	switch code {
	case "?2004":
		s.marks = on
	case "?25":
		s.noCursor = !on
	case "?1049": // another screen, which is gone when it is turned off
		if on == (s.own != nil) {
			s.t.Errorf("the program turns its own screen on or off twice")
			return
		}
		if on {
			s.own, s.rows = s.rows, nil
			for range s.height {
				s.rows = append(s.rows, blank(s.width))
			}
		} else {
			s.rows, s.own = s.own, nil
		}
	default:
		s.t.Errorf("the program changes the mode %s", code)
	}
}

func (s *vt) erase(below bool, n int) {
	if n != 0 {
		s.t.Errorf("the program erases by %d", n)
	}
	copy(s.rows[s.y][s.x:], blank(s.width-s.x))
	for y := s.y + 1; below && y < s.height; y++ {
		s.rows[y] = blank(s.width)
	}
}

func rowText(row []cell) string {
	var b strings.Builder
	for _, c := range row {
		b.WriteString(c.text)
	}
	return strings.TrimRight(b.String(), " ")
}

// screenState is what the screen shows now, and what has scrolled off.
type screenState struct {
	lines      []string // from the first to the last one that is not empty
	cursorLine string   // the cursor's line, up to the cursor
	cursorAt   int      // the cursor's column
	rows       [][]cell
	bells      int
	marks      bool // bracketed paste mode
	own        bool // the program has a screen of its own
	noCursor   bool
}

func (s *vt) look() screenState {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := screenState{lines: append([]string(nil), s.above...), cursorLine: rowText(s.rows[s.y][:s.x]),
		cursorAt: s.x, bells: s.bells, marks: s.marks, own: s.own != nil, noCursor: s.noCursor}
	for _, row := range s.rows {
		now.lines = append(now.lines, rowText(row))
		now.rows = append(now.rows, append([]cell(nil), row...))
	}
	for len(now.lines) > 1 && now.lines[len(now.lines)-1] == "" {
		now.lines = now.lines[:len(now.lines)-1]
	}
	return now
}

func (s screenState) String() string { return strings.Join(s.lines, "\n") }

func (s screenState) last() string { return s.lines[len(s.lines)-1] }

// count returns the number of lines that contain a text.
func (s screenState) count(text string) (n int) {
	for _, l := range s.lines {
		if strings.Contains(l, text) {
			n++
		}
	}
	return n
}

// styleOf returns the style of a text on the screen, if all of it has the same.
func (s screenState) styleOf(text string) (string, bool) {
	for _, row := range s.rows {
		at := strings.Index(rowText(row), text)
		if at < 0 {
			continue
		}
		var style string
		for i, c := range row {
			letters := len(rowText(row[:i]))
			if c.text != "" && letters >= at && letters < at+len(text) && c.text != " " {
				style = c.style
			}
		}
		return style, true
	}
	return "", false
}

// until waits until the screen is as wanted.
func (s *vt) until(what string, wanted func(screenState) bool) screenState {
	s.t.Helper()
	limit := time.After(patience)
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		now := s.look()
		if wanted(now) {
			return now
		}
		select {
		case <-changed:
		case <-limit:
			s.t.Fatalf("%s: not on the screen:\n%s\nthe cursor is in column %d after %q", what, now, now.cursorAt,
				now.cursorLine)
		}
	}
}

// TestVT checks the emulated screen against the behaviour of a real terminal.
func TestVT(t *testing.T) {
	for _, c := range []struct{ wrote, shows string }{
		{"one\r\ntwo", "one\ntwo"},
		{"abc\bX", "abX"},
		{"贵州茅台\b\bX", "贵州茅X"},
		{"0123456789ab", "0123456789\nab"},
		{"0123456789\rX", "X123456789"},
		{"012345678贵", "012345678\n贵"},
		{"abcdef\x1b[3G\x1b[0K", "ab"},
		{"one\r\ntwo\r\nthree\x1b[2A\r\x1b[J", ""},
		{"one\r\ntwo\r\nthree\x1b[1A\x1b[2DX", "one\ntwoX\nthree"},
		{"1\r\n2\r\n3\r\n4\r\n5\r\n6", "1\n2\n3\n4\n5\n6"},
		{"\x1b[31mred\x1b[0m", "red"},
		{"a\x1b[?2004hb", "ab"},
		{"before\x1b[?1049h\x1b[?25l\x1b[Hown", "own"},
		{"before\x1b[?1049h\x1b[Hown\x1b[?1049l", "before"},
	} {
		s := newVT(t, 10, 4)
		for i := range len(c.wrote) { // byte by byte
			_, _ = s.Write([]byte{c.wrote[i]})
		}
		if got := s.look().String(); got != c.shows {
			t.Errorf("%q shows %q, want %q", c.wrote, got, c.shows)
		}
	}
	s := newVT(t, 10, 4)
	_, _ = s.Write([]byte("a贵\x1b[31mred\x1b[0m\a"))
	if style, ok := s.look().styleOf("red"); style != "31" || !ok {
		t.Errorf("red is in style %q, %v", style, ok)
	}
	if now := s.look(); now.cursorAt != 6 || now.cursorLine != "a贵red" || now.bells != 1 {
		t.Errorf("%+v", now)
	}
}
