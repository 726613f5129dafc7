package market

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"
)

// Prices is a snapshot of all prices of a universe, in 1/10000 of the currency. It is
// immutable, so any goroutine may keep it.
type Prices struct {
	prices  []int64
	version uint64
	time    int64
}

// At returns the price of an instrument. It panics if id is not in the snapshot's universe.
func (p *Prices) At(id ID) int64 { return p.prices[id] }

// Len returns the number of prices, which is the length of the universe.
func (p *Prices) Len() int { return len(p.prices) }

// Version numbers the snapshots of a feed: 0 for the opening, plus one for each snapshot in
// which a price changed.
func (p *Prices) Version() uint64 { return p.version }

// Time returns when the snapshot was made, in nanoseconds since the Unix epoch, or 0 for
// the opening.
func (p *Prices) Time() int64 { return p.time }

// With returns a copy of the snapshot, one version later, with one price replaced. It does
// not check the price against tick and limits; that is up to whoever sets prices.
func (p *Prices) With(id ID, price int64) *Prices {
	next := &Prices{prices: slices.Clone(p.prices), version: p.version + 1, time: p.time}
	next.prices[id] = price
	return next
}

// Feed supplies prices. One goroutine owns it and calls Step or Run. Any goroutine may call
// Snapshot.
type Feed struct {
	current atomic.Pointer[Prices] // written by the owner, read by all
	walk    *walk                  // used by the owner only; nil: the prices are fixed
}

// Fixed returns a feed that stays at the opening prices.
func Fixed(u *Universe) *Feed {
	f := new(Feed)
	f.current.Store(u.Opening())
	return f
}

// Walk returns a feed whose prices move from the opening by a seeded random process. The
// same universe and seed give the same snapshots, step by step, whatever the clock says;
// only Time depends on it. Prices stay on the tick and within the day's limits. Prices of
// halted instruments do not move.
func Walk(u *Universe, seed uint64) *Feed {
	f := Fixed(u)
	f.walk = newWalk(u, seed)
	return f
}

// Snapshot returns the latest prices. It is one atomic load, and safe on any goroutine.
func (f *Feed) Snapshot() *Prices { return f.current.Load() }

// Step makes and returns the next snapshot, as of now (nanoseconds since the Unix epoch).
// If no price changed, it returns the previous snapshot. Only the feed's owner may call it.
func (f *Feed) Step(now int64) *Prices {
	before := f.current.Load()
	if f.walk == nil {
		return before
	}
	prices := slices.Clone(before.prices)
	f.walk.step(prices)
	if slices.Equal(prices, before.prices) {
		return before
	}
	next := &Prices{prices: prices, version: before.version + 1, time: now}
	f.current.Store(next)
	return next
}

// Run owns the feed until ctx ends. It steps once per interval, which must be positive. It
// calls changed, unless nil, with each snapshot that differs from the previous one. changed
// runs on Run's goroutine, so the next step waits for it.
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

// Parameters of the walk. About two thirds of the instruments trade in a step, and move by
// at most moveBps of their price.
const (
	moveBps     = 6
	restOneIn   = 3
	walkStreams = 0x7061706572746170 // a PCG stream of its own, so that one seed can serve other processes too
)

// walk is a mean-reverting random walk: the further a price is from the previous close, the
// more likely a step away from it is reversed. A free walk would be stuck at its limits
// after a day.
type walk struct {
	random *rand.Rand
	bounds []bounds
}

type bounds struct {
	close, low, high, tick int64
	halted                 bool
}

func newWalk(u *Universe, seed uint64) *walk {
	w := &walk{random: rand.New(rand.NewPCG(seed, walkStreams)), bounds: make([]bounds, u.Len())}
	for n := range w.bounds {
		i := u.At(ID(n))
		low, high := i.Limits()
		w.bounds[n] = bounds{close: i.PreviousClose, low: low, high: high, tick: i.Tick, halted: i.Halted}
	}
	return w
}

// step moves prices, in place.
func (w *walk) step(prices []int64) {
	for n := range prices {
		if b := &w.bounds[n]; !b.halted && w.random.IntN(restOneIn) > 0 {
			prices[n] = w.next(prices[n], b)
		}
	}
}

func (w *walk) next(price int64, b *bounds) int64 {
	ticks := 1 + w.random.Int64N(max(price*moveBps/(wholeBps*b.tick), 1))
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
	return min(max(price+ticks*b.tick, b.low), b.high)
}
