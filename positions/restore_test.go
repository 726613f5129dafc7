package positions

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/papertape/papertape/market"
)

// TestRestoreProperty: an account moved from one book to another continues as if nothing
// had happened, and every event that Decide makes passes Check.
func TestRestoreProperty(t *testing.T) {
	u := market.Default()
	rapid.Check(t, func(t *rapid.T) {
		book, prices := NewBook(u), market.Fixed(u).Snapshot()
		var ev Event
		book.DecideAdjustment(alice, &Adjustment{Cash: million}, prices, 1, &ev)
		for n := range rapid.IntRange(1, 40).Draw(t, "events") {
			if err := book.Check(&ev); err != nil {
				t.Fatalf("event %+v: %v", ev, err)
			}
			book.Apply(&ev)
			o := Order{
				Account:    alice,
				Side:       rapid.SampledFrom([]Side{Buy, Buy, Sell}).Draw(t, "side"),
				Quantity:   rapid.Int64Range(1, 30).Draw(t, "quantity"),
				Instrument: market.ID(rapid.IntRange(0, 5).Draw(t, "instrument")),
			}
			if r := book.Decide(&o, prices, int64(n), &ev); r.Reason != NoRefusal {
				book.DecideAdjustment(alice, &Adjustment{Cash: 1}, prices, int64(n), &ev)
			}
			if rapid.IntRange(0, 3).Draw(t, "restored") == 0 {
				book = restored(t, book, u)
			}
		}
	})
}

// restored returns a book to which alice's account was moved, after comparing the two.
func restored(t *rapid.T, book *Book, u *market.Universe) *Book {
	v, _ := book.View(alice)
	rows := v.AppendRows(nil)
	next := NewBook(u)
	if err := next.Restore(alice, v.Seq(), v.Cash(), rows); err != nil {
		t.Fatal(err)
	}
	clear(rows) // the book must not keep a reference to them
	want, _, _ := book.Holdings(alice, u.Opening(), nil)
	got, _, ok := next.Holdings(alice, u.Opening(), nil)
	if !ok || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("restored %+v, want %+v", got, want)
	}
	return next
}

func TestRestoreRefuses(t *testing.T) {
	u := market.Default()
	row := func(id market.ID) Row { return Row{Instrument: id, Quantity: 1, Version: 1} }
	tooMany := make([]Row, MaxRows+1)
	for name, test := range map[string]struct {
		seq  uint64
		cash Cash
		rows []Row
		want string
	}{
		"no events":     {0, Cash{}, nil, "account 100017 is restored as of event 0: it has none, so it is not open"},
		"too many rows": {3, Cash{}, tooMany, "account 100017 holds 513 instruments; at most 512 can be"},
		"cash": {3, Cash{Balance: -5}, nil,
			"account 100017 as of event 3: a balance of -5 and fees of 0 cannot be"},
		"fees": {3, Cash{FeesPaid: -5}, nil,
			"account 100017 as of event 3: a balance of 0 and fees of -5 cannot be"},
		"instrument": {3, Cash{}, []Row{row(market.ID(u.Len()))},
			fmt.Sprintf("account 100017 as of event 3: there is no instrument %d", u.Len())},
		"quantity": {3, Cash{}, []Row{{Quantity: -1, Version: 1}},
			"account 100017 as of event 3: the row of instrument 0 has quantity -1 and cost 0"},
		"nothing": {3, Cash{}, []Row{{Version: 1}},
			"account 100017 as of event 3: the row of instrument 0 has quantity 0"},
		"cost": {3, Cash{}, []Row{{Quantity: 1, Cost: -1, Version: 1}},
			"account 100017 as of event 3: the row of instrument 0 has quantity 1 and cost -1"},
		"no version": {3, Cash{}, []Row{{Quantity: 1}},
			"account 100017 as of event 3: the row of instrument 0 was last changed by event 0, which is none of " +
				"its past"},
		"order": {3, Cash{}, []Row{row(4), row(2)},
			"account 100017 as of event 3: the row of instrument 2 comes after that of 4"},
		"twice": {3, Cash{}, []Row{row(4), row(4)},
			"account 100017 as of event 3: the row of instrument 4 comes after that of 4"},
	} {
		book := NewBook(u)
		if err := book.Restore(alice, test.seq, test.cash, test.rows); err == nil || err.Error() != test.want {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if _, open := book.View(alice); open || book.Len() != 0 {
			t.Errorf("%s: the account is open all the same", name)
		}
	}
	book := NewBook(u)
	if err := book.Restore(alice, 1, Cash{}, nil); err != nil {
		t.Fatal(err)
	}
	if err := book.Restore(alice, 1, Cash{}, nil); err == nil || err.Error() != "account 100017 is restored twice" {
		t.Errorf("twice: %v", err)
	}
}

// TestCheckRefuses: Check refuses what Apply would panic on, and impossible states.
func TestCheckRefuses(t *testing.T) {
	d := newDesk(t)
	d.fund(alice, million)
	trade := d.trade(alice, Buy, 100, "SZ 000001")
	for name, test := range map[string]struct {
		change func(*Event)
		want   string
	}{
		"had already": {func(ev *Event) { ev.Seq = 2 },
			"account 100017 is at event 2, so 3 is next; this is event 2"},
		"a hole": {func(ev *Event) { ev.Seq = 4 },
			"account 100017 is at event 2, so 3 is next; this is event 4"},
		"not open": {func(ev *Event) { ev.Account, ev.Seq = bob, 1 },
			"event 1 of account 100018: it trades before the account was opened"},
		"kind":     {func(ev *Event) { ev.Kind = 0 }, "it is of unknown kind 0"},
		"side":     {func(ev *Event) { ev.Trade.Side = 3 }, "its trade has side 3"},
		"quantity": {func(ev *Event) { ev.Trade.Quantity = 0 }, "its trade is of 0 shares"},
		"limit":    {func(ev *Event) { ev.Trade.Limit = -1 }, "limit -1"},
		"row":      {func(ev *Event) { ev.Trade.Instrument++ }, "its trade is in instrument"},
		"instrument": {func(ev *Event) { ev.Trade.Instrument, ev.Position.Instrument = 9999, 9999 },
			"there is no instrument 9999"},
		"negative": {func(ev *Event) { ev.Position.Quantity = -1 }, "has quantity -1"},
		"version":  {func(ev *Event) { ev.Position.Version = 4 }, "was last changed by event 4"},
		"cash":     {func(ev *Event) { ev.Cash.Balance = -1 }, "a balance of -1"},
		"no bust":  {func(ev *Event) { ev.Kind = KindBust }, "it takes a trade back and does not say which"},
		"row of a bust": {func(ev *Event) { ev.Kind, ev.Bust = KindBust, &Bust{Positions: []Position{{}}} },
			"was last changed by event 0"},
		"no adjustment":  {func(ev *Event) { ev.Kind = KindAdjustment }, "it books cash and does not say how much"},
		"nothing at all": {func(*Event) {}, ""},
	} {
		ev := trade
		ev.Seq, ev.Position.Version = 3, 3
		test.change(&ev)
		err := d.book.Check(&ev)
		if test.want == "" && err != nil ||
			test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// TestCheckRows: an event cannot open a 513th row either; a row that is held may change and
// close.
func TestCheckRows(t *testing.T) {
	instruments := make([]market.Instrument, MaxRows+1)
	rows := make([]Row, MaxRows)
	for i := range instruments {
		instruments[i] = market.Instrument{
			Market: "SH", Code: fmt.Sprintf("%06d", i), Name: "one", PreviousClose: 10_0000, Lot: 100, Tick: 100,
		}
		if i < MaxRows {
			rows[i] = Row{Instrument: market.ID(i), Quantity: 1, Version: 1}
		}
	}
	u, err := market.NewUniverse(instruments)
	if err != nil {
		t.Fatal(err)
	}
	book := NewBook(u)
	if err := book.Restore(alice, 1, Cash{}, rows); err != nil {
		t.Fatal(err)
	}
	event := func(id market.ID, quantity int64) *Event {
		return &Event{
			Account: alice, Seq: 2, Kind: KindTrade, Trade: Trade{Side: Buy, Quantity: 1, Instrument: id},
			Position: Position{Row: Row{Instrument: id, Quantity: quantity, Version: 2}},
		}
	}
	if err := book.Check(event(MaxRows, 1)); err == nil ||
		!strings.Contains(err.Error(), "it opens a row where there are 512") {
		t.Errorf("the 513th row: %v", err)
	}
	for _, quantity := range []int64{0, 2} {
		if err := book.Check(event(7, quantity)); err != nil {
			t.Errorf("a row that is held, %d after it: %v", quantity, err)
		}
	}
	if v, _ := book.View(alice); !reflect.DeepEqual(v.AppendRows(rows[:0:0]), rows) {
		t.Error("AppendRows gives other rows")
	}
}
