package positions

import (
	"math"
	"math/bits"
	"sort"

	"github.com/papertape/papertape/market"
)

// tape holds the trades of one account as they stand, ordered by sequence. A trade takes 24
// bytes, or 32 if its chunk has fees. A chunk never moves, so a tape of many millions is
// never copied.
type tape struct {
	chunks []*tapeChunk
	n      int
}

const tapeChunkTrades = 1024

type tapeChunk struct {
	entries [tapeChunkTrades]taped
	fees    *[tapeChunkTrades]int64 // nil: all 0
}

// taped is a trade on a tape, as far as a fold needs it. A trade that was taken back keeps
// its place and has quantity 0.
type taped struct {
	seq        uint64
	price      int64
	quantity   int32 // negative: a sale. MaxOrderShares fits
	instrument market.ID
}

func newTaped(seq uint64, t *Trade) taped {
	quantity := int32(t.Quantity)
	if t.Side == Sell {
		quantity = -quantity
	}
	return taped{seq: seq, price: t.Price, quantity: quantity, instrument: t.Instrument}
}

// amount returns what the trade costs, negative for a sale. It fits 64 bits: checkTrade
// refused all others.
func (e *taped) amount() int64 { return int64(e.quantity) * e.price }

func (t *tape) append(e taped, fees int64) {
	if t.n == len(t.chunks)*tapeChunkTrades {
		t.chunks = append(t.chunks, new(tapeChunk))
	}
	t.n++
	*t.at(t.n - 1) = e
	t.setFees(t.n-1, fees)
}

func (t *tape) at(i int) *taped { return &t.chunks[i/tapeChunkTrades].entries[i%tapeChunkTrades] }

func (t *tape) fees(i int) int64 {
	if fees := t.chunks[i/tapeChunkTrades].fees; fees != nil {
		return fees[i%tapeChunkTrades]
	}
	return 0
}

func (t *tape) setFees(i int, fees int64) {
	chunk := t.chunks[i/tapeChunkTrades]
	if chunk.fees == nil {
		if fees == 0 {
			return
		}
		chunk.fees = new([tapeChunkTrades]int64)
	}
	chunk.fees[i%tapeChunkTrades] = fees
}

// find returns the place of the trade with a sequence, whether it was taken back or not.
func (t *tape) find(seq uint64) (int, bool) {
	i := sort.Search(t.n, func(i int) bool { return t.at(i).seq >= seq })
	return i, i < t.n && t.at(i).seq == seq
}

// step applies a trade to its row, as Decide does, and returns what it realised. A trade
// that was taken back has no effect. If a sale exceeds the shares held, or a sum does not
// fit, ok is false and the row is unchanged.
func (r *Row) step(e *taped) (gain int64, ok bool) {
	switch {
	case e.quantity == 0:
		return 0, true
	case e.quantity > 0:
		return 0, r.buy(int64(e.quantity), e.amount())
	}
	quantity, amount := -int64(e.quantity), -e.amount()
	if quantity > r.Quantity {
		return 0, false
	}
	taken := share(r.Cost, quantity, r.Quantity)
	realised, ok := add(r.Realised, amount-taken)
	if !ok {
		return 0, false
	}
	r.Quantity, r.Cost, r.Realised = r.Quantity-quantity, r.Cost-taken, realised
	return amount - taken, true
}

// buy is the buy side of step. Realised starts again from 0 whenever the quantity leaves 0.
func (r *Row) buy(quantity, amount int64) bool {
	shares, fits1 := add(r.Quantity, quantity)
	cost, fits2 := add(r.Cost, amount)
	if !fits1 || !fits2 {
		return false
	}
	if r.Quantity == 0 {
		r.Realised = 0
	}
	r.Quantity, r.Cost = shares, cost
	return true
}

// sameState reports whether two rows of an instrument are equal except for their versions.
func (r *Row) sameState(o *Row) bool {
	return r.Quantity == o.Quantity && r.Cost == o.Cost && r.Realised == o.Realised
}

// wide is a 128-bit sum in two's complement, so the order in which a fold adds does not
// matter.
type wide struct {
	high int64
	low  uint64
}

func (w *wide) add(v int64) {
	low, carry := bits.Add64(w.low, uint64(v), 0)
	w.high, w.low = w.high+v>>63+int64(carry), low
}

func (w *wide) sub(v int64) {
	low, borrow := bits.Sub64(w.low, uint64(v), 0)
	w.high, w.low = w.high-v>>63-int64(borrow), low
}

// plus returns the sum plus v. If that does not fit, ok is false and sum is the nearest
// int64.
func (w wide) plus(v int64) (sum int64, ok bool) {
	w.add(v)
	if w.high == int64(w.low)>>63 {
		return int64(w.low), true
	}
	return w.high>>63 ^ math.MaxInt64, false
}
