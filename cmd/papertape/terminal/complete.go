package terminal

import (
	"strings"

	"github.com/papertape/papertape/market"
)

// completion is what the tab key does to a line.
type completion struct {
	line    string   // the text up to the cursor, completed as far as it is unambiguous
	choices []choice // the possible continuations, if there are several and the line did not grow
}

// choice is one of several words that the typed word may become.
type choice struct {
	word  string
	about string // a description for people
}

// completer knows the words that a line can have.
type completer struct {
	words   *catalogue
	listing func() *listing
	held    func() []instrument // what the account holds
}

// complete completes the last word of a line.
func (c *completer) complete(text string) completion {
	if before, after, several := cutLast(text, lineBreak); several {
		of := c.complete(after)
		of.line = before + of.line
		return of
	}
	words := strings.Fields(text)
	last := ""
	if len(words) > 0 && !strings.HasSuffix(text, " ") {
		last = words[len(words)-1]
		words = words[:len(words)-1]
	}
	return pick(strings.TrimSuffix(text, last), last, c.candidates(words, last))
}

// cutLast cuts s around the last instance of a separator.
func cutLast(text, separator string) (before, after string, found bool) {
	at := strings.LastIndex(text, separator)
	if at < 0 {
		return "", text, false
	}
	at += len(separator)
	return text[:at], text[at:], true
}

// candidates returns the words that last may become after the words before it.
func (c *completer) candidates(words []string, last string) []choice {
	if len(words) == 0 {
		return c.commands(last)
	}
	v, err := c.words.verbOf(words[0])
	if err != nil {
		return nil
	}
	rest, place := words[1:], ""
	if len(rest) > 0 && isMarket(rest[len(rest)-1]) {
		rest, place = rest[:len(rest)-1], strings.ToUpper(rest[len(rest)-1])
	}
	switch {
	case v == verbQuote, (v == verbBuy || v == verbChart) && len(rest) == 0:
		return c.instruments(place, last, nil)
	case v == verbSell && len(rest) == 0:
		return c.instruments(place, last, c.held())
	case v == verbPresence && len(words) == 1:
		return prefixed(last, choice{"on", ""}, choice{"off", ""})
	}
	return nil
}

// commands returns the command names, in the terminal's language or in English, that begin with
// last.
func (c *completer) commands(last string) (found []choice) {
	for _, of := range []*catalogue{c.words, &english} {
		for i := range of.verbs {
			v := &of.verbs[i]
			found = append(found, prefixed(last, choice{v.names[0], v.help})...)
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// instruments returns the instruments whose spelling, code or name begins with last. If the word
// before it, place, is a market, it returns those of that market by code. If only is not nil, no
// others are returned.
func (c *completer) instruments(place, last string, only []instrument) (found []choice) {
	typed := strings.ToUpper(narrowForms(last))
	for _, in := range c.listing().all() {
		switch {
		case only != nil && !holds(only, in):
		case place != "":
			if in.Market == place && strings.HasPrefix(in.Code, typed) {
				found = append(found, choice{in.Code, in.Name})
			}
		case strings.HasPrefix(in.String(), typed), strings.HasPrefix(in.Code+"."+in.Market, typed),
			strings.HasPrefix(strings.ToUpper(in.Name), typed):
			found = append(found, choice{in.String(), in.Name})
		}
	}
	return found
}

func holds(held []instrument, in *market.Instrument) bool {
	for _, of := range held {
		if of.market == in.Market && of.code == in.Code {
			return true
		}
	}
	return false
}

func prefixed(last string, choices ...choice) (found []choice) {
	for _, c := range choices {
		if strings.HasPrefix(c.word, strings.ToLower(last)) {
			found = append(found, c)
		}
	}
	return found
}

// pick completes a word from its candidates. A single candidate is inserted with a space after it.
// Of several, the common beginning is inserted if it is longer than the word; otherwise they become
// the choices.
func pick(before, last string, candidates []choice) completion {
	switch len(candidates) {
	case 0:
		return completion{line: before + last}
	case 1:
		return completion{line: before + candidates[0].word + " "}
	}
	shared := []rune(candidates[0].word)
	for _, c := range candidates[1:] {
		shared = shared[:commonPrefix(shared, []rune(c.word))]
	}
	more := len(shared) > len([]rune(last))
	if more && (strings.HasPrefix(string(shared), last) || strings.Contains(string(shared), strings.ToUpper(last))) {
		return completion{line: before + string(shared)}
	}
	return completion{line: before + last, choices: candidates}
}

// commonPrefix returns how many letters two words have in common at their beginning.
func commonPrefix(a, b []rune) (n int) {
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// list renders the choices in columns, to be written above the line.
func (c *completion) list(width int) string {
	const gap = 2
	cells, widest := make([]string, len(c.choices)), 0
	for i, ch := range c.choices {
		cells[i] = strings.TrimSpace(ch.word + " " + ch.about)
		widest = max(widest, columns(cells[i]))
	}
	across := max((width-1)/(widest+gap), 1)
	rows := (len(cells) + across - 1) / across
	var b strings.Builder
	for row := range rows {
		line := ""
		for i := row; i < len(cells); i += rows {
			line += left(cells[i], widest+gap)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}
