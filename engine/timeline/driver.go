// Package timeline has a server live in the time of a tape: its clock shows when the newest quotes were
// made, and goes on when everything that was to happen at them has happened.
//
//	d, err := timeline.New(timeline.Config{Tape: reader, Feed: feed})    // the clock shows the tape's first moment
//	eng, err := engine.New(engine.Config{Clock: d.Now, Prices: feed.Snapshot, …})
//	…                                                                   // recovery
//	err = d.SkipTo(ctx, newest)                                         // a ledger that has seen a part of it
//	err = d.Run(ctx, eng, flow.OnTape(d.Now(), nil), script.OnTape(eng, d.Now()))
//
// A moment is one of the tape, one at which a market opens, closes or begins a day, or one that a player
// asks for. At each of them, in this order:
//
//  1. the clock is set;
//  2. what the tape says is published, as one snapshot;
//  3. the driver waits until the engine has settled. Orders that rest would be matched with the snapshot here;
//  4. days and trading sessions begin and end;
//  5. each player makes its requests;
//  6. the driver waits until the engine has settled.
//
// So nothing depends on how fast the machine is, on how many shards there are or on which processor they
// run, as long as nobody else acts on the engine.
package timeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync/atomic"
	"time"

	"github.com/papertape/papertape/market"
)

// Tape is what has happened on a market, moment by moment.
type Tape interface {
	// Next returns all updates of the next moment, in nanoseconds since the Unix epoch. None is before
	// than the one before. The updates are valid until the next call. The error is io.EOF when there are
	// no more.
	Next() (moment int64, updates []market.Update, err error)
}

// Player makes requests of its own. Its methods are called on the goroutine of Run.
type Player interface {
	// Next returns when there is to be a moment at the latest, even if the tape has none. ok is false if
	// that is all the same.
	Next() (at int64, ok bool)
	// Play submits the requests that are due at now. They have to be taken when it returns, but need not be
	// decided. An error, other than that of ctx, ends the run.
	Play(ctx context.Context, now int64) error
}

// Settler waits until all that was submitted before has been decided. An engine is one.
type Settler interface {
	Settle(ctx context.Context) error
}

// Config describes a driver. Tape and Feed are required.
type Config struct {
	Tape Tape
	Feed *market.Feed
	// Hours are those of the feed. nil: markets never close.
	Hours market.Hours
	// Speed is how much faster than the machine's clock the tape's may go; 0: as fast as all is done.
	Speed float64
	// Interfered, unless nil, is called once, when Interfere is called for the first time.
	Interfered func(by string)
}

// ErrEmpty says that a tape has no moment at all.
var ErrEmpty = errors.New("nothing of it can be used")

// Driver drives a feed, and everything that acts on the engine, from moment to moment.
type Driver struct {
	cfg Config

	// Read by any goroutine.
	now        atomic.Int64
	moments    atomic.Uint64
	updates    atomic.Uint64 // applied
	refused    atomic.Uint64 // not applied
	interfered atomic.Pointer[string]
	ended      atomic.Bool // the tape has no further moment

	// Owned by the goroutine that calls New, SkipTo and Run.
	first    int64 // moment of the tape
	at       int64 // its next moment; unless ended
	next     []market.Update
	turn     int64 // when the hours want to be asked next
	outcomes []market.Outcome
}

// New returns a driver whose clock shows the first moment of the tape. The error wraps ErrEmpty if there is none.
func New(cfg Config) (*Driver, error) {
	d := &Driver{cfg: cfg, turn: math.MaxInt64}
	if err := d.read(); err != nil {
		return nil, err
	}
	if d.ended.Load() {
		return nil, ErrEmpty
	}
	if d.first = d.at; cfg.Hours != nil {
		d.turn = d.first
	}
	d.now.Store(d.first)
	return d, nil
}

// Now returns what the clock shows, in nanoseconds since the Unix epoch. Any goroutine may call it.
func (d *Driver) Now() int64 { return d.now.Load() }

// read reads the next moment.
func (d *Driver) read() error {
	before, read := d.at, d.next != nil
	var err error
	d.at, d.next, err = d.cfg.Tape.Next()
	switch {
	case errors.Is(err, io.EOF):
		d.ended.Store(true)
		return nil
	case err != nil:
		return fmt.Errorf("the tape after %s: %w", instant(before), err)
	case read && d.at < before:
		return fmt.Errorf("the tape goes from %s back to %s", instant(before), instant(d.at))
	}
	return nil
}

func instant(t int64) string { return time.Unix(0, t).UTC().Format(time.RFC3339Nano) }

// SkipTo has the feed follow the tape up to a moment, that one included, without anything else happening,
// and sets the clock to it. It does nothing if the clock shows a later moment. Run then goes on with
// the moments after it, of which there are none if Ended.
func (d *Driver) SkipTo(ctx context.Context, moment int64) error {
	if moment < d.Now() {
		return nil
	}
	for !d.ended.Load() && min(d.at, d.turn) <= moment {
		if err := ctx.Err(); err != nil {
			return err
		}
		now := min(d.at, d.turn)
		if err := d.publish(now); err != nil {
			return err
		}
		d.turnAt(now)
	}
	d.now.Store(moment)
	return nil
}

// Ended reports whether the tape has no further moment. Any goroutine may call it.
func (d *Driver) Ended() bool { return d.ended.Load() }

// Run goes through the rest of the tape. It returns nil at the end of it, else the error of ctx, of the tape
// or of a player.
func (d *Driver) Run(ctx context.Context, engine Settler, players ...Player) error {
	began, from := time.Now(), d.Now()
	for !d.ended.Load() {
		now := d.nextMoment(players)
		if err := d.pace(ctx, began, now-from); err != nil {
			return err
		}
		if err := d.moment(ctx, now, engine, players); err != nil {
			return err
		}
	}
	return nil
}

// nextMoment returns the next moment at which something happens.
func (d *Driver) nextMoment(players []Player) int64 {
	next := min(d.at, d.turn)
	for _, p := range players {
		if at, ok := p.Next(); ok {
			next = min(next, at)
		}
	}
	return max(next, d.Now()) // a player may be late
}

// Slowed returns how long a time of the tape takes at a speed, some 70 years at the most.
func Slowed(passed int64, speed float64) time.Duration {
	return time.Duration(min(float64(passed)/speed, math.MaxInt64/4))
}

// pace waits until the machine's clock has come as far as the tape's may.
func (d *Driver) pace(ctx context.Context, began time.Time, passed int64) error {
	if d.cfg.Speed == 0 {
		return ctx.Err()
	}
	wait := time.Until(began.Add(Slowed(passed, d.cfg.Speed)))
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// moment does all that is done at one moment.
func (d *Driver) moment(ctx context.Context, now int64, engine Settler, players []Player) error {
	d.now.Store(now)
	if err := d.publish(now); err != nil {
		return err
	}
	if err := engine.Settle(ctx); err != nil {
		return err
	}
	d.turnAt(now)
	for _, p := range players {
		if err := p.Play(ctx, now); err != nil {
			return err
		}
	}
	d.moments.Add(1)
	return engine.Settle(ctx)
}

// publish applies what the tape says at now, if it says anything, and reads its next moment.
func (d *Driver) publish(now int64) error {
	if d.at != now {
		return nil
	}
	d.outcomes = append(d.outcomes[:0], make([]market.Outcome, len(d.next))...)
	d.cfg.Feed.Apply(now, d.next, d.outcomes)
	applied := uint64(0)
	for _, o := range d.outcomes {
		if o == market.Applied {
			applied++
		}
	}
	d.updates.Add(applied)
	d.refused.Add(uint64(len(d.next)) - applied)
	return d.read()
}

// turnAt has days and trading sessions begin and end, if it is the time for it.
func (d *Driver) turnAt(now int64) {
	if now >= d.turn {
		d.turn = d.cfg.Hours.Next(now)
		d.cfg.Feed.Turn(now)
	}
}

// Interfere notes that somebody from outside acts on the engine, so that another run of the same tape need
// not come to the same result. by says who or what it was. Any goroutine may call it; it is cheap if
// it is not the first call.
func (d *Driver) Interfere(by string) {
	if d.interfered.Load() == nil && d.interfered.CompareAndSwap(nil, &by) && d.cfg.Interfered != nil {
		d.cfg.Interfered(by)
	}
}

// State is how far a driver is.
type State struct {
	First, Now int64  // the tape's first moment, and the clock; in nanoseconds since the Unix epoch
	Moments    uint64 // played; those that were skipped do not count
	Updates    uint64 // of quotes, that the feed has taken
	Refused    uint64 // of quotes, that the feed has not taken
	Ended      bool
	Interfered string // by whom first; empty: another run comes to the same result
}

// State returns how far the driver is. Any goroutine may call it.
func (d *Driver) State() State {
	s := State{First: d.first, Now: d.Now(), Moments: d.moments.Load(), Updates: d.updates.Load(),
		Refused: d.refused.Load(), Ended: d.Ended()}
	if by := d.interfered.Load(); by != nil {
		s.Interfered = *by
	}
	return s
}
