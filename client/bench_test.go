package client

import (
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// wireTrade returns an event as a server sends it: one trade, the row that it touched, and the
// cash after it.
func wireTrade(seq uint64) *papertapev1.AccountEvent {
	return &papertapev1.AccountEvent{
		Account: 7, Seq: seq, Time: 1_700_000_000_000_000_000, Change: papertapev1.Change_CHANGE_INCREASED,
		What: &papertapev1.AccountEvent_Trade{Trade: &papertapev1.Trade{
			Id: "7-1", Side: papertapev1.Side_SIDE_BUY, Market: "SH", Code: "600519", Name: "贵州茅台", Quantity: 100,
			Price: 1480_0000, Amount: 148_000_0000, Origin: papertapev1.Origin_ORIGIN_SIMULATOR,
		}},
		Positions: []*papertapev1.Position{{
			Market: "SH", Code: "600519", Name: "贵州茅台", Quantity: 200, Sellable: 100, Price: 1480_0000,
			MarketValue: 296_000_0000, Cost: 295_000_0000, RowVersion: seq,
		}},
		Cash: &papertapev1.Cash{Balance: 1_000_000_0000}, TotalMarketValue: 296_000_0000,
	}
}

// BenchmarkEvent measures an event from its frame to the caller of Next, state included.
func BenchmarkEvent(b *testing.B) {
	c := &Client{
		login: &LoginReply{Account: 7}, stream: newStream(&State{Account: 7}), done: make(chan struct{}),
	}
	frame, _, err := codec.Cut(codec.Append(nil, codec.TypeEvent, 0, 0, wireTrade(1)), codec.LimitToClient)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		c.last = 0
		if err := c.take(frame); err != nil {
			b.Fatal(err)
		}
		if ev, ok := c.stream.take().(*Event); !ok || ev.Replay {
			b.Fatal("the event did not come")
		}
	}
}

// BenchmarkState measures State with 100 rows.
func BenchmarkState(b *testing.B) {
	state := &State{Account: 7}
	for i := range 100 {
		state.Positions = append(state.Positions, Position{Market: "SH", Code: string(rune('A' + i)), Quantity: 100})
	}
	s := newStream(state)
	b.ReportAllocs()
	for b.Loop() {
		if now, _ := s.current(); len(now.Positions) != 100 {
			b.Fatal(len(now.Positions))
		}
	}
}
