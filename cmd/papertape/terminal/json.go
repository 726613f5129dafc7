package terminal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/usertext"
)

// The lines of -o json. Each object names its type; otherwise it has the shape of the admin API's
// objects.
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
		Mine    bool   `json:"mine"`   // made by an order of this program
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
		*quoteDetail                // nil: the server was asked for no more
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
		Names []string `json:"names"` // the menu's name first; names of other languages are understood too
		Form  string   `json:"form,omitempty"`
		Help  string   `json:"help"`
	}
	connectedLine struct {
		Type     string  `json:"type"` // connected: the connection is back
		UID      uint64  `json:"uid"`
		Server   string  `json:"server"`
		Away     float64 `json:"away_seconds"`
		Resynced bool    `json:"resynced"` // events were skipped; the holdings follow
		Missed   uint64  `json:"missed"`   // events that follow, or that were skipped
	}
)

// helpJSON returns the menu.
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
		Account: h.Account, AsOfSeq: h.AsOfSeq, StateHash: console.Hash(h.StateHash), Cash: cashJSON(cashOf(h.Cash)),
		TotalMarketValue: console.Money(h.TotalMarketValue), Positions: positionsJSON(h.Positions),
	}
}

func stateJSON(s *client.State) console.Holdings {
	return console.Holdings{
		Account: s.Account, AsOfSeq: s.Seq, StateHash: console.Hash(s.Hash()), Cash: cashJSON(s.Cash),
		TotalMarketValue: console.Money(s.TotalMarketValue), Positions: positionsJSON(s.Positions),
	}
}

func cashJSON(c client.Cash) console.Cash {
	return console.Cash{Balance: console.Money(c.Balance), FeesPaid: console.Money(c.FeesPaid),
		Realised: console.Money(c.Realised)}
}

// positionsJSON never returns nil, so that an empty list is [] and not null.
func positionsJSON(rows []client.Position) []console.Position {
	list := make([]console.Position, len(rows))
	for i := range rows {
		p := &rows[i]
		list[i] = console.Position{
			Market: p.Market, Code: p.Code, Name: p.Name, Quantity: p.Quantity, Sellable: p.Sellable,
			Price: console.Money(p.Price), MarketValue: console.Money(p.MarketValue), Cost: console.Money(p.Cost),
			Realised: console.Money(p.Realised), RowVersion: p.RowVersion,
		}
	}
	return list
}

func eventJSON(ev *client.Event) console.Event {
	e := console.Event{
		Seq: ev.Seq, Time: ev.Time, Positions: positionsJSON(ev.Positions), Cash: cashJSON(cashOf(ev.Cash)),
		TotalMarketValue: console.Money(ev.TotalMarketValue),
	}
	if ev.Change != client.NoChange {
		e.Change = enumJSON(ev.Change)
	}
	switch {
	case ev.Trade != nil:
		e.Trade = tradeJSON(ev.Trade)
	case ev.Bust != nil:
		b := ev.Bust
		e.Bust = &console.Bust{
			TradeID: b.TradeID, Reason: b.Reason, Actor: b.Actor, BustID: b.BustID,
			Original: *tradeJSON(&b.Original), Cascade: b.Cascade,
		}
		if r := b.Replacement; r != nil {
			e.Bust.Replacement = tradeJSON(r)
		}
	case ev.Adjustment != nil:
		a := ev.Adjustment
		e.Adjustment = &console.Adjustment{Cash: console.Money(a.Cash), Reason: a.Reason, Actor: a.Actor}
	case ev.Reset != nil:
		r := ev.Reset
		e.Reset = &console.Reset{Cash: console.Money(r.Cash), Reason: r.Reason, Actor: r.Actor}
	}
	return e
}

func tradeJSON(t *client.Trade) *console.Trade {
	return &console.Trade{
		ID: t.ID, Side: enumJSON(t.Side), Market: t.Market, Code: t.Code, Name: t.Name,
		Quantity: t.Quantity, Price: console.Money(t.Price), Amount: console.Money(t.Amount),
		Fees:   console.Money(t.Fees),
		Origin: enumJSON(t.Origin), ClientOrderID: t.ClientOrderID, Revision: t.Revision,
	}
}

// enumJSON returns a value of an enumeration as the admin API writes it: BUY becomes buy.
func enumJSON(value fmt.Stringer) string { return strings.ToLower(value.String()) }

func quotesJSON(list []client.Instrument) quotesLine {
	line := quotesLine{Type: "quotes", Quotes: make([]quote, len(list))}
	for i := range list {
		in := &list[i]
		line.Quotes[i] = quote{
			Market: in.Market, Code: in.Code, Name: in.Name, Price: console.Money(in.Price),
			PreviousClose: console.Money(in.PreviousClose),
		}
	}
	return line
}
