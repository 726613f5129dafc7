package client_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/papertape/papertape/client"
)

// openExample opens account 100100 at a server started for the example.
func openExample(ctx context.Context) (a *client.Account, end func()) {
	server := startMortal()
	a, err := client.Open(ctx, server.addr(), client.AccountOptions{Account: 100100})
	if err != nil {
		panic(err)
	}
	return a, func() {
		_ = a.Close() // without a cursor there is nothing to save
		server.stop()
	}
}

// One connection, whose events are read until it ends.
func ExampleDial() {
	server := startMortal()
	defer server.stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, server.addr(), client.Options{Account: 100100, Mode: client.ModeRestart})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close() //nolint:errcheck // never fails
	fmt.Println("the newest event is", c.LoginReply().HeadSeq)
	ev, err := c.Next(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ev.Seq, "again:", ev.Replay, "cash", ev.Adjustment.Cash)
	// Output:
	// the newest event is 1
	// 1 again: true cash 1000000.00
}

// A market purchase. Buy returns the execution, which also comes in the stream.
func ExampleAccount_Buy() {
	ctx := context.Background()
	a, end := openExample(ctx)
	defer end()
	ev, err := a.Buy(ctx, "SZ", "000001", 300)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ev.Trade.Side, ev.Trade.Quantity, "at", ev.Trade.Price, "for", ev.Trade.Amount)
	// Output: BUY 300 at 10.00 for 3000.00
}

// A sale of more than is held: the server says why it refuses.
func ExampleAccount_Sell() {
	ctx := context.Background()
	a, end := openExample(ctx)
	defer end()
	_, err := a.Sell(ctx, "SZ", "000001", 300)
	var reject *client.Reject
	if errors.As(err, &reject) && reject.Code == client.InsufficientShares {
		fmt.Println(reject.Text)
	}
	fmt.Println(err)
	// Output:
	// sell 300 SZ 000001: account 100100 holds 0
	// refused, INSUFFICIENT_SHARES: sell 300 SZ 000001: account 100100 holds 0
}

// An order with a limit and an id of its own: sent twice, it is executed once.
func ExampleAccount_Order() {
	ctx := context.Background()
	a, end := openExample(ctx)
	defer end()
	order := client.Order{
		Side: client.Buy, Market: "SZ", Code: "000001", Quantity: 100, LimitPrice: 11 * client.One,
		ClientOrderID: "monday-1",
	}
	for range 2 {
		ev, err := a.Order(ctx, order)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(ev.Trade.ID, "again:", ev.Replay)
	}
	order.LimitPrice = client.One
	order.ClientOrderID = "monday-2"
	_, err := a.Order(ctx, order)
	var reject *client.Reject
	fmt.Println(errors.As(err, &reject) && reject.Code == client.LimitNotMarketable)
	// Output:
	// 100100-2 again: false
	// 100100-2 again: true
	// true
}

// The account's holdings as the server has them.
func ExampleAccount_Holdings() {
	ctx := context.Background()
	a, end := openExample(ctx)
	defer end()
	if _, err := a.Buy(ctx, "SZ", "000001", 300); err != nil {
		fmt.Println(err)
		return
	}
	h, err := a.Holdings(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, row := range h.Positions {
		fmt.Println(row.Market, row.Code, row.Quantity, "worth", row.MarketValue)
	}
	fmt.Println("cash", h.Cash.Balance, "as of", h.AsOfSeq)
	// Output:
	// SZ 000001 300 worth 3000.00
	// cash 997000.00 as of 2
}

// The account's events, newest first, page by page.
func ExampleAccount_History() {
	ctx := context.Background()
	a, end := openExample(ctx)
	defer end()
	if _, err := a.Buy(ctx, "SZ", "000001", 300); err != nil {
		fmt.Println(err)
		return
	}
	for before := uint64(0); before != 1; {
		page, err := a.History(ctx, before, 100)
		if err != nil || len(page.Events) == 0 {
			fmt.Println(err)
			return
		}
		for _, ev := range page.Events {
			before = ev.Seq
			switch {
			case ev.Trade != nil:
				fmt.Println(ev.Seq, ev.Trade.Side, ev.Trade.Quantity, ev.Trade.Code)
			case ev.Bust != nil:
				fmt.Println(ev.Seq, "takes back", ev.Bust.TradeID)
			case ev.Adjustment != nil:
				fmt.Println(ev.Seq, "cash", ev.Adjustment.Cash)
			}
		}
	}
	// Output:
	// 2 BUY 300 000001
	// 1 cash 1000000.00
}

// The instruments and their prices.
func ExampleAccount_Instruments() {
	ctx := context.Background()
	a, end := openExample(ctx)
	defer end()
	list, err := a.Instruments(ctx, "SZ.000001")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, i := range list {
		fmt.Println(i.Market, i.Code, i.Name, i.Price)
	}
	// Output: SZ 000001 平安银行 10.00
}

// The current prices at once, and then whenever they change.
func ExampleAccount_Subscribe() {
	ctx := context.Background()
	a, end := openExample(ctx)
	defer end()
	if err := a.Subscribe(ctx, client.TopicQuotes); err != nil {
		fmt.Println(err)
		return
	}
	for {
		u, err := a.Next(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		if quotes, ok := u.(*client.Quotes); ok {
			for _, q := range quotes.Quotes {
				if q.Market == "SZ" && q.Code == "000001" {
					fmt.Println(q.Market, q.Code, q.Price)
				}
			}
			return
		}
	}
	// Output: SZ 000001 10.00
}

// Compare the local state with the server's as of the same sequence.
func ExampleAccount_Verify() {
	ctx := context.Background()
	a, end := openExample(ctx)
	defer end()
	if _, err := a.Buy(ctx, "SZ", "000001", 300); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(a.Verify(ctx))
	// Output: <nil>
}
