package positions

import (
	"fmt"
	"math"
	"testing"

	"github.com/papertape/papertape/market"
)

// Every refusal, with its numbers and its sentence. Alice has 900.00 and 200 SZ 000001; SZ
// 000001 is at 10.00 and SH 600519 at 1480.00.
func TestRefusals(t *testing.T) {
	const (
		bank   = "SZ 000001"
		moutai = "SH 600519"
	)
	tests := []struct {
		name       string
		account    uint64
		side       Side
		instrument string
		quantity   int64
		limit      int64
		want       Refusal
		sentence   string
	}{
		{"unknown account", nobody, Buy, bank, 0, -1, Refusal{UnknownAccount, 0, 0},
			"buy 0 SZ 000001 at limit -0.0001: account 100099 is not open; use an account that is, or have this " +
				"one opened"},
		{"quantity 0", alice, Buy, bank, 0, -1, Refusal{BadQuantity, 0, MaxOrderShares},
			"buy 0 SZ 000001 at limit -0.0001: the quantity must be 1 to 1000000000 shares"},
		{"negative quantity", alice, Sell, bank, -5, 0, Refusal{BadQuantity, 0, MaxOrderShares},
			"sell -5 SZ 000001: the quantity must be 1 to 1000000000 shares"},
		{"over the largest order", alice, Sell, bank, MaxOrderShares + 1, 0, Refusal{BadQuantity, 0, MaxOrderShares},
			"sell 1000000001 SZ 000001: the quantity must be 1 to 1000000000 shares"},
		{"negative limit", alice, Buy, bank, 100, -9_9800, Refusal{BadPrice, -9_9800, 0},
			"buy 100 SZ 000001 at limit -9.98: a limit cannot be negative; give one above 0, or 0 for a market order"},
		{"limit under the price", alice, Buy, bank, MaxOrderShares, 9_0000,
			Refusal{LimitNotMarketable, 10_0000, 9_0000},
			"buy 1000000000 SZ 000001 at limit 9.00: the price is 10.00; raise the limit to 10.00 or send a market " +
				"order (limit 0)"},
		{"limit over the price", alice, Sell, bank, MaxOrderShares, 11_0000,
			Refusal{LimitNotMarketable, 10_0000, 11_0000},
			"sell 1000000000 SZ 000001 at limit 11.00: the price is 10.00; lower the limit to 10.00 or send a " +
				"market order (limit 0)"},
		{"more than held", alice, Sell, bank, 500, 0, Refusal{InsufficientShares, 200, 500},
			"sell 500 SZ 000001: account 100017 holds 200"},
		{"not held", alice, Sell, moutai, 1, 1, Refusal{InsufficientShares, 0, 1},
			"sell 1 SH 600519 at limit 0.0001: account 100017 holds 0"},
		{"more than the cash", alice, Buy, bank, 91, 0, Refusal{InsufficientCash, 900_0000, 910_0000},
			"buy 91 SZ 000001: it takes 910.00 and account 100017 has 900.00; order fewer shares, or sell " +
				"something first"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDesk(t)
			d.fund(alice, 2900_0000)
			d.trade(alice, Buy, 200, bank)
			before := d.holdings(alice).Hash
			o := Order{
				Account: test.account, Side: test.side, Quantity: test.quantity, Limit: test.limit,
				Instrument: instrument(t, d.u, test.instrument),
			}
			r := d.book.Decide(&o, d.prices, 1, new(Event))
			equal(t, "refusal", r, test.want)
			equal(t, "sentence", r.Sentence(&o, d.u), test.sentence)
			equal(t, "hash", d.holdings(alice).Hash, before)
		})
	}
	equal(t, "no refusal", Refusal{}.Sentence(&Order{}, market.Default()), "")
}

// One share or one unit of money below the limit is accepted.
func TestJustNotRefused(t *testing.T) {
	d := newDesk(t)
	d.fund(alice, 2900_0000)
	d.trade(alice, Buy, 200, "SZ 000001")
	for _, o := range []Order{
		{Side: Buy, Quantity: 90},
		{Side: Buy, Quantity: 1, Limit: 10_0000},
		{Side: Buy, Quantity: 1, Limit: 11_0000},
		{Side: Sell, Quantity: 200},
		{Side: Sell, Quantity: 1, Limit: 10_0000},
		{Side: Sell, Quantity: 1, Limit: 1},
	} {
		o.Account, o.Instrument = alice, instrument(t, d.u, "SZ 000001")
		if r := d.book.Decide(&o, d.prices, 1, new(Event)); r.Reason != NoRefusal {
			t.Error(r.Sentence(&o, d.u))
		}
	}
	d.fund(bob, math.MaxInt64)
	d.price("SZ 000001", 1)
	d.trade(bob, Buy, MaxOrderShares, "SZ 000001")
}

// Each sum that can overflow, with an account made for it: it is refused, and one less is
// accepted.
func TestOverflows(t *testing.T) {
	const top = math.MaxInt64
	tests := []struct {
		name  string
		row   Row // of SZ 000001; quantity 0: no row
		cash  Cash
		other int64 // shares of SH 600519, at a price of 1
		o     Order
		price int64
		fees  int64
		taken func(o *Order, price, fees *int64, a *account) // changes the case so that it fits
	}{
		{name: "amount", o: Order{Side: Buy, Quantity: 2}, price: top/2 + 1, cash: Cash{Balance: top},
			taken: func(_ *Order, price, _ *int64, _ *account) { *price-- }},
		{name: "amount past 64 bits", o: Order{Side: Buy, Quantity: MaxOrderShares}, price: top,
			cash:  Cash{Balance: top},
			taken: func(o *Order, _, _ *int64, _ *account) { o.Quantity = 1 }},
		{name: "amount of a sale", row: Row{Quantity: 2}, o: Order{Side: Sell, Quantity: 2}, price: top/2 + 1,
			taken: func(_ *Order, price, _ *int64, _ *account) { *price-- }},
		{name: "amount and fees", o: Order{Side: Buy, Quantity: 1}, price: top, fees: 1, cash: Cash{Balance: top},
			taken: func(_ *Order, price, _ *int64, _ *account) { *price-- }},
		{name: "quantity", row: Row{Quantity: top}, o: Order{Side: Buy, Quantity: 1}, price: 0,
			taken: func(_ *Order, _, _ *int64, a *account) { a.rows[0].Quantity-- }},
		{name: "cost", row: Row{Quantity: 1, Cost: top}, o: Order{Side: Buy, Quantity: 1}, price: 1,
			cash:  Cash{Balance: 1},
			taken: func(_ *Order, _, _ *int64, a *account) { a.rows[0].Cost-- }},
		{name: "fees paid", o: Order{Side: Buy, Quantity: 1}, price: 1, fees: 1, cash: Cash{Balance: 9, FeesPaid: top},
			taken: func(_ *Order, _, _ *int64, a *account) { a.cash.FeesPaid-- }},
		{name: "fees paid by a sale", row: Row{Quantity: 1}, o: Order{Side: Sell, Quantity: 1}, price: 1, fees: 1,
			cash:  Cash{FeesPaid: top},
			taken: func(_ *Order, _, _ *int64, a *account) { a.cash.FeesPaid-- }},
		{name: "cash", row: Row{Quantity: 2, Cost: 2}, o: Order{Side: Sell, Quantity: 1}, price: 1,
			cash:  Cash{Balance: top},
			taken: func(_ *Order, _, _ *int64, a *account) { a.cash.Balance-- }},
		{name: "realised", row: Row{Quantity: 1, Realised: top}, o: Order{Side: Sell, Quantity: 1}, price: 1,
			taken: func(_ *Order, _, _ *int64, a *account) { a.rows[0].Realised-- }},
		{name: "realised below", row: Row{Quantity: 2, Cost: 4, Realised: math.MinInt64},
			o: Order{Side: Sell, Quantity: 1}, price: 1,
			taken: func(_ *Order, _, _ *int64, a *account) { a.rows[0].Realised++ }},
		{name: "realised of the account", row: Row{Quantity: 1}, o: Order{Side: Sell, Quantity: 1}, price: 1,
			cash:  Cash{Realised: top},
			taken: func(_ *Order, _, _ *int64, a *account) { a.cash.Realised-- }},
		{name: "total", other: top, o: Order{Side: Buy, Quantity: 1}, price: 1, cash: Cash{Balance: 1},
			taken: func(_ *Order, _, _ *int64, a *account) { a.rows[0].Quantity-- }},
		{name: "total by the row", row: Row{Quantity: 1, Cost: 1}, o: Order{Side: Buy, Quantity: 1},
			price: top/2 + 1, cash: Cash{Balance: top},
			taken: func(_ *Order, price, _ *int64, _ *account) { *price-- }},
		{name: "total past 64 bits", row: Row{Quantity: top}, o: Order{Side: Sell, Quantity: 1}, price: top,
			taken: func(_ *Order, _, _ *int64, a *account) { a.rows[0].Quantity = 2 }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDesk(t)
			o := test.o
			o.Account, o.Instrument = alice, instrument(t, d.u, "SZ 000001")
			acc := d.book.open(alice)
			acc.cash = test.cash
			other := instrument(t, d.u, "SH 600519")
			acc.set(&Row{Quantity: test.other, Instrument: other})
			test.row.Instrument = o.Instrument
			acc.set(&test.row)
			opening := d.prices.With(other, 1)
			price, fees := test.price, test.fees
			var ev Event
			r := d.book.decide(&o, opening.With(o.Instrument, price), 1, fees, &ev)
			equal(t, "refusal", r, Refusal{BadQuantity, price, MaxOrderShares})
			test.taken(&o, &price, &fees, acc)
			if r := d.book.decide(&o, opening.With(o.Instrument, price), 1, fees, &ev); r.Reason != NoRefusal {
				t.Errorf("what fits: %v", r)
			}
		})
	}
}

// A total that is already too large does not prevent selling what makes it so.
func TestSaleOutOfAnOverflow(t *testing.T) {
	d := newDesk(t)
	d.fund(alice, million)
	d.trade(alice, Buy, 200, "SZ 000001")
	d.price("SZ 000001", math.MaxInt64/150)
	ev := d.trade(alice, Sell, 60, "SZ 000001")
	equal(t, "total", ev.TotalMarketValue, math.MaxInt64/150*140)
}

func TestOverflowSentence(t *testing.T) {
	d := newDesk(t)
	o := Order{Account: alice, Side: Buy, Quantity: 100, Instrument: instrument(t, d.u, "SZ 000001")}
	equal(t, "sentence", tooLarge(10_0000).Sentence(&o, d.u), "buy 100 SZ 000001: at 10.00 the amount, or a total of "+
		"account 100017, would pass the largest the ledger holds; order fewer shares")
	// 0 is a price. That the refusal holds price 0 does not mean that the quantity is
	// wrong.
	equal(t, "sentence at a price of 0", tooLarge(0).Sentence(&o, d.u),
		"buy 100 SZ 000001: at 0.00 the amount, or a total of "+
			"account 100017, would pass the largest the ledger holds; order fewer shares")
}

func TestRefusedAdjustments(t *testing.T) {
	d := newDesk(t)
	d.fund(alice, 900_0000)
	var ev Event
	tests := []struct {
		account  uint64
		cash     int64
		want     Refusal
		sentence string
	}{
		{alice, -900_0001, Refusal{InsufficientCash, 900_0000, -900_0001},
			"book -900.0001: account 100017 has 900.00; take out at most that"},
		{nobody, -1, Refusal{InsufficientCash, 0, -1}, "book -0.0001: account 100099 has 0.00; take out at most that"},
		{alice, math.MaxInt64 - 900_0000 + 1, Refusal{BadQuantity, 900_0000, math.MaxInt64 - 900_0000 + 1},
			"book 922337203684577.5808: account 100017 has 900.00, and a total would pass the largest the ledger " +
				"holds; book less"},
		{alice, -900_0000, Refusal{}, ""},
		{alice, math.MaxInt64 - 900_0000, Refusal{}, ""},
		{alice, math.MinInt64, Refusal{InsufficientCash, 900_0000, math.MinInt64},
			"book -922337203685477.5808: account 100017 has 900.00; take out at most that"},
	}
	for _, test := range tests {
		r := d.book.DecideAdjustment(test.account, &Adjustment{Cash: test.cash}, d.prices, 1, &ev)
		equal(t, "refusal", r, test.want)
		equal(t, "sentence", r.AdjustmentSentence(test.account), test.sentence)
	}
	d.trade(alice, Buy, 1, "SZ 000001")
	d.trade(alice, Buy, 1, "SH 600036")
	d.price("SZ 000001", math.MaxInt64)
	r := d.book.DecideAdjustment(alice, &Adjustment{Cash: 1}, d.prices, 1, &ev)
	equal(t, "where the total does not fit", r, Refusal{BadQuantity, 900_0000 - 10_0000 - 42_3000, 1})
}

// An account holds 512 instruments and no more. It can buy more of one it holds, and
// selling one makes room.
func TestRowLimit(t *testing.T) {
	list := make([]market.Instrument, MaxRows+1)
	for n := range list {
		list[n] = market.Instrument{
			Market: "SZ", Code: fmt.Sprintf("%06d", n), Name: "x", PreviousClose: 10_0000, Lot: 1, Tick: 100,
		}
	}
	u, err := market.NewUniverse(list)
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{TB: t, u: u, book: NewBook(u), prices: u.Opening()}
	d.fund(alice, million)
	for n := range MaxRows {
		d.trade(alice, Buy, 1, u.At(market.ID(n)).String())
	}
	o := Order{Account: alice, Side: Buy, Quantity: 1, Instrument: MaxRows}
	r := d.book.Decide(&o, d.prices, 1, new(Event))
	equal(t, "refusal", r, Refusal{TooManyRows, 512, 512})
	equal(t, "sentence", r.Sentence(&o, u),
		"buy 1 SZ 000512: account 100017 holds 512 instruments, the most it can; sell all of one first")
	equal(t, "increased", d.trade(alice, Buy, 1, "SZ.000007").Change, Increased)
	d.trade(alice, Sell, 1, "SZ.000008")
	equal(t, "opened", d.trade(alice, Buy, 1, "SZ.000512").Change, Opened)
	equal(t, "rows", len(d.holdings(alice).Positions), MaxRows)
}

func TestReasonNames(t *testing.T) {
	for r := NoRefusal; r <= TooManyRows; r++ {
		if r.String() == "" {
			t.Errorf("reason %d has no name", uint8(r))
		}
	}
	equal(t, "a reason", TooManyRows.String(), "TooManyRows")
	equal(t, "none", Reason(99).String(), "Reason(99)")
	equal(t, "its sentence", Refusal{Reason: 99}.because(&Order{}), "refused: Reason(99)")
}
