package shadow

import (
	"fmt"
	"slices"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// wireEvent converts an event of the book to the wire's form.
func wireEvent(u *market.Universe, ev *positions.Event) *papertapev1.AccountEvent {
	out := &papertapev1.AccountEvent{
		Account: ev.Account, Seq: ev.Seq, Time: ev.Time, Change: papertapev1.Change(ev.Change), Cash: wireCash(ev.Cash),
		TotalMarketValue: ev.TotalMarketValue,
	}
	if a := ev.Adjustment; a != nil {
		out.What = &papertapev1.AccountEvent_Adjustment{Adjustment: &papertapev1.Adjustment{Cash: a.Cash,
			Reason: a.Reason, Actor: a.Actor}}
		return out
	}
	if r := ev.Reset; r != nil {
		out.What = &papertapev1.AccountEvent_Reset_{Reset_: &papertapev1.Reset{Cash: r.Cash, Reason: r.Reason,
			Actor: r.Actor}}
		for _, id := range r.Gone {
			out.Positions = append(out.Positions, &papertapev1.Position{Market: u.At(id).Market, Code: u.At(id).Code})
		}
		return out
	}
	if b := ev.Bust; b != nil {
		out.What = &papertapev1.AccountEvent_Bust{Bust: wireBust(u, ev.Account, b)}
		for i := range b.Positions {
			out.Positions = append(out.Positions, wirePosition(u, &b.Positions[i]))
		}
		return out
	}
	out.What = &papertapev1.AccountEvent_Trade{Trade: wireTrade(u, ev.Account, ev.Seq, &ev.Trade)}
	out.Positions = []*papertapev1.Position{wirePosition(u, &ev.Position)}
	return out
}

func wireTrade(u *market.Universe, account, seq uint64, t *positions.Trade) *papertapev1.Trade {
	i := u.At(t.Instrument)
	return &papertapev1.Trade{
		Id: wireID(account, seq), Side: papertapev1.Side(t.Side), Market: i.Market, Code: i.Code, Name: i.Name,
		Quantity: t.Quantity, Price: t.Price,
		Amount: t.Amount, Fees: t.Fees, Origin: papertapev1.Origin(t.Origin), ClientOrderId: t.OrderID.String(),
		Revision: t.Revision,
	}
}

func wireBust(u *market.Universe, account uint64, b *positions.Bust) *papertapev1.Bust {
	out := &papertapev1.Bust{
		TradeId: wireID(account, b.TradeSeq), Reason: b.Reason, Actor: b.Actor, BustId: b.ID,
		Original: wireTrade(u, account, b.TradeSeq, &b.Original),
	}
	if b.Replacement != nil {
		out.Replacement = wireTrade(u, account, b.TradeSeq, b.Replacement)
	}
	for _, seq := range b.Cascade {
		out.Cascade = append(out.Cascade, wireID(account, seq))
	}
	return out
}

func wireID(account, seq uint64) string { return fmt.Sprintf("%d-%d", account, seq) }

func wirePosition(u *market.Universe, p *positions.Position) *papertapev1.Position {
	i := u.At(p.Instrument)
	return &papertapev1.Position{
		Market: i.Market, Code: i.Code, Name: i.Name, Quantity: p.Quantity, Sellable: p.Sellable, Price: p.Price,
		MarketValue: p.Quantity * p.Price, Cost: p.Cost, Realised: p.Realised, RowVersion: p.Version,
	}
}

func wireCash(c positions.Cash) *papertapev1.Cash {
	return &papertapev1.Cash{Balance: c.Balance, FeesPaid: c.FeesPaid, Realised: c.Realised}
}

func wireHoldings(u *market.Universe, h *positions.Holdings) *papertapev1.Holdings {
	out := &papertapev1.Holdings{
		Account: h.Account, AsOfSeq: h.Seq, TotalMarketValue: h.TotalMarketValue, Cash: wireCash(h.Cash),
		StateHash: h.Hash,
	}
	for i := range h.Positions {
		out.Positions = append(out.Positions, wirePosition(u, &h.Positions[i]))
	}
	return out
}

// asShown converts an event of the wire to the SDK's form.
func asShown(m *papertapev1.AccountEvent) *client.Event {
	payload, err := m.MarshalVT()
	if err != nil {
		panic(err)
	}
	ev, err := client.DecodeEvent(payload)
	if err != nil {
		panic(err)
	}
	return ev
}

// listShown converts a list of the wire to the SDK's form.
func listShown(m *papertapev1.Holdings) *client.Holdings {
	payload, err := m.MarshalVT()
	if err != nil {
		panic(err)
	}
	h, err := client.DecodeHoldings(payload)
	if err != nil {
		panic(err)
	}
	return h
}

// cloneEvent returns a copy that shares nothing which a test changes.
func cloneEvent(ev *client.Event) *client.Event {
	c := *ev
	c.Reset = clone(ev.Reset)
	c.Trade, c.Cash, c.Positions = clone(ev.Trade), clone(ev.Cash), slices.Clone(ev.Positions)
	if ev.Bust != nil {
		c.Bust = clone(ev.Bust)
		c.Bust.Replacement, c.Bust.Cascade = clone(ev.Bust.Replacement), slices.Clone(ev.Bust.Cascade)
	}
	return &c
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}
