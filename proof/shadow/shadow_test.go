package shadow

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

const testAccount = 100017

// ledger makes correct events with the real book.
type ledger struct {
	universe *market.Universe
	book     *positions.Book
	prices   *market.Prices
	now      int64
	account  uint64
	events   []positions.Event // all events applied
}

func newLedger(account uint64) *ledger {
	u := market.Default()
	return &ledger{universe: u, book: positions.NewBook(u), prices: u.Opening(), now: 1, account: account}
}

func (l *ledger) open(t rapid.TB, cash int64) *client.Event {
	var ev positions.Event
	r := l.book.DecideAdjustment(l.account, &positions.Adjustment{Cash: cash, Reason: "opened", Actor: "test"},
		l.prices, l.now, &ev)
	if r.Reason != positions.NoRefusal {
		t.Fatalf("open: %v", r)
	}
	return l.apply(&ev)
}

func (l *ledger) apply(ev *positions.Event) *client.Event {
	l.book.Apply(ev)
	l.events = append(l.events, *ev)
	return asShown(wireEvent(l.universe, ev))
}

// trade returns nil if the book refuses.
func (l *ledger) trade(side positions.Side, id market.ID, quantity int64) *client.Event {
	var ev positions.Event
	l.now++
	o := positions.Order{Account: l.account, Instrument: id, Side: side, Quantity: quantity,
		Origin: positions.OriginClient}
	if l.book.Decide(&o, l.prices, l.now, &ev).Reason != positions.NoRefusal {
		return nil
	}
	return l.apply(&ev)
}

func (l *ledger) holdings(t rapid.TB) *client.Holdings {
	h, _, ok := l.book.Holdings(l.account, l.prices, nil)
	if !ok {
		t.Fatalf("account %d is not open", l.account)
	}
	return listShown(wireHoldings(l.universe, &h))
}

func (l *ledger) id(t rapid.TB, instrument string) market.ID {
	id, err := l.universe.Parse(instrument)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// random makes a run of events: an opening, then trades at moving prices, in so few instruments
// that all kinds of change occur.
func (l *ledger) random(t *rapid.T) []*client.Event {
	events := []*client.Event{l.open(t, rapid.Int64Range(1, 1_000_000_0000).Draw(t, "cash"))}
	for range rapid.IntRange(1, 60).Draw(t, "trades") {
		id := market.ID(rapid.IntRange(0, 5).Draw(t, "instrument"))
		if rapid.Bool().Draw(t, "moves") {
			l.prices = l.prices.With(id, rapid.Int64Range(1, 200_0000).Draw(t, "price"))
		}
		side := positions.Side(rapid.IntRange(1, 2).Draw(t, "side"))
		quantity := rapid.Int64Range(1, 500).Draw(t, "quantity")
		if v, ok := l.book.View(l.account); ok && rapid.IntRange(0, 3).Draw(t, "all") == 0 {
			if row, held := v.Find(id); held {
				side, quantity = positions.Sell, row.Quantity
			}
		}
		if ev := l.trade(side, id, quantity); ev != nil {
			events = append(events, ev)
		}
	}
	return events
}

func TestShadowAgreesWithTheBook(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLedger(testAccount)
		s := New(testAccount)
		for _, ev := range l.random(t) {
			if found := s.Apply(ev); len(found) > 0 {
				t.Fatalf("a correct event was found wrong: %q\n%v", found, ev)
			}
		}
		if found := s.CheckHoldings(l.holdings(t)); len(found) > 0 {
			t.Fatalf("a correct list was found wrong: %q", found)
		}
	})
}

func TestShadowFromHoldingsGoesOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLedger(testAccount)
		l.random(t)
		s, found := FromHoldings(l.holdings(t))
		if len(found) > 0 {
			t.Fatalf("a correct list was found wrong: %q", found)
		}
		for range 10 {
			ev := l.trade(positions.Buy, market.ID(rapid.IntRange(0, 5).Draw(t, "instrument")), 1)
			if ev == nil {
				continue // out of cash
			}
			if found := s.Apply(ev); len(found) > 0 {
				t.Fatalf("a correct event was found wrong: %q\n%v", found, ev)
			}
		}
	})
}

// eventMutations change one field of a trade event such that a shadow has to notice, and name the
// field.
var eventMutations = map[string]func(*client.Event, int64){
	"account": func(ev *client.Event, by int64) { ev.Account += uint64(by) },
	"seq":     func(ev *client.Event, by int64) { ev.Seq += uint64(by) },
	"time":    func(ev *client.Event, by int64) { ev.Time = time.Unix(0, -by) },
	"what":    func(ev *client.Event, _ int64) { ev.Trade = nil },
	"change": func(ev *client.Event,
		by int64) {
		ev.Change = (ev.Change-1+client.Change(1+by%3))%4 + 1
	},
	"number of positions":    func(ev *client.Event, _ int64) { ev.Positions = nil },
	"trade id":               func(ev *client.Event, _ int64) { ev.Trade.ID += "0" },
	"trade side":             func(ev *client.Event, _ int64) { ev.Trade.Side = 0 },
	"position instrument":    func(ev *client.Event, _ int64) { ev.Trade.Market = "US" },
	"position instrument, ":  func(ev *client.Event, _ int64) { ev.Positions[0].Code += "1" },
	"trade amount":           func(ev *client.Event, by int64) { ev.Trade.Amount += client.Money(by) },
	"trade amount, quantity": func(ev *client.Event, by int64) { ev.Trade.Quantity += by },
	"trade amount, price":    func(ev *client.Event, by int64) { ev.Trade.Price += client.Money(by) },
	"trade fees":             func(ev *client.Event, by int64) { ev.Trade.Fees += client.Money(by) },
	"trade origin":           func(ev *client.Event, _ int64) { ev.Trade.Origin = 7 },
	"trade revision":         func(ev *client.Event, _ int64) { ev.Trade.Revision++ },
	"position name":          func(ev *client.Event, _ int64) { ev.Positions[0].Name += "x" },
	"position quantity":      func(ev *client.Event, by int64) { ev.Positions[0].Quantity += by },
	"position sellable":      func(ev *client.Event, by int64) { ev.Positions[0].Sellable -= by },
	"position price":         func(ev *client.Event, by int64) { ev.Positions[0].Price += client.Money(by) },
	"position market_value": func(ev *client.Event,
		by int64) {
		ev.Positions[0].MarketValue += client.Money(by)
	},
	"position cost":                 func(ev *client.Event, by int64) { ev.Positions[0].Cost -= client.Money(by) },
	"position realised":             func(ev *client.Event, by int64) { ev.Positions[0].Realised += client.Money(by) },
	"position row_version":          func(ev *client.Event, _ int64) { ev.Positions[0].RowVersion-- },
	"cash balance":                  func(ev *client.Event, by int64) { ev.Cash.Balance += client.Money(by) },
	"cash fees_paid":                func(ev *client.Event, by int64) { ev.Cash.FeesPaid += client.Money(by) },
	"cash realised":                 func(ev *client.Event, by int64) { ev.Cash.Realised -= client.Money(by) },
	"cash: expected the cash after": func(ev *client.Event, _ int64) { ev.Cash = nil },
	"total_market_value":            func(ev *client.Event, _ int64) { ev.TotalMarketValue = -1 },
}

func TestShadowCatchesAnyChangedField(t *testing.T) {
	for name, mutate := range eventMutations {
		t.Run(name, func(t *testing.T) {
			field, _, _ := strings.Cut(name, ", ")
			rapid.Check(t, func(t *rapid.T) {
				l := newLedger(testAccount)
				events := l.random(t)
				if len(events) == 1 {
					t.Skip("the cash was not enough for a trade")
				}
				wrong := rapid.IntRange(1, len(events)-1).Draw(t, "wrong")
				s := New(testAccount)
				for _, ev := range events[:wrong] {
					s.Apply(ev)
				}
				ev := cloneEvent(events[wrong])
				mutate(ev, rapid.Int64Range(1, 1000).Draw(t, "by"))
				if found := s.Apply(ev); !strings.Contains(strings.Join(found, "\n"), ", "+field) {
					t.Fatalf("a changed %s was not found, only %q, in\n%v", name, found, ev)
				}
				if len(CompareEvents(events[wrong], ev)) != 1 {
					t.Fatalf("CompareEvents sees no difference between\n%v\n%v", events[wrong], ev)
				}
			})
		})
	}
}

// holdingsMutations change one field of a list with rows.
var holdingsMutations = map[string]func(*client.Holdings, int64){
	"account":            func(h *client.Holdings, by int64) { h.Account += uint64(by) },
	"as_of_seq":          func(h *client.Holdings, by int64) { h.AsOfSeq += uint64(by) },
	"number of rows":     func(h *client.Holdings, _ int64) { h.Positions = h.Positions[1:] },
	"cash balance":       func(h *client.Holdings, by int64) { h.Cash.Balance += client.Money(by) },
	"cash fees_paid":     func(h *client.Holdings, by int64) { h.Cash.FeesPaid += client.Money(by) },
	"cash realised":      func(h *client.Holdings, by int64) { h.Cash.Realised += client.Money(by) },
	"total_market_value": func(h *client.Holdings, by int64) { h.TotalMarketValue += client.Money(by) },
	"state_hash":         func(h *client.Holdings, by int64) { h.StateHash ^= uint64(by) },
	"row 1 (":            func(h *client.Holdings, by int64) { h.Positions[0].Quantity += by },
	"row 1 (, market":    func(h *client.Holdings, _ int64) { h.Positions[0].Market = "US" },
	"row 1 (, code":      func(h *client.Holdings, _ int64) { h.Positions[0].Code += "1" },
	"row 1 (, name":      func(h *client.Holdings, _ int64) { h.Positions[0].Name += "x" },
	"row 1 (, sellable":  func(h *client.Holdings, by int64) { h.Positions[0].Sellable += by },
	"row 1 (, price":     func(h *client.Holdings, by int64) { h.Positions[0].Price += client.Money(by) },
	"row 1 (, value":     func(h *client.Holdings, by int64) { h.Positions[0].MarketValue += client.Money(by) },
	"row 1 (, cost":      func(h *client.Holdings, by int64) { h.Positions[0].Cost -= client.Money(by) },
	"row 1 (, realised":  func(h *client.Holdings, by int64) { h.Positions[0].Realised -= client.Money(by) },
	"row 1 (, version":   func(h *client.Holdings, _ int64) { h.Positions[0].RowVersion++ },
}

func TestShadowCatchesAnyChangedFieldOfAList(t *testing.T) {
	for name, mutate := range holdingsMutations {
		t.Run(name, func(t *testing.T) {
			field, _, _ := strings.Cut(name, ", ")
			rapid.Check(t, func(t *rapid.T) {
				l := newLedger(testAccount)
				s := New(testAccount)
				for _, ev := range l.random(t) {
					s.Apply(ev)
				}
				h := l.holdings(t)
				if len(h.Positions) == 0 {
					t.Skip("an empty list")
				}
				mutate(h, rapid.Int64Range(1, 1000).Draw(t, "by"))
				if found := s.CheckHoldings(h); !strings.Contains(strings.Join(found, "\n"), ", "+field) {
					t.Fatalf("a changed %s was not found, only %q", name, found)
				}
			})
		})
	}
}

// TestShadowByHand: the figures of the documentation, worked out by hand and not by the book.
func TestShadowByHand(t *testing.T) {
	s := New(1)
	steps := []struct {
		side                    client.Side
		quantity                int64
		price                   client.Money
		change                  client.Change
		held                    int64
		cost, realised, balance client.Money
	}{
		{client.Buy, 100, 10_0000, client.Opened, 100, 1000_0000, 0, 4000_0000},
		{client.Buy, 100, 20_0000, client.Increased, 200, 3000_0000, 0, 2000_0000},
		{client.Sell, 50, 18_0000, client.Decreased, 150, 2250_0000, 150_0000, 2900_0000},
		{client.Sell, 150, 1, client.Closed, 0, 0, 150_0000 - 2250_0000 + 150, 2900_0150},
		{client.Buy, 3, 1, client.Opened, 3, 3, 0, 2900_0147}, // realised starts anew with the row
		{client.Buy, 1, 2, client.Increased, 4, 5, 0, 2900_0145},
		{client.Sell, 2, 1, client.Decreased, 2, 3, 0, 2900_0147},  // 5*2/4 = 2.5, rounded to the even 2
		{client.Buy, 2, 2, client.Increased, 4, 7, 0, 2900_0143},   //
		{client.Sell, 2, 1, client.Decreased, 2, 3, -2, 2900_0145}, // 7*2/4 = 3.5, rounded to the even 4
	}
	if found := s.Apply(adjustment(1, 1, 5000_0000)); len(found) > 0 {
		t.Fatalf("%q", found)
	}
	var realised, before client.Money
	for i, step := range steps {
		if step.change != client.Opened {
			realised += step.realised - before
		}
		before = step.realised
		seq := uint64(i + 2)
		ev := &client.Event{
			Account: 1, Seq: seq, Time: time.Unix(0, 1).UTC(), Change: step.change,
			TotalMarketValue: step.price * client.Money(step.held),
			Cash:             &client.Cash{Balance: step.balance, Realised: realised},
			Trade: &client.Trade{
				ID: fmt.Sprintf("1-%d", seq), Side: step.side, Market: "SZ", Code: "000001", Name: "平安银行",
				Quantity: step.quantity, Price: step.price, Amount: step.price * client.Money(step.quantity),
				Origin: client.OriginClient,
			},
			Positions: []client.Position{{
				Market: "SZ", Code: "000001", Name: "平安银行", Quantity: step.held, Sellable: step.held, Price: step.price,
				MarketValue: step.price * client.Money(step.held), Cost: step.cost, Realised: step.realised,
				RowVersion: seq,
			}},
		}
		if found := s.Apply(ev); len(found) > 0 {
			t.Fatalf("step %d: %q", i+1, found)
		}
	}
}

func adjustment(account, seq uint64, cash client.Money) *client.Event {
	return &client.Event{
		Account: account, Seq: seq, Time: time.Unix(0, 1).UTC(), Cash: &client.Cash{Balance: cash},
		Adjustment: &client.Adjustment{Cash: cash, Reason: "opened", Actor: "test"},
	}
}

// TestFindingIsASentence: a finding names the account, the sequence, the field, the expected and
// the actual value, and is reported once.
func TestFindingIsASentence(t *testing.T) {
	l := newLedger(testAccount)
	s := New(testAccount)
	s.Apply(l.open(t, 1_000_000_0000))
	ev := l.trade(positions.Buy, l.id(t, "SZ.000001"), 100)
	ev.Positions[0].Cost += 1_0000
	want := "account 100017 seq 2, position cost: expected 1000.00, got 1001.00"
	if found := s.Apply(ev); len(found) != 1 || found[0] != want {
		t.Fatalf("found %q: expected only %q", found, want)
	}
	ev = l.trade(positions.Buy, l.id(t, "SH.601398"), 100)
	if found := s.Apply(ev); len(found) != 0 {
		t.Fatalf("an event after a wrong one was found wrong for its sake: %q", found)
	}
}

// stateHashByPython is the hash of the state in TestStateHash.
const stateHashByPython = 0x5ecb0cad8f58d8b7

// TestStateHash: the hash of a state was computed independently of this code, in Python, from the
// protocol's page.
func TestStateHash(t *testing.T) {
	s := New(100017)
	s.seq = 42
	s.cash.balance, s.cash.fees, s.cash.realised = 999_000_0000, 5_0000, -12_3456
	s.rows[Key{"SZ", "000001"}] = &Row{Quantity: 100, Cost: 1000_0000, Realised: -1}
	s.rows[Key{"SH", "600519"}] = &Row{Quantity: 7, Cost: 10360_0000}
	if got := s.stateHash(); got != stateHashByPython {
		t.Fatalf("state hash %016x: expected %016x", got, uint64(stateHashByPython))
	}
}
