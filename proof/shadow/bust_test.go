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

// bust returns nil and the reason if the book refuses.
func (l *ledger) bust(t rapid.TB, r *positions.BustRequest) (*client.Event, string) {
	r.Account, r.Actor = l.account, "operator"
	if r.Reason == "" {
		r.Reason = "wrong price"
	}
	fold := positions.NewFold(l.universe, r)
	for i := range l.events {
		if err := fold.Add(&l.events[i]); err != nil {
			t.Fatal(err)
		}
	}
	var ev positions.Event
	l.now++
	o := l.book.DecideBust(fold, l.prices, l.now, &ev)
	if o.Reason != positions.NoBustRefusal {
		return nil, o.Sentence(r, l.universe)
	}
	return l.apply(&ev), ""
}

// reset resets the account.
func (l *ledger) reset(t rapid.TB, cash int64) *client.Event {
	var ev positions.Event
	l.now++
	r := &positions.Reset{Cash: cash, Reason: "a new term", Actor: "operator"}
	if refusal := l.book.DecideReset(l.account, r, l.now, &ev); refusal.Reason != positions.NoRefusal {
		t.Fatal(refusal)
	}
	return l.apply(&ev)
}

// at makes a trade at a price.
func (l *ledger) at(t rapid.TB, side positions.Side, instrument string, quantity, price int64) *client.Event {
	id := l.id(t, instrument)
	l.prices = l.prices.With(id, price)
	ev := l.trade(side, id, quantity)
	if ev == nil {
		t.Fatalf("%d %s at %d was refused", quantity, instrument, price)
	}
	return ev
}

// with adds busts and corrections to a random run of events: each draw becomes one, as far as the
// book allows.
func (l *ledger) with(t *rapid.T, events []*client.Event) []*client.Event {
	for range rapid.IntRange(1, 12).Draw(t, "busts") {
		if rapid.IntRange(0, 9).Draw(t, "reset") == 0 {
			events = append(events, l.reset(t, rapid.Int64Range(0, 1_000_000_0000).Draw(t, "cash")))
		}
		r := &positions.BustRequest{
			TradeSeq: rapid.Uint64Range(2, uint64(len(l.events))+1).Draw(t, "trade"),
			Policy:   positions.BustPolicy(rapid.IntRange(0, 1).Draw(t, "policy")),
		}
		if r.Correct = rapid.Bool().Draw(t, "correct"); r.Correct {
			r.Quantity, r.Price = rapid.Int64Range(1, 500).Draw(t, "quantity"),
				rapid.Int64Range(1, 200_0000).Draw(t, "price")
		}
		if ev, _ := l.bust(t, r); ev != nil {
			events = append(events, ev)
		}
		if rapid.Bool().Draw(t, "trades on") {
			if ev := l.trade(positions.Side(rapid.IntRange(1, 2).Draw(t, "side")),
				market.ID(rapid.IntRange(0, 5).Draw(t, "instrument")), 7); ev != nil {
				events = append(events, ev)
			}
		}
	}
	return events
}

// TestShadowAgreesWithTheBookOnBusts: a shadow from the first event computes every bust. A shadow
// that folds older trades into a base computes those that it can. Neither reports a finding about
// correct events.
func TestShadowAgreesWithTheBookOnBusts(t *testing.T) {
	computed, blind := 0, 0
	enough := func() bool { return computed >= 100 && blind > 0 }
	for rounds := 20; rounds > 0 && !t.Failed() && !enough(); rounds-- { // what a draw covers is chance
		rapid.Check(t, func(t *rapid.T) {
			c, b := shadowsAgree(t)
			computed, blind = computed+c, blind+b
		})
	}
	if !t.Failed() && !enough() {
		t.Errorf("%d busts, %d not computed: that has not tried much", computed, blind)
	}
}

// shadowsAgree draws the history of one account. It returns how many busts are in it, and how many
// of them the shadows with a partial history could not compute.
func shadowsAgree(t *rapid.T) (computed, blind int) {
	l := newLedger(testAccount)
	whole, part := New(testAccount), New(testAccount)
	part.Keep(rapid.IntRange(1, 40).Draw(t, "keep"))
	from := rapid.IntRange(0, 10).Draw(t, "from")
	var late *Shadow
	for i, ev := range l.with(t, l.random(t)) {
		for name, s := range map[string]*Shadow{"whole": whole, "part": part, "late": late} {
			if s == nil {
				continue
			}
			clone := s.Clone()
			for _, s := range []*Shadow{clone, s} { // what is applied to the clone does not show in the other
				if found := s.Apply(ev); len(found) > 0 {
					t.Fatalf("a correct event was found wrong by the %s shadow: %q\n%v", name, found, ev)
				}
			}
		}
		if ev.Bust != nil {
			computed++
		}
		if i == from {
			late, _ = FromHoldings(holdingsAfter(l, t, i+1))
		}
	}
	blind = part.Unfolded()
	if late != nil {
		blind += late.Unfolded()
	}
	if whole.Unfolded() != 0 {
		t.Fatalf("%d busts were not computed from the whole history", whole.Unfolded())
	}
	for _, s := range []*Shadow{whole, part} {
		if found := s.CheckHoldings(l.holdings(t)); len(found) > 0 {
			t.Fatalf("a correct list was found wrong: %q", found)
		}
	}
	return computed, blind
}

// holdingsAfter returns the list of holdings after the first n events.
func holdingsAfter(l *ledger, t rapid.TB, n int) *client.Holdings {
	again := newLedger(l.account)
	again.prices = l.prices
	for i := range l.events[:n] {
		again.apply(&l.events[i])
	}
	return again.holdings(t)
}

// golden is the case of the design, worked out by hand: buy 100 @ 10, buy 100 @ 20, sell 50 @ 18,
// and the second buy is taken back.
func golden() []*client.Event {
	trade := func(seq uint64, side client.Side, quantity int64, price client.Money) *client.Trade {
		return &client.Trade{
			ID: fmt.Sprintf("%d-%d", testAccount, seq), Side: side, Market: "SZ", Code: "000001", Name: "平安银行",
			Quantity: quantity, Price: price, Amount: price * client.Money(quantity), Origin: client.OriginClient,
		}
	}
	after := func(seq uint64, change client.Change, held int64, cost, rowRealised, price,
		cash client.Money) *client.Event {
		return &client.Event{
			Account: testAccount, Seq: seq, Time: time.Unix(0, 1).UTC(), Change: change,
			TotalMarketValue: price * client.Money(held),
			Cash:             &client.Cash{Balance: cash, Realised: rowRealised},
			Positions: []client.Position{{
				Market: "SZ", Code: "000001", Name: "平安银行", Quantity: held, Sellable: held, Price: price,
				MarketValue: price * client.Money(held),
				Cost:        cost, Realised: rowRealised, RowVersion: seq,
			}},
		}
	}
	events := []*client.Event{
		adjustment(testAccount, 1, 10_000_0000),
		after(2, client.Opened, 100, 1000_0000, 0, 10_0000, 9000_0000),
		after(3, client.Increased, 200, 3000_0000, 0, 20_0000, 7000_0000),
		after(4, client.Decreased, 150, 2250_0000, 150_0000, 18_0000, 7900_0000),
		after(5, client.Decreased, 50, 500_0000, 400_0000, 18_0000, 9900_0000),
	}
	events[1].Trade = trade(2, client.Buy, 100, 10_0000)
	events[2].Trade = trade(3, client.Buy, 100, 20_0000)
	events[3].Trade = trade(4, client.Sell, 50, 18_0000)
	events[4].Bust = &client.Bust{
		TradeID: events[2].Trade.ID, Reason: "wrong price", Actor: "operator", BustID: "b-1",
		Original: *trade(3, client.Buy, 100, 20_0000),
	}
	return events
}

func TestShadowGoldenBust(t *testing.T) {
	s := New(testAccount)
	for _, ev := range golden() {
		if found := s.Apply(ev); len(found) > 0 {
			t.Fatalf("seq %d: %q", ev.Seq, found)
		}
	}
	if r := s.rows[Key{"SZ", "000001"}]; r.Quantity != 50 || r.Cost != 500_0000 || r.Realised != 400_0000 {
		t.Errorf("%+v", r)
	}
}

// TestShadowCatchesAnOppositeTrade: an opposite trade results in the same shares and cash, but in
// another cost. The design warns of this.
func TestShadowCatchesAnOppositeTrade(t *testing.T) {
	events := golden()
	s := New(testAccount)
	for _, ev := range events[:4] {
		s.Apply(ev)
	}
	ev := events[4]
	ev.Positions[0].Cost, ev.Positions[0].Realised = 750_0000, 650_0000
	ev.Cash.Realised = 650_0000
	want := []string{
		"account 100017 seq 5, row 1 (SZ 000001) cost: expected 500.00, got 750.00",
		"account 100017 seq 5, row 1 (SZ 000001) realised: expected 400.00, got 650.00",
		"account 100017 seq 5, cash realised: expected 400.00, got 650.00",
	}
	if found := s.Apply(ev); strings.Join(found, "\n") != strings.Join(want, "\n") {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(found, "\n"), strings.Join(want, "\n"))
	}
	next := adjustment(testAccount, 6, 1_0000)
	next.Cash, next.TotalMarketValue = &client.Cash{Balance: 9901_0000, Realised: 650_0000}, 900_0000
	if found := s.Apply(next); len(found) > 0 {
		t.Errorf("an event after a wrong one was found wrong for its sake: %q", found)
	}
}

// cascaded is a run of events with a bust that has a cascade of two, and after it a correction of
// another trade.
func cascaded(t rapid.TB) []*client.Event {
	l := newLedger(testAccount)
	events := []*client.Event{
		l.open(t, 1_000_000_0000),
		l.at(t, positions.Buy, "SZ.000001", 100, 10_0000),
		l.at(t, positions.Buy, "SH.601398", 100, 7_0000),
		l.at(t, positions.Sell, "SZ.000001", 40, 12_0000),
		l.at(t, positions.Sell, "SZ.000001", 60, 13_0000),
		l.at(t, positions.Buy, "SZ.000001", 10, 9_0000),
	}
	if _, why := l.bust(t, &positions.BustRequest{TradeSeq: 2}); !strings.Contains(why,
		"in the way, newest first: 100017-5, 100017-4") {
		t.Fatalf("refused: %q", why)
	}
	bust, why := l.bust(t, &positions.BustRequest{TradeSeq: 2, Policy: positions.PolicyCascade, ID: "b-1"})
	if bust == nil {
		t.Fatal(why)
	}
	corrected, why := l.bust(t, &positions.BustRequest{TradeSeq: 3, Correct: true, Quantity: 90, Price: 7_1000,
		ID: "b-2"})
	if corrected == nil {
		t.Fatal(why)
	}
	return append(events, bust, corrected)
}

// bustMutations change one field of the bust, or of the correction, such that a shadow has to
// notice, and name the field.
var bustMutations = map[string]struct {
	at     int // 6 for the bust, 7 for the correction
	change func(*client.Event)
}{
	"bust trade_id: expected an earlier trade": {6, func(ev *client.Event) { ev.Bust.TradeID = "100018-2" }},
	"bust trade_id: expected a trade that":     {6, func(ev *client.Event) { ev.Bust.TradeID = "100017-1" }},
	"bust trade_id: expected an":               {6, func(ev *client.Event) { ev.Bust.TradeID = "100017-7" }},
	"bust trade_id: ":                          {7, func(ev *client.Event) { ev.Bust.TradeID = "100017-4" }},
	// already taken back
	"bust original: ":                         {6, func(ev *client.Event) { ev.Bust.Original.Price++ }},
	"bust original: expected 100017-3":        {7, func(ev *client.Event) { ev.Bust.Original.Revision++ }},
	"bust original: , none":                   {6, func(ev *client.Event) { ev.Bust.Original = client.Trade{} }},
	"bust reason: ":                           {6, func(ev *client.Event) { ev.Bust.Reason = "" }},
	"bust actor: ":                            {6, func(ev *client.Event) { ev.Bust.Actor = "" }},
	"bust_id: ":                               {7, func(ev *client.Event) { ev.Bust.BustID = "b-1" }},
	"bust: expected no trade left that sells": {6, func(ev *client.Event) { ev.Bust.Cascade = ev.Bust.Cascade[:1] }},
	"row 1 (SZ 000001) quantity: ":            {6, func(ev *client.Event) { ev.Bust.Cascade = nil }},
	"bust cascade: expected each trade once": {6, func(ev *client.Event) {
		ev.Bust.Cascade = []string{"100017-5",
			"100017-4"}
	}},
	"bust cascade: expected a trade that": {6, func(ev *client.Event) {
		ev.Bust.Cascade = append(ev.Bust.Cascade,
			"100017-5")
	}},
	"number of positions: ": {6, func(ev *client.Event) {
		ev.Bust.Cascade = append(ev.Bust.Cascade,
			"100017-3")
	}},
	"replacement: ":                     {7, func(ev *client.Event) { ev.Bust.Replacement.Revision = 0 }},
	"replacement: , amount":             {7, func(ev *client.Event) { ev.Bust.Replacement.Amount++ }},
	"replacement: , side":               {7, func(ev *client.Event) { ev.Bust.Replacement.Side = client.Sell }},
	"replacement quantity: ":            {7, func(ev *client.Event) { ev.Bust.Replacement.Quantity = 0 }},
	"change: ":                          {6, func(ev *client.Event) { ev.Change = client.Decreased }},
	"change: expected CHANGE_DECREASED": {7, func(ev *client.Event) { ev.Change = client.Unchanged }},
	"row 1 (SZ 000001) cost: ":          {6, func(ev *client.Event) { ev.Positions[0].Cost++ }},
	"row 1 (SZ 000001) realised: ":      {6, func(ev *client.Event) { ev.Positions[0].Realised-- }},
	"row 1 (SH 601398) row_version: ":   {7, func(ev *client.Event) { ev.Positions[0].RowVersion-- }},
	"row 1 (SZ 000001) instrument: ":    {6, func(ev *client.Event) { ev.Positions[0].Code = "000002" }},
	"cash balance: ":                    {6, func(ev *client.Event) { ev.Cash.Balance++ }},
	"cash realised: ":                   {6, func(ev *client.Event) { ev.Cash.Realised++ }},
	"cash fees_paid: ":                  {6, func(ev *client.Event) { ev.Cash.FeesPaid = 5 }},
	"total_market_value: ":              {6, func(ev *client.Event) { ev.TotalMarketValue = 1 }},
}

func TestShadowCatchesAnyChangedFieldOfABust(t *testing.T) {
	for name, m := range bustMutations {
		t.Run(name, func(t *testing.T) {
			field, _, _ := strings.Cut(name, ", ")
			events := cascaded(t)
			s := New(testAccount)
			for _, ev := range events[:m.at] {
				if found := s.Apply(ev); len(found) > 0 {
					t.Fatalf("%q", found)
				}
			}
			ev := cloneEvent(events[m.at])
			m.change(ev)
			if found := s.Apply(ev); !strings.Contains(strings.Join(found, "\n"), ", "+field) {
				t.Fatalf("a changed %s was not found, only %q, in\n%v", name, found, ev)
			}
			if len(CompareEvents(events[m.at], ev)) != 1 {
				t.Fatal("CompareEvents sees no difference")
			}
		})
	}
}

// TestShadowRowThatABustLeavesAsItWas: a bust that does not change a row does not change its
// version either.
func TestShadowRowThatABustLeavesAsItWas(t *testing.T) {
	l := newLedger(testAccount)
	events := []*client.Event{
		l.open(t, 1_000_000_0000),
		l.at(t, positions.Buy, "SZ.000001", 100, 10_0000),
		l.at(t, positions.Sell, "SZ.000001", 100, 12_0000),
		l.at(t, positions.Buy, "SZ.000001", 50, 11_0000),
	}
	ev, why := l.bust(t, &positions.BustRequest{TradeSeq: 3, Correct: true, Quantity: 100, Price: 13_0000})
	if ev == nil {
		t.Fatal(why)
	}
	s := New(testAccount)
	for _, ev := range append(events, ev) {
		if found := s.Apply(ev); len(found) > 0 {
			t.Fatalf("%q", found)
		}
	}
	if r := s.rows[Key{"SZ", "000001"}]; r.Version != 4 || s.cash.realised != 300_0000 {
		t.Errorf("%+v, %+v", r, s.cash)
	}
}

// TestShadowBustOfAnOlderTrade: a shadow counts the busts that it cannot compute, and continues
// after them.
func TestShadowBustOfAnOlderTrade(t *testing.T) {
	l := newLedger(testAccount)
	l.open(t, 1_000_000_0000)
	l.at(t, positions.Buy, "SZ.000001", 100, 10_0000)
	s, found := FromHoldings(l.holdings(t))
	apply := func(ev *client.Event, why string) {
		t.Helper()
		if ev == nil {
			t.Fatal(why)
		}
		if found := s.Apply(ev); len(found) > 0 {
			t.Errorf("%q", found)
		}
	}
	if len(found) > 0 {
		t.Fatalf("%q", found)
	}
	apply(l.at(t, positions.Buy, "SZ.000001", 100, 20_0000), "")
	apply(l.bust(t, &positions.BustRequest{TradeSeq: 2}))
	if s.Unfolded() != 1 {
		t.Errorf("%d busts were not computed: expected 1", s.Unfolded())
	}
	apply(l.at(t, positions.Buy, "SZ.000001", 30, 30_0000), "")
	apply(l.bust(t, &positions.BustRequest{TradeSeq: 5}))
	if s.Unfolded() != 1 {
		t.Errorf("%d busts were not computed: the second one could be", s.Unfolded())
	}
	if found := s.CheckHoldings(l.holdings(t)); len(found) > 0 {
		t.Errorf("%q", found)
	}
}
