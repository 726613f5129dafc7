package console

import (
	"strings"
)

// inWords lists words for a sentence: none, "a", "a and b", "a, b and c".
func inWords(words []string) string {
	last := len(words) - 1
	switch last {
	case -1:
		return "none"
	case 0:
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// clipBytes is how much of what a client sent an answer repeats.
const clipBytes = 64

func clip(text string) string {
	if len(text) <= clipBytes {
		return text
	}
	return strings.ToValidUTF8(text[:clipBytes], "") + "…"
}
