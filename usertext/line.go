package usertext

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckLine says what is wrong with a line that others will be shown: a name, a reason. It is 1 to most bytes of
// UTF-8, begins and ends with something that can be seen, and hides nothing. The error begins with what must be, so
// that it can follow the name of the thing: "the reason" + " " + err.
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

// Hidden finds the first character of a text that does not belong where others read it: a control character, one that
// is not seen or turns the others round, one that ends a line, one that means something else on each screen. Joiners
// and selectors of variants stay where a script or an emoji has them.
func Hidden(text string) (r rune, found bool) {
	letters := []rune(text)
	for i, r := range letters {
		if hides(letters, i) {
			return r, true
		}
	}
	return 0, false
}

const (
	zeroWidthNonJoiner = '\u200c'
	zeroWidthJoiner    = '\u200d'
	brailleBlank       = '\u2800'
	nullNotehead       = '\U0001d159' // a symbol, of nothing
	textStyle          = '\ufe0e'     // of the emoji before it
	emojiStyle         = '\ufe0f'
)

// hides says it of one letter, by what stands beside it. What could not be decoded is there as U+FFFD.
func hides(letters []rune, i int) bool {
	switch r := letters[i]; {
	case r == zeroWidthJoiner, r == zeroWidthNonJoiner:
		return !joins(letters, i)
	case unicode.Is(unicode.Variation_Selector, r):
		return !selects(letters, i)
	case r == unicode.ReplacementChar, r == nullNotehead:
		return true
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp):
		return true
	}
	return unicode.In(letters[i], unicode.Other_Default_Ignorable_Code_Point, unicode.Noncharacter_Code_Point)
}

// isBlank says that a character is seen as nothing.
func isBlank(r rune) bool { return unicode.IsSpace(r) || r == brailleBlank }

// joining are the scripts whose letters take another shape beside a joiner.
var joining = []*unicode.RangeTable{
	unicode.Arabic, unicode.Bengali, unicode.Devanagari, unicode.Gujarati, unicode.Gurmukhi, unicode.Kannada,
	unicode.Khmer, unicode.Malayalam, unicode.Mongolian, unicode.Myanmar, unicode.Nko, unicode.Oriya, unicode.Sinhala,
	unicode.Syriac, unicode.Tamil, unicode.Telugu, unicode.Tibetan,
}

// joins says that a joiner has something to join: letters of a script that has joiners, or two emoji. Behind the mark
// that takes a vowel away (a virama) it may end a word.
func joins(letters []rune, i int) bool {
	if i == 0 || hides(letters, i-1) {
		return false
	}
	before, after := letters[i-1], beside(letters, i+1)
	if unicode.In(before, joining...) {
		return unicode.IsMark(before) || unicode.In(after, joining...) && unicode.IsLetter(after)
	}
	return letters[i] == zeroWidthJoiner && (pictures(before) || before == emojiStyle) && pictures(after)
}

// selects says that a selector of a variant stands behind what has variants.
func selects(letters []rune, i int) bool {
	before := beside(letters, i-1)
	switch r := letters[i]; {
	case r == textStyle, r == emojiStyle:
		return pictures(before) || strings.ContainsRune("#*0123456789‼⁉〰〽", before)
	case unicode.Is(unicode.Mongolian, r): // of that script's own
		return unicode.Is(unicode.Mongolian, before)
	}
	return unicode.Is(unicode.Han, before)
}

// pictures says that a character is, or may be, part of an emoji: symbols and arrows, and the modifiers of skin.
func pictures(r rune) bool {
	unseen := r <= unicode.MaxASCII || r == nullNotehead || r == unicode.ReplacementChar
	return !unseen && unicode.In(r, unicode.So, unicode.Sm, unicode.Sk)
}

func beside(letters []rune, i int) rune {
	if i < 0 || i >= len(letters) {
		return 0
	}
	return letters[i]
}
