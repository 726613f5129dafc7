package load

import (
	"testing"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// BenchmarkTake measures how the generator handles EXECUTIONs that it has read, 32 per
// read, and the next order for each, without system calls.
func BenchmarkTake(b *testing.B) {
	w := &worker{plan: &Plan{Mode: ClosedLoop, Outstanding: 32}, frames: requestFrames(), tally: newTally()}
	c := &conn{account: FirstAccount, state: live}
	var in []byte
	for i := range uint64(32) {
		side, held := papertapev1.Side_SIDE_BUY, int64(300)
		if i%2 == 1 {
			side, held = papertapev1.Side_SIDE_SELL, 200
		}
		in = codec.Append(in, codec.TypeExecution, codec.FlagReply, i+1, execution(i+1, side, held))
	}
	b.ReportAllocs()
	for n := 0; n < b.N; n += 32 {
		c.lastID, c.seq, c.have, w.out = 0, 0, 200, w.out[:0]
		for range 32 {
			w.out = w.ask(w.out, c, w.nextKind(c), 0)
		}
		for rest := in; len(rest) > 0; {
			f, size, err := codec.Cut(rest, codec.LimitToClient)
			if err != nil || !w.handleFrame(c, &f) {
				b.Fatal(err, w.tally.sentences)
			}
			rest = rest[size:]
		}
	}
	if w.tally.findings > 0 {
		b.Fatal(w.tally.sentences)
	}
}

func execution(seq uint64, side papertapev1.Side, held int64) *papertapev1.AccountEvent {
	return &papertapev1.AccountEvent{
		Account: FirstAccount, Seq: seq, Time: 1_767_578_400_123_456_789, Change: papertapev1.Change_CHANGE_INCREASED,
		What: &papertapev1.AccountEvent_Trade{Trade: &papertapev1.Trade{
			Id: "100001-42", Side: side, Market: orderMarket, Code: orderCode, Name: "平安银行", Quantity: orderQuantity,
			Price:  100_000,
			Amount: 10_000_000, Origin: papertapev1.Origin_ORIGIN_CLIENT}},
		Positions: []*papertapev1.Position{{
			Market: orderMarket, Code: orderCode, Name: "平安银行", Quantity: held, Sellable: held, Price: 100_000,
			MarketValue: 100_000 * held,
			Cost:        100_000 * held, RowVersion: seq}},
		Cash: &papertapev1.Cash{Balance: 10_000_000_000, FeesPaid: 1, Realised: 1}, TotalMarketValue: 10_000_000_000,
	}
}
