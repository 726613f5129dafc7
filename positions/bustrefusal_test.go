package positions

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/papertape/papertape/market"
)

// Malformed requests, and valid ones at the limits.
func TestBustRequestCheck(t *testing.T) {
	const most = 1_000_000_000
	for _, test := range []struct {
		name   string
		change func(r *BustRequest)
		want   string // empty: the request is well formed
	}{
		{"fine", func(*BustRequest) {}, ""},
		{"a correction", func(r *BustRequest) { r.Correct, r.Quantity, r.Price = true, 1, 1 }, ""},
		{"the largest quantity", func(r *BustRequest) { r.Correct, r.Quantity, r.Price = true, most, 1 }, ""},
		{"the highest price", func(r *BustRequest) { r.Correct, r.Quantity, r.Price = true, 1, market.MaxPrice }, ""},
		{"quantity 0", func(r *BustRequest) { r.Correct, r.Price = true, 1 },
			"to 0 @ 0.0001: the quantity must be 1 to 1000000000 shares; "},
		{"quantity", func(r *BustRequest) { r.Correct, r.Quantity, r.Price = true, most+1, 1 },
			"the quantity must be 1 to 1000000000 shares; "},
		{"price 0", func(r *BustRequest) { r.Correct, r.Quantity = true, 1 },
			"to 1 @ 0.00: the price must be above 0 and at most 1000000000.00"},
		{"price", func(r *BustRequest) { r.Correct, r.Quantity, r.Price = true, 1, market.MaxPrice+1 },
			"the price must be above 0 and at most "},
		{"amount", func(r *BustRequest) { r.Correct, r.Quantity, r.Price = true, most, market.MaxPrice },
			"an amount, or a total of account 100017, would pass the largest the ledger holds; correct to fewer " +
				"shares "},
		{"a bust's price", func(r *BustRequest) { r.Price = 1 },
			"bust 100017-2: a bust has no price and no quantity; "},
		{"a bust's quantity", func(r *BustRequest) { r.Quantity = 1 }, "a bust has no price and no quantity; "},
		{"no reason", func(r *BustRequest) { r.Reason = "" },
			"the reason must be one line of 1 to 200 bytes; it has 0"},
		{"the longest reason", func(r *BustRequest) { r.Reason = strings.Repeat("价", 66) + "ab" }, ""},
		{"a long reason", func(r *BustRequest) { r.Reason = strings.Repeat("a", 201) }, "the reason must be one line"},
		{"two lines", func(r *BustRequest) { r.Reason = "a\nb" }, "the reason must be one line"},
		{"no text", func(r *BustRequest) { r.Reason = "a\xffb" }, "the reason must be text in UTF-8"},
		{"a reason turned round", func(r *BustRequest) { r.Reason = "off by \u202e001" },
			"the reason must be one line of plain text; it has the character U+202E"},
		{"a reason of two lines to some", func(r *BustRequest) { r.Reason = "a\u2028b" },
			"it has the character U+2028"},
		{"a reason of nothing", func(r *BustRequest) { r.Reason = "\u200b" }, "it has the character U+200B"},
		{"a blank reason", func(r *BustRequest) { r.Reason = " \u3000" }, "the reason must say something; it is blank"},
		{"a blank behind", func(r *BustRequest) { r.Reason = "wrong price " },
			"the reason must neither begin nor end with a blank"},
		{"a reason in Persian", func(r *BustRequest) { r.Reason = "می\u200cخواهم" }, ""},
		{"an actor turned round", func(r *BustRequest) { r.Actor = "\u2066ann" },
			"the actor must be one line of plain text; it has the character U+2066"},
		{"a blank actor", func(r *BustRequest) { r.Actor = " " }, "the actor must say something; it is blank"},
		{"no actor", func(r *BustRequest) { r.Actor = "" }, "the actor must be one line of 1 to 64 bytes; it has 0"},
		{"a long actor", func(r *BustRequest) { r.Actor = strings.Repeat("a", 65) }, "the actor must be one line"},
		{"the longest id", func(r *BustRequest) { r.ID = strings.Repeat("~", 64) }, ""},
		{"a long id", func(r *BustRequest) { r.ID = strings.Repeat("~", 65) },
			"the bust id must be at most 64 printable ASCII characters"},
		{"an id of no ASCII", func(r *BustRequest) { r.ID = "é" }, "the bust id must be"},
		{"a blank id", func(r *BustRequest) { r.ID = "  " },
			"the bust id must be at most 64 printable ASCII characters, the first and the last no blanks"},
		{"a blank before an id", func(r *BustRequest) { r.ID = " x" }, "the first and the last no blanks"},
		{"a blank in an id", func(r *BustRequest) { r.ID = "desk 7" }, ""},
		{"an id of no print", func(r *BustRequest) { r.ID = "\x7f" }, "the bust id must be"},
		{"cascade", func(r *BustRequest) { r.Policy = PolicyCascade }, ""},
		{"a policy beyond", func(r *BustRequest) { r.Policy = 2 }, "the policy must be reject or cascade"},
	} {
		d := newDesk(t)
		d.fund(alice, million)
		d.trade(alice, Buy, 10, "SZ 000001")
		r := validRequest(2)
		test.change(r)
		o := r.Check()
		s := o.Sentence(r, d.u)
		if o.Reason == NoBustRefusal != (test.want == "") || !strings.Contains(s, test.want) ||
			(s == "") != (test.want == "") {
			t.Errorf("%s: %v %q", test.name, o.Reason, s)
		}
		// Deciding makes the same check, before anything else.
		if decided := d.book.DecideBust(d.fold(r), d.prices, 1, new(Event)); test.want != "" &&
			decided.Sentence(r, d.u) != s {
			t.Errorf("%s: decided %v", test.name, decided)
		}
	}
}

// A request with the same content repeats a bust, whoever asks; any other is a different
// request.
func TestRepeats(t *testing.T) {
	one := uint32(1)
	b := &Bust{TradeSeq: 2, Reason: "wrong price", Actor: "ops", Original: Trade{Quantity: 100, Price: 9, Revision: 1}}
	correction := *b
	correction.Replacement = &Trade{Quantity: 50, Price: 8, Revision: 2}
	cascade := *b
	cascade.Cascade = []uint64{3}
	for _, test := range []struct {
		name   string
		change func(r *BustRequest)
		bust   *Bust
		want   bool
	}{
		{"same", func(*BustRequest) {}, b, true},
		{"another actor", func(r *BustRequest) { r.Actor = "ann" }, b, true},
		{"its revision", func(r *BustRequest) { r.Revision = &one }, b, true},
		{"another revision", func(r *BustRequest) { r.Revision = new(uint32) }, b, false},
		{"another policy that made no difference", func(r *BustRequest) { r.Policy = PolicyCascade }, b, true},
		{"a cascade", func(r *BustRequest) { r.Policy = PolicyCascade }, &cascade, true},
		{"another policy", func(*BustRequest) {}, &cascade, false},
		{"another trade", func(r *BustRequest) { r.TradeSeq = 3 }, b, false},
		{"another reason", func(r *BustRequest) { r.Reason = "wrong account" }, b, false},
		{"a correction of a bust", func(r *BustRequest) { r.Correct, r.Quantity, r.Price = true, 50, 8 }, b, false},
		{"a bust of a correction", func(*BustRequest) {}, &correction, false},
		{"the correction", func(r *BustRequest) { r.Correct, r.Quantity, r.Price = true, 50, 8 }, &correction, true},
		{"another quantity", func(r *BustRequest) { r.Correct, r.Quantity, r.Price = true, 51, 8 }, &correction, false},
		{"another price", func(r *BustRequest) { r.Correct, r.Quantity, r.Price = true, 50, 9 }, &correction, false},
	} {
		r := validRequest(2)
		test.change(r)
		equal(t, test.name, r.Repeats(test.bust), test.want)
	}
}

func TestParseBustPolicy(t *testing.T) {
	for text, want := range map[string]BustPolicy{"": PolicyReject, "reject": PolicyReject, "cascade": PolicyCascade} {
		got, err := ParseBustPolicy(text)
		if got != want || err != nil || text != "" && got.String() != text {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if _, err := ParseBustPolicy("casc"); err == nil ||
		err.Error() != `"casc" is not a policy; it must be reject or cascade` {
		t.Error(err)
	}
	equal(t, "none", BustPolicy(9).String(), "BustPolicy(9)")
}

// A cascade of 100 trades is allowed, one of 101 is not. Either refusal names the newest
// ten.
func TestCascadeLimit(t *testing.T) {
	for _, sales := range []int64{MaxCascade, MaxCascade + 1} {
		d := newDesk(t)
		d.fund(alice, million)
		d.trade(alice, Buy, sales, "SZ 000001")
		for range sales {
			d.trade(alice, Sell, 1, "SZ 000001")
		}
		r := validRequest(2)
		rejected, _ := d.bust(r)
		equal(t, "reason", rejected.Reason, BustSharesGone)
		equal(t, "trades in the way", len(rejected.InTheWay), MaxCascade)
		equal(t, "more", rejected.More, sales > MaxCascade)
		newest := sales + 2
		names := fmt.Sprintf("100017-3 would sell 1 SZ.000001 where 0 are held; in the way, newest first: "+
			"100017-%d, 100017-%d, ", newest, newest-1)
		end := fmt.Sprintf(", 100017-%d and 90 more; take these back first, or choose the policy cascade", newest-9)
		if sales > MaxCascade {
			end = fmt.Sprintf(", 100017-%d and more; take some back first, one by one", newest-9)
		}
		if s := rejected.Sentence(r, d.u); !strings.HasPrefix(s, "bust 100017-2: "+names) ||
			!strings.HasSuffix(s, end) {
			t.Error(s)
		}
		r.Policy = PolicyCascade
		o, ev := d.bust(r)
		if sales > MaxCascade {
			equal(t, "reason", o.Reason, BustCascadeTooLong)
			equal(t, "trades in the way", len(o.InTheWay), MaxCascade)
			s := o.Sentence(r, d.u)
			if !strings.HasPrefix(s, "bust 100017-2: more than 100 trades would have to go with it; in the way, "+
				"newest first: 100017-103, ") ||
				!strings.HasSuffix(s, end) {
				t.Error(s)
			}
			equal(t, "sequence", d.holdings(alice).Seq, uint64(newest))
			continue
		}
		equal(t, "reason", o.Reason, NoBustRefusal)
		equal(t, "cascade", len(ev.Bust.Cascade), MaxCascade)
		equal(t, "change", ev.Change, Unchanged)
		equal(t, "cash", d.holdings(alice).Cash, Cash{Balance: million})
		d.verify(alice)
	}
}

// With more than 100 dependent trades, the refusal still names what would be short in the
// end. If even taking all of them back would not help because the cash is gone, it says so.
func TestReasonPastTheCascadeLimit(t *testing.T) {
	for _, sales := range []int64{2, MaxCascade - 1, MaxCascade, MaxCascade + 1, 3 * MaxCascade} {
		d := newDesk(t)
		d.fund(alice, 100_0000)
		d.price("SZ 000001", 1_0000)
		bought := d.trade(alice, Buy, 1, "SZ 000001")
		d.price("SZ 000001", 10_0000)
		d.trade(alice, Sell, 1, "SZ 000001") // gains 9
		d.fund(alice, -108_0000)             // leaves 1, more than there was without the gain
		for range sales {
			d.price("SZ 000001", 1_0000)
			d.trade(alice, Buy, 1, "SZ 000001")
			d.trade(alice, Sell, 1, "SZ 000001")
		}
		for _, policy := range []BustPolicy{PolicyReject, PolicyCascade} {
			r := validRequest(bought.Seq)
			r.Policy = policy
			o, _ := d.bust(r)
			equal(t, fmt.Sprintf("reason with %d sales, %v", sales, policy), o.Reason, BustCashGone)
		}
	}
}

// A bust cannot bring a row back if the account already holds the maximum.
func TestBustTooManyRows(t *testing.T) {
	list := make([]market.Instrument, MaxRows+1)
	for n := range list {
		list[n] = market.Instrument{
			Market: "SZ", Code: fmt.Sprintf("%06d", n), Name: "Fictional", PreviousClose: 1_0000, Lot: 100, Tick: 100,
		}
	}
	u, err := market.NewUniverse(list)
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{TB: t, u: u, book: NewBook(u), prices: u.Opening()}
	d.fund(alice, million)
	d.trade(alice, Buy, 1, "SZ.000000")
	sale := d.trade(alice, Sell, 1, "SZ.000000")
	for n := range MaxRows {
		d.trade(alice, Buy, 1, u.At(market.ID(n+1)).String())
	}
	r := validRequest(sale.Seq)
	o, _ := d.bust(r)
	equal(t, "reason", o.Reason, BustTooManyRows)
	equal(t, "sentence", o.Sentence(r, u), "bust 100017-3: account 100017 would hold 513 instruments, and the most "+
		"is 512; sell all of one first")
	d.trade(alice, Sell, 1, "SZ.000007")
	o, ev := d.bust(r)
	equal(t, "reason", o.Reason, NoBustRefusal)
	equal(t, "change", ev.Change, Opened)
	d.verify(alice)
}

// Refusals without folding that the scripts do not cover.
func TestBustRefusals(t *testing.T) {
	d := eventful(t)
	r := validRequest(2)
	r.Account = nobody
	o, _ := d.bust(r)
	equal(t, "reason", o.Reason, BustUnknownAccount)
	equal(t, "sentence", o.Sentence(r, d.u), "bust 100099-2: account 100099 is not open; a trade's name is its "+
		"account and sequence, as 100017-42")
	equal(t, "no refusal", (&BustOutcome{}).Sentence(r, d.u), "")
	for reason := NoBustRefusal; reason <= BustDamaged; reason++ {
		if s := reason.String(); s == "" || strings.HasPrefix(s, "BustReason(") {
			t.Errorf("reason %d has no name", uint8(reason))
		}
	}
	equal(t, "no reason", BustReason(99).String(), "BustReason(99)")
	equal(t, "its sentence", (&BustOutcome{Reason: 99}).because(r, d.u), "refused: BustReason(99)")
}

// If the beginning of the history is no longer kept, nothing can be folded again. Requests
// answered before are still answered the same way, as far as the history is kept.
func TestOlderThanTheHistoryKept(t *testing.T) {
	d := eventful(t)
	ask := func(from uint64, r *BustRequest) (BustOutcome, string) {
		f := NewFold(d.u, r)
		for i := range d.events[from-1:] {
			if err := f.Add(&d.events[int(from)-1+i]); err != nil {
				t.Fatal(err)
			}
		}
		o := d.book.DecideBust(f, d.prices, 1, new(Event))
		return o, o.Sentence(r, d.u)
	}
	for _, seq := range []uint64{2, 4, 9} { // before the history kept, at its beginning, within it
		o, s := ask(4, validRequest(seq))
		if seq == 2 {
			equal(t, "reason", o.Reason, BustAlready)
			continue
		}
		equal(t, "reason", o.Reason, BustNotKept)
		equal(t, "sentence", s, fmt.Sprintf("bust 100017-%d: older than the history kept, which begins at event 4 "+
			"and must begin at 1 to fold the account anew; book a new trade or an adjustment instead", seq))
	}
	o, _ := ask(8, validRequest(2)) // the bust that took it back is no longer kept either
	equal(t, "reason", o.Reason, BustNotKept)
	o, _ = ask(8, validRequest(8))
	equal(t, "reason", o.Reason, BustNotATrade)
	again := validRequest(2)
	again.Policy, again.ID = PolicyCascade, "b"
	o, _ = ask(7, again)
	equal(t, "repeats", o.Repeats, 7)
	again.Reason = "another"
	o, _ = ask(7, again)
	equal(t, "reason", o.Reason, BustIDReused)
}

// Every sum that a bust can take past 64 bits is refused, and nothing changes.
func TestBustOverflows(t *testing.T) {
	const bank = "SZ 000001"
	correct := func(seq uint64, quantity, price int64) *BustRequest {
		r := validRequest(seq)
		r.Correct, r.Quantity, r.Price = true, quantity, price
		return r
	}
	dear := func(d *desk, side Side, price int64) { // one share
		d.price(bank, price)
		d.trade(alice, side, 1, bank)
		d.price(bank, 1)
	}
	for name, test := range map[string]struct {
		live func(d *desk)
		r    *BustRequest
	}{
		"cash": {func(d *desk) {
			d.trade(alice, Buy, 2, bank)
			dear(d, Sell, math.MaxInt64-million) // cash is 20.00 below its maximum; 1 share is left
			dear(d, Sell, 10_0000)
		}, correct(4, 1, 30_0000)},
		"realised": {func(d *desk) {
			d.price(bank, 0)
			d.trade(alice, Buy, 2, bank)
			d.fund(alice, -million)
			dear(d, Sell, math.MaxInt64-5)
			d.fund(alice, 5-math.MaxInt64)
			dear(d, Sell, 1)
		}, correct(6, 1, 7)},
		"realised by the account": {func(d *desk) {
			d.price(bank, 0)
			d.trade(alice, Buy, 1, bank)
			d.price("SH 600036", 1)
			d.trade(alice, Buy, 1, "SH 600036")
			d.fund(alice, 1-million)
			dear(d, Sell, math.MaxInt64-5)
			d.fund(alice, 5-math.MaxInt64)
			d.trade(alice, Sell, 1, "SH 600036")
		}, correct(7, 1, 7)},
		"cost": {func(d *desk) {
			d.fund(alice, math.MaxInt64-million)
			dear(d, Buy, math.MaxInt64)
			dear(d, Sell, 0)
			d.fund(alice, math.MaxInt64)
			dear(d, Buy, math.MaxInt64)
		}, validRequest(4)},
		"total": {func(d *desk) {
			d.trade(alice, Buy, 2, bank)
			d.trade(alice, Sell, 1, bank)
			d.price(bank, math.MaxInt64)
		}, validRequest(3)},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.fund(alice, million)
			test.live(d)
			before := d.holdings(alice)
			o, _ := d.bust(test.r)
			equal(t, "reason", o.Reason, BustTooLarge)
			equal(t, "hash", d.holdings(alice).Hash, before.Hash)
			d.verify(alice)
		})
	}
}
