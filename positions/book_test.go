package positions

import (
	"math"
	"slices"
	"testing"
	"unsafe"

	"github.com/papertape/papertape/market"
)

// Accounts of the tests.
const (
	alice   = 100017
	bob     = 100018
	nobody  = 100099
	million = 1_000_000 * market.MoneyUnit
)

func instrument(t testing.TB, u *market.Universe, spelled string) market.ID {
	t.Helper()
	id, err := u.Parse(spelled)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// desk is a book with the prices and the clock that a caller would have.
type desk struct {
	testing.TB
	u      *market.Universe
	book   *Book
	prices *market.Prices
	now    int64
	events []Event
}

func newDesk(t testing.TB) *desk {
	u := market.Default()
	return &desk{TB: t, u: u, book: NewBook(u), prices: market.Fixed(u).Snapshot()}
}

// fund books cash. The first booking opens the account.
func (d *desk) fund(account uint64, cash int64) Event {
	d.Helper()
	d.now++
	var ev Event
	a := &Adjustment{Cash: cash, Reason: "opening"}
	if r := d.book.DecideAdjustment(account, a, d.prices, d.now, &ev); r.Reason != NoRefusal {
		d.Fatal(r.AdjustmentSentence(account))
	}
	d.apply(ev)
	return ev
}

// trade executes a market order.
func (d *desk) trade(account uint64, side Side, quantity int64, spelled string) Event {
	d.Helper()
	d.now++
	o := Order{Account: account, Side: side, Quantity: quantity, Instrument: instrument(d, d.u, spelled),
		Origin: OriginClient}
	var ev Event
	if r := d.book.Decide(&o, d.prices, d.now, &ev); r.Reason != NoRefusal {
		d.Fatal(r.Sentence(&o, d.u))
	}
	d.apply(ev)
	return ev
}

func (d *desk) apply(ev Event) {
	d.book.Apply(&ev)
	d.events = append(d.events, ev)
}

// price sets the price of an instrument.
func (d *desk) price(spelled string, price int64) {
	d.prices = d.prices.With(instrument(d, d.u, spelled), price)
}

func (d *desk) holdings(account uint64) Holdings {
	d.Helper()
	h, _, ok := d.book.Holdings(account, d.prices, nil)
	if !ok {
		d.Fatalf("account %d is not open", account)
	}
	return h
}

func equal[T comparable](t testing.TB, name string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\ngot  %+v\nwant %+v", name, got, want)
	}
}

// The figures of the first document, at fixed prices: buy 100 @ 10 = 1000; buy 100 more:
// 200, 2000; sell 100: back to 100, 1000.
func TestFiguresOfTheDocument(t *testing.T) {
	d := newDesk(t)
	d.fund(alice, million)
	steps := []struct {
		side            Side
		change          Change
		quantity, value int64
	}{
		{Buy, Opened, 100, 1000_0000},
		{Buy, Increased, 200, 2000_0000},
		{Sell, Decreased, 100, 1000_0000},
	}
	for i, step := range steps {
		ev := d.trade(alice, step.side, 100, "SZ 000001")
		h := d.holdings(alice)
		equal(t, "change", ev.Change, step.change)
		equal(t, "quantity in the event", ev.Position.Quantity, step.quantity)
		equal(t, "value in the event", ev.Position.MarketValue(), step.value)
		equal(t, "total in the event", ev.TotalMarketValue, step.value)
		equal(t, "rows", len(h.Positions), 1)
		equal(t, "row", h.Positions[0], ev.Position)
		equal(t, "total", h.TotalMarketValue, step.value)
		equal(t, "cash", h.Cash, Cash{Balance: million - step.value})
		equal(t, "sequence", h.Seq, uint64(i+2))
	}
}

// Buy 100 @ 10, buy 100 @ 20, sell 50 @ 18. The cost before the sale is 1000 + 2000 = 3000
// for 200; the sale takes 3000 × 50/200 = 750 out of it and brings 900, so 150 are left,
// cost 2250, realised 150.
func TestAverageCost(t *testing.T) {
	d := newDesk(t)
	d.fund(alice, million)
	d.trade(alice, Buy, 100, "SZ 000001")
	d.price("SZ 000001", 20_0000)
	d.trade(alice, Buy, 100, "SZ 000001")
	d.price("SZ 000001", 18_0000)
	id := instrument(t, d.u, "SZ 000001")
	equal(t, "event", d.trade(alice, Sell, 50, "SZ 000001"), Event{
		Account: alice, Seq: 4, Time: 4, Kind: KindTrade, Change: Decreased,
		Cash:             Cash{Balance: million - 1000_0000 - 2000_0000 + 900_0000, Realised: 150_0000},
		TotalMarketValue: 2700_0000,
		Trade: Trade{
			Quantity: 50, Price: 18_0000, Amount: 900_0000, Instrument: id, Side: Sell, Origin: OriginClient,
		},
		Position: Position{
			Row:      Row{Quantity: 150, Cost: 2250_0000, Realised: 150_0000, Version: 4, Instrument: id},
			Sellable: 150, Price: 18_0000,
		},
	})
	// Selling the rest closes the row; its last state is in the event. 150 × 18 = 2700,
	// less 2250: 450 more.
	closed := d.trade(alice, Sell, 150, "SZ 000001")
	equal(t, "change", closed.Change, Closed)
	equal(t, "last state", closed.Position, Position{
		Row: Row{Realised: 600_0000, Version: 5, Instrument: id}, Price: 18_0000,
	})
	equal(t, "cash", closed.Cash, Cash{Balance: million + 600_0000, Realised: 600_0000})
	equal(t, "total", closed.TotalMarketValue, 0)
	equal(t, "rows", len(d.holdings(alice).Positions), 0)
	// After reopening, the row counts from 0 again, but cash continues.
	again := d.trade(alice, Buy, 100, "SZ 000001")
	equal(t, "realised of the new row", again.Position.Realised, 0)
	equal(t, "realised of the account", again.Cash.Realised, 600_0000)
}

// A share of the cost is rounded half to even, and the last shares take the rest.
func TestShare(t *testing.T) {
	tests := []struct{ cost, q, held, want int64 }{
		{1, 1, 2, 0},  // 0.5
		{3, 1, 2, 2},  // 1.5
		{5, 1, 2, 2},  // 2.5
		{7, 2, 4, 4},  // 3.5
		{10, 1, 3, 3}, // 3.33
		{11, 1, 3, 4}, // 3.67
		{2, 3, 4, 2},  // 1.5
		{0, 1, 3, 0},
		{7, 3, 3, 7},
		{math.MaxInt64, 1, 2, math.MaxInt64/2 + 1}, // …903.5, to the even …904
		{math.MaxInt64, math.MaxInt64 - 1, math.MaxInt64, math.MaxInt64 - 1},
		{math.MaxInt64 - 1, math.MaxInt64 - 1, math.MaxInt64, math.MaxInt64 - 2}, // (n-1)²/n is just over n-2
	}
	for _, test := range tests {
		if got := share(test.cost, test.q, test.held); got != test.want {
			t.Errorf("share(%d, %d, %d) = %d, want %d", test.cost, test.q, test.held, got, test.want)
		}
	}
}

func TestFeesAreACashItem(t *testing.T) {
	d := newDesk(t)
	d.fund(alice, 2000_0000)
	o := Order{Account: alice, Side: Buy, Quantity: 100, Instrument: instrument(t, d.u, "SZ 000001")}
	var ev Event
	if r := d.book.decide(&o, d.prices, 1, 5_0000, &ev); r.Reason != NoRefusal {
		t.Fatal(r.Sentence(&o, d.u))
	}
	equal(t, "cash after the buy", ev.Cash, Cash{Balance: 995_0000, FeesPaid: 5_0000})
	equal(t, "cost", ev.Position.Cost, 1000_0000)
	equal(t, "fees", ev.Trade.Fees, 5_0000)
	d.apply(ev)
	o.Side = Sell
	if r := d.book.decide(&o, d.prices, 2, 6_0000, &ev); r.Reason != NoRefusal {
		t.Fatal(r.Sentence(&o, d.u))
	}
	equal(t, "cash after the sale", ev.Cash, Cash{Balance: 1989_0000, FeesPaid: 11_0000})
	equal(t, "realised", ev.Position.Realised, 0)
	d.apply(ev)
	// Fees may not take cash below 0, on either side.
	o.Side = Buy
	equal(t, "buy", d.book.decide(&o, d.prices, 3, 990_0000, &ev), Refusal{InsufficientCash, 1989_0000, 1990_0000})
}

func TestFeesOfASaleBeyondCash(t *testing.T) {
	d := newDesk(t)
	d.fund(alice, 1000_0000)
	d.trade(alice, Buy, 100, "SZ 000001")
	o := Order{Account: alice, Side: Sell, Quantity: 1, Instrument: instrument(t, d.u, "SZ 000001")}
	var ev Event
	equal(t, "10.01", d.book.decide(&o, d.prices, 1, 10_0100, &ev), Refusal{InsufficientCash, 0, 100})
	equal(t, "10.00", d.book.decide(&o, d.prices, 1, 10_0000, &ev), Refusal{})
	equal(t, "cash", ev.Cash.Balance, 0)
}

func TestAdjustment(t *testing.T) {
	d := newDesk(t)
	a := Adjustment{Cash: 500_0000, Reason: "opening", Actor: "admin"}
	var ev Event
	equal(t, "opening", d.book.DecideAdjustment(alice, &a, d.prices, 7, &ev), Refusal{})
	equal(t, "event", ev, Event{
		Account: alice, Seq: 1, Time: 7, Cash: Cash{Balance: 500_0000}, Adjustment: &a, Kind: KindAdjustment,
	})
	equal(t, "accounts before Apply", d.book.Len(), 0)
	d.apply(ev)
	d.trade(alice, Buy, 10, "SZ 000001")
	ev = d.fund(alice, -400_0000)
	equal(t, "sequence", ev.Seq, 3)
	equal(t, "cash", ev.Cash, Cash{})
	equal(t, "total", ev.TotalMarketValue, 100_0000)
	equal(t, "change", ev.Change, 0)
}

// Apply sets what a bust says: rows that stay, return or go, cash and sequence.
func TestApplyBust(t *testing.T) {
	d := newDesk(t)
	d.fund(alice, million)
	d.trade(alice, Buy, 100, "SH 600519")
	d.trade(alice, Buy, 100, "SZ 000001")
	moutai, bank := instrument(t, d.u, "SH 600519"), instrument(t, d.u, "SZ 000001")
	index := instrument(t, d.u, "SH 000001")
	back := Position{Row: Row{Quantity: 5, Cost: 50, Realised: -1, Version: 4, Instrument: index}}
	stays := Position{Row: Row{Quantity: 50, Cost: 500, Realised: 400, Version: 4, Instrument: bank}}
	d.apply(Event{
		Account: alice, Seq: 4, Kind: KindBust, Change: Decreased, Cash: Cash{1, 2, 3},
		Bust: &Bust{TradeSeq: 2, Positions: []Position{back, {Row: Row{Version: 4, Instrument: moutai}}, stays}},
	})
	v, _ := d.book.View(alice)
	equal(t, "rows", v.Len(), 2)
	equal(t, "row 0", v.Row(0), back.Row)
	equal(t, "row 1", v.Row(1), stays.Row)
	equal(t, "cash", v.Cash(), Cash{1, 2, 3})
	equal(t, "sequence", v.Seq(), 4)
}

func TestApplyPanics(t *testing.T) {
	for name, test := range map[string]struct {
		ev   Event
		want string
	}{
		"a hole": {Event{Account: alice, Seq: 3, Kind: KindAdjustment},
			"positions: event 3 of account 100017 applied after event 1"},
		"a repeat": {Event{Account: alice, Seq: 1, Kind: KindAdjustment},
			"positions: event 1 of account 100017 applied after event 1"},
		"a late start": {Event{Account: bob, Seq: 2, Kind: KindAdjustment},
			"positions: event 2 of account 100018 applied after event 0"},
		"kind 0": {Event{Account: bob, Seq: 1}, "positions: event 1 of account 100018 is of unknown kind 0"},
		"a kind beyond": {Event{Account: alice, Seq: 2, Kind: 5},
			"positions: event 2 of account 100017 is of unknown kind 5"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.fund(alice, million)
			before := d.holdings(alice).Hash
			defer func() {
				equal(t, "panic", recover(), any(test.want))
				equal(t, "accounts", d.book.Len(), 1)
				equal(t, "hash", d.holdings(alice).Hash, before)
			}()
			d.book.Apply(&test.ev)
		})
	}
}

func TestDecidePanicsOnASideThatIsNone(t *testing.T) {
	d := newDesk(t)
	d.fund(alice, million)
	defer func() { equal(t, "panic", recover(), any("positions: order with side 3")) }()
	d.book.Decide(&Order{Account: alice, Side: 3, Quantity: 1}, d.prices, 1, new(Event))
}

func TestHoldingsAppends(t *testing.T) {
	d := newDesk(t)
	d.fund(alice, million)
	d.fund(bob, million)
	d.trade(alice, Buy, 100, "SZ 000001")
	d.trade(alice, Buy, 10, "SH 600036")
	d.trade(bob, Buy, 1, "SH 688981")
	a, rows, _ := d.book.Holdings(alice, d.prices, nil)
	b, rows, _ := d.book.Holdings(bob, d.prices, rows)
	equal(t, "rows", len(rows), 3)
	if !slices.Equal(rows[:2], a.Positions) || !slices.Equal(rows[2:], b.Positions) {
		t.Errorf("the appended parts are %+v and %+v of %+v", a.Positions, b.Positions, rows)
	}
	equal(t, "first by market", d.u.At(a.Positions[0].Instrument).String(), "SH.600036")
	equal(t, "total", a.TotalMarketValue, 1000_0000+423_0000)
	equal(t, "account", b.Account, bob)
	equal(t, "capacity of a part", cap(b.Positions), 1) // appending to one part must not overwrite the next
	if _, rest, ok := d.book.Holdings(nobody, d.prices, rows); ok || len(rest) != 3 {
		t.Errorf("an unknown account has holdings: %t, %d rows", ok, len(rest))
	}
}

func TestHoldingsSaturate(t *testing.T) {
	d := newDesk(t)
	d.fund(alice, million)
	d.trade(alice, Buy, 100, "SZ 000001")
	d.trade(alice, Buy, 100, "SH 600036")
	d.price("SZ 000001", math.MaxInt64/100)
	h := d.holdings(alice)
	equal(t, "total", h.TotalMarketValue, math.MaxInt64)
	equal(t, "row", h.Positions[1].MarketValue(), math.MaxInt64/100*100)
	d.price("SZ 000001", math.MaxInt64)
	equal(t, "row beyond", d.holdings(alice).Positions[1].MarketValue(), math.MaxInt64)
}

// A total is correct or refused, even if the sum wraps around to a small number.
func TestValuation(t *testing.T) {
	const half = 1 << 62
	tests := []struct {
		values [][2]int64
		want   int64
		ok     bool
	}{
		{nil, 0, true},
		{[][2]int64{{2, 3}, {4, 5}}, 26, true},
		{[][2]int64{{half, 1}, {half - 1, 1}}, math.MaxInt64, true},
		{[][2]int64{{half, 1}, {half, 1}}, math.MaxInt64, false},
		{[][2]int64{{half, 2}, {half, 2}}, math.MaxInt64, false},       // wraps around to 0
		{[][2]int64{{1 << 32, 1 << 32}}, math.MaxInt64, false},         // the product wraps around as well
		{[][2]int64{{1 << 32, 1 << 32}, {1, 1}}, math.MaxInt64, false}, // and it stays refused
	}
	for _, test := range tests {
		var v valuation
		for _, value := range test.values {
			v.add(value[0], value[1])
		}
		if total, ok := v.total(); total != test.want || ok != test.ok {
			t.Errorf("%v: %d, %t, want %d, %t", test.values, total, ok, test.want, test.ok)
		}
	}
}

func TestBookLooksUp(t *testing.T) {
	d := newDesk(t)
	var want []uint64
	for n := uint64(3 * chunkAccounts); n > 0; n-- { // more than a chunk, opened backwards
		d.fund(n, int64(n))
		want = append(want, n)
	}
	slices.Sort(want)
	if got := d.book.Accounts(); !slices.Equal(got, want) {
		t.Errorf("accounts %v", got)
	}
	equal(t, "accounts", d.book.Len(), len(want))
	for _, n := range want {
		v, ok := d.book.View(n)
		if !ok || v.Account() != n || v.Cash().Balance != int64(n) {
			t.Fatalf("account %d: %t, %d with %d", n, ok, v.Account(), v.Cash().Balance)
		}
	}
}

func TestViewAndSeq(t *testing.T) {
	d := newDesk(t)
	if _, ok := d.book.View(alice); ok {
		t.Error("View of an unknown account")
	}
	if _, ok := d.book.Seq(alice); ok {
		t.Error("Seq of an unknown account")
	}
	d.fund(alice, million)
	ev := d.trade(alice, Buy, 100, "SZ 000001")
	v, _ := d.book.View(alice)
	row, held := v.Find(ev.Trade.Instrument)
	equal(t, "held", held, true)
	equal(t, "row", row, ev.Position.Row)
	_, held = v.Find(ev.Trade.Instrument - 1)
	equal(t, "another is held", held, false)
	seq, ok := d.book.Seq(alice)
	equal(t, "known", ok, true)
	equal(t, "sequence", seq, 2)
}

// The doc comments of Book and Refusal state these sizes.
func TestSizes(t *testing.T) {
	equal(t, "row", unsafe.Sizeof(Row{}), 40)
	equal(t, "account", unsafe.Sizeof(account{}), 64)
	equal(t, "refusal", unsafe.Sizeof(Refusal{}), 24)
}

// An account has room for at most two fifths more rows than it ever held, or for one more.
func TestRoomForRows(t *testing.T) {
	var acc account
	for n := 1; n <= MaxRows; n++ {
		acc.set(&Row{Quantity: 1, Instrument: market.ID(MaxRows - n)})
		if room := max(n+n*2/5, n+1); cap(acc.rows) > room {
			t.Errorf("%d rows have room for %d", n, cap(acc.rows))
		}
	}
}

func TestDecideApplyAllocateNothing(t *testing.T) {
	d := newDesk(t)
	orders := tenRows(d)
	open := Order{Account: alice, Side: Buy, Quantity: 1, Instrument: instrument(t, d.u, "SZ 300760")}
	sold := open
	sold.Side = Sell
	orders = append(orders, open, sold) // a row that is opened and closed
	var ev Event
	if n := testing.AllocsPerRun(100, func() {
		for i := range orders {
			if r := d.book.Decide(&orders[i], d.prices, 1, &ev); r.Reason != NoRefusal {
				t.Fatal(r.Sentence(&orders[i], d.u))
			}
			d.book.Apply(&ev)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
	orders[0].Quantity = 0
	if n := testing.AllocsPerRun(100, func() { d.book.Decide(&orders[0], d.prices, 1, &ev) }); n != 0 {
		t.Errorf("a refusal: %v allocations, want 0", n)
	}
}

// tenRows gives alice ten rows, and returns orders that buy and sell one share of each.
func tenRows(d *desk) []Order {
	d.fund(alice, 1000*million)
	var orders []Order
	for n := range 10 {
		ev := d.trade(alice, Buy, 100, d.u.At(market.ID(3*n+1)).String())
		o := Order{Account: alice, Side: Buy, Quantity: 1, Instrument: ev.Trade.Instrument, Origin: OriginClient}
		o.ID, _ = MakeOrderID([]byte("order-0000000001"))
		orders = append(orders, o)
		o.Side = Sell
		orders = append(orders, o)
	}
	return orders
}
