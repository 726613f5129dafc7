package engine_test

import (
	"context"
	"fmt"
	"log"
	"slices"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// printer is an outlet that prints what the engine says.
type printer struct{}

func (p printer) Publisher() engine.Publisher { return p }

func (printer) Event(ev *positions.Event, live []*engine.Session, owner *engine.Session, id uint64) {
	fmt.Printf("event %d to %d session(s), answer to request %d: %v; %d shares for %s\n", ev.Seq, len(live), id,
		owner != nil, ev.Trade.Quantity, market.FormatMoney(ev.Trade.Amount))
}

func (printer) Replay(*positions.Event, *engine.Session, uint64, bool) bool { return true }

func (printer) Answer(a engine.Answer) {
	switch a.Kind {
	case engine.AnswerLoggedIn:
		fmt.Println("logged in, as of event", a.Login.HeadSeq)
	case engine.AnswerRefused:
		fmt.Println("refused:", a.Refusal.Reason == positions.InsufficientShares)
	}
}

func (printer) Lost(*engine.Session) {}

func (printer) Timed(int64, int64) {}
func (printer) Flush()             {}

// An engine without sockets and without a disk: an account is opened, logs in, buys, and may not
// sell what it does not have.
func Example() {
	universe := market.Default()
	eng, err := engine.New(engine.Config{
		Shards: 1, Workers: 2, InboxOrdersMax: 100, HistoryReadsMax: 1, HistoryMemoryBytesMax: 1 << 20,
		SessionsPerAccountMax: 1, Universe: universe, Prices: universe.Opening, Clock: func() int64 { return 1 },
		Journal: engine.NewMemoryJournal(), Outlet: printer{}, Fatal: func(err error) { log.Fatal(err) },
	})
	must(err)
	defer eng.Stop()
	ctx := context.Background()
	const account = 100_001
	opening := func(uint64) engine.Opening {
		return engine.Opening{
			Adjustment: positions.Adjustment{Cash: 10_000_0000, Reason: "opened", Actor: "example"},
		}
	}
	must(eng.Open(ctx, slices.Values([]uint64{account}), opening))

	session := new(engine.Session)
	eng.Login(session, engine.Login{ID: 1, Account: account, Mode: engine.ModeQuick})
	must(eng.Drain(ctx))
	instrument, _ := universe.Parse("SZ.000001")
	for id, side := range []positions.Side{positions.Buy, positions.Sell} {
		session.Begin(10)
		order := positions.Order{Instrument: instrument, Side: side, Quantity: int64(100 * (id + 1))}
		eng.Submit(account, []engine.Request{{
			Kind: engine.KindOrder, Account: account, Session: session, ID: uint64(id + 2), Order: order,
		}})
	}
	must(eng.Drain(ctx)) // everything is answered
	// Output:
	// logged in, as of event 1
	// event 2 to 1 session(s), answer to request 2: true; 100 shares for 1000.00
	// refused: true
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
