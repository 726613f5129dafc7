package client_test

import (
	"fmt"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// simulatePurchase makes the simulator buy something for an account and returns the trade's sequence.
func (v *venue) simulatePurchase(t *testing.T, instrument string, quantity int64) uint64 {
	t.Helper()
	id, err := v.universe.Parse(instrument)
	if err != nil {
		t.Fatal(err)
	}
	request := engine.Request{Kind: engine.KindDecide, Account: venueAccount, Decider: simulatedPurchase{id, quantity}}
	if v.engine.Submit(venueAccount, []engine.Request{request}) != 1 {
		t.Fatal("the server is busy")
	}
	return v.serverAccount(t, venueAccount).Seq
}

// simulatedPurchase is a decider that makes one purchase by the simulator.
type simulatedPurchase struct {
	instrument market.ID
	quantity   int64
}

func (b simulatedPurchase) Decide(
	_ positions.View, _ *market.Prices, _ int64, _ uint64, orders []positions.Order,
) []positions.Order {
	return append(orders, positions.Order{
		Instrument: b.instrument, Side: positions.Buy, Quantity: b.quantity, Origin: positions.OriginSimulator,
	})
}

func (simulatedPurchase) Done(uint64, []positions.Event, positions.Refusal) {}

// bustTrade busts a trade, or corrects it if quantity is not 0.
func (v *venue) bustTrade(t *testing.T, seq uint64, quantity, price int64) {
	t.Helper()
	r := &positions.BustRequest{
		Account: venueAccount, TradeSeq: seq, Reason: "wrong price", Actor: "ops", Correct: quantity != 0,
		Quantity: quantity, Price: price,
	}
	if _, _, err := v.engine.Bust(patience(t), r); err != nil {
		t.Fatal(err)
	}
}

// A client is away while trades are made and busted. When it is back, with the state in memory
// or from its file, it gets all events in order and reaches the server's state.
func TestAwayForABust(t *testing.T) {
	for name, cursor := range map[string]string{"another connection": "",
		"another program": filepath.Join(t.TempDir(), "cursor")} {
		t.Run(name, func(t *testing.T) {
			v := startVenue(t, nil)
			l := startLink(t, v.addr)
			a := openAt(t, l, func(o *client.AccountOptions) { o.Cursor = cursor })
			order := client.Order{Side: client.Buy, Market: "SZ", Code: "000001", Quantity: 100,
				ClientOrderID: "before"}
			shown, err := a.Order(patience(t), order)
			if err != nil {
				t.Fatal(err)
			}
			v.catchUp(t, a, venueAccount)
			v.bustTrade(t, v.simulatePurchase(t, "SH.601398", 300), 0, 0)
			v.catchUp(t, a, venueAccount) // a bust that is pushed
			before := a.State()

			l.to("") // no connection gets through
			l.cut()
			if cursor != "" {
				if err := a.Close(); err != nil {
					t.Fatal(err)
				}
			} else {
				takeUntil[*client.Disconnected](t, a)
			}
			again := v.simulatePurchase(t, "SZ.000001", 200)
			v.bustTrade(t, again, 50, 9_0000)
			v.bustTrade(t, shown.Seq, 0, 0)
			v.bustTrade(t, again, 0, 0)
			l.to(v.addr)
			if cursor != "" {
				a = openAt(t, l, func(o *client.AccountOptions) { o.Cursor = cursor })
			}
			if c := takeUntil[*client.Connected](t, a); !c.Resumed || c.Missed != 4 {
				t.Errorf("Connected says %+v", c)
			}
			var tape []*client.Event
			for range 4 {
				tape = append(tape, takeUntil[*client.Event](t, a))
			}
			tradeOf := func(seq uint64) string { return fmt.Sprintf("%d-%d", venueAccount, seq) }
			for i, ev := range tape {
				if ev.Seq != before.Seq+uint64(i)+1 || !ev.Replay {
					t.Errorf("event %d is seq %d, REPLAY %v", i, ev.Seq, ev.Replay)
				}
			}
			switch corrected, first, second := tape[1].Bust, tape[2].Bust, tape[3].Bust; {
			case tape[0].Trade.Quantity != 200,
				corrected.TradeID != tradeOf(again), corrected.Original.Quantity != 200,
				corrected.Replacement.Revision != 1,
				first.TradeID != shown.Trade.ID, first.Original != *shown.Trade, first.Replacement != nil,
				second.TradeID != tradeOf(again), second.Original != *corrected.Replacement:
				t.Errorf("what was missed is %v", tape)
			}
			v.compare(t, a, venueAccount)
			after := a.State()
			if _, held := after.Position("SZ", "000001"); held ||
				after.Cash.Balance != before.Cash.Balance+shown.Trade.Amount {
				t.Errorf("the account is %+v", after)
			}
			if err := a.Verify(patience(t)); err != nil {
				t.Error(err)
			}
			// The order's id still stands for its first execution, although that was busted.
			repeated, err := a.Order(patience(t), order)
			if err != nil || !repeated.Replay || !sameEvent(repeated, shown) {
				t.Errorf("the order sent again reports %v, %v", repeated, err)
			}
			v.compare(t, a, venueAccount)
		})
	}
}

// sameEvent reports whether two events are the same, however they were received.
func sameEvent(a, b *client.Event) bool {
	x, y := *a, *b
	x.Replay, x.Execution = y.Replay, y.Execution
	return reflect.DeepEqual(x, y)
}
