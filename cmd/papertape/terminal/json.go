package terminal

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"time"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/usertext"
)

// The lines of -o json: objects that say of what type they are and have otherwise the shape of the admin API's.
type (
	loginLine struct {
		Type   string `json:"type"` // login
		UID    uint64 `json:"uid"`
		Server string `json:"server"`
		console.Holdings
	}
	holdingsLine struct {
		Type string `json:"type"` // holdings
		console.Holdings
	}
	eventLine struct {
		Type    string `json:"type"` // event
		Account uint64 `json:"account"`
		Mine    bool   `json:"mine"`   // an order of this program made it
		Replay  bool   `json:"replay"` // it happened while this program was not connected
		console.Event
	}
	historyLine struct {
		Type string `json:"type"` // history; newest last, as in the table
		console.History
	}
	quotesLine struct {
		Type   string  `json:"type"` // quotes
		Quotes []quote `json:"quotes"`
	}
	quote struct {
		Market        string        `json:"market"`
		Code          string        `json:"code"`
		Name          string        `json:"name"`
		Price         console.Money `json:"price"`
		PreviousClose console.Money `json:"previous_close"`
	}
	presenceLine struct {
		Type     string `json:"type"` // presence
		Account  uint64 `json:"account"`
		UID      uint64 `json:"uid"`
		Online   bool   `json:"online"`
		Sessions uint32 `json:"sessions"`
	}
	subscriptionLine struct {
		Type     string `json:"type"` // subscription: the answer to presence
		Presence bool   `json:"presence"`
	}
	helpLine struct {
		Type     string        `json:"type"` // help
		Commands []helpCommand `json:"commands"`
	}
	helpCommand struct {
		Names []string `json:"names"` // the first is that of the menu; those of other languages are understood too
		Form  string   `json:"form,omitempty"`
		Help  string   `json:"help"`
	}
	connectedLine struct {
		Type     string  `json:"type"` // connected: again
		UID      uint64  `json:"uid"`
		Server   string  `json:"server"`
		Away     float64 `json:"away_seconds"`
		Resynced bool    `json:"resynced"` // events were skipped, holdings follow
		Missed   uint64  `json:"missed"`   // events that follow, or that were skipped
	}
)

// helpJSON is the menu.
func (c *catalogue) helpJSON() helpLine {
	line := helpLine{Type: "help"}
	for i := range c.verbs {
		line.Commands = append(line.Commands, helpCommand{c.verbs[i].names, c.verbs[i].form, c.verbs[i].help})
	}
	return line
}

func printJSON(w io.Writer, v any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(usertext.ShownJSON(text.Bytes()))
	return err
}

func holdingsJSON(h *client.Holdings) console.Holdings {
	return console.Holdings{
		Account: h.GetAccount(), AsOfSeq: h.GetAsOfSeq(), StateHash: console.Hash(h.GetStateHash()), Cash: cashJSON(h.GetCash()),
		TotalMarketValue: console.Money(h.GetTotalMarketValue()), Positions: positionsJSON(h.GetPositions()),
	}
}

func stateJSON(s *client.State) console.Holdings {
	return console.Holdings{
		Account: s.Account, AsOfSeq: s.Seq, StateHash: console.Hash(s.Hash()), Cash: cashJSON(s.Cash),
		TotalMarketValue: console.Money(s.TotalMarketValue), Positions: positionsJSON(s.Positions),
	}
}

func cashJSON(c *client.Cash) console.Cash {
	return console.Cash{Balance: console.Money(c.GetBalance()), FeesPaid: console.Money(c.GetFeesPaid()), Realised: console.Money(c.GetRealised())}
}

// positionsJSON never returns nil: a list without rows is [], not null.
func positionsJSON(rows []*client.Position) []console.Position {
	list := make([]console.Position, len(rows))
	for i, p := range rows {
		list[i] = console.Position{
			Market: p.GetMarket(), Code: p.GetCode(), Name: p.GetName(), Quantity: p.GetQuantity(), Sellable: p.GetSellable(),
			Price: console.Money(p.GetPrice()), MarketValue: console.Money(p.GetMarketValue()), Cost: console.Money(p.GetCost()),
			Realised: console.Money(p.GetRealised()), RowVersion: p.GetRowVersion(),
		}
	}
	return list
}

func eventJSON(ev *client.AccountEvent) console.Event {
	e := console.Event{
		Seq: ev.GetSeq(), Time: time.Unix(0, ev.GetTime()).UTC(), Positions: positionsJSON(ev.GetPositions()), Cash: cashJSON(ev.GetCash()),
		TotalMarketValue: console.Money(ev.GetTotalMarketValue()),
	}
	if ev.GetChange() != client.NoChange {
		e.Change = enumJSON(ev.GetChange().String(), "CHANGE_")
	}
	switch what := ev.GetWhat().(type) {
	case *client.EventTrade:
		e.Trade = tradeJSON(what.Trade)
	case *client.EventBust:
		b := what.Bust
		e.Bust = &console.Bust{
			TradeID: b.GetTradeId(), Reason: b.GetReason(), Actor: b.GetActor(), BustID: b.GetBustId(),
			Original: *tradeJSON(b.GetOriginal()), Cascade: b.GetCascade(),
		}
		if r := b.GetReplacement(); r != nil {
			e.Bust.Replacement = tradeJSON(r)
		}
	case *client.EventAdjustment:
		a := what.Adjustment
		e.Adjustment = &console.Adjustment{Cash: console.Money(a.GetCash()), Reason: a.GetReason(), Actor: a.GetActor()}
	}
	return e
}

func tradeJSON(t *client.Trade) *console.Trade {
	return &console.Trade{
		ID: t.GetId(), Side: enumJSON(t.GetSide().String(), "SIDE_"), Market: t.GetMarket(), Code: t.GetCode(), Name: t.GetName(),
		Quantity: t.GetQuantity(), Price: console.Money(t.GetPrice()), Amount: console.Money(t.GetAmount()), Fees: console.Money(t.GetFees()),
		Origin: enumJSON(t.GetOrigin().String(), "ORIGIN_"), ClientOrderID: t.GetClientOrderId(), Revision: t.GetRevision(),
	}
}

// enumJSON is a value of a protobuf enum as the admin API writes it: SIDE_BUY is buy.
func enumJSON(value, prefix string) string { return strings.ToLower(strings.TrimPrefix(value, prefix)) }

func quotesJSON(list []*client.Instrument) quotesLine {
	line := quotesLine{Type: "quotes", Quotes: make([]quote, len(list))}
	for i, in := range list {
		line.Quotes[i] = quote{in.GetMarket(), in.GetCode(), in.GetName(), console.Money(in.GetPrice()), console.Money(in.GetPreviousClose())}
	}
	return line
}
