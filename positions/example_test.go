package positions_test

import (
	"fmt"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// An account is opened, buys, and cannot sell more than it holds: each order is decided into an event or a refusal, and
// an event is applied before the next decision.
func Example() {
	universe := market.Default()
	prices := universe.Opening()
	instrument, err := universe.Parse("SZ.000001")
	if err != nil {
		fmt.Println(err)
		return
	}
	book := positions.NewBook(universe)
	now := int64(0) // nanoseconds since the Unix epoch, of the caller's clock

	var ev positions.Event
	opening := positions.Adjustment{Cash: 10_000_0000, Reason: "account opened", Actor: "example"}
	if r := book.DecideAdjustment(100017, &opening, prices, now, &ev); r.Reason != positions.NoRefusal {
		fmt.Println(r.Reason)
		return
	}
	book.Apply(&ev)
	for _, o := range []positions.Order{
		{Account: 100017, Instrument: instrument, Side: positions.Buy, Quantity: 300, Origin: positions.OriginClient},
		{Account: 100017, Instrument: instrument, Side: positions.Sell, Quantity: 500, Origin: positions.OriginClient},
	} {
		if r := book.Decide(&o, prices, now, &ev); r.Reason != positions.NoRefusal {
			fmt.Println("refused:", r.Sentence(&o, universe))
			continue
		}
		book.Apply(&ev)
		fmt.Println("event", ev.Seq, "price", market.FormatMoney(ev.Trade.Price), "cash",
			market.FormatMoney(ev.Cash.Balance))
	}
	h, _, _ := book.Holdings(100017, prices, nil)
	fmt.Println(len(h.Positions), "row, as of event", h.Seq)
	// Output:
	// event 2 price 10.00 cash 7000.00
	// refused: sell 500 SZ 000001: account 100017 holds 300
	// 1 row, as of event 2
}
