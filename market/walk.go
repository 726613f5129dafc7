package market

import "math/rand/v2"

// Parameters of the walk. About two thirds of the instruments trade in a step, and move by
// at most moveBps of their price.
const (
	moveBps     = 6
	restOneIn   = 3
	walkStreams = 0x7061706572746170 // a PCG stream of its own, so that one seed can serve other processes too
	sideStreams = 0x73697a65         // of sides and sizes, so that they do not change what prices a seed gives
	lotsMax     = 50                 // shares of a trade, and on a side, in lots
)

// walk is a mean-reverting random walk: the further a price is from the previous close, the
// more likely a step away from it is reversed. A free walk would be stuck at its limits
// after a day.
type walk struct {
	random  *rand.Rand
	sides   *rand.Rand
	bounds  []bounds
	prices  []int64
	updates []Update // scratch of step
	spread  int64    // ticks between bid and ask
}

type bounds struct {
	close, low, high, tick, lot int64
	ticks                       *Ticks // nil: tick everywhere
	halted                      bool
}

// tickAt returns the price step at a price.
func (b *bounds) tickAt(price int64) int64 {
	if b.ticks == nil {
		return b.tick
	}
	return b.ticks.At(price)
}

// onTick returns the price at or below price that is on the tick.
func (b *bounds) onTick(price int64) int64 {
	if b.ticks == nil {
		return price // which steps of one size never leave
	}
	return price - price%b.ticks.At(price)
}

func newWalk(u *Universe, seed uint64, spread int64) *walk {
	w := &walk{
		random: rand.New(rand.NewPCG(seed, walkStreams)), sides: rand.New(rand.NewPCG(seed, sideStreams)),
		bounds: make([]bounds, u.Len()), prices: make([]int64, u.Len()), spread: spread,
	}
	for n := range w.bounds {
		i := u.At(ID(n))
		low, high := i.Limits()
		w.bounds[n] = bounds{close: i.PreviousClose, low: low, high: high, tick: i.Tick, lot: int64(i.Lot),
			ticks: i.Ticks, halted: i.Halted}
		w.prices[n] = i.PreviousClose
	}
	return w
}

// step moves the prices, and returns a trade of each instrument that moved.
func (w *walk) step(now int64) []Update {
	w.updates = w.updates[:0]
	for n := range w.prices {
		b := &w.bounds[n]
		if b.halted || w.random.IntN(restOneIn) == 0 {
			continue
		}
		before := w.prices[n]
		if w.prices[n] = w.next(before, b); w.prices[n] != before {
			w.updates = append(w.updates, w.trade(ID(n), b, now))
		}
	}
	return w.updates
}

func (w *walk) next(price int64, b *bounds) int64 {
	tick := b.tickAt(price)
	ticks := 1 + w.random.Int64N(max(price*moveBps/(wholeBps*tick), 1))
	if w.random.IntN(2) == 0 {
		ticks = -ticks
	}
	away, room := price-b.close, b.high-b.close
	if away < 0 {
		away, room = -away, b.close-b.low
	}
	outward := (ticks > 0) == (price > b.close)
	if outward && away > 0 && w.random.Int64N(room) < away {
		ticks = -ticks
	}
	return b.onTick(min(max(price+ticks*tick, b.low), b.high))
}

// trade is a trade at an instrument's price, which is the bid or the ask after it.
func (w *walk) trade(id ID, b *bounds, now int64) Update {
	price := w.prices[id]
	lots := func() int64 { return b.lot * (1 + w.sides.Int64N(lotsMax)) }
	u := Update{
		ID: id, Time: now, Says: SaysBid | SaysAsk | SaysBidSize | SaysAskSize | SaysLast | SaysSize,
		Last: price, Bid: price, Ask: price, Size: lots(), BidSize: lots(), AskSize: lots(),
	}
	if bought := w.sides.IntN(2) == 0; bought {
		u.Bid = b.onTick(max(price-w.spread*b.tickAt(price), b.low))
	} else {
		u.Ask = b.onTick(min(price+w.spread*b.tickAt(price), b.high))
	}
	return u
}
