package usertext

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckLine checks a line that others will see, such as a name or a reason. It must be 1 to
// most bytes of UTF-8, begin and end with something visible, and hide nothing. The error is
// a phrase that follows the name of the thing: "the reason" + " " + err.
func CheckLine(line string, most int) error {
	switch {
	case line == "" || len(line) > most:
		return fmt.Errorf("must be one line of 1 to %d bytes; it has %d", most, len(line))
	case !utf8.ValidString(line):
		return errors.New("must be text in UTF-8; it is not")
	}
	if r, hides := Hidden(line); hides {
		return fmt.Errorf("must be one line of plain text; it has the character %U, "+
			"which cannot be seen or is not seen alike everywhere", r)
	}
	first, _ := utf8.DecodeRuneInString(line)
	last, _ := utf8.DecodeLastRuneInString(line)
	switch {
	case strings.TrimFunc(line, isBlank) == "":
		return errors.New("must say something; it is blank")
	case isBlank(first), isBlank(last):
		return errors.New("must neither begin nor end with a blank")
	case unicode.IsMark(first):
		return fmt.Errorf("must begin with a letter; it begins with the mark %U, "+
			"which would be drawn on what stands before it", first)
	}
	return nil
}

// Hidden returns the first character of a text that others should not see: a control
// character, a character that is invisible, changes the text direction, ends a line, or
// looks different on each screen. Joiners and variation selectors are allowed where a
// script or an emoji uses them.
func Hidden(text string) (r rune, found bool) {
	letters := []rune(text)
	for i, r := range letters {
		if isHidden(letters, i) {
			return r, true
		}
	}
	return 0, false
}

const (
	zeroWidthNonJoiner = '\u200c'
	zeroWidthJoiner    = '\u200d'
	brailleBlank       = '\u2800'
	nullNotehead       = '\U0001d159' // a symbol that shows nothing
	textStyle          = '\ufe0e'     // applies to the emoji before it
	emojiStyle         = '\ufe0f'
)

// isHidden applies the rule of Hidden to one letter, depending on its neighbours. A letter
// that could not be decoded is U+FFFD.
func isHidden(letters []rune, i int) bool {
	switch r := letters[i]; {
	case r == zeroWidthJoiner, r == zeroWidthNonJoiner:
		return !joinsNeighbours(letters, i)
	case unicode.Is(unicode.Variation_Selector, r):
		return !selectsVariant(letters, i)
	case r == unicode.ReplacementChar, r == nullNotehead:
		return true
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp):
		return true
	}
	return unicode.In(letters[i], unicode.Other_Default_Ignorable_Code_Point, unicode.Noncharacter_Code_Point)
}

// isBlank reports whether a character shows nothing.
func isBlank(r rune) bool { return unicode.IsSpace(r) || r == brailleBlank }

// joining are the scripts whose letters change shape next to a joiner.
var joining = []*unicode.RangeTable{
	unicode.Arabic, unicode.Bengali, unicode.Devanagari, unicode.Gujarati, unicode.Gurmukhi, unicode.Kannada,
	unicode.Khmer, unicode.Malayalam, unicode.Mongolian, unicode.Myanmar, unicode.Nko, unicode.Oriya, unicode.Sinhala,
	unicode.Syriac, unicode.Tamil, unicode.Telugu, unicode.Tibetan,
}

// joinsNeighbours reports whether a joiner has something to join: letters of a script that uses
// joiners, or two emoji. After a mark that removes a vowel (a virama) it may end a word.
func joinsNeighbours(letters []rune, i int) bool {
	if i == 0 || isHidden(letters, i-1) {
		return false
	}
	before, after := letters[i-1], letterAt(letters, i+1)
	if unicode.In(before, joining...) {
		return unicode.IsMark(before) || unicode.In(after, joining...) && unicode.IsLetter(after)
	}
	return letters[i] == zeroWidthJoiner && (isEmojiPart(before) || before == emojiStyle) && isEmojiPart(after)
}

// selectsVariant reports whether a variation selector follows a character that has variants.
func selectsVariant(letters []rune, i int) bool {
	before := letterAt(letters, i-1)
	switch r := letters[i]; {
	case r == textStyle, r == emojiStyle:
		return isEmojiPart(before) || strings.ContainsRune("#*0123456789‼⁉〰〽", before)
	case unicode.Is(unicode.Mongolian, r): // a selector of the Mongolian script
		return unicode.Is(unicode.Mongolian, before)
	}
	return unicode.Is(unicode.Han, before)
}

// isEmojiPart reports whether a character is, or may be, part of an emoji: symbols, arrows,
// and skin tone modifiers.
func isEmojiPart(r rune) bool {
	unseen := r <= unicode.MaxASCII || r == nullNotehead || r == unicode.ReplacementChar
	return !unseen && unicode.In(r, unicode.So, unicode.Sm, unicode.Sk)
}

func letterAt(letters []rune, i int) rune {
	if i < 0 || i >= len(letters) {
		return 0
	}
	return letters[i]
}
