package shadow

import (
	"fmt"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// wireEvent is an event of the book as the wire has it.
func wireEvent(u *market.Universe, ev *positions.Event) *client.AccountEvent {
	out := &client.AccountEvent{
		Account: ev.Account, Seq: ev.Seq, Time: ev.Time, Change: client.Change(ev.Change), Cash: wireCash(ev.Cash),
		TotalMarketValue: ev.TotalMarketValue,
	}
	if a := ev.Adjustment; a != nil {
		out.What = &client.EventAdjustment{Adjustment: &client.Adjustment{Cash: a.Cash, Reason: a.Reason, Actor: a.Actor}}
		return out
	}
	if b := ev.Bust; b != nil {
		out.What = &client.EventBust{Bust: wireBust(u, ev.Account, b)}
		for i := range b.Positions {
			out.Positions = append(out.Positions, wirePosition(u, &b.Positions[i]))
		}
		return out
	}
	out.What = &client.EventTrade{Trade: wireTrade(u, ev.Account, ev.Seq, &ev.Trade)}
	out.Positions = []*client.Position{wirePosition(u, &ev.Position)}
	return out
}

func wireTrade(u *market.Universe, account, seq uint64, t *positions.Trade) *client.Trade {
	i := u.At(t.Instrument)
	return &client.Trade{
		Id: wireID(account, seq), Side: client.Side(t.Side), Market: i.Market, Code: i.Code, Name: i.Name, Quantity: t.Quantity, Price: t.Price,
		Amount: t.Amount, Fees: t.Fees, Origin: client.Origin(t.Origin), ClientOrderId: t.OrderID.String(), Revision: t.Revision,
	}
}

func wireBust(u *market.Universe, account uint64, b *positions.Bust) *client.Bust {
	out := &client.Bust{
		TradeId: wireID(account, b.TradeSeq), Reason: b.Reason, Actor: b.Actor, BustId: b.ID, Original: wireTrade(u, account, b.TradeSeq, &b.Original),
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

func wirePosition(u *market.Universe, p *positions.Position) *client.Position {
	i := u.At(p.Instrument)
	return &client.Position{
		Market: i.Market, Code: i.Code, Name: i.Name, Quantity: p.Quantity, Sellable: p.Sellable, Price: p.Price,
		MarketValue: p.Quantity * p.Price, Cost: p.Cost, Realised: p.Realised, RowVersion: p.Version,
	}
}

func wireCash(c positions.Cash) *client.Cash {
	return &client.Cash{Balance: c.Balance, FeesPaid: c.FeesPaid, Realised: c.Realised}
}

func wireHoldings(u *market.Universe, h *positions.Holdings) *client.Holdings {
	out := &client.Holdings{
		Account: h.Account, AsOfSeq: h.Seq, TotalMarketValue: h.TotalMarketValue, Cash: wireCash(h.Cash), StateHash: h.Hash,
	}
	for i := range h.Positions {
		out.Positions = append(out.Positions, wirePosition(u, &h.Positions[i]))
	}
	return out
}
