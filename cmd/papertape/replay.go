package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/engine/timeline"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/market/calendar"
	"github.com/papertape/papertape/market/tape"
)

// tapeReader is a tape that can be played again.
type tapeReader interface {
	Next() (moment int64, updates []market.Update, err error)
	Rewind() error
	Report() *tape.Report
	Close() error
}

// openTape opens the file to replay. What is wrong with it is wrong with the configuration.
func openTape(cfg *config.Config, u *market.Universe) (tapeReader, error) {
	columns, err := tape.ParseColumns(strings.Join(cfg.Prices.Columns, ","))
	if err != nil {
		return nil, cfg.Wrong("prices.columns", "%w", err)
	}
	zone, err := tape.Zone(u.At(0).Market)
	if err != nil {
		return nil, err
	}
	r, err := tape.Open(cfg.Prices.File, tape.Options{
		Universe: u, Columns: columns, From: cfg.PricesFrom(zone), Sessions: sessionsOf,
	})
	if err != nil {
		return nil, cfg.Wrong("prices.file", "%w", err)
	}
	return r, nil
}

// sessionsOf returns when a market trades on a date.
func sessionsOf(name string, year int, month time.Month, day int) (opens, closes []int64) {
	d := calendar.New().Sessions(name, calendar.DateOf(year, month, day))
	return d.Opens, d.Closes
}

// replay applies the moments of a tape at their times. Snapshots are of now, quotes of the times of the tape.
type replay struct {
	feed  *market.Feed
	hours market.Hours
	tape  tapeReader
	speed float64 // 0: as fast as it goes
	loop  bool
	log   zerolog.Logger

	began        time.Time // when the first moment was applied
	first, last  int64     // moments of this round of the tape, not shifted
	zero         int64     // the moment of began
	shift        int64     // of this round
	nextTurn     int64
	moments, all uint64 // of this round, and of all
}

// run plays the tape until it or ctx ends.
func (r *replay) run(ctx context.Context) {
	defer r.tape.Close() //nolint:errcheck // it was only read
	for ctx.Err() == nil {
		moment, updates, err := r.tape.Next()
		switch {
		case err == nil:
			r.play(ctx, moment, updates)
		case errors.Is(err, io.EOF):
			if !r.again() {
				return
			}
		default:
			r.log.Error().Err(err).Msg("the replay has ended early; the last quotes stay")
			return
		}
	}
}

// play waits for a moment, and applies it.
func (r *replay) play(ctx context.Context, moment int64, updates []market.Update) {
	if r.moments++; r.moments == 1 {
		r.first = moment
	}
	r.last = moment
	at := moment + r.shift
	if r.all++; r.all == 1 {
		r.began, r.zero = time.Now(), at
	}
	if r.shift != 0 {
		for i := range updates {
			updates[i].Time += r.shift
		}
	}
	if !r.wait(ctx, at) {
		return
	}
	now := max(time.Now().UnixNano(), r.feed.Snapshot().Time()) // the clock may step back
	if at >= r.nextTurn {
		r.feed.TurnTo(at, now)
		r.nextTurn = r.hours.Next(at)
	}
	r.feed.Apply(now, updates, nil)
}

// wait returns when a moment is due, or false when ctx ends before. What is late is due at once.
func (r *replay) wait(ctx context.Context, at int64) bool {
	if r.speed == 0 {
		return ctx.Err() == nil
	}
	wait := time.Until(r.began.Add(timeline.Slowed(at-r.zero, r.speed)))
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// again reports on a round of the tape, and begins another one if there is to be one: its times are shifted
// by whole days, so that they go on.
func (r *replay) again() bool {
	r.report()
	if !r.loop || r.moments == 0 {
		return false
	}
	const day = int64(24 * time.Hour)
	r.shift += ((r.last-r.first)/day + 1) * day
	r.moments = 0
	if err := r.tape.Rewind(); err != nil {
		r.log.Error().Err(err).Msg("the replay cannot begin again; the last quotes stay")
		return false
	}
	return true
}

// report logs what became of the lines of a tape.
func (r *replay) report() {
	report := r.tape.Report()
	problems := make([]string, len(report.Problems))
	for i, p := range report.Problems {
		problems[i] = p.String()
	}
	line := r.log.Info()
	if report.RefusedLines() > 0 {
		line = r.log.Warn()
	}
	what := "the replay has ended; the last quotes stay"
	if r.loop && r.moments > 0 {
		what = "the replay begins again"
	}
	line.Str("lines", report.String()).Uint64("moments", r.moments).Strs("problems", problems).
		Uint64("late", r.feed.Count(market.Late)).Uint64("crossed", r.feed.Count(market.Crossed)).
		Uint64("bad_price", r.feed.Count(market.BadPrice)).Msg(what)
}
