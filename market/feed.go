package market

import (
	"sync"
	"sync/atomic"
	"time"
)

// Hours says when markets are open. Markets are named as in Instrument.Market. Its methods are called
// under the feed's lock, and must not block.
type Hours interface {
	// Day returns the number of the trading day that a moment belongs to: days from 1970-01-01 to its
	// date, in the market's zone.
	Day(market string, t int64) int32
	// Status returns StatusOpen, StatusClosed or StatusAuction.
	Status(market string, t int64) Status
	// Next returns the next moment after t at which the day or the status of any market changes.
	Next(t int64) int64
}

// FeedConfig configures a feed.
type FeedConfig struct {
	Hours Hours // nil: markets are always open, and days are those of UTC
	// KeepClose keeps the previous closes of the universe, and with them the day's limits, whatever day it
	// is. The walk, which goes around the previous close, needs it.
	KeepClose bool
}

// Feed holds the quotes as they are now. What changes them comes from one source or several: Apply. Any
// goroutine may call its methods; those that change quotes take turns.
type Feed struct {
	universe *Universe
	cfg      FeedConfig
	current  atomic.Pointer[Prices] // written under mu, read by all

	mu       sync.Mutex
	draft    draft
	days     []int32 // by instrument: the day of its figures
	known    []known // by instrument
	halted   []bool  // by instrument
	watchers []func(before, after *Prices, applied []Update)
	applied  []Update // scratch of Apply
	walk     *walk    // nil: nothing moves by itself

	outcomes [outcomeCount]atomic.Uint64 // written under mu, read by all
}

// noDay is the day of figures before the first update.
const noDay = -1 << 31

// NewFeed returns a feed that stands at the opening prices until it is told others.
func NewFeed(u *Universe, cfg FeedConfig) *Feed {
	if cfg.Hours == nil {
		cfg.Hours = alwaysOpen{}
	}
	f := &Feed{universe: u, cfg: cfg, days: make([]int32, u.Len()), known: make([]known, u.Len()),
		halted: make([]bool, u.Len())}
	for n := range f.days {
		f.days[n], f.halted[n] = noDay, u.At(ID(n)).Halted
	}
	f.draft.from = u.Opening()
	f.current.Store(f.draft.from)
	return f
}

// Fixed returns a feed that stays at the opening prices.
func Fixed(u *Universe) *Feed { return NewFeed(u, FeedConfig{KeepClose: true}) }

// Walk returns a feed whose prices move from the opening by a seeded random process. The
// same universe and seed give the same snapshots, step by step, whatever the clock says;
// only Time depends on it. Prices stay on the tick and within the day's limits. Prices of
// halted instruments do not move.
func Walk(u *Universe, seed uint64) *Feed { return NewWalk(u, WalkConfig{Seed: seed}) }

// Snapshot returns the latest quotes. It is one atomic load, and safe on any goroutine.
func (f *Feed) Snapshot() *Prices { return f.current.Load() }

// Watch has w called with each snapshot that differs from the one before, and with the updates that made
// it. The Size of those that say a trade is the number of shares that it adds to the volume. w is called
// under the feed's lock, in order; it must not block, and must not keep applied. Watch must be called
// before anything changes.
func (f *Feed) Watch(w func(before, after *Prices, applied []Update)) {
	f.watchers = append(f.watchers, w)
}

// Apply applies updates in their order, makes one snapshot of it as of now, and returns that.
// outcomes[i] says what became of updates[i]; it may be nil, and must be as long otherwise.
func (f *Feed) Apply(now int64, updates []Update, outcomes []Outcome) *Prices {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.apply(now, updates, outcomes)
}

func (f *Feed) apply(now int64, updates []Update, outcomes []Outcome) *Prices {
	f.applied = f.applied[:0]
	var counts [outcomeCount]uint64
	for i := range updates {
		outcome := f.applyOne(now, &updates[i])
		counts[outcome]++
		if outcomes != nil {
			outcomes[i] = outcome
		}
	}
	for o, n := range counts {
		if n > 0 {
			f.outcomes[o].Add(n)
		}
	}
	return f.publish(now)
}

// Count returns how many updates have had an outcome. Any goroutine may call it.
func (f *Feed) Count(o Outcome) uint64 { return f.outcomes[o].Load() }

func (f *Feed) applyOne(now int64, u *Update) Outcome {
	before := f.draft.quote(u.ID)
	q := before
	day := f.roll(u.ID, &q, u.Time)
	knows := f.known[u.ID].and(u)
	traded, outcome := u.apply(&q, knows)
	if outcome != Applied {
		return outcome
	}
	if u.Says&SaysStatus != 0 {
		f.halted[u.ID] = u.Status == StatusHalted
	}
	q.Status = f.status(u.ID, now)
	f.days[u.ID], f.known[u.ID] = day, knows
	if q != before {
		f.draft.set(u.ID, &q)
	}
	f.applied = append(f.applied, *u)
	f.applied[len(f.applied)-1].Size = traded
	return Applied
}

// roll begins the figures of a day that is newer than those of q, and returns the day of its figures. What
// comes after the close belongs to the next day, but its figures begin with its trading, be it an auction.
func (f *Feed) roll(id ID, q *Quote, t int64) int32 {
	m := f.universe.At(id).Market
	before, day := f.days[id], f.cfg.Hours.Day(m, t)
	switch {
	case before == noDay:
		return day
	case day <= before || f.cfg.Hours.Status(m, t) == StatusClosed:
		return before
	}
	q.Open, q.High, q.Low, q.Volume = 0, 0, 0, 0
	if !f.cfg.KeepClose {
		q.PreviousClose = q.Last
	}
	return day
}

func (f *Feed) status(id ID, t int64) Status {
	switch {
	case f.halted[id]:
		return StatusHalted
	case f.universe.At(id).AlwaysOpen:
		return StatusOpen
	}
	return f.cfg.Hours.Status(f.universe.At(id).Market, t)
}

// Turn changes what the clock alone changes: statuses at opens and closes, and at the beginning of a day
// its figures. It returns the snapshot, as of now. Whoever drives the feed calls it at the moments that
// Hours.Next gives.
func (f *Feed) Turn(now int64) *Prices { return f.TurnTo(now, now) }

// TurnTo is Turn for quotes whose times are not those of the clock, as in a replay: it changes what moment
// changes, and returns the snapshot, as of now.
func (f *Feed) TurnTo(moment, now int64) *Prices {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.applied = f.applied[:0]
	for n := range f.days {
		id := ID(n)
		before := f.draft.quote(id)
		q := before
		f.days[n] = f.roll(id, &q, moment)
		if q.Status = f.status(id, moment); q != before {
			f.draft.set(id, &q)
		}
	}
	return f.publish(now)
}

// publish makes what has changed the current snapshot, and shows it to the watchers.
func (f *Feed) publish(now int64) *Prices {
	before := f.draft.from
	after := f.draft.publish(now)
	if after == before {
		return before
	}
	f.current.Store(after)
	for _, w := range f.watchers {
		w(before, after, f.applied)
	}
	return after
}

// alwaysOpen are the hours of markets that never close.
type alwaysOpen struct{}

const dayNanoseconds = int64(24 * time.Hour)

func (alwaysOpen) Day(_ string, t int64) int32 { return int32(t / dayNanoseconds) }
func (alwaysOpen) Status(string, int64) Status { return StatusOpen }
func (alwaysOpen) Next(t int64) int64          { return (t/dayNanoseconds + 1) * dayNanoseconds }
