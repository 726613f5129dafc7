package clientsim

import (
	"fmt"
	"strings"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/proof/shadow"
)

// eventText describes an event in one line. before is the account before the event.
func eventText(ev *client.Event, before *shadow.Shadow) string {
	prefix := ""
	if ev.Replay {
		prefix = "again: "
	}
	switch {
	case ev.Trade != nil:
		t := ev.Trade
		held := int64(0)
		for _, p := range ev.Positions {
			held = p.Quantity
		}
		return fmt.Sprintf("%s%s %s %d %s %s @ %s by %s, %s: now %d", prefix, t.ID, shadow.SideText(t.Side),
			t.Quantity, t.Market, t.Code, t.Price,
			shadow.ValueText(t.Origin), shadow.ValueText(ev.Change), held)
	case ev.Bust != nil:
		return prefix + bustText(ev, ev.Bust, before)
	case ev.Adjustment != nil:
		return fmt.Sprintf("%s%d-%d cash %s: %s", prefix, ev.Account, ev.Seq, ev.Adjustment.Cash, ev.Adjustment.Reason)
	}
	if r := ev.Reset; r != nil {
		return fmt.Sprintf("%s%d-%d reset to %s, %d rows gone: %s", prefix, ev.Account, ev.Seq, r.Cash,
			len(ev.Positions), r.Reason)
	}
	return fmt.Sprintf("%s%d-%d", prefix, ev.Account, ev.Seq)
}

// bustText repeats the line of a trade, marked as taken back or corrected, with the effect on
// each row and on the cash.
func bustText(ev *client.Event, b *client.Bust, before *shadow.Shadow) string {
	o, became := b.Original, "TAKEN BACK"
	if r := b.Replacement; r != nil {
		became = fmt.Sprintf("CORRECTED to %d @ %s", r.Quantity, r.Price)
	}
	if n := len(b.Cascade); n > 0 {
		became += fmt.Sprintf(" with %d more (%s)", n, strings.Join(b.Cascade, ", "))
	}
	text := fmt.Sprintf("x %s %s %d %s %s @ %s %s by %s: %s", b.TradeID, shadow.SideText(o.Side), o.Quantity,
		o.Market, o.Code, o.Price, became, b.Actor, b.Reason)
	for _, p := range ev.Positions {
		was := before.RowOf(shadow.KeyOf(p.Market, p.Code))
		text += fmt.Sprintf("; %s %s %d → %d, cost %s → %s", p.Market, p.Code, was.Quantity, p.Quantity,
			market.FormatMoney(was.Cost), p.Cost)
	}
	return text + fmt.Sprintf("; cash %s → %s", market.FormatMoney(before.Balance()), balanceOf(ev))
}

// listText describes a list in one line.
func listText(h *client.Holdings) string {
	rows := make([]string, 0, len(h.Positions))
	for _, p := range h.Positions {
		rows = append(rows, fmt.Sprintf("%s %s %s %d", p.Market, p.Code, p.Name, p.Quantity))
	}
	return fmt.Sprintf("list as of seq %d: %d rows, market value %s, cash %s [%s]", h.AsOfSeq, len(rows),
		h.TotalMarketValue, shadow.CashOf(h.Cash).Balance, strings.Join(rows, ", "))
}

func orderText(o *client.Order) string {
	return fmt.Sprintf("%s %d %s %s", shadow.SideText(o.Side), o.Quantity, o.Market, o.Code)
}

// balanceOf returns the cash after an event.
func balanceOf(ev *client.Event) client.Money {
	if ev == nil {
		return 0
	}
	return shadow.CashOf(ev.Cash).Balance
}

// tradeOf returns the trade of an event, or an empty one if the event has none.
func tradeOf(ev *client.Event) *client.Trade {
	if ev == nil || ev.Trade == nil {
		return new(client.Trade)
	}
	return ev.Trade
}
