package positions

import (
	"slices"
	"strings"
	"testing"

	"github.com/papertape/papertape/market"
)

// reset decides a reset and applies it.
func (d *desk) reset(account uint64, cash int64) Event {
	d.Helper()
	d.now++
	var ev Event
	r := &Reset{Cash: cash, Reason: "a new term", Actor: "ops"}
	if refusal := d.book.DecideReset(account, r, d.now, &ev); refusal.Reason != NoRefusal {
		d.Fatal(refusal)
	}
	d.apply(ev)
	return ev
}

// resetDesk returns a desk whose account was reset by event 11, and traded after it.
func resetDesk(t testing.TB) *desk {
	d := eventful(t)
	d.reset(alice, 5_000_0000)            // 11
	d.trade(alice, Buy, 100, "SZ 000001") // 12
	d.trade(alice, Buy, 10, "SH 600036")  // 13
	return d
}

func TestReset(t *testing.T) {
	d := eventful(t)
	bank, merchants := instrument(t, d.u, "SZ 000001"), instrument(t, d.u, "SH 600036")
	ev := d.reset(alice, 5_000_0000)
	equal(t, "cash", ev.Cash, Cash{Balance: 5_000_0000})
	equal(t, "rows that went", len(ev.Reset.Gone), 2)
	equal(t, "first", ev.Reset.Gone[0], min(bank, merchants))
	equal(t, "second", ev.Reset.Gone[1], max(bank, merchants))
	equal(t, "value", ev.TotalMarketValue, 0)
	h := d.holdings(alice)
	equal(t, "sequence", h.Seq, 11)
	equal(t, "rows", len(h.Positions), 0)
	equal(t, "cash of the account", h.Cash, Cash{Balance: 5_000_0000})
	d.trade(alice, Buy, 100, "SZ 000001")
	row, _ := View{d.book.find(alice)}.Find(bank)
	equal(t, "row anew", row, Row{Quantity: 100, Cost: 1_800_0000, Version: 12, Instrument: bank})
	if err := d.fold(validRequest(12)).Verify(View{d.book.find(alice)}); err != nil {
		t.Error(err)
	}
}

func TestResetRefusals(t *testing.T) {
	d := eventful(t)
	before := d.holdings(alice)
	r := d.book.DecideReset(nobody, &Reset{}, 1, new(Event))
	equal(t, "of no account", r.Reason, UnknownAccount)
	r = d.book.DecideReset(alice, &Reset{Cash: -1}, 1, new(Event))
	equal(t, "to less than nothing", r, Refusal{Reason: BadQuantity, Have: before.Cash.Balance, Need: -1})
	equal(t, "hash", d.holdings(alice).Hash, before.Hash)
}

// What lies before a reset can no longer be taken back, and what comes after it can, even where the
// beginning of the history is no longer kept.
func TestBustAroundReset(t *testing.T) {
	for _, from := range []uint64{1, 5, 11} {
		d := resetDesk(t)
		ask := func(r *BustRequest) (BustOutcome, Event) {
			f := NewFold(d.u, r)
			for i := range d.events[from-1:] {
				if err := f.Add(&d.events[int(from)-1+i]); err != nil {
					t.Fatal(err)
				}
			}
			var ev Event
			return d.book.DecideBust(f, d.prices, 1, &ev), ev
		}
		for _, seq := range []uint64{4, 10} {
			r := validRequest(seq)
			o, _ := ask(r)
			equal(t, "reason", o.Reason, BustBeforeReset)
			if s := o.Sentence(r, d.u); !strings.HasSuffix(s, ": event 11 has reset the account since, and what lies "+
				"before a reset stays as it was; book an adjustment instead") {
				t.Errorf("sentence %q", s)
			}
			r.Correct, r.Quantity, r.Price = true, 1, 1_0000
			o, _ = ask(r)
			equal(t, "reason of the correction", o.Reason, BustBeforeReset)
		}
		r := validRequest(11)
		o, _ := ask(r)
		equal(t, "reason", o.Reason, BustNotATrade)
		equal(t, "sentence", o.Sentence(r, d.u), "bust 100017-11: event 11 of account 100017 is a reset, which is "+
			"never undone; name a trade that came after it")
		o, ev := ask(validRequest(12))
		equal(t, "reason after it", o.Reason, NoBustRefusal)
		equal(t, "change", ev.Change, Closed)
		equal(t, "cash", ev.Cash.Balance, 5_000_0000-10*d.prices.At(instrument(t, d.u, "SH 600036")))
	}
}

// A bust from before a reset is still answered under its id.
func TestBustBeforeResetRepeats(t *testing.T) {
	d := resetDesk(t)
	r := validRequest(2)
	r.Policy, r.ID = PolicyCascade, "b"
	o, _ := d.bust(r)
	equal(t, "repeats", o.Repeats, 7)
	o, _ = d.bust(validRequest(2))
	equal(t, "without the id", o.Reason, BustAlready)
}

// damagedResets are resets that contradict what was before them.
func damagedResets(gone []market.ID) map[string]func(*Event) {
	return map[string]func(*Event){
		"cash":           func(ev *Event) { ev.Cash.Balance++ },
		"fees":           func(ev *Event) { ev.Cash.FeesPaid++ },
		"gain":           func(ev *Event) { ev.Cash.Realised++ },
		"a row left":     func(ev *Event) { ev.Reset.Gone = gone[:1] },
		"a row too many": func(ev *Event) { ev.Reset.Gone = slices.Concat(gone, gone[1:]) },
		"another row":    func(ev *Event) { ev.Reset.Gone = []market.ID{gone[0], gone[1] + 1} },
		"nothing":        func(ev *Event) { ev.Reset = nil },
	}
}

func TestDamagedReset(t *testing.T) {
	d := eventful(t)
	var ev Event
	r := &Reset{Cash: 7_0000, Reason: "a new term", Actor: "ops"}
	d.book.DecideReset(alice, r, 1, &ev)
	if err := d.book.Check(&ev); err != nil {
		t.Fatal(err)
	}
	for name, damage := range damagedResets(r.Gone) {
		bad, reset := ev, *r
		bad.Reset = &reset
		damage(&bad)
		if err := d.book.Check(&bad); err == nil {
			t.Errorf("%s: Check finds nothing", name)
		}
		if err := d.fold(validRequest(2)).Add(&bad); err == nil {
			t.Errorf("%s: a fold finds nothing", name)
		}
	}
	ev.Account, ev.Seq = bob, 1
	err := d.book.Check(&ev)
	if err == nil || !strings.Contains(err.Error(), "it resets an account that was not opened") {
		t.Errorf("of no account: %v", err)
	}
}
