package positions

import (
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/papertape/papertape/market"
)

// buster drives a book and the model of busts side by side, with one account.
type buster struct {
	u      *market.Universe
	book   *Book
	model  bustModel
	prices *market.Prices
	free   *market.Prices
	now    int64
	events []Event
	asked  []BustRequest
	seen
}

func (m *buster) apply(ev Event) {
	m.book.Apply(&ev)
	m.events = append(m.events, ev)
	m.model.add(&ev)
}

func (m *buster) adjust(t *rapid.T) {
	a := &Adjustment{Cash: rapid.Int64Range(-5_000_0000, 5_000_0000).Draw(t, "cash"), Reason: "test", Actor: "rapid"}
	if rapid.IntRange(0, 9).Draw(t, "all") == 0 {
		v, _ := m.book.View(alice)
		a.Cash = -v.Cash().Balance
	}
	m.now++
	var ev Event
	if m.book.DecideAdjustment(alice, a, m.prices, m.now, &ev).Reason == NoRefusal {
		m.apply(ev)
	}
}

// reset begins the account anew, now and then.
func (m *buster) reset(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "reset") != 0 {
		return
	}
	m.now++
	r := Reset{
		Cash: rapid.SampledFrom([]int64{0, 20_000_0000, million}).Draw(t, "cash"), Reason: "test", Actor: "rapid",
		ID: rapid.SampledFrom([]string{"", "a"}).Draw(t, "id"),
	}
	want, ev := m.model.resetTo(r, m.now), dirtyEvent()
	refusal := m.book.DecideReset(alice, &r, m.now, &ev)
	if refusal.Reason != NoRefusal || !reflect.DeepEqual(ev, want) {
		t.Fatalf("%v:\ngot  %+v %+v\nwant %+v %+v", refusal, ev, ev.Reset, want, want.Reset)
	}
	if err := m.book.Check(&ev); err != nil {
		t.Fatal(err)
	}
	m.others["reset"]++
	if len(r.Gone) > 1 {
		m.others["reset of rows"]++
	}
	m.apply(ev)
}

func (m *buster) order(t *rapid.T, o Order) {
	m.now++
	var ev Event
	fees := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, 20_0000)).Draw(t, "fees")
	if m.book.decide(&o, m.prices, m.now, fees, &ev).Reason == NoRefusal {
		m.apply(ev)
	}
}

func (m *buster) orders(t *rapid.T) {
	for range rapid.IntRange(1, 8).Draw(t, "orders") {
		o := Order{
			Account: alice, Side: rapid.SampledFrom([]Side{Buy, Buy, Sell, Sell, Sell}).Draw(t, "side"),
			Instrument: rapid.SampledFrom(someInstruments).Draw(t, "instrument"),
			Quantity:   rapid.OneOf(rapid.Int64Range(1, 9), rapid.Int64Range(1, 1000)).Draw(t, "quantity"),
			Origin:     rapid.SampledFrom([]Origin{OriginClient, OriginSimulator, OriginOperator}).Draw(t, "origin"),
		}
		v, _ := m.book.View(alice)
		if row, held := v.Find(o.Instrument); held && o.Side == Sell {
			o.Quantity = min(o.Quantity, row.Quantity)
			if rapid.IntRange(0, 2).Draw(t, "all") == 0 {
				o.Quantity = row.Quantity
			}
		}
		if rapid.Bool().Draw(t, "named") {
			o.ID, _ = MakeOrderID([]byte(rapid.StringMatching(`[a-z]{1,8}`).Draw(t, "id")))
		}
		m.order(t, o)
	}
}

// spree buys many shares at once, or two at a time, and sells them one by one, to produce
// long cascades.
func (m *buster) spree(t *rapid.T) {
	n := rapid.Int64Range(40, 110).Draw(t, "trades")
	o := Order{Account: alice, Side: Buy, Instrument: rapid.SampledFrom(someInstruments).Draw(t, "instrument"),
		Quantity: n}
	m.order(t, o)
	o.Quantity = 1
	o.Side = rapid.SampledFrom([]Side{Sell, Sell, Buy}).Draw(t, "side")
	for range n {
		m.order(t, o)
	}
}

// boom sells a share at such a price that hardly any more cash fits.
func (m *buster) boom(t *rapid.T) {
	v, _ := m.book.View(alice)
	if v.Len() == 0 || rapid.IntRange(0, 3).Draw(t, "boom") != 0 {
		return
	}
	was, id := m.prices, v.Row(0).Instrument
	m.prices = m.free.With(id, math.MaxInt64-v.Cash().Balance-rapid.Int64Range(0, 1000_0000).Draw(t, "room"))
	m.order(t, Order{Account: alice, Side: Sell, Instrument: id, Quantity: 1})
	m.prices = was
}

func (m *buster) move(t *rapid.T) {
	id := rapid.SampledFrom(someInstruments).Draw(t, "instrument")
	price := rapid.OneOf(rapid.Int64Range(1, 20_0000), rapid.Int64Range(1, 20_0000), amounts(20_0000)).Draw(t, "price")
	m.prices = m.prices.With(id, max(price, 1))
}

func (m *buster) request(t *rapid.T) *BustRequest {
	named := rapid.Uint64Range(0, uint64(len(m.events)+1))
	seq := func(t modelTrade) uint64 { return t.seq }
	if len(m.model.past) > 0 {
		named = rapid.OneOf(named, rapid.Map(rapid.SampledFrom(m.model.past), seq))
	}
	if len(m.model.trades) > 0 {
		named = mostly(rapid.Map(rapid.SampledFrom(m.model.trades), seq), named)
	}
	r := &BustRequest{
		Account: alice, TradeSeq: named.Draw(t, "trade"),
		Reason: rapid.SampledFrom([]string{"wrong price", "wrong price", "wrong account"}).Draw(t, "reason"),
		Actor:  rapid.SampledFrom([]string{"ann", "ben"}).Draw(t, "actor"),
		ID:     rapid.OneOf(rapid.StringMatching(`[a-z]{5}`), rapid.SampledFrom([]string{"", "a", "b"})).Draw(t, "id"),
		Policy: rapid.SampledFrom([]BustPolicy{PolicyReject, PolicyCascade, PolicyCascade}).Draw(t, "policy"),
	}
	if rapid.IntRange(0, 3).Draw(t, "revised") == 0 {
		revision := rapid.Uint32Range(0, 2).Draw(t, "revision")
		r.Revision = &revision
	}
	if !rapid.Bool().Draw(t, "correct") {
		return r
	}
	r.Correct = true
	r.Quantity = rapid.OneOf(rapid.Int64Range(1, 9), rapid.Int64Range(1, 1000), quantities()).Draw(t, "quantity")
	r.Price = mostly(rapid.Int64Range(1, 20_0000), rapid.Int64Range(0, market.MaxPrice+1)).Draw(t, "price")
	if i := slices.IndexFunc(m.model.trades, func(t modelTrade) bool { return t.seq == r.TradeSeq }); i >= 0 {
		switch stands := m.model.trades[i]; rapid.IntRange(0, 5).Draw(t, "kept") {
		case 0:
			r.Quantity = stands.Quantity
		case 1:
			r.Price = stands.Price
		case 2:
			r.Price, r.Quantity = stands.Price, stands.Quantity
		}
	}
	return r
}

// history returns a fold of all events, with marks close enough together to be used.
func (m *buster) history(t *rapid.T, r *BustRequest) *Fold {
	f := NewFold(m.u, r)
	f.markEvery = rapid.IntRange(1, 7).Draw(t, "every")
	for i := range m.events {
		if err := f.Add(&m.events[i]); err != nil {
			t.Fatal(err)
		}
	}
	v, _ := m.book.View(alice)
	if err := f.Verify(v); err != nil {
		t.Fatal(err)
	}
	return f
}

func (m *buster) bust(t *rapid.T) { m.ask(t, m.request(t)) }

// retry repeats an earlier request, exactly or nearly.
func (m *buster) retry(t *rapid.T) {
	if len(m.asked) == 0 {
		return
	}
	r := rapid.SampledFrom(m.asked).Draw(t, "request")
	switch rapid.IntRange(0, 7).Draw(t, "nearly") {
	case 0:
		r.Reason = "wrong account"
	case 1:
		r.Actor = "cid"
	case 2:
		r.Policy = PolicyReject
	case 3:
		r.TradeSeq++
	case 4:
		r.Revision = nil
	case 5:
		r.Price++
		r.Correct = true
		r.Quantity = max(r.Quantity, 1)
	}
	m.ask(t, &r)
}

func (m *buster) ask(t *rapid.T, r *BustRequest) {
	m.now++
	m.asked = append(m.asked, *r)
	want, event := m.model.decide(r, m.prices, m.now)
	f := m.history(t, r)
	ev := dirtyEvent()
	got := m.book.DecideBust(f, m.prices, m.now, &ev)
	got.detail = ""
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v:\ngot  %+v\n     %s\nwant %+v\n     %s", r, got, got.Sentence(r, m.u), want,
			want.Sentence(r, m.u))
	}
	if sentence := got.Sentence(r, m.u); (sentence == "") != (got.Reason == NoBustRefusal) {
		t.Fatalf("%+v: the sentence of %v is %q", r, got.Reason, sentence)
	}
	m.reasons[got.Reason]++
	m.unchanged(t, f, r)
	switch {
	case got.Repeats != 0:
		m.others["repeated"]++
	case got.Reason == NoBustRefusal:
		m.booked(t, ev, event)
	}
}

// unchanged checks that deciding changed nothing, by deciding again.
func (m *buster) unchanged(t *rapid.T, f *Fold, r *BustRequest) {
	m.compare(t)
	v, _ := m.book.View(alice)
	if err := f.Verify(v); err != nil {
		t.Fatalf("after %+v: %v", r, err)
	}
	var first, again Event
	m.book.DecideBust(f, m.prices, 1, &first)
	m.book.DecideBust(f, m.prices, 1, &again)
	if !reflect.DeepEqual(first, again) {
		t.Fatalf("%+v:\nfirst %+v\nagain %+v", r, first, again)
	}
}

func (m *buster) booked(t *rapid.T, got, want Event) {
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("event:\ngot  %+v %+v\nwant %+v %+v", got, got.Bust, want, want.Bust)
	}
	m.changes[got.Change]++
	if got.Bust.Replacement != nil {
		m.others["corrected"]++
	}
	if got.Bust.Original.Revision > 0 {
		m.others["chained"]++
	}
	switch n := len(got.Bust.Cascade); {
	case n >= 50:
		m.others["long cascade"]++
	case n > 0:
		m.others["cascade"]++
	}
	if len(got.Bust.Positions) > 1 {
		m.others["several instruments"]++
	}
	m.apply(got)
	h, _, _ := m.book.Holdings(alice, m.prices, nil)
	if never, ok := m.hashOfStandingTrades(t); ok && never != h.Hash {
		t.Fatalf("the state hash is %x, and %x had what was taken back never happened", h.Hash, never)
	}
}

// compare checks the account against the model.
func (m *buster) compare(t *rapid.T) {
	h, _, _ := m.book.Holdings(alice, m.prices, nil)
	s := foldTrades(m.model.trades)
	var rows []Position
	for id := range market.ID(m.u.Len()) {
		if row := s.row(id); row.Quantity != 0 {
			row.Version = m.model.versions[id]
			rows = append(rows, Position{Row: row, Sellable: row.Quantity, Price: m.prices.At(id)})
		}
	}
	if !slices.Equal(h.Positions, rows) {
		t.Fatalf("rows:\ngot  %+v\nwant %+v", h.Positions, rows)
	}
	cash := Cash{Balance: m.model.cash(s).Int64(), FeesPaid: s.fees.Int64(), Realised: s.realised.Int64()}
	if h.Cash != cash || cash.Balance < 0 {
		t.Fatalf("cash:\ngot  %+v\nwant %+v", h.Cash, cash)
	}
}

// hashOfStandingTrades returns the state hash, ignoring the sequence, of a book in which
// only the standing trades were ever done. It returns false if such a book would need more
// cash than it can hold.
func (m *buster) hashOfStandingTrades(t *rapid.T) (uint64, bool) {
	needed := number(0)
	for _, tr := range m.model.trades {
		needed = plus(needed, plus(times(number(tr.Quantity), number(tr.Price)), number(tr.Fees)))
	}
	if !plus(plus(needed, needed), new(big.Int).Abs(m.model.adjusted)).IsInt64() {
		return 0, false
	}
	m.others["compared"]++
	book := NewBook(m.u)
	var ev Event
	adjust := func(cash *big.Int) {
		if r := book.DecideAdjustment(alice, &Adjustment{Cash: cash.Int64()}, m.prices, 1, &ev); r.Reason != NoRefusal {
			t.Fatal(r.AdjustmentSentence(alice))
		}
		book.Apply(&ev)
	}
	adjust(plus(m.model.adjusted, needed))
	for _, tr := range m.model.trades {
		if tr.struck {
			continue
		}
		o := Order{Account: alice, Side: tr.Side, Instrument: tr.Instrument, Quantity: tr.Quantity}
		if r := book.decide(&o, m.free.With(tr.Instrument, tr.Price), 1, tr.Fees, &ev); r.Reason != NoRefusal {
			t.Fatal(r.Sentence(&o, m.u))
		}
		book.Apply(&ev)
	}
	adjust(new(big.Int).Neg(needed))
	h, _, _ := book.Holdings(alice, m.prices, nil)
	return StateHash(m.u, alice, uint64(len(m.events)), h.Cash, h.Positions), true
}

// zeroPrices returns prices of 0, at which no total is too large.
func zeroPrices(u *market.Universe) *market.Prices {
	prices := u.Opening()
	for id := range market.ID(u.Len()) {
		prices = prices.With(id, 0)
	}
	return prices
}

// seen counts the cases that came up.
type seen struct {
	reasons map[BustReason]int
	changes map[Change]int
	others  map[string]int
}

// missing lists the cases that did not come up: a test that never reaches a case does not
// test it.
func (s *seen) missing() (missing []string) {
	for r := NoBustRefusal; r <= BustTooLarge; r++ {
		// This test does not produce the two that are excluded here.
		if s.reasons[r] == 0 && r != BustUnknownAccount && r != BustNotKept {
			missing = append(missing, r.String())
		}
	}
	for c := Opened; c <= Unchanged; c++ {
		if s.changes[c] == 0 {
			missing = append(missing, fmt.Sprintf("change %d", c))
		}
	}
	for _, what := range []string{"repeated", "corrected", "chained", "cascade", "long cascade",
		"several instruments", "compared", "reset", "reset of rows"} {
		if s.others[what] == 0 {
			missing = append(missing, what)
		}
	}
	return missing
}

func TestBustsAgainstModel(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	u := market.Default()
	zero := zeroPrices(u)
	came := seen{reasons: map[BustReason]int{}, changes: map[Change]int{}, others: map[string]int{}}
	for rounds := 20; rounds > 0 && !t.Failed() && len(came.missing()) > 0; rounds-- {
		rapid.Check(t, func(t *rapid.T) {
			m := &buster{u: u, book: NewBook(u), prices: u.Opening(), free: zero, seen: came}
			m.model = bustModel{adjusted: number(0), versions: map[market.ID]uint64{}}
			a := &Adjustment{Cash: rapid.SampledFrom([]int64{20_000_0000, million}).Draw(t, "opening"),
				Reason: "test", Actor: "rapid"}
			m.apply(Event{Account: alice, Seq: 1, Cash: Cash{Balance: a.Cash}, Adjustment: a, Kind: KindAdjustment})
			t.Repeat(map[string]func(*rapid.T){
				"": m.compare, "orders": m.orders, "more orders": m.orders, "spree": m.spree, "boom": m.boom,
				"adjust": m.adjust, "reset": m.reset,
				"move": m.move, "busts": m.bust, "more busts": m.bust, "retry": m.retry,
			})
		})
	}
	for _, what := range came.missing() {
		t.Errorf("never came up: %s", what)
	}
	t.Logf("answers %v, changes %v, %v", came.reasons, came.changes, came.others)
}
