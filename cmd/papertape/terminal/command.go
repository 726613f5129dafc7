package terminal

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/papertape/papertape/decimal"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/usertext"
)

// verb identifies a command.
type verb int

const (
	verbBuy verb = iota + 1
	verbSell
	verbHolding
	verbHistory
	verbQuote
	verbChart
	verbPresence
	verbHelp
	verbQuit
)

const (
	historyDefault = 20
	historyMost    = 1000
)

// command is a line that was parsed. Its instruments may not exist; that is not known yet.
type command struct {
	verb     verb
	line     string   // as it was typed, without a comment
	number   int      // of the line, from 1
	bundle   int      // the number, from 1, of the line of several commands that it is part of; 0 if it came alone
	words    []string // buy, sell, chart: the instrument; quote: instruments
	quantity int64    // buy, sell: shares
	limit    int64    // buy, sell: in 1/10000; 0 means at the market
	count    int      // history
	on       bool     // presence
}

func (c *command) isOrder() bool { return c.verb == verbBuy || c.verb == verbSell }

// isLocal says that the command needs no server.
func (c *command) isLocal() bool { return c.verb == verbQuit || c.verb == verbHelp }

// parse parses a line up to a #, which begins a comment. It returns nil if there is no command. The
// error is a sentence that says what was wrong and what would be right.
func (c *catalogue) parse(line string) (*command, error) {
	line, _, _ = strings.Cut(narrowForms(line), "#")
	line = strings.TrimSpace(line)
	words := strings.Fields(line)
	if len(words) == 0 {
		return nil, nil
	}
	for _, word := range words {
		if r, hides := usertext.Hidden(word); hides {
			return nil, c.sentenceError(keyHidden, tidy(word), fmt.Sprintf("%U", r))
		}
	}
	v, err := c.verbOf(words[0])
	if err != nil {
		return nil, err
	}
	cmd := &command{verb: v, line: line}
	return cmd, c.parseRest(cmd, words[1:])
}

func (c *catalogue) parseRest(cmd *command, rest []string) (err error) {
	switch cmd.verb {
	case verbBuy, verbSell:
		return c.parseOrder(cmd, rest)
	case verbHistory:
		cmd.count, err = c.parseCount(rest)
		return err
	case verbQuote:
		cmd.words = rest
		return nil
	case verbChart:
		if cmd.words = rest; len(splitInstruments(rest)) != 1 {
			return c.sentenceError(keyChartUsage, c.name(verbChart))
		}
		return nil
	case verbPresence:
		return c.parsePresence(cmd, rest)
	}
	if len(rest) > 0 {
		return c.sentenceError(keyTakesNothing, c.name(cmd.verb), strings.Join(rest, " "))
	}
	return nil
}

// sentenceError returns a sentence of the catalogue as an error.
func (c *catalogue) sentenceError(k key, values ...any) error { return errors.New(c.say(k, values...)) }

// verbOf finds a command by any of its names in any language.
func (c *catalogue) verbOf(word string) (verb, error) {
	typed := strings.ToLower(word)
	for _, of := range []*catalogue{&english, &chinese} {
		for i := range of.verbs {
			if slices.Contains(of.verbs[i].names, typed) {
				return of.verbs[i].verb, nil
			}
		}
	}
	for _, of := range []*catalogue{c, &english, &chinese} {
		for i := range of.verbs {
			if name := of.verbs[i].names[0]; distance(typed, name) <= 1+len([]rune(name))/5 &&
				distance(typed, name) < len([]rune(name)) {
				return 0, c.sentenceError(keyMeant, word, name)
			}
		}
	}
	return 0, c.sentenceError(keyUnknownCommand, word, c.name(verbHelp))
}

// parseOrder parses an instrument of one or two words, a quantity, and optionally @ and a limit.
func (c *catalogue) parseOrder(cmd *command, rest []string) error {
	name := c.name(cmd.verb)
	before, after, limited := strings.Cut(strings.Join(rest, " "), "@")
	words, price := strings.Fields(before), strings.Fields(after)
	if len(words) == 0 {
		return c.sentenceError(keyOrderUsage, name)
	}
	last := words[len(words)-1]
	var err error
	cmd.quantity, err = decimal.ParseWhole[int64](last, 1, positions.MaxOrderShares)
	switch {
	case len(words) == 1, len(words) == 2 && isMarket(words[0]):
		return c.sentenceError(keyNoQuantity, name, strings.Join(words, " "))
	case err != nil:
		return c.sentenceError(keyBadQuantity, last, positions.MaxOrderShares)
	}
	cmd.words = words[:len(words)-1]
	switch {
	case !limited:
		return nil
	case len(price) == 0:
		return c.sentenceError(keyNoPrice)
	case len(price) > 1:
		return c.sentenceError(keyAfterPrice, strings.Join(price[1:], " "))
	}
	if cmd.limit, err = market.ParseMoney(price[0]); err != nil || cmd.limit <= 0 || cmd.limit > market.MaxPrice {
		return c.sentenceError(keyBadPrice, price[0], market.FormatMoney(market.MaxPrice))
	}
	return nil
}

func (c *catalogue) parseCount(rest []string) (int, error) {
	if len(rest) == 0 {
		return historyDefault, nil
	}
	n, err := decimal.ParseWhole(rest[0], 1, historyMost)
	if len(rest) > 1 || err != nil {
		return 0, c.sentenceError(keyBadCount, strings.Join(rest, " "), historyMost)
	}
	return n, nil
}

func (c *catalogue) parsePresence(cmd *command, rest []string) error {
	if len(rest) == 1 {
		switch strings.ToLower(rest[0]) {
		case "on", "开":
			cmd.on = true
			return nil
		case "off", "关":
			return nil
		}
	}
	return c.sentenceError(keyPresenceUsage, c.name(verbPresence))
}

// narrowForms replaces the wide forms that a Chinese keyboard types (Ｂ, １, ＠, ．) by the plain
// characters.
func narrowForms(s string) string {
	const wideFirst, wideLast, offset = '！', '～', '！' - '!'
	return strings.Map(func(r rune) rune {
		switch {
		case r >= wideFirst && r <= wideLast:
			return r - offset
		case r == '　':
			return ' '
		case r == '。':
			return '.'
		}
		return r
	}, s)
}

// distance is the Levenshtein distance of two words.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range x {
		above := row[0] // the cell of the previous row, one to the left
		row[0] = i + 1
		for j := range y {
			change := above
			if x[i] != y[j] {
				change++
			}
			above = row[j+1]
			row[j+1] = min(change, row[j]+1, above+1)
		}
	}
	return row[len(y)]
}
