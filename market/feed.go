package market

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"
)

// Prices is a snapshot of all prices of a universe, in 1/10000 of the currency. It is immutable, so any goroutine may
// hold on to it.
type Prices struct {
	prices  []int64
	version uint64
	time    int64
}

// At is the price of an instrument. It panics where id is not of the universe the snapshot was made for.
func (p *Prices) At(id ID) int64 { return p.prices[id] }

// Len is how many prices there are: the length of the universe.
func (p *Prices) Len() int { return len(p.prices) }

// Version tells snapshots of one feed apart: 0 for the opening, one more with each snapshot in which a price changed.
func (p *Prices) Version() uint64 { return p.version }

// Time is when the snapshot was made, in nanoseconds since the Unix epoch; 0 for the opening.
func (p *Prices) Time() int64 { return p.time }

// With is a copy of the snapshot, one version on, in which one price is another. The price is taken as it is: what is
// on the tick and within limits is the concern of whoever sets prices.
func (p *Prices) With(id ID, price int64) *Prices {
	next := &Prices{prices: slices.Clone(p.prices), version: p.version + 1, time: p.time}
	next.prices[id] = price
	return next
}

// Feed is where prices come from. One goroutine owns it and calls Step, or lets Run do so; anyone may take a Snapshot.
type Feed struct {
	current atomic.Pointer[Prices] // written by the owner, read by all
	walk    *walk                  // the owner's; nil: the prices are fixed
}

// Fixed is a feed that stays at the opening prices.
func Fixed(u *Universe) *Feed {
	f := new(Feed)
	f.current.Store(u.Opening())
	return f
}

// Walk is a feed whose prices wander from the opening by a seeded process: the same universe and seed give the same
// snapshots, step by step, whatever the clock says (only Time comes from it). Prices stay on the tick and within the
// day's limits; those of halted instruments stand still.
func Walk(u *Universe, seed uint64) *Feed {
	f := Fixed(u)
	f.walk = newWalk(u, seed)
	return f
}

// Snapshot is the latest prices: one atomic load, from any goroutine.
func (f *Feed) Snapshot() *Prices { return f.current.Load() }

// Step makes the next snapshot, as of now (nanoseconds since the Unix epoch), and returns it; where no price changed,
// it returns the one before. Only the feed's owner may call it.
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

// Run owns the feed until ctx ends: it steps once an interval, which must be positive, and calls changed, unless that
// is nil, with each snapshot that differs from the one before. changed runs on Run's goroutine, so the next step waits
// for it.
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

// How the walk moves. About two of three instruments trade in a step, by at most moveBps of their price.
const (
	moveBps     = 6
	restOneIn   = 3
	walkStreams = 0x7061706572746170 // the walk's own stream of PCG, so that one seed can serve others too
)

// walk is a random walk that is drawn back: the further a price has gone from the previous close, the likelier is a
// step away from it turned round. A free walk would lie at its limits after a day, where nothing more is to be seen.
type walk struct {
	random  *rand.Rand
	bounded []bounds
}

type bounds struct {
	close, low, high, tick int64
	halted                 bool
}

func newWalk(u *Universe, seed uint64) *walk {
	w := &walk{random: rand.New(rand.NewPCG(seed, walkStreams)), bounded: make([]bounds, u.Len())}
	for n := range w.bounded {
		i := u.At(ID(n))
		low, high := i.Limits()
		w.bounded[n] = bounds{close: i.PreviousClose, low: low, high: high, tick: i.Tick, halted: i.Halted}
	}
	return w
}

// step moves prices, in place, to the next.
func (w *walk) step(prices []int64) {
	for n := range prices {
		if b := &w.bounded[n]; !b.halted && w.random.IntN(restOneIn) > 0 {
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
