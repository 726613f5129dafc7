package positions

import (
	"fmt"
	"math/bits"

	"github.com/papertape/papertape/market"
)

// noFees is the fee of every trade under today's rules. Fees already go through the
// arithmetic, so rules that charge them need only supply them.
const noFees = 0

// Decide returns what o would do at prices and at time now (nanoseconds since the Unix
// epoch), without doing it. It overwrites all of ev, or returns a refusal and leaves the
// contents of ev undefined. The book does not change. A market order fills completely: a
// buy at the ask, a sale at the bid, and where the snapshot has no such side, at the price
// last traded. A limit order does the same if that price is at the limit or better. While
// the market is closed, nothing fills.
//
// o.Instrument must be of the book's universe and o.Side must be Buy or Sell; anything else
// is a bug, and panics.
func (b *Book) Decide(o *Order, prices *market.Prices, now int64, ev *Event) Refusal {
	return b.decide(o, prices, now, noFees, ev)
}

func (b *Book) decide(o *Order, prices *market.Prices, now, fees int64, ev *Event) Refusal {
	acc := b.find(o.Account)
	if acc == nil {
		return Refusal{Reason: UnknownAccount}
	}
	if prices.Status(o.Instrument) == market.StatusClosed {
		return Refusal{Reason: MarketClosed}
	}
	price := o.priceIn(prices)
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

// priceIn returns the price at which o fills.
func (o *Order) priceIn(prices *market.Prices) int64 {
	side := prices.Bid(o.Instrument)
	if o.Side == Buy {
		side = prices.Ask(o.Instrument)
	}
	if side == 0 {
		return prices.At(o.Instrument)
	}
	return side
}

// judge makes the checks that need no account, and returns the order's amount at price.
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

// tooLarge refuses an order whose result would not fit 64 bits at a price.
func tooLarge(price int64) Refusal {
	return Refusal{Reason: BadQuantity, Have: price, Need: MaxOrderShares}
}

// buy completes a buy: it sets the cash, row and change of ev, whose trade and previous
// cash are set. row is the row before the trade.
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

// sell is the counterpart of buy. A row that is not held has quantity 0.
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

// setRow sets the row after the event. All shares are sellable, as there are no settlement
// rules.
func (ev *Event) setRow(row Row) {
	row.Version = ev.Seq
	row.Instrument = ev.Trade.Instrument
	ev.Position = Position{Row: row, Sellable: row.Quantity, Price: ev.Trade.Price}
}

// value sets the total market value after the event: the rows in rows except the traded
// one, which is or would be at index i, plus the new row.
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

// DecideAdjustment returns what booking a.Cash would do; a negative amount takes cash out.
// If the account does not exist, the adjustment is its first event. An adjustment may not
// take cash below 0 (InsufficientCash) or past 64 bits (BadQuantity). The event keeps a,
// which must not change afterwards.
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

// add returns a+b; ok is false if the sum does not fit.
func add(a, b int64) (sum int64, ok bool) {
	sum = a + b
	return sum, (sum > a) == (b > 0)
}

// share returns the cost of q out of held shares: cost*q/held, rounded half to even, so all
// of the cost if q is held. 0 < q <= held and cost >= 0, so the result is at most cost and
// Div64 cannot overflow.
func share(cost, q, held int64) int64 {
	high, low := bits.Mul64(uint64(cost), uint64(q))
	part, rest := bits.Div64(high, low, uint64(held))
	if left := uint64(held) - rest; rest > left || rest == left && part&1 == 1 {
		part++
	}
	return int64(part)
}
