package usertext

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Shown is a text as it can be put on a screen, wherever it came from: what would move the cursor, change colours, or
// turn letters round is a question mark, and whatever ends a line is a blank. What CheckLine lets through stays as it
// is.
func Shown(text string) string {
	if isPlain(text) {
		return text
	}
	letters := []rune(text)
	var b strings.Builder
	for i, r := range letters {
		switch {
		case unicode.IsSpace(r):
			b.WriteByte(' ')
		case hides(letters, i):
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// ShownLines is Shown of each line of a text, whose ends of lines stay.
func ShownLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = Shown(line)
	}
	return strings.Join(lines, "\n")
}

// ShownJSON is a JSON text that means the same and can be put on a screen: what Shown would not let through is
// written as \uXXXX.
func ShownJSON(text []byte) []byte {
	letters := []rune(string(text))
	shown := make([]byte, 0, len(text))
	for i, r := range letters {
		switch {
		case r == '\n', !hides(letters, i): // between the values there is no other control character
			shown = utf8.AppendRune(shown, r)
		default:
			for _, unit := range utf16.AppendRune(nil, r) {
				shown = fmt.Appendf(shown, `\u%04x`, unit)
			}
		}
	}
	return shown
}

// isPlain says that a text is printable ASCII, as most are.
func isPlain(text string) bool {
	for _, c := range []byte(text) {
		if c < ' ' || c >= utf8.RuneSelf || c == 0x7f {
			return false
		}
	}
	return true
}
