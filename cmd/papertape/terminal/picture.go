package terminal

import (
	"fmt"

	"github.com/papertape/papertape/client"
)

// picture is the account as it was last shown. It provides the values before an event.
type picture struct {
	seq       uint64
	cash      client.Money
	positions map[instrument]client.Position
}

// instrument identifies the instrument of a row.
type instrument struct{ market, code string }

func (i instrument) String() string { return i.market + "." + i.code }

func instrumentOf(market, code string) instrument { return instrument{tidy(market), tidy(code)} }

// cashOf returns the cash that a server sent, or zero if it sent none.
func cashOf(told *client.Cash) client.Cash {
	if told == nil {
		return client.Cash{}
	}
	return *told
}

func pictureOf(s *client.State) *picture {
	p := &picture{seq: s.Seq, cash: s.Cash.Balance, positions: make(map[instrument]client.Position)}
	for _, row := range s.Positions {
		p.positions[instrumentOf(row.Market, row.Code)] = row
	}
	return p
}

// apply applies an event to the picture.
func (p *picture) apply(ev *client.Event) {
	p.seq = ev.Seq
	if ev.Cash != nil {
		p.cash = ev.Cash.Balance
	}
	for _, row := range ev.Positions {
		if row.Quantity == 0 {
			delete(p.positions, instrumentOf(row.Market, row.Code))
		} else {
			p.positions[instrumentOf(row.Market, row.Code)] = row
		}
	}
}

// rowChange is a row before and after. A missing row has quantity 0.
type rowChange struct {
	of            instrument
	name          string
	before, after client.Position
}

func (r *rowChange) differs() bool {
	return r.before.Quantity != r.after.Quantity || r.before.Cost != r.after.Cost
}

// differences returns the rows that differ between two states, by market and code.
func differences(before, after *client.State) (found []rowChange) {
	b, a := before.Positions, after.Positions
	for len(b) > 0 || len(a) > 0 {
		var r rowChange
		var row *client.Position
		switch order := compareRows(b, a); {
		case order < 0:
			row, r, b = &b[0], rowChange{before: b[0]}, b[1:]
		case order > 0:
			row, r, a = &a[0], rowChange{after: a[0]}, a[1:]
		default:
			row, r, b, a = &a[0], rowChange{before: b[0], after: a[0]}, b[1:], a[1:]
		}
		r.of, r.name = instrumentOf(row.Market, row.Code), tidy(row.Name)
		if r.differs() {
			found = append(found, r)
		}
	}
	return found
}

// compareRows compares the first rows of two sorted lists by market and code; 0 means that they are
// of the same instrument.
func compareRows(b, a []client.Position) int {
	switch {
	case len(b) == 0:
		return 1
	case len(a) == 0:
		return -1
	}
	x, y := instrumentOf(b[0].Market, b[0].Code), instrumentOf(a[0].Market, a[0].Code)
	switch {
	case x == y:
		return 0
	case x.market < y.market || x.market == y.market && x.code < y.code:
		return -1
	}
	return 1
}

// tradeID returns the id of the trade that an event of an account created.
func tradeID(account, seq uint64) string { return fmt.Sprintf("%d-%d", account, seq) }
