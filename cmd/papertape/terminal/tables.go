package terminal

import (
	"fmt"
	"strconv"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/papertape/papertape/client"
)

// column is one column of a table that adapts to the width of the screen.
type column struct {
	head   key
	text   bool // aligned to the left; numbers are aligned to the right
	spare  int  // on a narrow screen the column with the highest value above 0 is left out first
	cells  []string
	footer string
}

func (c *column) add(cell string) { c.cells = append(c.cells, cell) }

// draw renders columns of equal length. If the screen's width is known and too small, columns with
// a spare above 0 are left out.
func (p *printer) draw(columns []*column) string {
	limit := 0
	if p.width != nil {
		limit = p.width()
	}
	for {
		drawn := p.drawAll(columns)
		next := sparest(columns)
		if limit <= 0 || next < 0 || text.LongestLineLen(drawn) < limit {
			return drawn
		}
		columns = append(columns[:next:next], columns[next+1:]...)
	}
}

// sparest returns the index of the column to leave out next, or -1.
func sparest(columns []*column) int {
	found := -1
	for i, c := range columns {
		if c.spare > 0 && (found < 0 || c.spare > columns[found].spare) {
			found = i
		}
	}
	return found
}

func (p *printer) drawAll(columns []*column) string {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	t.Style().Format.Footer = text.FormatDefault
	head, footer, footers := make(table.Row, len(columns)), make(table.Row, len(columns)), false
	configs := make([]table.ColumnConfig, len(columns))
	for i, c := range columns {
		head[i], footer[i] = p.words.say(c.head), c.footer
		footers = footers || c.footer != ""
		align := text.AlignRight
		if c.text {
			align = text.AlignLeft
		}
		configs[i] = table.ColumnConfig{Number: i + 1, Align: align, AlignHeader: align, AlignFooter: align}
	}
	t.AppendHeader(head)
	t.SetColumnConfigs(configs)
	for row := range columns[0].cells {
		cells := make(table.Row, len(columns))
		for i, c := range columns {
			cells[i] = c.cells[row]
		}
		t.AppendRow(cells)
	}
	if footers {
		t.AppendFooter(footer)
	}
	return t.Render()
}

// holdings draws the list of positions, or a word if there are none, and the totals.
func (p *printer) holdings(rows []client.Position, total client.Money, cash client.Cash) string {
	totals := p.words.say(keyTotals, p.bold(total.String()), p.bold(cash.Balance.String()))
	if len(rows) == 0 {
		return p.words.say(keyEmpty) + "\n" + totals
	}
	return p.draw(p.holdingColumns(rows, total)) + "\n" + totals
}

func (p *printer) holdingColumns(rows []client.Position, total client.Money) []*column {
	where, code, name := &column{head: keyMarket, text: true}, &column{head: keyCode, text: true},
		&column{head: keyName, text: true}
	quantity, sellable := &column{head: keyQuantity}, &column{head: keySellable, spare: 4}
	price, value := &column{head: keyPrice}, &column{head: keyMarketValue, footer: total.String()}
	cost, profit, realised := &column{head: keyCost, spare: 2}, &column{head: keyProfit, spare: 1},
		&column{head: keyRealised, spare: 3}
	var allCost, allRealised client.Money
	for i := range rows {
		row := &rows[i]
		where.add(tidy(row.Market))
		code.add(tidy(row.Code))
		name.add(tidy(row.Name))
		quantity.add(strconv.FormatInt(row.Quantity, 10))
		sellable.add(strconv.FormatInt(row.Sellable, 10))
		price.add(row.Price.String())
		value.add(row.MarketValue.String())
		cost.add(row.Cost.String())
		profit.add(p.signedMoney(row.MarketValue - row.Cost))
		realised.add(p.signedMoney(row.Realised))
		allCost += row.Cost
		allRealised += row.Realised
	}
	name.footer = p.words.say(keyAll)
	cost.footer, profit.footer, realised.footer = allCost.String(), p.signedMoney(total-allCost),
		p.signedMoney(allRealised)
	return []*column{where, code, name, quantity, sellable, price, value, cost, profit, realised}
}

// history draws events, newest last, and marks trades that later events took back or corrected.
func (p *printer) history(events []*client.Event, oldest uint64, mine func(*client.Trade) bool) string {
	if len(events) == 0 {
		return p.words.say(keyHistoryEmpty)
	}
	fate := fates(events)
	seq, when := &column{head: keySeq}, &column{head: keyTime, text: true, spare: 1}
	row, what := &column{head: keyChange, text: true}, &column{head: keySide, text: true}
	quantity, price, amount := &column{head: keyQuantity}, &column{head: keyTradePrice},
		&column{head: keyAmount, spare: 4}
	who, held, cash := &column{head: keyWho, text: true, spare: 3}, &column{head: keyHoldsAfter},
		&column{head: keyCashAfter, spare: 2}
	all := []*column{seq, when, row, what, quantity, price, amount, who, held, cash}
	for _, ev := range events {
		cells := p.historyRow(ev, fate, mine)
		for i, c := range all {
			c.add(cells[i])
		}
	}
	drawn := p.words.say(keyHistoryTitle, len(events), events[len(events)-1].Seq) + "\n" + p.draw(all)
	if oldest > 1 {
		drawn += "\n" + p.words.say(keyHistoryKept, oldest)
	}
	return drawn
}

// historyRow returns the cells of an event, in the order of the columns.
func (p *printer) historyRow(ev *client.Event, fate map[string]key, mine func(*client.Trade) bool) [10]string {
	cells := [10]string{0: strconv.FormatUint(ev.Seq, 10), 9: cashOf(ev.Cash).Balance.String()}
	cells[1] = ev.Time.In(p.zone).Format(time.RFC3339)
	switch {
	case ev.Trade != nil:
		t := ev.Trade
		trade := fmt.Sprintf("%s %s %s", p.side(t.Side), instrumentOf(t.Market, t.Code), tidy(t.Name))
		if k, ended := fate[tradeID(ev.Account, ev.Seq)]; ended {
			trade = p.words.say(k, p.struck(trade))
		}
		cells[2], cells[3] = p.mark(ev.Change, t), trade
		cells[4], cells[5], cells[6] = strconv.FormatInt(t.Quantity, 10), t.Price.String(), t.Amount.String()
		cells[7], cells[8] = p.who(t, mine(t)), heldAfter(ev, t)
	case ev.Bust != nil:
		b := ev.Bust
		word := keyTakenBack
		if b.Replacement != nil {
			word = keyCorrected
		}
		cells[2], cells[3], cells[7] = "x", fmt.Sprintf("%s %s: %s", p.words.say(word), tidy(b.TradeID),
			tidy(b.Reason)), tidy(b.Actor)
		if r := b.Replacement; r != nil {
			cells[4], cells[5], cells[6] = strconv.FormatInt(r.Quantity, 10), r.Price.String(), r.Amount.String()
		}
		cells[8] = heldAfter(ev, &b.Original)
	case ev.Adjustment != nil:
		a := ev.Adjustment
		cells[3], cells[6], cells[7] = tidy(a.Reason), p.signedMoney(a.Cash), tidy(a.Actor)
	case ev.Reset != nil:
		r := ev.Reset
		cells[2], cells[3] = "!", fmt.Sprintf("%s: %s", p.words.say(keyResetMark), tidy(r.Reason))
		cells[6], cells[7] = r.Cash.String(), tidy(r.Actor)
	}
	return cells
}

// heldAfter returns how many shares of the trade's instrument the account holds after an event.
func heldAfter(ev *client.Event, t *client.Trade) string {
	for i := range ev.Positions {
		row := &ev.Positions[i]
		if instrumentOf(row.Market, row.Code) == instrumentOf(t.Market, t.Code) {
			return strconv.FormatInt(row.Quantity, 10)
		}
	}
	return ""
}

// fates maps the id of each trade that a later event took back or corrected to the text that says
// so.
func fates(events []*client.Event) map[string]key {
	found := make(map[string]key)
	for _, ev := range events {
		b := ev.Bust
		if b == nil {
			continue
		}
		found[b.TradeID] = keyMarkTakenBack
		if b.Replacement != nil {
			found[b.TradeID] = keyMarkCorrected
		}
		for _, id := range b.Cascade {
			found[id] = keyMarkTakenBack
		}
	}
	return found
}

// quotes draws prices and their distance from the previous close.
func (p *printer) quotes(list []client.Instrument) string {
	where, code, name := &column{head: keyMarket, text: true}, &column{head: keyCode, text: true},
		&column{head: keyName, text: true}
	price, before, move := &column{head: keyPrice}, &column{head: keyPreviousClose, spare: 1}, &column{head: keyMove}
	for i := range list {
		in := &list[i]
		d := int64(in.Price - in.PreviousClose)
		where.add(tidy(in.Market))
		code.add(tidy(in.Code))
		name.add(tidy(in.Name))
		price.add(p.byDirection(d, in.Price.String()))
		before.add(in.PreviousClose.String())
		move.add(p.byDirection(d, percent(d, int64(in.PreviousClose))))
	}
	return p.draw([]*column{where, code, name, price, before, move})
}

// percent returns part as a percentage of whole, with a sign and two decimals.
func percent(part, whole int64) string {
	if whole == 0 {
		return ""
	}
	return fmt.Sprintf("%+.2f%%", 100*float64(part)/float64(whole))
}
