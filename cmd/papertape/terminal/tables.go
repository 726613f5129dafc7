package terminal

import (
	"fmt"
	"strconv"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/market"
)

// column is one of a table that fits itself to the screen.
type column struct {
	head   key
	text   bool // aligned to the left; numbers go to the right
	spare  int  // of those above 0 the highest goes first where the screen is too narrow
	cells  []string
	footer string
}

func (c *column) add(cell string) { c.cells = append(c.cells, cell) }

// draw renders columns of equal length. Where the screen is known and too narrow, spare columns are left out.
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

// sparest is the index of the column to leave out next, or -1.
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

// holdings is the list, or a word where it is empty, and the totals.
func (p *printer) holdings(rows []*client.Position, total int64, cash *client.Cash) string {
	totals := p.words.say(keyTotals, p.bold(market.FormatMoney(total)), p.bold(market.FormatMoney(cash.GetBalance())))
	if len(rows) == 0 {
		return p.words.say(keyEmpty) + "\n" + totals
	}
	return p.draw(p.holdingColumns(rows, total)) + "\n" + totals
}

func (p *printer) holdingColumns(rows []*client.Position, total int64) []*column {
	where, code, name := &column{head: keyMarket, text: true}, &column{head: keyCode, text: true}, &column{head: keyName, text: true}
	quantity, sellable := &column{head: keyQuantity}, &column{head: keySellable, spare: 4}
	price, value := &column{head: keyPrice}, &column{head: keyMarketValue, footer: market.FormatMoney(total)}
	cost, profit, realised := &column{head: keyCost, spare: 2}, &column{head: keyProfit, spare: 1}, &column{head: keyRealised, spare: 3}
	var allCost, allRealised int64
	for _, row := range rows {
		where.add(tidy(row.GetMarket()))
		code.add(tidy(row.GetCode()))
		name.add(tidy(row.GetName()))
		quantity.add(strconv.FormatInt(row.GetQuantity(), 10))
		sellable.add(strconv.FormatInt(row.GetSellable(), 10))
		price.add(market.FormatMoney(row.GetPrice()))
		value.add(market.FormatMoney(row.GetMarketValue()))
		cost.add(market.FormatMoney(row.GetCost()))
		profit.add(p.signedMoney(row.GetMarketValue() - row.GetCost()))
		realised.add(p.signedMoney(row.GetRealised()))
		allCost += row.GetCost()
		allRealised += row.GetRealised()
	}
	name.footer = p.words.say(keyAll)
	cost.footer, profit.footer, realised.footer = market.FormatMoney(allCost), p.signedMoney(total-allCost), p.signedMoney(allRealised)
	return []*column{where, code, name, quantity, sellable, price, value, cost, profit, realised}
}

// history is events, newest last, with what later took them back.
func (p *printer) history(events []*client.AccountEvent, oldest uint64, mine func(*client.Trade) bool) string {
	if len(events) == 0 {
		return p.words.say(keyHistoryEmpty)
	}
	fate := fates(events)
	seq, when := &column{head: keySeq}, &column{head: keyTime, text: true, spare: 1}
	row, what := &column{head: keyChange, text: true}, &column{head: keySide, text: true}
	quantity, price, amount := &column{head: keyQuantity}, &column{head: keyTradePrice}, &column{head: keyAmount, spare: 4}
	who, held, cash := &column{head: keyWho, text: true, spare: 3}, &column{head: keyHoldsAfter}, &column{head: keyCashAfter, spare: 2}
	all := []*column{seq, when, row, what, quantity, price, amount, who, held, cash}
	for _, ev := range events {
		cells := p.historyRow(ev, fate, mine)
		for i, c := range all {
			c.add(cells[i])
		}
	}
	drawn := p.words.say(keyHistoryTitle, len(events), events[len(events)-1].GetSeq()) + "\n" + p.draw(all)
	if oldest > 1 {
		drawn += "\n" + p.words.say(keyHistoryKept, oldest)
	}
	return drawn
}

// historyRow is an event's cells, in the order of the columns.
func (p *printer) historyRow(ev *client.AccountEvent, fate map[string]key, mine func(*client.Trade) bool) [10]string {
	cells := [10]string{0: strconv.FormatUint(ev.GetSeq(), 10), 9: market.FormatMoney(ev.GetCash().GetBalance())}
	cells[1] = time.Unix(0, ev.GetTime()).In(p.zone).Format(time.RFC3339)
	switch what := ev.GetWhat().(type) {
	case *client.EventTrade:
		t := what.Trade
		trade := fmt.Sprintf("%s %s %s", p.side(t.GetSide()), instrumentOf(t), tidy(t.GetName()))
		if k, ended := fate[tradeID(ev.GetAccount(), ev.GetSeq())]; ended {
			trade = p.words.say(k, p.struck(trade))
		}
		cells[2], cells[3] = p.mark(ev.GetChange(), t), trade
		cells[4], cells[5], cells[6] = strconv.FormatInt(t.GetQuantity(), 10), market.FormatMoney(t.GetPrice()), market.FormatMoney(t.GetAmount())
		cells[7], cells[8] = p.who(t, mine(t)), heldAfter(ev, t)
	case *client.EventBust:
		b := what.Bust
		word := keyTakenBack
		if b.GetReplacement() != nil {
			word = keyCorrected
		}
		cells[2], cells[3], cells[7] = "x", fmt.Sprintf("%s %s: %s", p.words.say(word), tidy(b.GetTradeId()), tidy(b.GetReason())), tidy(b.GetActor())
		if r := b.GetReplacement(); r != nil {
			cells[4], cells[5], cells[6] = strconv.FormatInt(r.GetQuantity(), 10), market.FormatMoney(r.GetPrice()), market.FormatMoney(r.GetAmount())
		}
		cells[8] = heldAfter(ev, b.GetOriginal())
	case *client.EventAdjustment:
		cells[3], cells[6], cells[7] = tidy(what.Adjustment.GetReason()), p.signedMoney(what.Adjustment.GetCash()), tidy(what.Adjustment.GetActor())
	}
	return cells
}

// heldAfter is how many shares of a trade's instrument are held after an event that touches it.
func heldAfter(ev *client.AccountEvent, t *client.Trade) string {
	for _, row := range ev.GetPositions() {
		if instrumentOf(row) == instrumentOf(t) {
			return strconv.FormatInt(row.GetQuantity(), 10)
		}
	}
	return ""
}

// fates are the trades that a later event took back or corrected, by id, with what to say of them.
func fates(events []*client.AccountEvent) map[string]key {
	found := make(map[string]key)
	for _, ev := range events {
		b := ev.GetBust()
		if b == nil {
			continue
		}
		found[b.GetTradeId()] = keyMarkTakenBack
		if b.GetReplacement() != nil {
			found[b.GetTradeId()] = keyMarkCorrected
		}
		for _, id := range b.GetCascade() {
			found[id] = keyMarkTakenBack
		}
	}
	return found
}

// quotes are prices with how far they are from the previous close.
func (p *printer) quotes(list []*client.Instrument) string {
	where, code, name := &column{head: keyMarket, text: true}, &column{head: keyCode, text: true}, &column{head: keyName, text: true}
	price, before, move := &column{head: keyPrice}, &column{head: keyPreviousClose, spare: 1}, &column{head: keyMove}
	for _, in := range list {
		d := in.GetPrice() - in.GetPreviousClose()
		where.add(tidy(in.GetMarket()))
		code.add(tidy(in.GetCode()))
		name.add(tidy(in.GetName()))
		price.add(p.rose(d, market.FormatMoney(in.GetPrice())))
		before.add(market.FormatMoney(in.GetPreviousClose()))
		move.add(p.rose(d, percent(d, in.GetPreviousClose())))
	}
	return p.draw([]*column{where, code, name, price, before, move})
}

// percent is part of whole with two decimals and its sign.
func percent(part, whole int64) string {
	if whole == 0 {
		return ""
	}
	return fmt.Sprintf("%+.2f%%", 100*float64(part)/float64(whole))
}
