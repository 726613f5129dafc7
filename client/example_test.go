package client_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/papertape/papertape/client"
)

// Open an account, buy, and take the events.
func Example() {
	server := startMortal() // a real server for this example
	defer server.stop()
	ctx := context.Background()

	a, err := client.Open(ctx, server.addr(), client.AccountOptions{Account: 100100})
	if err != nil {
		fmt.Println(err) // a *client.Reject, a *client.Goodbye, or no server
		return
	}
	defer a.Close() //nolint:errcheck // without a cursor there is nothing to save
	fmt.Println("cash", a.State().Cash.Balance)
	ev, err := a.Buy(ctx, "SZ", "000001", 100)
	if err != nil {
		fmt.Println(err) // a *client.Reject, or client.ErrOutcomeUnknown: the events may tell
		return
	}
	fmt.Println(ev.Trade.ID, "at", ev.Trade.Price)
	for len(a.State().Positions) == 0 {
		if _, err := a.Next(ctx); err != nil { // *client.Connected, then the *client.Event
			fmt.Println(err)
			return
		}
	}
	fmt.Println("cash", a.State().Cash.Balance)
	// Output:
	// cash 1000000.00
	// 100100-2 at 10.00
	// cash 999000.00
}

// A program that survives the death of its server and ends with the server's state. This server
// keeps nothing, so the state is replaced by a snapshot of the new history. With a server that
// keeps its history, Connected would be Resumed and the missed events would follow.
func ExampleOpen() {
	server := startMortal() // a real server in a process of its own
	defer server.stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	a, err := client.Open(ctx, server.addr(), client.AccountOptions{Account: 100100})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Close() //nolint:errcheck // without a cursor there is nothing to save
	for trades := 0; trades < 2; {
		u, err := a.Next(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		switch u := u.(type) {
		case *client.Connected:
			fmt.Println("connected, state replaced:", u.Resynced)
			if _, err := a.Buy(ctx, "SZ", "000001", 100); err != nil {
				fmt.Println(err)
			}
		case *client.Event: // it is in the state already
			row, _ := a.State().Position("SZ", "000001")
			fmt.Println("bought", row.Quantity)
			if trades++; trades == 1 {
				server.restart() // kill -9
			}
		case *client.Disconnected:
			if u.Attempt == 0 {
				fmt.Println("the server is gone")
			}
		}
	}
	h, err := a.Holdings(ctx)
	fmt.Println("the server's state hash:", err == nil && h.StateHash == a.State().Hash())
	// Output:
	// connected, state replaced: false
	// bought 100
	// the server is gone
	// connected, state replaced: true
	// bought 100
	// the server's state hash: true
}

// A note is stored together with the cursor: the count and the account's position always match,
// whenever the program is killed. Here it runs three times and buys once each time.
func ExampleAccount_Save() {
	server := startMortal()
	defer server.stop()
	cursor := filepath.Join(os.TempDir(), fmt.Sprintf("papertape-example-%d", os.Getpid()))
	defer os.Remove(cursor) //nolint:errcheck // of the example
	for range 3 {
		if err := countTrades(context.Background(), server.addr(), cursor); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// 1 trades, the last one 100100-2
	// 2 trades, the last one 100100-3
	// 3 trades, the last one 100100-4
}

func countTrades(ctx context.Context, addr, cursor string) error {
	a, err := client.Open(ctx, addr, client.AccountOptions{Account: 100100, Cursor: cursor})
	if err != nil {
		return err
	}
	defer a.Close()                             //nolint:errcheck // Save has stored everything
	trades, _ := strconv.Atoi(string(a.Note())) // 0 the first time
	if _, err := a.Buy(ctx, "SZ", "000001", 100); err != nil {
		return err
	}
	for {
		u, err := a.Next(ctx)
		if err != nil {
			return err
		}
		if ev, ok := u.(*client.Event); ok && ev.Trade != nil {
			trades++
			fmt.Println(trades, "trades, the last one", ev.Trade.ID)
			return a.Save([]byte(strconv.Itoa(trades)))
		}
	}
}
