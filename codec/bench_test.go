package codec_test

import (
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/positions"
)

// sampleOrder returns an order with every field set, as a client sends it.
func sampleOrder() *papertapev1.Order {
	return &papertapev1.Order{
		Side: papertapev1.Side_SIDE_BUY, Market: "SH", Code: "600519", Quantity: 200, LimitPrice: 16_800_000,
		ClientOrderId: "0a6f3c1e-7d42-4b0e-9a51-2f6c8e1d3b77",
	}
}

// sampleEvent returns the trade event that such an order causes.
func sampleEvent(t failer) *positions.Event {
	t.Helper()
	maotai := instrument(t, "SH", "600519")
	orderID, _ := positions.MakeOrderID([]byte("morning-17"))
	return &positions.Event{
		Account: 100_017, Seq: 42, Time: 1_767_578_400_123_456_789,
		Cash:             positions.Cash{Balance: 6_640_000_000, FeesPaid: 125_000, Realised: -30_000},
		TotalMarketValue: 8_400_000_000,
		Trade: positions.Trade{
			Quantity: 200, Price: 16_800_000, Amount: 3_360_000_000, Fees: 50_000, Instrument: maotai,
			Side: positions.Buy, Origin: positions.OriginClient, OrderID: orderID,
		},
		Position: positions.Position{
			Row: positions.Row{
				Quantity: 500, Cost: 8_350_000_000, Realised: -30_000, Version: 42, Instrument: maotai,
			},
			Sellable: 300, Price: 16_800_000,
		},
		Kind: positions.KindTrade, Change: positions.Increased,
	}
}

func BenchmarkDecodeOrder(b *testing.B) {
	payload := marshal(b, sampleOrder())
	b.ReportAllocs()
	b.SetBytes(int64(len(payload)))
	var order positions.Order
	for b.Loop() {
		if err := codec.DecodeOrder(payload, universe, &order); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	ev := sampleEvent(b)
	frame := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		frame = codec.AppendEvent(frame[:0], codec.TypeEvent, 0, 0, ev, universe)
	}
	b.SetBytes(int64(len(frame)))
}

func BenchmarkCut(b *testing.B) {
	frame := codec.Append(nil, codec.TypeOrder, 0, 7, sampleOrder())
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		if _, n, err := codec.Cut(frame, codec.LimitAfterLogin); n != len(frame) || err != nil {
			b.Fatal(n, err)
		}
	}
}
