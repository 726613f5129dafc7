package codec_test

import (
	"fmt"
	"slices"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// What a client sends is cut into frames and decoded, as a server does it. The last frame is not there yet.
func Example() {
	universe := market.Default()
	sent := codec.Append(nil, codec.TypePing, 0, 1, &papertapev1.Ping{})
	sent = codec.Append(sent, codec.TypeOrder, 0, 2, &papertapev1.Order{
		Side: papertapev1.Side_SIDE_BUY, Market: "SH", Code: "600519", Quantity: 100, LimitPrice: 1480_0000,
	})
	b := slices.Concat(sent, sent[:10]) // and the beginning of another
	for {
		frame, n, err := codec.Cut(b, codec.LimitAfterLogin)
		if err != nil {
			fmt.Println(err)
			return
		}
		if n == 0 {
			fmt.Println(len(b), "bytes wait for more")
			return
		}
		fmt.Println(frame.Type, "with id", frame.ID)
		if frame.Type == codec.TypeOrder {
			var o positions.Order
			if err := codec.DecodeOrder(frame.Payload, universe, &o); err != nil {
				fmt.Println(err)
				return
			}
			fmt.Println(o.Quantity, universe.At(o.Instrument), "at", market.FormatMoney(o.Limit), "or better")
		}
		b = b[n:]
	}
	// Output:
	// PING with id 1
	// ORDER with id 2
	// 100 SH.600519 at 1480.00 or better
	// 10 bytes wait for more
}

// An event is encoded once, and its frame is appended to what each session is to be sent.
func ExampleAppendEvent() {
	universe := market.Default()
	ev := positions.Event{
		Account: 100017, Seq: 1, Kind: positions.KindAdjustment, Cash: positions.Cash{Balance: 5_0000},
		Adjustment: &positions.Adjustment{Cash: 5_0000, Reason: "account opened", Actor: "example"},
	}
	frame := codec.AppendEvent(nil, codec.TypeEvent, 0, 0, &ev, universe)
	f, _, err := codec.Cut(frame, codec.LimitToClient)
	if err != nil {
		fmt.Println(err)
		return
	}
	var shown papertapev1.AccountEvent
	if err := codec.Unmarshal(f.Payload, &shown); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(f.Type, shown.GetSeq(), shown.GetAdjustment().GetReason(),
		market.FormatMoney(shown.GetCash().GetBalance()))
	// Output: EVENT 1 account opened 5.00
}
