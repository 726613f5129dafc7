package terminal

import (
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/usertext"
)

// Scheme says which colour means that something rose.
type Scheme string

// The two schemes.
const (
	SchemeCN      Scheme = "cn"      // red is up, as on the screens of Shanghai
	SchemeWestern Scheme = "western" // green is up
)

// style writes with colours and attributes, or without. What it says is said by signs and words as well.
type style struct {
	attributes bool // bold, faint, struck through: it is a terminal
	colours    bool // and colours are wanted
	scheme     Scheme
	width      func() int // of the screen, in columns; 0: not known, or it is no screen
}

// Select Graphic Rendition (ECMA-48) codes. Readline, which measures what is written above its line, knows these alone.
const (
	sgrBold   = "1"
	sgrFaint  = "2"
	sgrStruck = "9"
	sgrRed    = "31"
	sgrGreen  = "32"
)

func sgr(code, s string) string { return "\x1b[" + code + "m" + s + "\x1b[0m" }

func (s *style) attribute(code, what string) string {
	if !s.attributes || what == "" {
		return what
	}
	return sgr(code, what)
}

func (s *style) bold(what string) string   { return s.attribute(sgrBold, what) }
func (s *style) faint(what string) string  { return s.attribute(sgrFaint, what) }
func (s *style) struck(what string) string { return s.attribute(sgrStruck, what) }

// rose colours what has a sign of its own: red or green by direction, nothing where there is none.
func (s *style) rose(direction int64, what string) string {
	if !s.colours || direction == 0 {
		return what
	}
	if (direction > 0) == (s.scheme == SchemeWestern) {
		return sgr(sgrGreen, what)
	}
	return sgr(sgrRed, what)
}

// signedMoney is an amount with its sign, coloured by it.
func (s *style) signedMoney(v client.Money) string {
	return s.rose(int64(v), plus(v)+v.String())
}

func plus(v client.Money) string {
	if v > 0 {
		return "+"
	}
	return ""
}

// columns is how many columns of a screen s takes: a wide character is two.
func columns(s string) int { return text.StringWidthWithoutEscSequences(s) }

// left fills s up to a width, on its right; right fills it on its left. What is longer stays whole.
func left(s string, width int) string  { return s + strings.Repeat(" ", max(width-columns(s), 0)) }
func right(s string, width int) string { return strings.Repeat(" ", max(width-columns(s), 0)) + s }

// tidy makes what the server says fit for a screen: a name or a reason is a text and moves no cursor.
func tidy(s string) string { return usertext.Shown(s) }
