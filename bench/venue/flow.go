package venue

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/positions"
)

const (
	beat     = 5 * time.Millisecond // how often the fills that are due are made
	burstMax = 100 * time.Millisecond
)

// Run moves the prices and makes simulated fills until ctx ends, rate per second over all
// accounts. It passes each fill to submit, which arranges a call of DoFill, or returns
// false if there is no room for it.
func (v *Venue) Run(ctx context.Context, rate float64, submit func(account, draw uint64) bool) {
	var work sync.WaitGroup
	if v.cfg.PriceInterval > 0 {
		work.Go(func() { v.feed.Run(ctx, v.cfg.PriceInterval, nil) })
	}
	if rate > 0 {
		work.Go(func() { v.flow(ctx, rate, submit) })
	}
	work.Wait()
}

// flow keeps the rate. If it falls behind by more than a moment, the missing fills are
// skipped: the machine is busy enough.
func (v *Venue) flow(ctx context.Context, rate float64, submit func(account, draw uint64) bool) {
	rng := rand.New(rand.NewPCG(v.cfg.Seed, 1))
	tick := time.NewTicker(beat)
	defer tick.Stop()
	last, due := time.Now(), 0.0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		due += rate * now.Sub(last).Seconds()
		last = now
		if most := max(1, rate*burstMax.Seconds()); due > most {
			v.stats.Skipped.Add(uint64(due - most))
			due = most
		}
		for ; due >= 1; due-- {
			if !submit(simulator.FirstAccount+rng.Uint64N(uint64(len(v.accounts))), rng.Uint64()) {
				v.stats.Skipped.Add(1)
			}
		}
	}
}

// DoFill makes one simulated fill of an account.
func (v *Venue) DoFill(number, draw uint64) {
	v.serialise(v.accountOf(number), nil, &Request{Draw: draw})
}

// fill draws a trade as Papertape's simulator does, and executes it.
func (v *Venue) fill(a *account, draw uint64) {
	prices := v.feed.Snapshot()
	rng := rand.New(rand.NewPCG(draw, v.cfg.Seed))
	var ev positions.Event
	v.mu.Lock()
	view, _ := v.book.View(a.number)
	o, ok := simulator.Draw(view, prices, v.universe, rng)
	ok = ok && v.book.Decide(&o, prices, time.Now().UnixNano(), &ev).Reason == positions.NoRefusal
	if ok {
		v.book.Apply(&ev)
	}
	v.mu.Unlock()
	if !ok {
		v.stats.Idle.Add(1)
		return
	}
	v.stats.Fills.Add(1)
	v.publish(a, nil, 0, &ev)
}
