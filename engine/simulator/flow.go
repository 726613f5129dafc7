// Package simulator makes fills that no client ordered: a seeded flow over all accounts, and
// scenario scripts that define who does what when. Both take the path of client orders: through the
// shards' inboxes, decided by the book, journalled, pushed.
//
//	flow := simulator.NewFlow(eng, simulator.FlowConfig{Accounts: 100, Seed: 1, Rate: 1})
//	go flow.Run(ctx)                 // until ctx ends
//	err := flow.SetRate(2000)        // fills a second, while it runs
//
// Under the clock of a tape both are driven from moment to moment instead: Flow.OnTape, Runner.OnTape.
package simulator

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/tally"
)

// RateMax is the largest rate, in fills a second.
const RateMax = 10_000_000

const (
	// submitInterval is the shortest time between two submissions. If fills are rarer than that,
	// each is submitted when it is due.
	submitInterval = 5 * time.Millisecond
	// burstMax bounds the fills submitted at once: as many as the rate gives in this time.
	burstMax = 100 * time.Millisecond
)

// FlowConfig configures a flow.
type FlowConfig struct {
	Accounts int     // how many accounts, from FirstAccount on
	Seed     uint64  // the same seed makes the same sequence of draws
	Rate     float64 // fills per second over all accounts; 0: off
	Universe *market.Universe
}

// State counts what a flow has done since it was made.
type State struct {
	Rate       float64 // what it makes now: 0 while it is paused
	Paused     bool
	Remembered float64 // the rate at which it goes on: the one that is set, or if that is 0, the last that was not
	Fills      uint64  // draws that were executed
	Refused    uint64  // draws that the book refused
	None       uint64  // draws for which the account had no suitable trade
	Skipped    uint64  // draws dropped because the shard's inbox was full or the flow fell behind
}

// Flow is the seeded flow of simulated trades.
type Flow struct {
	eng *engine.Engine
	cfg FlowConfig

	mu sync.Mutex
	// Shared, under mu.
	set, remembered float64
	paused          bool

	// Shared.
	rate                          atomic.Uint64 // math.Float64bits; what it makes now
	changed                       chan struct{} // has a buffer of one; signals that the rate was set
	fills, refused, none, skipped atomic.Uint64

	// Owned by Run, or by a TapeFlow.
	rng     *rand.Rand
	batches [][]engine.Request // by shard
}

// NewFlow returns a flow that is not running yet.
func NewFlow(eng *engine.Engine, cfg FlowConfig) (*Flow, error) {
	f := &Flow{eng: eng, cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, flowStream)),
		batches: make([][]engine.Request, eng.Shards()), changed: make(chan struct{}, 1)}
	return f, f.SetRate(cfg.Rate)
}

// flowStream separates the flow's random numbers from others that are made from the same seed.
const flowStream = 0x666c6f77

// SetRate changes the rate, and ends a pause. Any goroutine may call it.
func (f *Flow) SetRate(rate float64) error { return f.Change(&rate, nil) }

// Change changes the rate, pauses the flow or has it go on; nil leaves it. A rate without a word about a
// pause ends it. A flow that goes on, and whose rate is 0, goes on at the last rate that was not. Any
// goroutine may call it.
func (f *Flow) Change(rate *float64, paused *bool) error {
	if rate != nil && (math.IsNaN(*rate) || *rate < 0 || *rate > RateMax) {
		return fmt.Errorf("a rate of %v fills a second: it must be between 0 (off) and %d", *rate, RateMax)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if rate != nil {
		f.set, f.paused = *rate, false
	}
	if f.set > 0 {
		f.remembered = f.set
	}
	if paused != nil {
		f.paused = *paused
		if !f.paused && rate == nil {
			f.set = f.remembered
		}
	}
	now := f.set
	if f.paused {
		now = 0
	}
	f.rate.Store(math.Float64bits(now))
	select {
	case f.changed <- struct{}{}:
	default:
	}
	return nil
}

// State returns the flow's counters. Any goroutine may call it.
func (f *Flow) State() State {
	f.mu.Lock()
	defer f.mu.Unlock()
	return State{
		Rate: math.Float64frombits(f.rate.Load()), Paused: f.paused, Remembered: f.remembered,
		Fills: f.fills.Load(), Refused: f.refused.Load(), None: f.none.Load(), Skipped: f.skipped.Load(),
	}
}

// Run makes fills until ctx ends.
func (f *Flow) Run(ctx context.Context) {
	if f.cfg.Accounts == 0 {
		return
	}
	wake := time.NewTimer(submitInterval)
	defer wake.Stop()
	last, due, rate := time.Now(), 0.0, 0.0
	for {
		select {
		case <-ctx.Done():
			return
		case <-wake.C:
		case <-f.changed:
		}
		now := time.Now()
		due += rate * now.Sub(last).Seconds()
		last, rate = now, math.Float64frombits(f.rate.Load())
		if dueMax := max(2, rate*burstMax.Seconds()); due > dueMax {
			// The machine was busy: drop the backlog, or it stays busy.
			f.skipped.Add(uint64(due - dueMax))
			due = dueMax
		}
		n := int(due)
		due -= float64(n)
		f.submit(n)
		wake.Reset(wakeDelay(rate, due))
	}
}

// wakeDelay returns how long to sleep, at the given rate, when the fraction due of the next fill is
// due already. So a server that makes one fill per second, or none, is not woken two hundred times
// a second.
func wakeDelay(rate, due float64) time.Duration {
	if rate == 0 {
		return math.MaxInt64 // until the rate is set
	}
	return max(submitInterval, time.Duration(min((1-due)/rate, 3600)*float64(time.Second)))
}

// draw makes n draws, and appends them to the batches.
func (f *Flow) draw(n int) {
	asked := tally.Now()
	for range n {
		account := FirstAccount + f.rng.Uint64N(uint64(f.cfg.Accounts))
		shard := f.eng.ShardOf(account)
		r := engine.Request{Kind: engine.KindDecide, Decider: f, Arg: f.rng.Uint64(), Asked: asked}
		r.Account = account
		f.batches[shard] = append(f.batches[shard], r)
	}
}

// submit submits n draws.
func (f *Flow) submit(n int) {
	f.draw(n)
	for i, batch := range f.batches {
		if len(batch) == 0 {
			continue
		}
		taken := f.eng.Submit(batch[0].Account, batch)
		f.skipped.Add(uint64(len(batch) - taken))
		clear(batch)
		f.batches[i] = batch[:0]
	}
}

// flowRowsMax is how many rows an account may have before the flow stops opening more: about as
// many as it opens with.
const flowRowsMax = 12

// Decide makes the order of one draw. It runs on the drainers, so it uses only its arguments and
// the configuration.
func (f *Flow) Decide(
	v positions.View, prices *market.Prices, _ int64, draw uint64, orders []positions.Order,
) []positions.Order {
	if o, ok := Draw(v, prices, f.cfg.Universe, rand.New(rand.NewPCG(draw, f.cfg.Seed))); ok {
		orders = append(orders, o)
	}
	return orders
}

// Draw returns a trade that suits the account: rows are opened about as often as closed, and grow
// and shrink in between. It returns false if no trade suits the account.
func Draw(v positions.View, prices *market.Prices, u *market.Universe, rng *rand.Rand) (positions.Order, bool) {
	held := v.Len()
	o := positions.Order{Account: v.Account(), Origin: positions.OriginSimulator, Quantity: int64(1+rng.IntN(10)) * 100}
	move := rng.IntN(4)
	switch {
	case held == 0 || move == 0 && held < flowRowsMax: // open
		o.Side, o.Instrument = positions.Buy, u.ListedIDs()[rng.IntN(u.Listed())]
	case move == 1: // increase
		o.Side, o.Instrument = positions.Buy, v.Row(rng.IntN(held)).Instrument
	default: // decrease or close
		row := v.Row(rng.IntN(held))
		o.Side, o.Instrument = positions.Sell, row.Instrument
		if move == 2 && row.Quantity > 1 {
			o.Quantity = min(o.Quantity, row.Quantity-1)
		} else {
			o.Quantity = row.Quantity
		}
	}
	if o.Side == positions.Sell {
		return o, true
	}
	price := max(prices.Ask(o.Instrument), prices.At(o.Instrument))
	if affordable := v.Cash().Balance / price; affordable < o.Quantity {
		if held == 0 {
			o.Quantity = affordable
			return o, affordable > 0
		}
		row := v.Row(rng.IntN(held)) // out of cash: sell instead
		o.Side, o.Instrument, o.Quantity = positions.Sell, row.Instrument, row.Quantity
	}
	return o, true
}

// Done counts the result.
func (f *Flow) Done(_ uint64, events []positions.Event, r positions.Refusal) {
	switch {
	case len(events) > 0:
		f.fills.Add(1)
	case r.Reason != positions.NoRefusal:
		f.refused.Add(1)
	default:
		f.none.Add(1)
	}
}
