package clientsim

import (
	"fmt"
	"strings"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/market"
)

// eventText is an event as a line of the tape. before is the account as it was until then.
func eventText(ev *client.Event, before *Shadow) string {
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
		return fmt.Sprintf("%s%s %s %d %s %s @ %s by %s, %s: now %d", prefix, t.ID, verb(t.Side), t.Quantity,
			t.Market, t.Code, t.Price, short(t.Origin), short(ev.Change), held)
	case ev.Bust != nil:
		return prefix + bustText(ev, ev.Bust, before)
	case ev.Adjustment != nil:
		return fmt.Sprintf("%s%d-%d cash %s: %s", prefix, ev.Account, ev.Seq, ev.Adjustment.Cash, ev.Adjustment.Reason)
	}
	return fmt.Sprintf("%s%d-%d", prefix, ev.Account, ev.Seq)
}

// bustText is the line of a trade again, marked as taken back or corrected, with what that does to each row and to the cash.
func bustText(ev *client.Event, b *client.Bust, before *Shadow) string {
	o, became := b.Original, "TAKEN BACK"
	if r := b.Replacement; r != nil {
		became = fmt.Sprintf("CORRECTED to %d @ %s", r.Quantity, r.Price)
	}
	if n := len(b.Cascade); n > 0 {
		became += fmt.Sprintf(" with %d more (%s)", n, strings.Join(b.Cascade, ", "))
	}
	text := fmt.Sprintf("x %s %s %d %s %s @ %s %s by %s: %s", b.TradeID, verb(o.Side), o.Quantity, o.Market, o.Code,
		o.Price, became, b.Actor, b.Reason)
	for _, p := range ev.Positions {
		was := before.rowOf(key{p.Market, p.Code})
		text += fmt.Sprintf("; %s %s %d → %d, cost %s → %s", p.Market, p.Code, was.quantity, p.Quantity,
			market.FormatMoney(was.cost), p.Cost)
	}
	return text + fmt.Sprintf("; cash %s → %s", market.FormatMoney(before.cash.balance), balanceOf(ev))
}

// listText is a list in a line.
func listText(h *client.Holdings) string {
	rows := make([]string, 0, len(h.Positions))
	for _, p := range h.Positions {
		rows = append(rows, fmt.Sprintf("%s %s %s %d", p.Market, p.Code, p.Name, p.Quantity))
	}
	return fmt.Sprintf("list as of seq %d: %d rows, market value %s, cash %s [%s]", h.AsOfSeq, len(rows),
		h.TotalMarketValue, cashOf(h.Cash).Balance, strings.Join(rows, ", "))
}

func orderText(o *client.Order) string {
	return fmt.Sprintf("%s %d %s %s", verb(o.Side), o.Quantity, o.Market, o.Code)
}

func verb(s client.Side) string {
	switch s {
	case client.Buy:
		return "buy"
	case client.Sell:
		return "sell"
	}
	return s.String()
}

// short is a value of an enum of the wire without what all its values begin with: CHANGE_OPENED is opened.
func short(v fmt.Stringer) string { return strings.ToLower(v.String()) }

// cashOf is a cash that a server told, or nothing where it told none, which is found elsewhere.
func cashOf(told *client.Cash) client.Cash {
	if told == nil {
		return client.Cash{}
	}
	return *told
}

// balanceOf is the cash after an event.
func balanceOf(ev *client.Event) client.Money {
	if ev == nil {
		return 0
	}
	return cashOf(ev.Cash).Balance
}

// tradeOf is the trade of an event, or an empty one where it is of something else.
func tradeOf(ev *client.Event) *client.Trade {
	if ev == nil || ev.Trade == nil {
		return new(client.Trade)
	}
	return ev.Trade
}
