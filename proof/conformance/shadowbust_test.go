package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	pb "github.com/papertape/papertape/api/papertape/v1"
	"google.golang.org/protobuf/proto"
)

// booked is a trade in its current form.
type booked struct {
	seq   uint64
	trade *pb.Trade
	gone  bool
}

// foldBust takes a trade back, or corrects it, by folding all trades that stand from the first one
// on. A shadow that does not know all of them adopts the event's values, as any client does.
func (b *shadow) foldBust(ev *pb.AccountEvent, m *pb.Bust) error {
	if m.Reason == "" || m.Actor == "" || m.Original == nil || m.Original.Id != m.TradeId {
		return fmt.Errorf("bust {%v}: want a reason, who did it, and the trade as it stood", m)
	}
	if err := inOrder(ev.Positions); err != nil {
		return err
	}
	key := instrument{m.Original.Market, m.Original.Code}
	held := b.rows[key].quantity
	if b.whole {
		if err := b.strike(m); err != nil {
			return err
		}
		if err := b.refold(ev); err != nil {
			return err
		}
	} else {
		b.adopt(ev)
	}
	if want := changeOf(held, b.rows[key].quantity); ev.Change != want {
		return fmt.Errorf("change %v, want %v: %d shares were held, and %d are", ev.Change, want, held,
			b.rows[key].quantity)
	}
	if b.fixed && ev.TotalMarketValue != b.marketValue() {
		return fmt.Errorf("total market value %d, want %d", ev.TotalMarketValue, b.marketValue())
	}
	return nil
}

func inOrder(rows []*pb.Position) error {
	for i := 1; i < len(rows); i++ {
		last, key := instrument{rows[i-1].Market, rows[i-1].Code}, instrument{rows[i].Market, rows[i].Code}
		if last.compare(key) >= 0 {
			return fmt.Errorf("row %s comes after %s, want rows by market, then code", key, last)
		}
	}
	return nil
}

func changeOf(was, is int64) pb.Change {
	switch {
	case was == is:
		return pb.Change_CHANGE_UNCHANGED
	case was == 0:
		return pb.Change_CHANGE_OPENED
	case is == 0:
		return pb.Change_CHANGE_CLOSED
	case is > was:
		return pb.Change_CHANGE_INCREASED
	}
	return pb.Change_CHANGE_DECREASED
}

// standing returns a trade by its id. The trade must stand.
func (b *shadow) standing(id string) (*booked, error) {
	for i := range b.trades {
		if t := &b.trades[i]; t.trade.Id == id && !t.gone {
			return t, nil
		}
	}
	return nil, fmt.Errorf("trade %s does not stand", id)
}

// strike marks the trades that a bust takes back, and replaces a corrected trade.
func (b *shadow) strike(m *pb.Bust) error {
	target, err := b.standing(m.TradeId)
	if err != nil {
		return err
	}
	if !proto.Equal(m.Original, target.trade) {
		return fmt.Errorf("original {%v}, but the trade stood as {%v}", m.Original, target.trade)
	}
	if m.Replacement == nil {
		target.gone = true
	} else {
		want := proto.Clone(target.trade).(*pb.Trade)
		want.Quantity, want.Price, want.Revision = m.Replacement.Quantity, m.Replacement.Price, target.trade.Revision+1
		want.Amount = want.Quantity * want.Price
		if !proto.Equal(m.Replacement, want) {
			return fmt.Errorf("replacement {%v}, want {%v}", m.Replacement, want)
		}
		target.trade = want
	}
	for _, id := range m.Cascade {
		with, err := b.standing(id)
		if err != nil {
			return err
		}
		if with == target {
			return fmt.Errorf("cascade of %s: the trade itself is not with it", m.TradeId)
		}
		with.gone = true
	}
	return nil
}

// refold folds the standing trades anew, and returns an error if the event differs from the result.
// The event's rows are those whose trades were touched. All rows that changed are among them.
func (b *shadow) refold(ev *pb.AccountEvent) error {
	fresh := newShadow(b.account, b.fixed)
	fresh.balance = b.adjusted
	for _, t := range b.trades {
		if t.gone {
			continue
		}
		key := instrument{t.trade.Market, t.trade.Code}
		r, _, err := fresh.move(key, t.trade)
		if err != nil {
			return fmt.Errorf("folded anew: %w", err)
		}
		fresh.setRow(key, r)
	}
	if fresh.balance < 0 {
		return fmt.Errorf("folded anew, cash is %d", fresh.balance)
	}
	b.balance, b.realised = fresh.balance, fresh.realised
	told := map[instrument]*pb.Position{}
	for _, p := range ev.Positions {
		told[instrument{p.Market, p.Code}] = p
	}
	for _, t := range b.trades {
		key := instrument{t.trade.Market, t.trade.Code}
		if err := b.setFolded(key, fresh.rowOf(key), told[key], ev.Seq); err != nil {
			return err
		}
	}
	return nil
}

// rowOf returns a row, held or not.
func (b *shadow) rowOf(key instrument) row {
	if r, held := b.rows[key]; held {
		return r
	}
	return b.closed[key]
}

// setFolded sets a row to its newly folded value, and compares it with the event.
func (b *shadow) setFolded(key instrument, is row, told *pb.Position, seq uint64) error {
	was := b.rowOf(key)
	is.version, is.price = was.version, was.price
	if is.quantity != was.quantity || is.cost != was.cost || is.realised != was.realised {
		is.version = seq
		if told == nil {
			return fmt.Errorf("row %s changes, and the event does not have it", key)
		}
	}
	if told == nil {
		return nil
	}
	is.price = told.Price
	b.setRow(key, is)
	return differences("row "+key.String(),
		figure{"quantity", told.Quantity, is.quantity},
		figure{"sellable", told.Sellable, is.quantity},
		figure{"market value", told.MarketValue, is.quantity * told.Price},
		figure{"cost", told.Cost, is.cost},
		figure{"realised", told.Realised, is.realised},
		figure{"row version", int64(told.RowVersion), int64(is.version)},
	)
}

// adopt adopts the event's rows and cash.
func (b *shadow) adopt(ev *pb.AccountEvent) {
	for _, p := range ev.Positions {
		b.setRow(instrument{p.Market, p.Code}, row{p.Quantity, p.Cost, p.Realised, p.Price, p.RowVersion})
	}
	b.balance, b.fees, b.realised = ev.Cash.GetBalance(), ev.Cash.GetFeesPaid(), ev.Cash.GetRealised()
}

// bustEvent returns the golden bust: the second buy of goldenEvents is taken back, with the figures
// of the ledger's page.
func bustEvent() *pb.AccountEvent {
	original := goldenEvents()[2].GetTrade()
	return &pb.AccountEvent{
		Account: 9, Seq: 5, Time: 1, Change: pb.Change_CHANGE_DECREASED, Cash: &pb.Cash{Balance: 9900, Realised: 400},
		TotalMarketValue: 50 * 18,
		What: &pb.AccountEvent_Bust{Bust: &pb.Bust{TradeId: "9-3", Reason: "r", Actor: "a",
			Original: original}},
		Positions: []*pb.Position{{
			Market: "SZ", Code: "000001", Name: "x", Quantity: 50, Sellable: 50, Price: 18, MarketValue: 900,
			Cost: 500, Realised: 400, RowVersion: 5,
		}},
	}
}

// TestToolShadowBust: the figures of the golden bust are accepted, and no others: neither those of
// an opposite sale, nor any left unchanged.
func TestToolShadowBust(t *testing.T) {
	fold := func(change func(ev *pb.AccountEvent)) error {
		b := newShadow(9, true)
		for _, ev := range goldenEvents() {
			if err := b.fold(ev); err != nil {
				t.Fatal(err)
			}
		}
		ev := bustEvent()
		change(ev)
		return b.fold(ev)
	}
	if err := fold(func(*pb.AccountEvent) {}); err != nil {
		t.Error(err)
	}
	replacement := func(ev *pb.AccountEvent) *pb.Trade {
		ev.GetBust().Replacement = proto.Clone(ev.GetBust().Original).(*pb.Trade)
		ev.GetBust().Replacement.Revision = 1
		return ev.GetBust().Replacement
	}
	for want, change := range map[string]func(ev *pb.AccountEvent){
		"quantity 49, want 50": func(ev *pb.AccountEvent) {
			ev.Positions[0].Quantity,
				ev.Positions[0].Sellable = 49, 49
		},
		// the cost after an opposite sale
		"cost 750, want 500":      func(ev *pb.AccountEvent) { ev.Positions[0].Cost = 750 },
		"realised 650, want 400":  func(ev *pb.AccountEvent) { ev.Positions[0].Realised = 650 },
		"row version 4, want 5":   func(ev *pb.AccountEvent) { ev.Positions[0].RowVersion = 4 },
		"cash balance 7900":       func(ev *pb.AccountEvent) { ev.Cash.Balance = 7900 },
		"realised of the account": func(ev *pb.AccountEvent) { ev.Cash.Realised = 150 },
		"change CHANGE_UNCHANGED": func(ev *pb.AccountEvent) { ev.Change = pb.Change_CHANGE_UNCHANGED },
		"total market value 901":  func(ev *pb.AccountEvent) { ev.TotalMarketValue++ },
		"does not have it":        func(ev *pb.AccountEvent) { ev.Positions = nil },
		"but the trade stood as":  func(ev *pb.AccountEvent) { ev.GetBust().Original.Revision = 1 },
		"9-1 does not stand": func(ev *pb.AccountEvent) {
			ev.GetBust().TradeId,
				ev.GetBust().Original.Id = "9-1", "9-1"
		},
		"the trade itself":      func(ev *pb.AccountEvent) { replacement(ev); ev.GetBust().Cascade = []string{"9-3"} },
		"9-6 does not stand":    func(ev *pb.AccountEvent) { ev.GetBust().Cascade = []string{"9-6"} },
		"quantity 50, want 100": func(ev *pb.AccountEvent) { ev.GetBust().Cascade = []string{"9-4"} },
		"want a reason":         func(ev *pb.AccountEvent) { ev.GetBust().Reason = "" },
		"replacement {":         func(ev *pb.AccountEvent) { replacement(ev).Amount++ },
		"quantity 50, want 60": func(ev *pb.AccountEvent) {
			r := replacement(ev)
			r.Quantity, r.Price,
				r.Amount = 10, 20, 200
		},
		"row SZ.000001 comes after": func(ev *pb.AccountEvent) { ev.Positions = slices.Repeat(ev.Positions, 2) },
	} {
		if err := fold(change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	// A shadow that begins later adopts the event's values.
	late := newShadow(9, true)
	late.seq, late.whole = 4, false
	late.rows[instrument{"SZ", "000001"}] = row{quantity: 150, cost: 2250, realised: 150, price: 18, version: 4}
	if err := late.fold(bustEvent()); err != nil || late.balance != 9900 ||
		late.rows[instrument{"SZ", "000001"}] != (row{50, 500, 400, 18, 5}) {
		t.Errorf("a late shadow: %v, %+v", err, late)
	}
}
