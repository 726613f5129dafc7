package positions

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/papertape/papertape/market"
)

func TestTapedSize(t *testing.T) {
	equal(t, "bytes of a trade", unsafe.Sizeof(taped{}), 24)
	equal(t, "shares that fit", int64(int32(MaxOrderShares)), MaxOrderShares)
}

// A tape finds trades by sequence across chunk borders, and allocates fees only for chunks
// that have some.
func TestTape(t *testing.T) {
	var tape tape
	const n = 3*tapeChunkTrades + 5
	for i := range n {
		fees := int64(0)
		if i == tapeChunkTrades {
			fees = 7
		}
		tape.append(taped{seq: uint64(3*i + 2), price: int64(i), quantity: 1}, fees)
	}
	for i := range n {
		place, found := tape.find(uint64(3*i + 2))
		if place != i || !found || tape.at(i).price != int64(i) {
			t.Fatalf("trade %d is found at %d, %t: %+v", i, place, found, tape.at(i))
		}
		for _, absent := range []uint64{uint64(3*i + 1), uint64(3*i + 3)} {
			if _, found := tape.find(absent); found {
				t.Fatalf("trade %d is found", absent)
			}
		}
	}
	equal(t, "chunks", len(tape.chunks), 4)
	equal(t, "fees", tape.fees(tapeChunkTrades), 7)
	equal(t, "fees beside", tape.fees(tapeChunkTrades+1), 0)
	equal(t, "fees of the chunk before", tape.chunks[0].fees, nil)
	tape.setFees(tapeChunkTrades, 0)
	equal(t, "fees taken away", tape.fees(tapeChunkTrades), 0)
}

func TestWide(t *testing.T) {
	anyInt := rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{math.MinInt64, -1, 0, 1, math.MaxInt64}))
	rapid.Check(t, func(t *rapid.T) {
		var w wide
		sum := number(0)
		for range rapid.IntRange(0, 20).Draw(t, "terms") {
			v := anyInt.Draw(t, "v")
			if rapid.Bool().Draw(t, "add") {
				w.add(v)
				sum = plus(sum, number(v))
			} else {
				w.sub(v)
				sum = minus(sum, number(v))
			}
		}
		last := anyInt.Draw(t, "last")
		sum = plus(sum, number(last))
		got, ok := w.plus(last)
		want := sum.Int64()
		if !sum.IsInt64() {
			want = math.MaxInt64
			if sum.Sign() < 0 {
				want = math.MinInt64
			}
		}
		if ok != sum.IsInt64() || got != want {
			t.Fatalf("%d, %t: want %v", got, ok, sum)
		}
	})
}

// For each sum that a step can overflow, and for a sale of more than is held, step returns
// false and leaves the row unchanged.
func TestStepRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		row  Row
		e    taped
	}{
		{"more than there is", Row{Quantity: 1, Cost: 5}, taped{quantity: -2, price: 1}},
		{"quantity", Row{Quantity: math.MaxInt64}, taped{quantity: 1}},
		{"cost", Row{Quantity: 1, Cost: math.MaxInt64}, taped{quantity: 1, price: 1}},
		{"realised", Row{Quantity: 2, Realised: math.MaxInt64}, taped{quantity: -1, price: 1}},
	} {
		row := test.row
		if gain, ok := row.step(&test.e); ok || gain != 0 || row != test.row {
			t.Errorf("%s: %d, %t, %+v", test.name, gain, ok, row)
		}
	}
	row := Row{Realised: 5}
	if gain, ok := row.step(&taped{seq: 1, price: 9}); gain != 0 || !ok || row != (Row{Realised: 5}) {
		t.Errorf("a trade taken back made %+v", row)
	}
}

// A fold that starts at its marks decides the same as one that starts at the beginning,
// even if a bust before its marks made them wrong.
func TestMarks(t *testing.T) {
	d := newDesk(t)
	d.fund(alice, million)
	for i := range 3 * markTrades / 100 {
		d.trade(alice, Buy, int64(2+i%3), []string{"SZ 000001", "SH 600036"}[i%2])
		d.price("SZ 000001", int64(9_0000+i))
		if i%4 > 1 {
			d.trade(alice, Sell, 2, []string{"SZ 000001", "SH 600036"}[i%2])
		}
		if i == 300 {
			r := validRequest(120)
			r.Correct, r.Quantity, r.Price = true, 5, 9_1234
			if o, _ := d.bust(r); o.Reason != NoBustRefusal {
				t.Fatal(o.Sentence(r, d.u))
			}
		}
	}
	decide := func(seq uint64, every int) (BustOutcome, Event, int) {
		f := NewFold(d.u, validRequest(seq))
		f.markEvery = every
		for i := range d.events {
			if err := f.Add(&d.events[i]); err != nil {
				t.Fatal(err)
			}
		}
		var ev Event
		o := d.book.DecideBust(f, d.prices, 1, &ev)
		return o, ev, len(f.marks)
	}
	last := d.events[len(d.events)-1].Seq
	for _, seq := range []uint64{2, 10, 119, 120, 121, 290, 310, 500, last - 1, last} {
		o1, marked, marks := decide(seq, 32)
		o2, plain, none := decide(seq, 1<<30)
		if !reflect.DeepEqual(o1, o2) || !reflect.DeepEqual(marked, plain) {
			t.Errorf("trade %d:\nmarked %+v %+v\nplain  %+v %+v", seq, o1, marked.Bust, o2, plain.Bust)
		}
		// 118 trades precede the corrected one. All marks between it and the correction are
		// wrong, and must be gone.
		if marks < 10 || marks > len(d.events)/32-4 || none != 0 {
			t.Errorf("%d marks, %d without", marks, none)
		}
	}
}

// eventful returns a short history that contains everything: fees, a correction, a bust
// with a cascade, adjustments.
func eventful(t testing.TB) *desk {
	d := newDesk(t)
	d.fund(alice, million)
	d.trade(alice, Buy, 100, "SZ 000001") // 2
	d.price("SZ 000001", 20_0000)
	d.trade(alice, Buy, 100, "SZ 000001") // 3
	d.trade(alice, Buy, 10, "SH 600036")  // 4
	d.price("SZ 000001", 18_0000)
	d.trade(alice, Sell, 150, "SZ 000001") // 5
	correction := validRequest(3)
	correction.Correct, correction.Quantity, correction.Price, correction.ID = true, 120, 19_0000, "c"
	bust := validRequest(2)
	bust.Policy, bust.ID = PolicyCascade, "b"
	for _, r := range []*BustRequest{correction, bust} { // 6, 7
		if o, _ := d.bust(r); o.Reason != NoBustRefusal {
			t.Fatal(o.Sentence(r, d.u))
		}
	}
	d.fund(alice, 1000_0000)             // 8
	d.trade(alice, Buy, 1, "SZ 000001")  // 9
	d.trade(alice, Sell, 5, "SH 600036") // 10
	return d
}

// Add, Verify or DecideBust detects every contradiction within a history.
func TestDamage(t *testing.T) {
	const bank, moutai = "SZ 000001", "SH 600519"
	d := eventful(t)
	equal(t, "cascade", fmt.Sprint(d.events[6].Bust.Cascade), "[5]")
	id := func(spelled string) market.ID { return instrument(t, d.u, spelled) }
	for _, test := range []struct {
		seq    uint64
		name   string
		damage func(ev *Event)
		want   string
	}{
		{3, "account", func(ev *Event) { ev.Account = bob }, "event 3: it is of account 100018"},
		{3, "a hole", func(ev *Event) { ev.Seq++ }, "event 4: it comes after event 2"},
		{1, "sequence 0", func(ev *Event) { ev.Seq = 0 }, "event 0: it comes after event 0"},
		{3, "kind", func(ev *Event) { ev.Kind = 9 }, "event 3: it is of unknown kind 9"},
		{3, "kind 0", func(ev *Event) { ev.Kind = 0 }, "event 3: it is of unknown kind 0"},
		{3, "no bust", func(ev *Event) { ev.Kind = KindBust }, "event 3: it is of kind 2 and says nothing about that"},
		{3, "no adjustment", func(ev *Event) { ev.Kind = KindAdjustment },
			"event 3: it is of kind 3 and says nothing about that"},
		{1, "cash below 0", func(ev *Event) { ev.Cash.Balance = -1 }, "event 1: it leaves cash at -0.0001"},
		{1, "adjustment", func(ev *Event) { ev.Adjustment = &Adjustment{Cash: 1} },
			"event 1: it says cash 1000000.00, fees paid 0.00, realised 0.00, and the events up to it come to cash " +
				"0.0001, "},
		{8, "adjustment past the end", func(ev *Event) { ev.Adjustment = &Adjustment{Cash: math.MaxInt64} },
			"event 8: its cash would pass the largest the ledger holds"},
		{8, "realised by an adjustment", func(ev *Event) { ev.Cash.Realised++ }, "event 8: it says cash "},
		{3, "instrument", func(ev *Event) { ev.Trade.Instrument = market.ID(d.u.Len()) },
			"event 3: it is of instrument 50 of 50"},
		{3, "instrument of the row", func(ev *Event) { ev.Position.Instrument = 4000 },
			"event 3: it says 200 instrument 4000, cost 3000.00, "},
		{3, "side", func(ev *Event) { ev.Trade.Side = 0 }, "event 3: its trade has side 0"},
		{3, "other side", func(ev *Event) { ev.Trade.Side = Sell }, "event 3: it says 200 SZ.000001, cost 3000.00, "},
		{3, "quantity", func(ev *Event) { ev.Trade.Quantity = 0 },
			"event 3: its trade is of 0 shares at 20.00 with fees of 0.00"},
		{3, "too large", func(ev *Event) { ev.Trade.Quantity = MaxOrderShares + 1 },
			"event 3: its trade is of 1000000001 shares "},
		{3, "price", func(ev *Event) { ev.Trade.Price = -1 }, "event 3: its trade is of 100 shares at -0.0001 "},
		{3, "negative fees", func(ev *Event) { ev.Trade.Fees = -1 }, "with fees of -0.0001"},
		{3, "fees", func(ev *Event) { ev.Trade.Fees = 1 }, "event 3: it says cash 997000.00, fees paid 0.00, "},
		{3, "amount", func(ev *Event) { ev.Trade.Amount++ },
			"event 3: its trade is of 100 shares at 20.00 for 2000.0001"},
		{3, "huge", func(ev *Event) { ev.Trade.Price = math.MaxInt64 }, "event 3: its trade is of 100 shares at "},
		{5, "more than held", func(ev *Event) { ev.Trade.Quantity, ev.Trade.Amount = 201, 201*18_0000 },
			"event 5: it does not go with 200 SZ.000001, cost 3000.00, realised 0.00, version 3"},
		{5, "cost", func(ev *Event) { ev.Position.Cost++ },
			"event 5: it says 50 SZ.000001, cost 750.0001, realised 450.00, version 5, and"},
		{5, "version", func(ev *Event) { ev.Position.Version-- },
			"event 5: it says 50 SZ.000001, cost 750.00, realised 450.00, version 4, and"},
		{5, "row", func(ev *Event) { ev.Position.Instrument = id(moutai) }, "event 5: it says 50 SH.600519, "},
		{5, "realised ever", func(ev *Event) { ev.Cash.Realised++ }, "event 5: it says cash "},
		{6, "trade", func(ev *Event) { ev.Bust.TradeSeq = 1 }, "event 6: it takes trade 1 back, which does not stand"},
		{7, "a trade to come", func(ev *Event) { ev.Bust.TradeSeq = 9 },
			"event 7: it takes trade 9 back, which does not stand"},
		{7, "another trade", func(ev *Event) { ev.Bust.TradeSeq = 3 }, "event 7: its original is not what trade 3 is"},
		{7, "original's fees", func(ev *Event) { ev.Bust.Original.Fees = 1 },
			"event 7: its original is not what trade 2 is"},
		{7, "original", func(ev *Event) { ev.Bust.Original.Side = 7 }, "event 7: its trade has side 7"},
		{6, "replacement's side", func(ev *Event) { ev.Bust.Replacement.Side = Sell },
			"event 6: its replacement is not a correction of its original"},
		{6, "replacement's revision", func(ev *Event) { ev.Bust.Replacement.Revision = 2 },
			"event 6: its replacement is not a correction"},
		{6, "replacement's instrument", func(ev *Event) { ev.Bust.Replacement.Instrument = 3 },
			"event 6: its replacement is not a correction"},
		{6, "replacement's amount", func(ev *Event) { ev.Bust.Replacement.Amount = 1 },
			"event 6: its trade is of 120 shares at 19.00 for 0.0001"},
		{6, "replacement's fees", func(ev *Event) { ev.Bust.Replacement.Fees = 1 }, "event 6: it says cash "},
		{7, "cascade", func(ev *Event) { ev.Bust.Cascade = []uint64{5, 5} },
			"event 7: it takes trade 5 back, which does not stand"},
		{7, "cascade gone", func(ev *Event) { ev.Bust.Cascade = nil }, "event 7: it says cash "},
		{7, "long cascade", func(ev *Event) { ev.Bust.Cascade = make([]uint64, 101) },
			"event 7: it takes 101 trades back with another, and the most is 100"},
		{7, "no rows", func(ev *Event) { ev.Bust.Positions = nil }, "event 7: it has 0 rows where it touches 1"},
		{7, "another row", func(ev *Event) { ev.Bust.Positions[0].Instrument = id(moutai) },
			"event 7: it has a row of instrument 11 in the place of SZ.000001"},
		{7, "quantity of a row", func(ev *Event) { ev.Bust.Positions[0].Quantity-- },
			"event 7: it says 119 SZ.000001, cost 2280.00, realised 0.00, version 7, and the events up to it leave " +
				"120 shares in version 7"},
		{7, "version of a row", func(ev *Event) { ev.Bust.Positions[0].Version = 6 }, "leave 120 shares in version 7"},
		{7, "cost below 0", func(ev *Event) { ev.Bust.Positions[0].Cost = -1 },
			"event 7: it says 120 SZ.000001, cost -0.0001, "},
		{7, "fees", func(ev *Event) { ev.Cash.FeesPaid++ }, "event 7: it says cash "},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := NewFold(d.u, validRequest(9))
			err := addDamaged(f, d.events, test.seq, test.damage)
			if err == nil || !strings.HasPrefix(err.Error(), "history of account 100017, ") ||
				!strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %s", err, test.want)
			}
			if again := f.Add(&d.events[0]); again != err {
				t.Errorf("then %v", again)
			}
			v, _ := d.book.View(alice)
			if verified := f.Verify(v); verified != err {
				t.Errorf("verified: %v", verified)
			}
			o := d.book.DecideBust(f, d.prices, 1, new(Event))
			equal(t, "outcome", o.Reason, BustDamaged)
			if s := o.Sentence(validRequest(9), d.u); !strings.Contains(s, err.Error()) {
				t.Error(s)
			}
		})
	}
}

// addDamaged adds copies of events, after changing the one with sequence seq.
func addDamaged(f *Fold, events []Event, seq uint64, damage func(ev *Event)) error {
	for i := range events {
		ev := events[i]
		if ev.Bust != nil {
			bust := *ev.Bust
			bust.Positions = slices.Clone(bust.Positions)
			if bust.Replacement != nil {
				replacement := *bust.Replacement
				bust.Replacement = &replacement
			}
			ev.Bust = &bust
		}
		if ev.Seq == seq {
			damage(&ev)
		}
		if err := f.Add(&ev); err != nil {
			return err
		}
	}
	return nil
}

// Add does not recompute what a bust says. Verify does, and so does a bust that touches it.
func TestDamageInWhatABustSays(t *testing.T) {
	d := eventful(t)
	d.events = d.events[:7]
	d.book = NewBook(d.u)
	for i := range d.events {
		d.book.Apply(&d.events[i])
	}
	v, _ := d.book.View(alice)
	for name, damage := range map[string]func(ev *Event){
		"cost":          func(ev *Event) { ev.Bust.Positions[0].Cost++ },
		"realised":      func(ev *Event) { ev.Bust.Positions[0].Realised++ },
		"realised ever": func(ev *Event) { ev.Cash.Realised++ },
	} {
		f := NewFold(d.u, validRequest(3))
		if err := addDamaged(f, d.events, 7, damage); err != nil {
			t.Fatal(name, err)
		}
		err := f.Verify(v)
		if err == nil || !strings.Contains(err.Error(), "and the history says ") {
			t.Errorf("%s: %v", name, err)
		}
		// The book agrees with the damaged history.
		damaged := NewBook(d.u)
		for i := range d.events[:6] {
			damaged.Apply(&d.events[i])
		}
		ev, bust := d.events[6], *d.events[6].Bust
		bust.Positions = slices.Clone(bust.Positions)
		ev.Bust = &bust
		damage(&ev)
		damaged.Apply(&ev)
		o := damaged.DecideBust(f, d.prices, 1, new(Event))
		if name == "realised ever" { // nobody keeps each instrument's part of it
			continue
		}
		equal(t, name, o.Reason, BustDamaged)
		if s := o.Sentence(validRequest(3), d.u); !strings.Contains(s,
			"bust 100017-3: the account cannot be folded anew: the trades that stand come to 120 SZ.000001") {
			t.Error(s)
		}
	}
}

// Add does not detect a bust that left a sale short of its shares, if enough shares are
// held in the end. Later requests are then refused, and terminate.
func TestDamageInTheMiddle(t *testing.T) {
	const bank = "SZ 000001"
	d := newDesk(t)
	d.fund(alice, million)
	first := d.trade(alice, Buy, 10, bank)
	d.trade(alice, Sell, 10, bank)
	d.trade(alice, Buy, 20, bank)
	d.trade(alice, Buy, 20, bank)
	ev := Event{
		Account: alice, Seq: 6, Kind: KindBust, Cash: Cash{Balance: million - 300_0000},
		Bust: &Bust{TradeSeq: 2, Reason: "r", Actor: "a", Original: first.Trade, Positions: []Position{
			{Row: Row{Quantity: 30, Cost: 300_0000, Version: 6, Instrument: first.Trade.Instrument}},
		}},
	}
	d.apply(ev)
	v, _ := d.book.View(alice)
	for _, seq := range []uint64{3, 4, 5} {
		correction := validRequest(seq)
		correction.Correct, correction.Quantity, correction.Price, correction.Policy = true, 11, 10_0000, PolicyCascade
		for _, r := range []*BustRequest{validRequest(seq), correction} {
			f := d.fold(r)
			if err := f.Verify(v); err == nil ||
				err.Error() != "account 100017: trade 3 cannot have been, of 0 SZ.000001, cost 0.00, "+
					"realised 0.00, version 0" {
				t.Error(err)
			}
			o := d.book.DecideBust(f, d.prices, 1, new(Event))
			s := o.Sentence(r, d.u)
			if seq == 3 && r.Correct { // the sale that is short is the one being corrected
				equal(t, "correction", o.Reason, BustSharesGone)
			} else if o.Reason != BustDamaged ||
				!strings.Contains(s, "too few SZ.000001 were held, at the latest at event ") {
				t.Errorf("%v: %s", o.Reason, s)
			}
		}
	}
}

// A book that differs from its history is not changed.
func TestBookAndHistoryDisagree(t *testing.T) {
	for name, change := range map[string]func(a *account){
		"the book says cash ":                          func(a *account) { a.cash.Balance++ },
		"the book does not have what the history says": func(a *account) { a.rows[0].Version-- },
		"the book does not have what":                  func(a *account) { a.rows = a.rows[:1] },
		"the book has 5 SZ.300760, cost 0.0007, realised 0.00, version 1, and the history none": func(a *account) {
			a.set(&Row{Quantity: 5, Cost: 7, Version: 1, Instrument: 49})
		},
	} {
		d := eventful(t)
		change(d.book.find(alice))
		r := validRequest(9)
		f := d.fold(r)
		v, _ := d.book.View(alice)
		if err := f.Verify(v); err == nil || !strings.Contains(err.Error(), "account 100017: "+name) {
			t.Errorf("%s: %v", name, err)
		}
		o := d.book.DecideBust(f, d.prices, 1, new(Event))
		if s := o.Sentence(r, d.u); o.Reason != BustDamaged || !strings.Contains(s, name) {
			t.Errorf("%v: %s", o.Reason, s)
		}
	}
}

// Verify needs the whole history.
func TestVerifyWantsAll(t *testing.T) {
	d := eventful(t)
	v, _ := d.book.View(alice)
	late, behind := NewFold(d.u, validRequest(9)), NewFold(d.u, validRequest(9))
	for i := range d.events {
		if i > 0 && late.Add(&d.events[i]) != nil || i < 9 && behind.Add(&d.events[i]) != nil {
			t.Fatal(i)
		}
	}
	equal(t, "late", late.Verify(v).Error(), "account 100017 is at event 10, and its history is kept from 2 to 10")
	equal(t, "behind", behind.Verify(v).Error(), "account 100017 is at event 10, and its history is kept from 1 to 9")
	equal(t, "sequence", behind.Seq(), 9)
	equal(t, "trades", behind.Len(), 5)
	defer func() {
		equal(t, "panic", recover(), any("positions: bust of account 100017 decided with its history up to 9 of 10"))
	}()
	d.book.DecideBust(behind, d.prices, 1, new(Event))
}
