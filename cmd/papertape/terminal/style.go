package terminal

import (
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/usertext"
)

// Scheme chooses the colours of rising and falling prices.
type Scheme string

// The two schemes.
const (
	SchemeCN      Scheme = "cn"      // red is up, as on the screens of Shanghai
	SchemeWestern Scheme = "western" // green is up
)

// style writes text with or without colours and attributes. Nothing is said by colour alone: signs
// and words say it too.
type style struct {
	attributes bool // bold, faint, struck through; set on a terminal
	colours    bool // set on a terminal where colours are wanted
	scheme     Scheme
	width      func() int // of the screen, in columns; 0 if it is unknown or the output is no screen
}

// Select Graphic Rendition (ECMA-48) codes. Readline measures what is written above its line, and
// knows only these.
const (
	sgrBold   = "1"
	sgrFaint  = "2"
	sgrStruck = "9"
	sgrRed    = "31"
	sgrGreen  = "32"
)

func sgr(code, s string) string { return "\x1b[" + code + "m" + s + "\x1b[0m" }

func (s *style) attribute(code, content string) string {
	if !s.attributes || content == "" {
		return content
	}
	return sgr(code, content)
}

func (s *style) bold(content string) string   { return s.attribute(sgrBold, content) }
func (s *style) faint(content string) string  { return s.attribute(sgrFaint, content) }
func (s *style) struck(content string) string { return s.attribute(sgrStruck, content) }

// byDirection colours a text red or green by direction, and leaves it alone where the direction is 0.
func (s *style) byDirection(direction int64, content string) string {
	if !s.colours || direction == 0 {
		return content
	}
	if (direction > 0) == (s.scheme == SchemeWestern) {
		return sgr(sgrGreen, content)
	}
	return sgr(sgrRed, content)
}

// signedMoney formats an amount with its sign and the colour of that sign.
func (s *style) signedMoney(v client.Money) string {
	return s.byDirection(int64(v), plus(v)+v.String())
}

func plus(v client.Money) string {
	if v > 0 {
		return "+"
	}
	return ""
}

// columns returns how many columns s takes on a screen. A wide character takes two.
func columns(s string) int { return text.StringWidthWithoutEscSequences(s) }

// left pads s on its right to a width, right pads it on its left. A longer text is not cut.
func left(s string, width int) string  { return s + strings.Repeat(" ", max(width-columns(s), 0)) }
func right(s string, width int) string { return strings.Repeat(" ", max(width-columns(s), 0)) + s }

// tidy makes text from the server safe for a screen: a name or a reason cannot move the cursor.
func tidy(s string) string { return usertext.Shown(s) }
