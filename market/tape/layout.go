package tape

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// Kind is what a file has a row for.
type Kind uint8

// The kinds.
const (
	Trades Kind = iota + 1
	Quotes
	Bars
)

// String returns the kind as users write it.
func (k Kind) String() string {
	names := [...]string{Trades: "trades", Quotes: "quotes", Bars: "bars"}
	if k >= Trades && k <= Bars {
		return names[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// ParseKind parses trades, quotes or bars. The error is a sentence.
func ParseKind(text string) (Kind, error) {
	for _, k := range []Kind{Trades, Quotes, Bars} {
		if text == k.String() {
			return k, nil
		}
	}
	return 0, fmt.Errorf("%q is not a kind of tape; write trades, quotes or bars", clip(text))
}

// layout is where the columns of a file are.
type layout struct {
	kind      Kind
	separator byte
	at        [roles]int // the index of a role's column, or -1
	cells     int        // how many cells a line needs at least
}

// newLayout finds the columns in a header, or numbers them if there is none: the first line is
// a row then. Live lines are all quotes, and may lack a time.
func newLayout(first []byte, c *Columns, live bool) (layout, error) {
	l := layout{separator: separatorOf(first)}
	cells, ok := splitCells(nil, first, l.separator)
	if !ok || !utf8.Valid(first) {
		return l, errors.New("the first line is not a header of CSV in UTF-8")
	}
	header := make([]string, len(cells))
	if !c.headless {
		for i, cell := range cells {
			header[i] = string(cell)
		}
	}
	for r := range roles {
		l.at[r] = -1
		if c.headless && c.names[r] == "" {
			continue
		}
		at, err := c.find(r, header)
		if err != nil {
			return l, err
		}
		l.at[r] = at
	}
	if l.at[roleTime] < 0 {
		l.at[roleTime], l.at[roleDate] = l.at[roleDate], -1
	}
	if l.at[roleTime] < 0 && !c.headless && isIndex(header[0]) {
		l.at[roleTime] = 0
	}
	if l.at[roleTime] < 0 && !live {
		return l, fmt.Errorf("no column has the time; say which one does, as in time=NAME; the header has %s",
			quoteAll(header))
	}
	return l, l.settle(header, live)
}

// settle says which kind of file it is, and gives the columns that have several meanings that
// of this kind.
func (l *layout) settle(header []string, live bool) error {
	has := func(r role) bool { return l.at[r] >= 0 }
	move := func(to, from role) {
		if !has(to) {
			l.at[to], l.at[from] = l.at[from], -1
		}
	}
	sides := has(roleBid) || has(roleAsk)
	bars := has(roleOpen) && has(roleHigh) && has(roleLow)
	switch {
	case live, sides && (!bars || !has(roleClose)):
		l.kind = Quotes
		l.forget(roleOpen, roleHigh, roleLow, roleClose)
	case bars && (has(roleClose) || has(roleLast)):
		l.kind = Bars
		move(roleClose, roleLast)
		move(roleVolume, roleSize)
		l.forget(roleLast, roleSize, roleBid, roleAsk, roleBidSize, roleAskSize)
	default:
		l.kind = Trades
		move(roleLast, roleClose)
		move(roleSize, roleVolume) // without a column of sizes a trade's volume is its size
		l.forget(roleOpen, roleHigh, roleLow, roleClose, roleBidSize, roleAskSize)
	}
	if l.kind != Bars && !sides && !has(roleLast) {
		return fmt.Errorf("there are neither prices of trades, nor bid and ask, nor open, high, low and close; "+
			"say which columns they are, as in last=px; the header has %s", quoteAll(header))
	}
	for _, at := range l.at {
		l.cells = max(l.cells, at+1)
	}
	return nil
}

func (l *layout) forget(all ...role) {
	for _, r := range all {
		l.at[r] = -1
	}
}
