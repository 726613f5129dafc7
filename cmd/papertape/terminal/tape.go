package terminal

import (
	"fmt"
	"strings"
	"time"

	"github.com/papertape/papertape/client"
)

// printer formats what is shown as lines. It has no state of its own.
type printer struct {
	style
	words *catalogue
	zone  *time.Location
}

// The widths of the tape's columns. A wider value moves the rest of its line to the right.
const (
	markColumn     = 8  // Δ+123456
	sideColumn     = 4  // sell, 卖出
	codeColumn     = 9  // SH.600519
	nameColumn     = 8  // 贵州茅台
	quantityColumn = 8  // shares
	priceColumn    = 9  // 123456.00
	whoColumn      = 13 // other session
	heldColumn     = 7  // shares
)

const clock = "15:04:05"

// event returns the lines of the tape for an event. before is the account before the event; mine
// says whether the trade belongs to an order of this terminal.
func (p *printer) event(ev *client.Event, before *picture, mine bool) string {
	at := ev.Time.In(p.zone).Format(clock)
	switch {
	case ev.Trade != nil:
		return p.trade(at, ev, ev.Trade, mine)
	case ev.Bust != nil:
		return p.bust(at, ev, ev.Bust, before)
	case ev.Adjustment != nil:
		a := ev.Adjustment
		return p.fit(p.faint(at), left(p.words.say(keyCashMark), markColumn), p.signedMoney(a.Cash),
			p.words.say(keyBecause, tidy(a.Actor), tidy(a.Reason)), p.words.say(keyCashIs, cashOf(ev.Cash).Balance))
	}
	if r := ev.Reset; r != nil {
		return p.fit(p.faint(at), left(p.words.say(keyResetMark), markColumn),
			p.words.say(keyRowsGone, len(ev.Positions)),
			p.words.say(keyBecause, tidy(r.Actor), tidy(r.Reason)), p.words.say(keyCashIs, cashOf(ev.Cash).Balance))
	}
	return p.fit(p.faint(at), tradeID(ev.Account, ev.Seq))
}

// trade returns one line: the time, the change of the row, the trade, who made it, the quantity
// held afterwards, and the id.
func (p *printer) trade(at string, ev *client.Event, t *client.Trade, mine bool) string {
	held := int64(0)
	for i := range ev.Positions {
		row := &ev.Positions[i]
		if instrumentOf(row.Market, row.Code) == instrumentOf(t.Market, t.Code) {
			held = row.Quantity
		}
	}
	return p.fit(p.faint(at), p.mark(ev.Change, t)+" "+p.tradeColumns(t), left(p.who(t, mine), whoColumn),
		left(p.words.say(keyHolds, held), columns(p.words.say(keyHolds, int64(0)))-1+heldColumn), tradeID(ev.Account,
			ev.Seq))
}

// mark is + for a new row, - for one that is gone, and otherwise the change of its quantity.
func (p *printer) mark(change client.Change, t *client.Trade) string {
	direction, mark := int64(1), ""
	if t.Side == client.Sell {
		direction = -1
	}
	switch change {
	case client.Opened:
		mark = "+"
	case client.Closed:
		mark = "-"
	default:
		mark = fmt.Sprintf("Δ%+d", direction*t.Quantity)
	}
	return p.byDirection(direction, left(mark, markColumn))
}

// tradeColumns returns the columns of a trade without its time, reason and actor.
func (p *printer) tradeColumns(t *client.Trade) string {
	return strings.Join([]string{
		left(p.side(t.Side), sideColumn), left(instrumentOf(t.Market, t.Code).String(), codeColumn),
		left(tidy(t.Name), nameColumn),
		right(fmt.Sprint(t.Quantity), quantityColumn), "@", right(t.Price.String(), priceColumn),
	}, " ")
}

func (p *printer) side(s client.Side) string {
	if s == client.Sell {
		return p.words.say(keySell)
	}
	return p.words.say(keyBuy)
}

func (p *printer) who(t *client.Trade, mine bool) string {
	switch {
	case mine:
		return p.words.say(keyYou)
	case t.Origin == client.OriginSimulator:
		return p.words.say(keySimulator)
	case t.Origin == client.OriginOperator:
		return p.words.say(keyOperator)
	}
	return p.words.say(keyOther)
}

// bust repeats the line of a trade, struck through and marked as taken back or corrected, with the
// changes to each row and to the cash.
func (p *printer) bust(at string, ev *client.Event, b *client.Bust, before *picture) string {
	word := p.words.say(keyTakenBack)
	if b.Replacement != nil {
		word = p.words.say(keyCorrected)
	}
	original := left("x", markColumn) + " " + p.struck(p.tradeColumns(&b.Original))
	lines := []string{p.fit(p.faint(at), original, p.bold(word)+" "+tidy(b.TradeID))}
	indent := strings.Repeat(" ", len(clock)+2)
	add := func(s string) { lines = append(lines, indent+s) }
	add(p.words.say(keyBecause, tidy(b.Actor), tidy(b.Reason)))
	if r := b.Replacement; r != nil {
		add(left(p.words.say(keyStandsNow), markColumn) + " " + p.tradeColumns(r))
	}
	if len(b.Cascade) > 0 {
		add(p.words.say(keyCascade, tidy(strings.Join(b.Cascade, ", "))))
	}
	for _, row := range ev.Positions {
		of := instrumentOf(row.Market, row.Code)
		add(p.change(&rowChange{of: of, name: tidy(row.Name), before: before.positions[of], after: row}))
	}
	add(p.words.say(keyCashBeforeAfter, before.cash, cashOf(ev.Cash).Balance))
	return strings.Join(lines, "\n")
}

// change shows a row before and after.
func (p *printer) change(r *rowChange) string {
	return p.words.say(keyBeforeAfter, r.of, r.name, r.before.Quantity, r.after.Quantity,
		r.before.Cost, r.after.Cost)
}

// resynced shows what changed when a snapshot replaced the state.
func (p *printer) resynced(before, after *client.State) string {
	rows := differences(before, after)
	cashSame := before.Cash.Balance == after.Cash.Balance
	if len(rows) == 0 && cashSame {
		return p.words.say(keyResyncSame)
	}
	lines := []string{p.words.say(keyDiffers)}
	for i := range rows {
		lines = append(lines, "  "+p.change(&rows[i]))
	}
	if !cashSame {
		lines = append(lines, "  "+p.words.say(keyCashBeforeAfter, before.Cash.Balance, after.Cash.Balance))
	}
	return strings.Join(lines, "\n")
}

func (p *printer) presence(m *client.Presence) string {
	k, direction := keyOffline, int64(-1)
	if m.Online {
		k, direction = keyOnline, 1
	}
	return p.byDirection(direction, p.words.say(k, m.Account, m.UID, m.Sessions))
}

// fit joins the parts of a line, most important first, with two spaces. On a narrow screen it
// leaves out the last parts; the first two always stay.
func (p *printer) fit(parts ...string) string {
	const always = 2
	limit := 0
	if p.width != nil {
		limit = p.width()
	}
	for n := len(parts); ; n-- {
		line := strings.TrimRight(strings.Join(parts[:n], "  "), " ")
		if limit <= 0 || n <= always || columns(line) < limit {
			return line
		}
	}
}
