package positions

import (
	"fmt"
	"math/bits"

	"github.com/papertape/papertape/market"
)

// noFees is what a trade costs beside its amount under the rules there are: nothing. Fees go through the arithmetic all
// the same, so that rules that have them change only where they come from.
const noFees = 0

// Decide says what o would do at prices and at now (nanoseconds since the Unix epoch), without doing it. It fills ev,
// all of it whatever was in there before, or returns a refusal and leaves ev in no particular state. The book stays as
// it was. A market order fills whole at the snapshot's price; a limit order fills at that price if it is at or better.
//
// o.Instrument must be of the book's universe and o.Side one of the two; anything else is an error of the program, and
// panics.
func (b *Book) Decide(o *Order, prices *market.Prices, now int64, ev *Event) Refusal {
	return b.decide(o, prices, now, noFees, ev)
}

func (b *Book) decide(o *Order, prices *market.Prices, now, fees int64, ev *Event) Refusal {
	acc := b.find(o.Account)
	if acc == nil {
		return Refusal{Reason: UnknownAccount}
	}
	price := prices.At(o.Instrument)
	amount, refusal := o.judge(price)
	if refusal.Reason != NoRefusal {
		return refusal
	}
	*ev = Event{
		Account: o.Account, Seq: acc.seq + 1, Time: now, Cash: acc.cash, Kind: KindTrade,
		Trade: Trade{
			Quantity: o.Quantity, Price: price, Amount: amount, Fees: fees,
			Instrument: o.Instrument, Side: o.Side, Origin: o.Origin, OrderID: o.ID, Limit: o.Limit,
		},
	}
	i, held := acc.search(o.Instrument)
	row := Row{Instrument: o.Instrument}
	if held {
		row = acc.rows[i]
	}
	if o.Side == Buy {
		refusal = ev.buy(row, held, len(acc.rows))
	} else {
		refusal = ev.sell(row)
	}
	if refusal.Reason != NoRefusal {
		return refusal
	}
	return ev.value(acc.rows, i, held, prices)
}

// judge checks what can be said of an order without its account, and gives its amount at price.
func (o *Order) judge(price int64) (amount int64, r Refusal) {
	if o.Side != Buy && o.Side != Sell {
		panic(fmt.Sprintf("positions: order with side %d", o.Side))
	}
	if o.Quantity <= 0 || o.Quantity > MaxOrderShares {
		return 0, Refusal{Reason: BadQuantity, Need: MaxOrderShares}
	}
	if o.Limit < 0 {
		return 0, Refusal{Reason: BadPrice, Have: o.Limit}
	}
	amount, fits := amountOf(o.Quantity, price)
	if !fits {
		return 0, tooLarge(price)
	}
	if o.Limit > 0 && (o.Side == Buy && price > o.Limit || o.Side == Sell && price < o.Limit) {
		return 0, Refusal{Reason: LimitNotMarketable, Have: price, Need: o.Limit}
	}
	return amount, Refusal{}
}

// tooLarge refuses what would not fit 64 bits at a price.
func tooLarge(price int64) Refusal {
	return Refusal{Reason: BadQuantity, Have: price, Need: MaxOrderShares}
}

// buy sets cash, row and change of an event whose trade and cash before it are set. row is the row before it.
func (ev *Event) buy(row Row, held bool, rows int) Refusal {
	t := &ev.Trade
	need, fits := add(t.Amount, t.Fees)
	if !fits {
		return tooLarge(t.Price)
	}
	if need > ev.Cash.Balance {
		return Refusal{Reason: InsufficientCash, Have: ev.Cash.Balance, Need: need}
	}
	if !held && rows >= MaxRows {
		return Refusal{Reason: TooManyRows, Have: int64(rows), Need: MaxRows}
	}
	quantity, fits1 := add(row.Quantity, t.Quantity)
	cost, fits2 := add(row.Cost, t.Amount)
	paid, fits3 := add(ev.Cash.FeesPaid, t.Fees)
	if !fits1 || !fits2 || !fits3 {
		return tooLarge(t.Price)
	}
	ev.Cash.Balance -= need
	ev.Cash.FeesPaid = paid
	ev.Change = Increased
	if !held {
		ev.Change = Opened
	}
	ev.setRow(Row{Quantity: quantity, Cost: cost, Realised: row.Realised})
	return Refusal{}
}

// sell is buy's counterpart. A row that is not held has quantity 0.
func (ev *Event) sell(row Row) Refusal {
	t := &ev.Trade
	if t.Quantity > row.Quantity {
		return Refusal{Reason: InsufficientShares, Have: row.Quantity, Need: t.Quantity}
	}
	if short := t.Fees - t.Amount; short > ev.Cash.Balance {
		return Refusal{Reason: InsufficientCash, Have: ev.Cash.Balance, Need: short}
	}
	taken := share(row.Cost, t.Quantity, row.Quantity)
	balance, fits1 := add(ev.Cash.Balance, t.Amount-t.Fees)
	realised, fits2 := add(row.Realised, t.Amount-taken)
	realisedEver, fits3 := add(ev.Cash.Realised, t.Amount-taken)
	paid, fits4 := add(ev.Cash.FeesPaid, t.Fees)
	if !fits1 || !fits2 || !fits3 || !fits4 {
		return tooLarge(t.Price)
	}
	ev.Cash = Cash{Balance: balance, FeesPaid: paid, Realised: realisedEver}
	ev.Change = Decreased
	if t.Quantity == row.Quantity {
		ev.Change = Closed
	}
	ev.setRow(Row{Quantity: row.Quantity - t.Quantity, Cost: row.Cost - taken, Realised: realised})
	return Refusal{}
}

// setRow sets the row after the event, all of it sellable as these rules know no settlement.
func (ev *Event) setRow(row Row) {
	row.Version = ev.Seq
	row.Instrument = ev.Trade.Instrument
	ev.Position = Position{Row: row, Sellable: row.Quantity, Price: ev.Trade.Price}
}

// value sets the total market value after the event: that of the rows before it, but for the traded one, which was or
// would be at i, and that of the row after it.
func (ev *Event) value(rows []Row, i int, held bool, prices *market.Prices) Refusal {
	var v valuation
	v.add(ev.Position.Quantity, ev.Position.Price)
	v.addRows(rows[:i], prices)
	if held {
		i++
	}
	v.addRows(rows[i:], prices)
	total, fits := v.total()
	if !fits {
		return tooLarge(ev.Trade.Price)
	}
	ev.TotalMarketValue = total
	return Refusal{}
}

// DecideAdjustment says what booking a.Cash, which is negative for cash taken out, would do. It is the first event of
// an account that is not there yet. Cash never goes below 0 by it (InsufficientCash), nor past 64 bits (BadQuantity).
// The event keeps a, which must not be changed any more.
func (b *Book) DecideAdjustment(account uint64, a *Adjustment, prices *market.Prices, now int64, ev *Event) Refusal {
	*ev = Event{Account: account, Seq: 1, Time: now, Adjustment: a, Kind: KindAdjustment}
	var rows []Row
	if acc := b.find(account); acc != nil {
		ev.Seq, ev.Cash, rows = acc.seq+1, acc.cash, acc.rows
	}
	balance, fits1 := add(ev.Cash.Balance, a.Cash)
	var v valuation
	v.addRows(rows, prices)
	total, fits2 := v.total()
	switch {
	case balance < 0 && fits1:
		return Refusal{Reason: InsufficientCash, Have: ev.Cash.Balance, Need: a.Cash}
	case !fits1 || !fits2:
		return Refusal{Reason: BadQuantity, Have: ev.Cash.Balance, Need: a.Cash}
	}
	ev.Cash.Balance, ev.TotalMarketValue = balance, total
	return Refusal{}
}

// add is a+b; ok is false where that does not fit.
func add(a, b int64) (sum int64, ok bool) {
	sum = a + b
	return sum, (sum > a) == (b > 0)
}

// share is the part of cost that q of held shares take with them: cost*q/held, half to even, and so all of it where q
// is held. 0 < q <= held and cost >= 0, so that the part is never more than cost and Div64 cannot overflow.
func share(cost, q, held int64) int64 {
	high, low := bits.Mul64(uint64(cost), uint64(q))
	part, rest := bits.Div64(high, low, uint64(held))
	if left := uint64(held) - rest; rest > left || rest == left && part&1 == 1 {
		part++
	}
	return int64(part)
}
