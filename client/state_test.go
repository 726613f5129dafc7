package client

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// The same state as in positions.TestStateHash, which writes it out byte by byte.
func TestHash(t *testing.T) {
	s := &State{
		Account: 100017, Epoch: 5, Seq: 4, Cash: Cash{Balance: 1_000_000_0000, FeesPaid: 5_0000, Realised: -1},
		TotalMarketValue: 9,
		Positions: []Position{
			{Market: "SH", Code: "600519", Quantity: 100, Cost: 14800_0000, Price: 148_0000, RowVersion: 3},
			{Market: "SZ", Code: "000001", Quantity: 150, Cost: 2250_0000, Realised: -10_0000, RowVersion: 4},
		},
	}
	if got := s.Hash(); got != 0x19a156eb18301106 {
		t.Errorf("the hash is %016x", got)
	}
	if got := new(State).Hash(); got != positions.StateHash(market.Default(), 0, 0, positions.Cash{}, nil) {
		t.Errorf("the hash of nothing is %016x", got)
	}
}

// A bust sets the cash, and every row that it touched, to the values of the event.
func TestBustIsApplied(t *testing.T) {
	s := &State{Seq: 6, Cash: Cash{Balance: 10}, Positions: []Position{
		{Market: "SH", Code: "600519", Quantity: 200, Cost: 3000},
		{Market: "SZ", Code: "000001", Quantity: 50, Cost: 15},
		{Market: "SZ", Code: "000333", Quantity: 7},
	}}
	s.apply(&Event{
		Seq: 7, Bust: &Bust{TradeID: "1-3", Cascade: []string{"1-5"}}, Cash: &Cash{Balance: 30, Realised: 400},
		TotalMarketValue: 77,
		Positions: []Position{
			{Market: "SZ", Code: "000001", Quantity: 0, Realised: 650},
			{Market: "SH", Code: "600519", Quantity: 50, Cost: 500, Realised: 400},
			{Market: "BJ", Code: "830799", Quantity: 0}, // a row that was never held
		},
	})
	if s.Seq != 7 || s.Cash.Balance != 30 || s.Cash.Realised != 400 || s.TotalMarketValue != 77 ||
		len(s.Positions) != 2 {
		t.Errorf("the state is %+v", s)
	}
	if p, held := s.Position("SH", "600519"); !held || p.Quantity != 50 || p.Cost != 500 || p.Realised != 400 {
		t.Errorf("SH 600519 is %v", p)
	}
	if p, held := s.Position("SZ", "000001"); held || p != (Position{}) {
		t.Errorf("SZ 000001 is still %v", p)
	}
	if p, held := s.Position("SZ", "000333"); !held || p.Quantity != 7 {
		t.Errorf("SZ 000333 is %v", p)
	}
}

// The state equals a map into which the rows of each event are put.
func TestStateAgreesWithAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, rows := &State{}, make(map[instrument]int64)
		codes := rapid.SampledFrom([]string{"000001", "000002", "600519", "A", "AB", "B"})
		for seq := range rapid.Uint64Range(1, 30).Draw(t, "events") {
			ev := &Event{Seq: seq + 1, Cash: &Cash{Balance: Money(seq)}}
			for range rapid.IntRange(0, 3).Draw(t, "rows") {
				i := instrument{rapid.SampledFrom([]string{"SH", "SZ"}).Draw(t, "market"), codes.Draw(t, "code")}
				quantity := rapid.Int64Range(0, 3).Draw(t, "quantity")
				ev.Positions = append(ev.Positions, Position{Market: i.market, Code: i.code, Quantity: quantity})
				if rows[i] = quantity; quantity == 0 {
					delete(rows, i)
				}
			}
			before := s.clone()
			hash := before.Hash()
			s.apply(ev)
			if before.Hash() != hash {
				t.Fatalf("a copy was changed by seq %d", ev.Seq)
			}
		}
		sorted := slices.IsSortedFunc(s.Positions, func(a, b Position) int {
			return slices.Compare([]string{a.Market, a.Code}, []string{b.Market, b.Code})
		})
		got := make(map[instrument]int64)
		for _, p := range s.Positions {
			got[instrument{p.Market, p.Code}] = p.Quantity
		}
		if !sorted || len(s.Positions) != len(got) || !maps.Equal(got, rows) {
			t.Fatalf("the rows are %v: expected %v", s.Positions, rows)
		}
	})
}

// TestStateOfReset: a reset leaves its cash and no rows, and says so to the caller.
func TestStateOfReset(t *testing.T) {
	row := func(code string, quantity int64) *papertapev1.Position {
		return &papertapev1.Position{Market: "SH", Code: code, Quantity: quantity}
	}
	s := &State{Account: 7, Seq: 1}
	s.apply(eventFrom(&papertapev1.AccountEvent{
		Account: 7, Seq: 2, Cash: &papertapev1.Cash{FeesPaid: 1},
		Positions: []*papertapev1.Position{row("600036", 5), row("600519", 7)},
	}))
	ev := eventFrom(&papertapev1.AccountEvent{
		Account: 7, Seq: 3, Cash: &papertapev1.Cash{Balance: 50},
		What:      &papertapev1.AccountEvent_Reset_{Reset_: &papertapev1.Reset{Cash: 50, Reason: "anew", Actor: "ops"}},
		Positions: []*papertapev1.Position{row("600036", 0), row("600519", 0)},
	})
	want := Reset{Cash: 50, Reason: "anew", Actor: "ops"}
	if ev.Reset == nil || *ev.Reset != want || ev.Trade != nil {
		t.Errorf("the event is %+v", ev)
	}
	if len(s.Positions) != 2 {
		t.Fatalf("before: %+v", s)
	}
	s.apply(ev)
	if len(s.Positions) != 0 || s.Cash != (Cash{Balance: 50}) || s.Seq != 3 || s.TotalMarketValue != 0 {
		t.Errorf("the state is %+v", s)
	}
}
