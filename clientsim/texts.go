package clientsim

import (
	"fmt"
	"strings"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/proof/shadow"
)

// eventText is an event as a line of the tape. before is the account as it was until then.
func eventText(ev *client.Event, before *shadow.Shadow) string {
	prefix := ""
	if ev.Replay {
		prefix = "again: "
	}
	switch what := ev.GetWhat().(type) {
	case *client.EventTrade:
		t := what.Trade
		held := int64(0)
		for _, p := range ev.GetPositions() {
			held = p.GetQuantity()
		}
		return fmt.Sprintf("%s%s %s %d %s %s @ %s by %s, %s: now %d", prefix, t.GetId(), shadow.SideText(t.GetSide()),
			t.GetQuantity(), t.GetMarket(), t.GetCode(), market.FormatMoney(t.GetPrice()),
			shadow.ValueText(t.GetOrigin()), shadow.ValueText(ev.GetChange()), held)
	case *client.EventBust:
		return prefix + bustText(ev, what.Bust, before)
	case *client.EventAdjustment:
		return fmt.Sprintf("%s%d-%d cash %s: %s", prefix, ev.GetAccount(), ev.GetSeq(), market.FormatMoney(what.Adjustment.GetCash()),
			what.Adjustment.GetReason())
	}
	return fmt.Sprintf("%s%d-%d", prefix, ev.GetAccount(), ev.GetSeq())
}

// bustText is the line of a trade again, marked as taken back or corrected, with what that does to each row and to the cash.
func bustText(ev *client.Event, b *client.Bust, before *shadow.Shadow) string {
	o, became := b.GetOriginal(), "TAKEN BACK"
	if r := b.GetReplacement(); r != nil {
		became = fmt.Sprintf("CORRECTED to %d @ %s", r.GetQuantity(), market.FormatMoney(r.GetPrice()))
	}
	if n := len(b.GetCascade()); n > 0 {
		became += fmt.Sprintf(" with %d more (%s)", n, strings.Join(b.GetCascade(), ", "))
	}
	text := fmt.Sprintf("x %s %s %d %s %s @ %s %s by %s: %s", b.GetTradeId(), shadow.SideText(o.GetSide()), o.GetQuantity(),
		o.GetMarket(), o.GetCode(), market.FormatMoney(o.GetPrice()), became, b.GetActor(), b.GetReason())
	for _, p := range ev.GetPositions() {
		was := before.RowOf(shadow.KeyOf(p))
		text += fmt.Sprintf("; %s %s %d → %d, cost %s → %s", p.GetMarket(), p.GetCode(), was.Quantity, p.GetQuantity(),
			market.FormatMoney(was.Cost), market.FormatMoney(p.GetCost()))
	}
	cash := ev.GetCash().GetBalance()
	return text + fmt.Sprintf("; cash %s → %s", market.FormatMoney(before.Balance()), market.FormatMoney(cash))
}

// listText is a list in a line.
func listText(h *client.Holdings) string {
	rows := make([]string, 0, len(h.GetPositions()))
	for _, p := range h.GetPositions() {
		rows = append(rows, fmt.Sprintf("%s %s %s %d", p.GetMarket(), p.GetCode(), p.GetName(), p.GetQuantity()))
	}
	return fmt.Sprintf("list as of seq %d: %d rows, market value %s, cash %s [%s]", h.GetAsOfSeq(), len(rows),
		market.FormatMoney(h.GetTotalMarketValue()), market.FormatMoney(h.GetCash().GetBalance()), strings.Join(rows, ", "))
}

func orderText(o *client.Order) string {
	return fmt.Sprintf("%s %d %s %s", shadow.SideText(o.GetSide()), o.GetQuantity(), o.GetMarket(), o.GetCode())
}
