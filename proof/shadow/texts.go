package shadow

import (
	"fmt"
	"strings"

	"github.com/papertape/papertape/client"
)

// tradeText has every field of a trade.
func tradeText(t *client.Trade) string {
	if t == nil || *t == (client.Trade{}) {
		return "none"
	}
	return fmt.Sprintf("%s %s %d %s %s %s @ %s, amount %s, fees %s, by %s, order id %q, revision %d",
		t.ID, SideText(t.Side), t.Quantity, t.Market, t.Code, t.Name,
		t.Price, t.Amount, t.Fees,
		ValueText(t.Origin), t.ClientOrderID, t.Revision)
}

// SideText returns a side as a word.
func SideText(s client.Side) string {
	switch s {
	case client.Buy:
		return "buy"
	case client.Sell:
		return "sell"
	}
	return s.String()
}

// ValueText returns the value of an enumeration in lower case.
func ValueText(v fmt.Stringer) string { return strings.ToLower(v.String()) }
