package client

import (
	"maps"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// The state that positions.TestStateHash writes out byte by byte.
func TestHash(t *testing.T) {
	s := &State{
		Account: 100017, Epoch: 5, Seq: 4, Cash: &Cash{Balance: 1_000_000_0000, FeesPaid: 5_0000, Realised: -1}, TotalMarketValue: 9,
		Positions: []*Position{
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

// Copies have every field that the messages have, or that a later version gives them.
func TestCopiesAreWhole(t *testing.T) {
	fill := func(m proto.Message) {
		fields := m.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			f := fields.Get(i)
			switch f.Kind() {
			case protoreflect.StringKind:
				m.ProtoReflect().Set(f, protoreflect.ValueOfString(string(f.Name())))
			case protoreflect.Int64Kind:
				m.ProtoReflect().Set(f, protoreflect.ValueOfInt64(int64(i+1)))
			case protoreflect.Uint64Kind:
				m.ProtoReflect().Set(f, protoreflect.ValueOfUint64(uint64(i+1)))
			default:
				t.Errorf("field %s is of a kind that this test does not know", f.FullName())
			}
		}
	}
	p, c := new(Position), new(Cash)
	fill(p)
	fill(c)
	if got := copyPosition(p); !proto.Equal(got, p) {
		t.Errorf("the copy of %v is %v", p, got)
	}
	if got := copyCash(c); !proto.Equal(got, c) {
		t.Errorf("the copy of %v is %v", c, got)
	}
}

// A bust sets every row it touched, and the cash, to what the event says.
func TestBustIsApplied(t *testing.T) {
	s := &State{Seq: 6, Cash: &Cash{Balance: 10}, Positions: []*Position{
		{Market: "SH", Code: "600519", Quantity: 200, Cost: 3000}, {Market: "SZ", Code: "000001", Quantity: 50, Cost: 15},
		{Market: "SZ", Code: "000333", Quantity: 7},
	}}
	s.apply(&AccountEvent{
		Seq: 7, What: &EventBust{Bust: &Bust{TradeId: "1-3", Cascade: []string{"1-5"}}}, Cash: &Cash{Balance: 30, Realised: 400}, TotalMarketValue: 77,
		Positions: []*Position{
			{Market: "SZ", Code: "000001", Quantity: 0, Realised: 650}, {Market: "SH", Code: "600519", Quantity: 50, Cost: 500, Realised: 400},
			{Market: "BJ", Code: "830799", Quantity: 0}, // never seen
		},
	})
	if s.Seq != 7 || s.Cash.GetBalance() != 30 || s.Cash.GetRealised() != 400 || s.TotalMarketValue != 77 || len(s.Positions) != 2 {
		t.Errorf("the state is %+v", s)
	}
	if p := s.Position("SH", "600519"); p.GetQuantity() != 50 || p.GetCost() != 500 || p.GetRealised() != 400 {
		t.Errorf("SH 600519 is %v", p)
	}
	if s.Position("SZ", "000001") != nil || s.Position("SZ", "000333").GetQuantity() != 7 {
		t.Errorf("the rows are %v", s.Positions)
	}
}

// The state is what a map would be that each event's rows are put into.
func TestStateAgreesWithAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, rows := &State{Cash: new(Cash)}, make(map[instrument]int64)
		codes := rapid.SampledFrom([]string{"000001", "000002", "600519", "A", "AB", "B"})
		for seq := range rapid.Uint64Range(1, 30).Draw(t, "events") {
			ev := &AccountEvent{Seq: seq + 1, Cash: &Cash{Balance: int64(seq)}}
			for range rapid.IntRange(0, 3).Draw(t, "rows") {
				i := instrument{rapid.SampledFrom([]string{"SH", "SZ"}).Draw(t, "market"), codes.Draw(t, "code")}
				quantity := rapid.Int64Range(0, 3).Draw(t, "quantity")
				ev.Positions = append(ev.Positions, &Position{Market: i.market, Code: i.code, Quantity: quantity})
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
		sorted := slices.IsSortedFunc(s.Positions, func(a, b *Position) int {
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
