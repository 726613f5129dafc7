package market

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

// Parameters of the walk. About two thirds of the instruments trade in a step, and move by
// at most moveBps of their price.
const (
	moveBps     = 6
	restOneIn   = 3
	walkStreams = 0x7061706572746170 // a PCG stream of its own, so that one seed can serve other processes too
	sideStreams = 0x73697a65         // of sides and sizes, so that they do not change what prices a seed gives
	lotsMax     = 50                 // shares of a trade, and on a side, in lots
)

// WalkConfig configures a walk.
type WalkConfig struct {
	Seed        uint64
	SpreadTicks int64 // between bid and ask; it changes no price of a trade
	Hours       Hours // as in FeedConfig
}

// NewWalk is Walk, with a spread and with hours. Prices are a function of universe, seed and number of the
// step: hours decide when there are steps, and what of them is shown.
func NewWalk(u *Universe, cfg WalkConfig) *Feed {
	f := NewFeed(u, FeedConfig{Hours: cfg.Hours, KeepClose: true})
	f.walk = newWalk(u, cfg.Seed, cfg.SpreadTicks)
	return f
}

// Step makes and returns the next snapshot of a walk, as of now (nanoseconds since the Unix epoch).
// If nothing changed, it returns the previous snapshot. While no market is open there is no step, and
// instruments that are not open keep their quotes in it.
func (f *Feed) Step(now int64) *Prices {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.walk == nil || !f.anyOpen(now) {
		return f.draft.from
	}
	now = max(now, f.draft.from.time) // the clock may step back, and nothing would be newer for as long
	updates := slices.DeleteFunc(f.walk.step(now), func(u Update) bool { return f.status(u.ID, now) != StatusOpen })
	return f.apply(now, updates, nil)
}

// anyOpen reports whether any market of the universe is open.
func (f *Feed) anyOpen(t int64) bool {
	return slices.ContainsFunc(f.walk.markets, func(m string) bool { return f.cfg.Hours.Status(m, t) == StatusOpen })
}

// Run steps a walk once per interval, which must be positive, until ctx ends. It calls changed, unless
// nil, with each snapshot that differs from the previous one. changed runs on Run's goroutine, so the
// next step waits for it.
func (f *Feed) Run(ctx context.Context, interval time.Duration, changed func(*Prices)) {
	if f.walk == nil {
		<-ctx.Done()
		return
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			before := f.current.Load()
			if next := f.Step(now.UnixNano()); next != before && changed != nil {
				changed(next)
			}
		}
	}
}

// walk is a mean-reverting random walk: the further a price is from the previous close, the
// more likely a step away from it is reversed. A free walk would be stuck at its limits
// after a day.
type walk struct {
	seed, number uint64 // number of steps made
	random       stream
	sides        stream
	bounds       []bounds
	prices       []int64
	markets      []string // of the universe
	updates      []Update // scratch of step
	spread       int64    // ticks between bid and ask
}

// stream draws numbers. Its state can be kept.
type stream struct {
	*rand.Rand
	state *rand.PCG
}

func newStream(seed, number uint64) stream {
	state := rand.NewPCG(seed, number)
	return stream{rand.New(state), state}
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
		seed: seed, random: newStream(seed, walkStreams), sides: newStream(seed, sideStreams),
		bounds: make([]bounds, u.Len()), prices: make([]int64, u.Len()), spread: spread,
	}
	for n := range w.bounds {
		i := u.At(ID(n))
		low, high := i.Limits()
		w.bounds[n] = bounds{close: i.PreviousClose, low: low, high: min(high, MaxPrice-MaxPrice%i.Tick), tick: i.Tick,
			ticks: i.Ticks, lot: int64(i.Lot), halted: i.Halted}
		w.prices[n] = i.PreviousClose
		if !slices.Contains(w.markets, i.Market) {
			w.markets = append(w.markets, i.Market)
		}
	}
	return w
}

// step moves the prices, and returns a trade of each instrument that moved.
func (w *walk) step(now int64) []Update {
	w.number++
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
