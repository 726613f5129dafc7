package shadow

import (
	"fmt"
	"strings"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/market"
)

// tradeText is all that a trade says.
func tradeText(t *client.Trade) string {
	if t == nil {
		return "none"
	}
	return fmt.Sprintf("%s %s %d %s %s %s @ %s, amount %s, fees %s, by %s, order id %q, revision %d",
		t.GetId(), SideText(t.GetSide()), t.GetQuantity(), t.GetMarket(), t.GetCode(), t.GetName(),
		market.FormatMoney(t.GetPrice()), market.FormatMoney(t.GetAmount()), market.FormatMoney(t.GetFees()),
		ValueText(t.GetOrigin()), t.GetClientOrderId(), t.GetRevision())
}

// SideText is a side as a word.
func SideText(s client.Side) string {
	switch s {
	case client.Buy:
		return "buy"
	case client.Sell:
		return "sell"
	}
	return s.String()
}

// ValueText is a value of an enum of the wire without what all its values begin with: CHANGE_OPENED is opened.
func ValueText(v fmt.Stringer) string {
	_, after, _ := strings.Cut(v.String(), "_")
	return strings.ToLower(after)
}
