package linear

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"math/big"
	"slices"
)

// instrument is an instrument and its constant price.
type instrument struct {
	market, code string
	price        int64
}

// call is what a client asks for.
type call struct {
	kind kind
	id   string // of the order, the bust or the correction; may be that of an earlier call
	// An order.
	buy      bool
	traded   instrument
	quantity int64 // of a correction too
	cash     int64 // of a booking, negative for a withdrawal; after a reset
	// A bust or a correction.
	trade   uint64
	price   int64
	cascade bool
}

type kind uint8

const (
	order kind = iota + 1
	holdings
	bust
	correct
	book
	reset
)

// answer is the answer to a call.
type answer struct {
	open     bool   // there was none: the server was killed
	did      uint64 // of an open call: the sequence at which it was carried out, according to the final history
	unheard  bool   // the server had no time for the call
	refused  string // the code of the refusal
	repeated bool
	seq      uint64
	rows     []row // of holdings: all; otherwise those that the event touches
	balance  int64
	realised int64
	hash     uint64 // of holdings
	cascade  []uint64
}

// row is a position. Rows with no shares occur only in events.
type row struct {
	market, code             string
	quantity, cost, realised int64
}

// state is the whole history of an account. It is immutable.
type state struct {
	account, seq uint64
	cash         int64  // booked apart from trades, since the latest reset
	begun        uint64 // the sequence of the latest reset; trades before it do not count
	trades       []trade
	taken        []doneBust
}

// trade is a trade in its current form.
type trade struct {
	seq             uint64
	buy, gone       bool
	traded          instrument
	quantity, price int64
	id              string
	first           *answer // the answer when it was executed
}

// doneBust is what an operator asked for and was carried out.
type doneBust struct {
	id    string
	first *answer
}

// step returns the account's answer to c, and the state afterwards.
func (s *state) step(c *call) (*answer, *state) {
	switch c.kind {
	case order:
		return s.order(c)
	case bust, correct:
		return s.takeBack(c)
	case book, reset:
		return s.book(c)
	}
	f := s.fold()
	a := &answer{seq: s.seq, balance: f.balance, realised: f.realised}
	for _, r := range f.rows {
		if r.quantity != 0 {
			a.rows = append(a.rows, r)
		}
	}
	a.hash = s.hash(a)
	return a, s
}

func (s *state) order(c *call) (*answer, *state) {
	for i := range s.trades {
		if t := &s.trades[i]; c.id != "" && t.id == c.id {
			again := *t.first
			again.repeated = true
			return &again, s
		}
	}
	f := s.fold()
	switch amount := c.quantity * c.traded.price; {
	case c.buy && amount > f.balance:
		return &answer{refused: insufficientCash}, s
	case !c.buy && f.row(c.traded).quantity < c.quantity:
		return &answer{refused: insufficientShares}, s
	}
	next := *s
	next.seq++
	next.trades = append(slices.Clone(s.trades), trade{
		seq: next.seq, buy: c.buy, traded: c.traded, quantity: c.quantity, price: c.traded.price, id: c.id,
	})
	first := next.told(c.traded)
	next.trades[len(next.trades)-1].first = first
	return first, &next
}

// told returns what an event says about the instruments that it touches.
func (s *state) told(touched ...instrument) *answer {
	f := s.fold()
	a := &answer{seq: s.seq, balance: f.balance, realised: f.realised}
	for _, in := range touched {
		a.rows = append(a.rows, f.row(in))
	}
	slices.SortFunc(a.rows, row.compare)
	a.rows = slices.Compact(a.rows)
	return a
}

// The codes of refusals, those of the protocol and of the console.
const (
	insufficientCash   = "INSUFFICIENT_CASH"
	insufficientShares = "INSUFFICIENT_SHARES"
	alreadyBusted      = "already_busted"
	unknownTrade       = "unknown_trade"
	nothingToCorrect   = "nothing_to_correct"
	sharesGone         = "shares_gone"
	cashGone           = "cash_gone"
	beforeReset        = "before_reset"
	tooLittleCash      = "insufficient_cash"
)

// book books cash, or begins the account anew.
func (s *state) book(c *call) (*answer, *state) {
	if again := s.repeats(c); again != nil {
		return again, s
	}
	if f := s.fold(); c.kind == book && f.balance+c.cash < 0 {
		return &answer{refused: tooLittleCash}, s
	}
	next := *s
	next.seq++
	next.cash += c.cash
	done := next.told()
	if c.kind == reset {
		next.cash, next.begun = c.cash, next.seq
		done = next.told()
		for _, r := range s.fold().rows {
			if r.quantity != 0 {
				done.rows = append(done.rows, row{market: r.market, code: r.code})
			}
		}
	}
	next.taken = append(slices.Clone(s.taken), doneBust{c.id, done})
	return done, &next
}

// repeats returns the answer of the first time, if an operator's call under this id was carried out.
func (s *state) repeats(c *call) *answer {
	for _, t := range s.taken {
		if t.id == c.id {
			again := *t.first
			again.repeated = true
			return &again
		}
	}
	return nil
}

func (s *state) takeBack(c *call) (*answer, *state) {
	if again := s.repeats(c); again != nil {
		return again, s
	}
	at := slices.IndexFunc(s.trades, func(t trade) bool { return t.seq == c.trade })
	switch {
	case at < 0:
		return &answer{refused: unknownTrade}, s
	case s.trades[at].gone:
		return &answer{refused: alreadyBusted}, s
	case s.trades[at].seq < s.begun:
		return &answer{refused: beforeReset}, s
	case c.kind == correct && s.trades[at].quantity == c.quantity && s.trades[at].price == c.price:
		return &answer{refused: nothingToCorrect}, s
	}
	next := *s
	next.seq++
	next.trades = slices.Clone(s.trades)
	if c.kind == correct {
		next.trades[at].quantity, next.trades[at].price = c.quantity, c.price
	} else {
		next.trades[at].gone = true
	}
	cascade, first, stuck := next.settle(at)
	switch {
	case stuck != "":
		return &answer{refused: stuck}, s
	case len(cascade) > 0 && !c.cascade:
		return &answer{refused: first}, s
	}
	touched := []instrument{next.trades[at].traded}
	var gone []uint64
	for _, i := range cascade {
		touched = append(touched, next.trades[i].traded)
		gone = append(gone, next.trades[i].seq)
	}
	done := next.told(touched...)
	done.cascade = slices.Sorted(slices.Values(gone))
	next.taken = append(slices.Clone(s.taken), doneBust{c.id, done})
	return done, &next
}

// settle takes back the trades that have become impossible since the trade at a place was changed.
// It changes the trades of s, which must be its own. It returns what was short first, and what no
// further bust can repair.
func (s *state) settle(at int) (cascade []int, first, stuck string) {
	takeBack := func(buy bool, traded *instrument, after int) bool {
		for i := len(s.trades) - 1; i > after; i-- {
			if t := &s.trades[i]; i != at && s.stands(t) && t.buy == buy && (traded == nil || t.traded == *traded) {
				t.gone = true
				cascade = append(cascade, i)
				return true
			}
		}
		return false
	}
	shares := func(traded instrument, after int) bool {
		for s.fold().short == traded {
			first = cmp.Or(first, sharesGone)
			if !takeBack(false, &traded, after) {
				return false
			}
		}
		return true
	}
	if !shares(s.trades[at].traded, at) {
		return cascade, first, sharesGone
	}
	for s.fold().balance < 0 {
		first = cmp.Or(first, cashGone)
		if !takeBack(true, nil, -1) || !shares(s.trades[cascade[len(cascade)-1]].traded, cascade[len(cascade)-1]) {
			return cascade, first, cashGone
		}
	}
	return cascade, first, ""
}

// folded is the result of the standing trades.
type folded struct {
	rows              []row // by market and code
	balance, realised int64
	short             instrument // the instrument of which more was sold than held, if any
}

func (s *state) fold() *folded {
	f := &folded{balance: s.cash}
	for i := range s.trades {
		if t := &s.trades[i]; s.stands(t) {
			f.trade(t)
		}
	}
	return f
}

// stands reports whether a trade counts.
func (s *state) stands(t *trade) bool { return !t.gone && t.seq >= s.begun }

func (f *folded) trade(t *trade) {
	at, found := slices.BinarySearchFunc(f.rows, row{market: t.traded.market, code: t.traded.code}, row.compare)
	if !found {
		f.rows = slices.Insert(f.rows, at, row{market: t.traded.market, code: t.traded.code})
	}
	r, amount := &f.rows[at], t.quantity*t.price
	if t.buy {
		if r.quantity == 0 {
			r.realised = 0 // it counts since the quantity last left 0
		}
		r.quantity, r.cost, f.balance = r.quantity+t.quantity, r.cost+amount, f.balance-amount
		return
	}
	if t.quantity > r.quantity {
		f.short = t.traded
		return
	}
	out := halfEven(r.cost, t.quantity, r.quantity)
	r.quantity, r.cost, r.realised = r.quantity-t.quantity, r.cost-out, r.realised+amount-out
	f.balance, f.realised = f.balance+amount, f.realised+amount-out
}

// halfEven returns cost*q/held, rounded half to even.
func halfEven(cost, q, held int64) int64 {
	twice := new(big.Int).Mul(big.NewInt(2*cost), big.NewInt(q))
	quotient, rest := new(big.Int).QuoRem(twice, big.NewInt(2*held), new(big.Int))
	n := quotient.Int64()
	if c := rest.Int64() - held; c > 0 || c == 0 && n%2 != 0 {
		n++
	}
	return n
}

func (f *folded) row(in instrument) row {
	key := row{market: in.market, code: in.code}
	if at, found := slices.BinarySearchFunc(f.rows, key, row.compare); found {
		return f.rows[at]
	}
	return key
}

func (r row) compare(o row) int {
	return cmp.Or(cmp.Compare(r.market, o.market), cmp.Compare(r.code, o.code))
}

// hash returns the state hash of the protocol. Fees are 0 here.
func (s *state) hash(a *answer) uint64 {
	h := fnv.New64a()
	number := func(values ...int64) {
		for _, v := range values {
			_ = binary.Write(h, binary.BigEndian, v) // never fails
		}
	}
	number(int64(s.account), int64(s.seq), a.balance, 0, a.realised)
	for _, r := range a.rows {
		_, _ = h.Write([]byte(r.market + "\x00" + r.code + "\x00"))
		number(r.quantity, r.cost, r.realised)
	}
	return h.Sum64()
}

// equal says whether two histories led to the same account.
func (s *state) equal(o *state) bool {
	same := s.seq == o.seq && s.cash == o.cash && s.begun == o.begun
	return same && slices.EqualFunc(s.trades, o.trades, func(a, b trade) bool {
		return a.seq == b.seq && a.gone == b.gone && a.quantity == b.quantity && a.price == b.price && a.id == b.id &&
			a.buy == b.buy && a.traded == b.traded
	}) && slices.EqualFunc(s.taken, o.taken, func(a, b doneBust) bool {
		return a.id == b.id &&
			a.first.seq == b.first.seq
	})
}

// matches reports whether the model's answer is the given one.
func (a *answer) matches(given *answer) bool {
	return a.refused == given.refused && (a.refused != "" || a.repeated == given.repeated && a.seq == given.seq &&
		a.balance == given.balance &&
		a.realised == given.realised && a.hash == given.hash && slices.Equal(a.rows, given.rows) &&
		slices.Equal(a.cascade, given.cascade))
}
