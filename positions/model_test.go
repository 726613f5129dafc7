package positions

import (
	"hash/fnv"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/papertape/papertape/market"
)

// model is deliberately simple: an account is the list of its bookings. Every question is
// answered by folding the list from the beginning, in unbounded numbers.
type model map[uint64][]entry

// entry is an adjustment (side 0) or a trade.
type entry struct {
	cash                  int64 // of an adjustment
	side                  Side
	id                    market.ID
	quantity, price, fees int64
}

type modelRow struct {
	quantity, cost, realised *big.Int
	version                  uint64
}

type modelState struct {
	rows                           map[market.ID]*modelRow // rows that were closed stay, with quantity 0
	balance, fees, realised, total *big.Int
	seq                            uint64
}

func number(v int64) *big.Int { return big.NewInt(v) }

func plus(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) }

func minus(a, b *big.Int) *big.Int { return new(big.Int).Sub(a, b) }

func times(a, b *big.Int) *big.Int { return new(big.Int).Mul(a, b) }

// fold returns the result of a list of entries, valued at prices.
func fold(entries []entry, prices *market.Prices) modelState {
	s := modelState{rows: map[market.ID]*modelRow{}, balance: number(0), fees: number(0), realised: number(0)}
	for _, e := range entries {
		s.seq++
		if e.side == 0 {
			s.balance = plus(s.balance, number(e.cash))
			continue
		}
		row := s.rows[e.id]
		if row == nil || row.quantity.Sign() == 0 {
			row = &modelRow{quantity: number(0), cost: number(0), realised: number(0)}
			s.rows[e.id] = row
		}
		row.version = s.seq
		quantity, amount := number(e.quantity), times(number(e.quantity), number(e.price))
		s.balance = minus(s.balance, number(e.fees))
		s.fees = plus(s.fees, number(e.fees))
		if e.side == Buy {
			s.balance = minus(s.balance, amount)
			row.quantity, row.cost = plus(row.quantity, quantity), plus(row.cost, amount)
			continue
		}
		taken := nearest(new(big.Rat).SetFrac(times(row.cost, quantity), row.quantity))
		s.balance = plus(s.balance, amount)
		row.quantity, row.cost = minus(row.quantity, quantity), minus(row.cost, taken)
		row.realised = plus(row.realised, minus(amount, taken))
		s.realised = plus(s.realised, minus(amount, taken))
	}
	s.total = number(0)
	for id, row := range s.rows {
		s.total = plus(s.total, times(row.quantity, number(prices.At(id))))
	}
	return s
}

// nearest rounds x >= 0 to the nearest integer, and halves to even.
func nearest(x *big.Rat) *big.Int {
	below := new(big.Int).Quo(x.Num(), x.Denom())
	above := plus(below, number(1))
	toBelow := new(big.Rat).Sub(x, new(big.Rat).SetInt(below))
	toAbove := new(big.Rat).Sub(new(big.Rat).SetInt(above), x)
	switch c := toBelow.Cmp(toAbove); {
	case c < 0, c == 0 && below.Bit(0) == 0:
		return below
	}
	return above
}

// fits reports whether the ledger can hold the whole state.
func (s modelState) fits() bool {
	all := []*big.Int{s.balance, s.fees, s.realised, s.total}
	for _, row := range s.rows {
		all = append(all, row.quantity, row.cost, row.realised)
	}
	for _, v := range all {
		if !v.IsInt64() {
			return false
		}
	}
	return true
}

func (s modelState) cash() Cash {
	return Cash{Balance: s.balance.Int64(), FeesPaid: s.fees.Int64(), Realised: s.realised.Int64()}
}

func (s modelState) position(id market.ID, prices *market.Prices) Position {
	row := s.rows[id]
	return Position{
		Row: Row{Quantity: row.quantity.Int64(), Cost: row.cost.Int64(), Realised: row.realised.Int64(),
			Version: row.version, Instrument: id},
		Sellable: row.quantity.Int64(), Price: prices.At(id),
	}
}

func (s modelState) held(id market.ID) int64 {
	if row := s.rows[id]; row != nil {
		return row.quantity.Int64()
	}
	return 0
}

// positions returns the rows held, in the protocol's order: by market and code, not by id.
func (s modelState) positions(u *market.Universe, prices *market.Prices) []Position {
	var all []Position
	for id := range s.rows {
		if s.held(id) == 0 {
			continue
		}
		at := 0
		for at < len(all) && key(u, all[at].Instrument) < key(u, id) {
			at++
		}
		all = append(all[:at], append([]Position{s.position(id, prices)}, all[at:]...)...)
	}
	return all
}

func key(u *market.Universe, id market.ID) string {
	return u.At(id).Market + "\x00" + u.At(id).Code + "\x00"
}

// hash computes the state hash byte by byte, as the protocol's page describes it.
func (s modelState) hash(u *market.Universe, account uint64, rows []Position) uint64 {
	var page []byte
	eight := func(v uint64) {
		for _, shift := range []int{56, 48, 40, 32, 24, 16, 8, 0} {
			page = append(page, byte(v>>shift))
		}
	}
	eight(account)
	eight(s.seq)
	eight(uint64(s.cash().Balance))
	eight(uint64(s.cash().FeesPaid))
	eight(uint64(s.cash().Realised))
	for _, row := range rows {
		page = append(page, key(u, row.Instrument)...)
		eight(uint64(row.Quantity))
		eight(uint64(row.Cost))
		eight(uint64(row.Realised))
	}
	h := fnv.New64a()
	h.Write(page)
	return h.Sum64()
}

// decide returns the expected result of an order: the reason to refuse it, or the state
// after it.
func (m model) decide(o *Order, fees int64, prices *market.Prices) (Reason, modelState, entry) {
	price := prices.At(o.Instrument)
	e := entry{side: o.Side, id: o.Instrument, quantity: o.Quantity, price: price, fees: fees}
	entries, known := m[o.Account]
	before := fold(entries, prices)
	amount := times(number(o.Quantity), number(price))
	costs := plus(amount, number(fees))
	held := before.held(o.Instrument)
	switch {
	case !known:
		return UnknownAccount, before, e
	case o.Quantity <= 0 || o.Quantity > 1_000_000_000:
		return BadQuantity, before, e
	case o.Limit < 0:
		return BadPrice, before, e
	case !amount.IsInt64():
		return BadQuantity, before, e
	case o.Side == Buy && o.Limit != 0 && price > o.Limit, o.Side == Sell && o.Limit != 0 && price < o.Limit:
		return LimitNotMarketable, before, e
	case o.Side == Buy && !costs.IsInt64():
		return BadQuantity, before, e
	case o.Side == Buy && costs.Cmp(before.balance) > 0:
		return InsufficientCash, before, e
	case o.Side == Sell && held < o.Quantity:
		return InsufficientShares, before, e
	case o.Side == Sell && plus(before.balance, amount).Cmp(number(fees)) < 0:
		return InsufficientCash, before, e
	}
	after := fold(append(entries[:len(entries):len(entries)], e), prices)
	if !after.fits() {
		return BadQuantity, after, e
	}
	return NoRefusal, after, e
}

// machine drives a book and the model side by side.
type machine struct {
	u      *market.Universe
	book   *Book
	model  model
	prices *market.Prices
	now    int64
	events []Event
	seen   map[Reason]int
	moved  map[Change]int
}

var (
	someAccounts    = []uint64{alice, bob, nobody}
	someInstruments = []market.ID{0, 3, 30, 49}
)

// mostly draws from the first generator nine times out of ten, and otherwise from the
// second.
func mostly[T any](usual, odd *rapid.Generator[T]) *rapid.Generator[T] {
	return rapid.Custom(func(t *rapid.T) T {
		if rapid.IntRange(0, 9).Draw(t, "odd") == 9 {
			return odd.Draw(t, "value")
		}
		return usual.Draw(t, "value")
	})
}

func quantities() *rapid.Generator[int64] {
	return mostly(rapid.OneOf(rapid.Int64Range(1, 9), rapid.Int64Range(1, 1000)),
		rapid.SampledFrom([]int64{math.MinInt64, -1, 0, MaxOrderShares, MaxOrderShares + 1, math.MaxInt64}))
}

// amounts mostly draws amounts up to most, and now and then any.
func amounts(most int64) *rapid.Generator[int64] {
	return mostly(rapid.Int64Range(0, most), rapid.Int64Range(0, math.MaxInt64))
}

// dirtyEvent returns an event full of values that must not show through in the next one.
func dirtyEvent() Event {
	id, _ := MakeOrderID([]byte("an older order"))
	return Event{
		Account: 1, Seq: 2, Time: 3, Cash: Cash{4, 5, 6}, TotalMarketValue: 7,
		Trade: Trade{Quantity: 8, Price: 9, Amount: 10, Fees: 11, Revision: 12, Instrument: 13, Side: 14,
			Origin: 15, OrderID: id},
		Position: Position{Row: Row{16, 17, 18, 19, 20}, Sellable: 21, Price: 22},
		Bust:     &Bust{}, Adjustment: &Adjustment{}, Kind: 23, Change: 24,
	}
}

func (m *machine) orders(t *rapid.T) {
	for range rapid.IntRange(1, 5).Draw(t, "orders") {
		m.order(t)
	}
}

func (m *machine) order(t *rapid.T) {
	m.now++
	o := Order{
		Account: mostly(rapid.SampledFrom([]uint64{alice, alice, bob}),
			rapid.Just(uint64(nobody))).Draw(t, "account"),
		Side:       rapid.SampledFrom([]Side{Buy, Sell}).Draw(t, "side"),
		Instrument: rapid.SampledFrom(someInstruments).Draw(t, "instrument"),
		Quantity:   quantities().Draw(t, "quantity"),
		Origin:     rapid.SampledFrom([]Origin{OriginClient, OriginSimulator, OriginOperator}).Draw(t, "origin"),
	}
	if held := fold(m.model[o.Account], m.prices).held(o.Instrument); held > 0 &&
		rapid.IntRange(0, 2).Draw(t, "all") == 0 {
		o.Side, o.Quantity = Sell, held
	}
	if rapid.IntRange(0, 3).Draw(t, "limited") == 0 {
		o.Limit = rapid.OneOf(rapid.Int64Range(-1, 20_0000), rapid.Just(m.prices.At(o.Instrument))).Draw(t, "limit")
	}
	if rapid.Bool().Draw(t, "named") {
		o.ID, _ = MakeOrderID([]byte(rapid.StringMatching(`[ -~]{1,64}`).Draw(t, "id")))
	}
	fees := rapid.OneOf(rapid.Just(int64(0)), amounts(9_9999)).Draw(t, "fees")

	reason, after, e := m.model.decide(&o, fees, m.prices)
	m.seen[reason]++
	ev := dirtyEvent()
	r := m.book.decide(&o, m.prices, m.now, fees, &ev)
	if r.Reason != reason {
		t.Fatalf("%+v with fees %d: %v %q, want %v", o, fees, r, r.Sentence(&o, m.u), reason)
	}
	if r.Reason != NoRefusal {
		return
	}
	want := Event{
		Account: o.Account, Seq: after.seq, Time: m.now, Cash: after.cash(), TotalMarketValue: after.total.Int64(),
		Trade: Trade{Quantity: o.Quantity, Price: e.price, Amount: o.Quantity * e.price, Fees: fees,
			Instrument: o.Instrument, Side: o.Side, Origin: o.Origin, OrderID: o.ID, Limit: o.Limit},
		Position: after.position(o.Instrument, m.prices), Kind: KindTrade,
	}
	was, is := fold(m.model[o.Account], m.prices).held(o.Instrument), after.held(o.Instrument)
	switch {
	case was == 0:
		want.Change = Opened
	case is == 0:
		want.Change = Closed
	case is > was:
		want.Change = Increased
	default:
		want.Change = Decreased
	}
	m.moved[want.Change]++
	m.apply(t, ev, want, e)
}

func (m *machine) adjust(t *rapid.T) {
	m.now++
	account := rapid.SampledFrom(someAccounts[:2]).Draw(t, "account")
	e := entry{cash: amounts(million).Draw(t, "cash")}
	if rapid.IntRange(0, 3).Draw(t, "out") == 0 {
		e.cash = -e.cash
	}
	after := fold(append(m.model[account][:len(m.model[account]):len(m.model[account])], e), m.prices)
	reason := NoRefusal
	switch {
	case after.balance.Sign() < 0:
		reason = InsufficientCash
	case !after.fits():
		reason = BadQuantity
	}
	a := &Adjustment{Cash: e.cash, Reason: "test", Actor: "rapid"}
	ev := dirtyEvent()
	if r := m.book.DecideAdjustment(account, a, m.prices, m.now, &ev); r.Reason != reason {
		t.Fatalf("adjustment of %d by %d: %v, want %v", account, e.cash, r, reason)
	}
	if reason == NoRefusal {
		m.apply(t, ev, Event{
			Account: account, Seq: after.seq, Time: m.now, Cash: after.cash(), TotalMarketValue: after.total.Int64(),
			Adjustment: a, Kind: KindAdjustment,
		}, e)
	}
}

// apply compares the decided event with the expected one, checks that deciding changed
// nothing, and books both.
func (m *machine) apply(t *rapid.T, got, want Event, e entry) {
	if got != want {
		t.Fatalf("event:\ngot  %+v\nwant %+v", got, want)
	}
	m.check(t)
	m.book.Apply(&got)
	m.events = append(m.events, got)
	m.model[want.Account] = append(m.model[want.Account], e)
}

func (m *machine) move(t *rapid.T) {
	id := rapid.SampledFrom(someInstruments).Draw(t, "instrument")
	m.prices = m.prices.With(id, max(amounts(20_0000).Draw(t, "price"), 1))
}

// check compares the book with the model, and with a book rebuilt from its events.
func (m *machine) check(t *rapid.T) {
	rebuilt := NewBook(m.u)
	for i := range m.events {
		rebuilt.Apply(&m.events[i])
	}
	if m.book.Len() != len(m.model) || len(m.book.Accounts()) != len(m.model) {
		t.Fatalf("%d accounts, want %d", m.book.Len(), len(m.model))
	}
	for _, account := range someAccounts {
		h, _, ok := m.book.Holdings(account, m.prices, nil)
		if _, want := m.model[account]; ok != want {
			t.Fatalf("account %d is open: %t, want %t", account, ok, want)
		}
		if !ok {
			continue
		}
		m.compare(t, account, h)
		if again, _, _ := rebuilt.Holdings(account, m.prices, nil); again.Hash != h.Hash {
			t.Fatalf("account %d rebuilt has hash %x, live %x", account, again.Hash, h.Hash)
		}
	}
}

func (m *machine) compare(t *rapid.T, account uint64, h Holdings) {
	s := fold(m.model[account], m.prices)
	rows := s.positions(m.u, m.prices)
	if len(h.Positions) != len(rows) {
		t.Fatalf("account %d has %d rows, want %d", account, len(h.Positions), len(rows))
	}
	for i, row := range rows {
		if h.Positions[i] != row {
			t.Fatalf("account %d, row %d:\ngot  %+v\nwant %+v", account, i, h.Positions[i], row)
		}
		if row.Quantity <= 0 || row.Cost < 0 {
			t.Fatalf("account %d has %d shares at a cost of %d", account, row.Quantity, row.Cost)
		}
	}
	total := int64(math.MaxInt64)
	if s.total.IsInt64() {
		total = s.total.Int64()
	}
	want := Holdings{Account: account, Seq: s.seq, TotalMarketValue: total, Cash: s.cash(),
		Hash: s.hash(m.u, account, rows)}
	if h.Account != want.Account || h.Seq != want.Seq || h.TotalMarketValue != want.TotalMarketValue ||
		h.Cash != want.Cash || h.Hash != want.Hash || h.Cash.Balance < 0 {
		t.Fatalf("holdings:\ngot  %+v\nwant %+v", h, want)
	}
}

func TestAgainstModel(t *testing.T) {
	seen, moved := map[Reason]int{}, map[Change]int{}
	u := market.Default()
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{u: u, book: NewBook(u), model: model{}, prices: u.Opening(), seen: seen, moved: moved}
		m.book.Apply(m.open(alice))
		t.Repeat(map[string]func(*rapid.T){
			"": m.check, "orders": m.orders, "adjust": m.adjust, "move": m.move,
		})
	})
	// A test that never reaches a case does not test it.
	for r := NoRefusal; r < TooManyRows; r++ {
		if seen[r] == 0 {
			t.Errorf("no order was answered %v", r)
		}
	}
	for c := Opened; c <= Closed; c++ {
		if moved[c] == 0 {
			t.Errorf("no order made change %d", c)
		}
	}
	t.Logf("answers %v, changes %v", seen, moved)
}

// open gives the first account enough cash to trade.
func (m *machine) open(account uint64) *Event {
	ev := Event{
		Account: account, Seq: 1, Cash: Cash{Balance: million}, Adjustment: &Adjustment{Cash: million},
		Kind: KindAdjustment,
	}
	m.events = append(m.events, ev)
	m.model[account] = []entry{{cash: million}}
	return &ev
}
