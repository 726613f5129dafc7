package main

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"sync"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/engine/gateway"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/market/bars"
	"github.com/papertape/papertape/market/calendar"
)

// openBars makes the store of bars and recent trades, with what it kept beside the ledger.
func (s *server) openBars() error {
	cfg := bars.Config{Universe: s.universe, Hours: s.hours, Zone: s.hours.Zone,
		MemoryBytesMax: s.cfg.BarsMemoryBytesMax, Log: s.log}
	if s.cfg.Durability != config.DurabilityNone {
		cfg.Dir = filepath.Join(s.cfg.Data, bars.Dir)
	}
	store, err := bars.New(cfg)
	if err != nil {
		return s.cfg.Wrong("bars_memory_bytes_max", "%w", err)
	}
	s.bars.Store(store)
	return nil
}

// quoted is told by the feed what has changed.
func (s *server) quoted(before, after *market.Prices, applied []market.Update) {
	if store := s.bars.Load(); store != nil {
		store.Observe(before, after, applied)
	}
	s.gw.Quote(after)
}

// keepBars has bars written to the data directory, until the function that it returns is called.
func (s *server) keepBars(ctx context.Context) (stop func()) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var keeper sync.WaitGroup
	keeper.Go(func() { s.bars.Load().Run(work) })
	return func() {
		cancel()
		keeper.Wait()
	}
}

// keptBars answers requests from the store of bars; before it is open there are none.
type keptBars struct{ *server }

// Bars is part of gateway.Bars.
func (k keptBars) Bars(id market.ID, seconds uint32, from, to int64, limit int) (list []market.Bar, more bool) {
	if store := k.bars.Load(); store != nil {
		return store.Bars(id, seconds, from, to, limit)
	}
	return nil, false
}

// Trades is part of gateway.Bars.
func (k keptBars) Trades(id market.ID, from int64, limit int) (list []market.TapeTrade, more bool) {
	if store := k.bars.Load(); store != nil {
		return store.Trades(id, from, limit)
	}
	return nil, false
}

// clockOf returns the time of a market, and what comes next there.
func (s *server) clockOf(marketName string) gateway.ClockState {
	now := s.clock()()
	known := func(t int64) int64 {
		if t == math.MaxInt64 {
			return 0
		}
		return t
	}
	return gateway.ClockState{
		Time: now, Tape: s.timeline != nil, Status: s.hours.Status(marketName, now), Zone: s.hours.Zone(marketName),
		NextOpen: known(s.hours.NextOpen(marketName, now)), NextClose: known(s.hours.NextClose(marketName, now)),
	}
}

// calendarOf returns the trading days of a market from a date to another one, both included.
func (s *server) calendarOf(marketName, from, to string) ([]gateway.CalendarDay, error) {
	first, err := calendar.ParseDate(from)
	if err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	last, err := calendar.ParseDate(to)
	if err != nil {
		return nil, fmt.Errorf("to: %w", err)
	}
	days, err := s.hours.Range(marketName, first, last)
	if err != nil {
		return nil, err
	}
	list := make([]gateway.CalendarDay, len(days))
	for i, d := range days {
		list[i] = gateway.CalendarDay{Date: d.Date.String(), Opens: d.Opens, Closes: d.Closes, Presumed: d.Presumed}
	}
	return list, nil
}
