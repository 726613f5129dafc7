package usertext

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Shown returns a text that is safe to show on a screen, wherever it came from. Characters
// that would move the cursor, change colours or reverse letters become question marks, and
// line endings become blanks. Text that CheckLine accepts is not changed.
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
		case isHidden(letters, i):
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// ShownLines applies Shown to each line of a text and keeps the line endings.
func ShownLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = Shown(line)
	}
	return strings.Join(lines, "\n")
}

// ShownJSON returns equivalent JSON that is safe to show on a screen: characters that Shown
// would replace are written as \uXXXX.
func ShownJSON(text []byte) []byte {
	letters := []rune(string(text))
	shown := make([]byte, 0, len(text))
	for i, r := range letters {
		switch {
		case r == '\n', !isHidden(letters, i): // JSON has no other control character between its values
			shown = utf8.AppendRune(shown, r)
		default:
			for _, unit := range utf16.AppendRune(nil, r) {
				shown = fmt.Appendf(shown, `\u%04x`, unit)
			}
		}
	}
	return shown
}

// isPlain reports whether a text is printable ASCII, as most texts are.
func isPlain(text string) bool {
	for _, c := range []byte(text) {
		if c < ' ' || c >= utf8.RuneSelf || c == 0x7f {
			return false
		}
	}
	return true
}
