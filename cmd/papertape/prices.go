package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/cmd/papertape/userfile"
	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/journal"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/market/calendar"
)

// openFeed makes the feed that the configuration asks for. A walk goes on where it stood at the last
// checkpoint; a file to replay is opened.
func (s *server) openFeed() (err error) {
	universe := s.universe
	s.hours = calendar.RoundTheClock()
	if s.cfg.MarketHours {
		s.hours = calendar.New()
	}
	switch s.cfg.Prices.Source {
	case config.PricesWalk:
		s.feed = market.NewWalk(universe, market.WalkConfig{
			Seed: s.cfg.Seed, SpreadTicks: spreadTicks(s.cfg, universe), Hours: s.hours,
		})
		s.resumeWalk()
	case config.PricesFixed:
		s.feed = market.NewFeed(universe, market.FeedConfig{Hours: s.hours, KeepClose: true})
	case config.PricesReplay:
		s.feed = market.NewFeed(universe, market.FeedConfig{Hours: s.hours})
		s.tape, err = openTape(s.cfg, universe)
		if err == nil && s.cfg.Clock == config.ClockTape {
			s.timeline, err = s.newTapeClock()
		}
	default:
		s.feed = market.NewFeed(universe, market.FeedConfig{Hours: s.hours})
	}
	return err
}

// spreadTicks returns the spread of the walk. Unless it is set, American instruments have one.
func spreadTicks(cfg *config.Config, u *market.Universe) int64 {
	if cfg.Prices.SpreadTicks != config.SpreadAuto {
		return int64(cfg.Prices.SpreadTicks)
	}
	if strings.HasPrefix(u.At(0).Market, "US") {
		return 1
	}
	return 0
}

// drivePrices changes prices until ctx ends.
func (s *server) drivePrices(ctx context.Context) {
	if s.timeline != nil {
		return // playTape drives them
	}
	if s.tape != nil {
		r := replay{feed: s.feed, hours: s.hours, tape: s.tape, speed: s.cfg.Prices.Speed, loop: s.cfg.Prices.Loop,
			log: s.log}
		r.run(ctx)
		return
	}
	s.feed.Run(ctx, s.cfg.Prices.Interval, nil)
}

// turnLook is how often the clock is looked at, since it may be set, and the machine may sleep.
const turnLook = time.Minute

// turn has the feed do what the clock alone does, at each open and close, until ctx ends. A replay has the
// clock of its file, and does that itself.
func (s *server) turn(ctx context.Context) {
	if s.tape != nil {
		return
	}
	for next := int64(0); ; {
		now := time.Now().UnixNano()
		if now >= next {
			s.feed.Turn(now)
			next = s.hours.Next(now)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(time.Duration(next-now), turnLook)):
		}
	}
}

// walkFile is the file in the data directory that says where the walk stood at the last checkpoint.
// Without it prices begin at their previous closes again, and nothing else is lost.
const walkFile = "WALK"

// walkBytesMax is larger than the file of the largest universe.
const walkBytesMax = 16 << 20

// resumeWalk has the walk go on where it stood at the last checkpoint of the ledger.
func (s *server) resumeWalk() {
	if s.cfg.Durability == config.DurabilityNone {
		return
	}
	path := filepath.Join(s.cfg.Data, walkFile)
	text, err := userfile.Read(path, walkBytesMax)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return // if the path is not a directory, the journal reports that more precisely
	}
	if err == nil {
		err = s.feed.Resume(text)
	}
	switch {
	case errors.Is(err, market.ErrOtherSeed):
		s.log.Info().Uint64("seed", s.cfg.Seed).Msg("the seed is another one, so prices walk from the beginning")
	case err != nil:
		s.log.Warn().Err(err).Str("file", path).
			Msg("where the walk of prices stood cannot be read, so prices walk from the beginning")
	}
}

// checkpointer is what checkpoints are made of: the engine, and the walk where there is one.
func (s *server) checkpointer() journal.Checkpointer {
	if s.cfg.Prices.Source != config.PricesWalk {
		return s.engine
	}
	return &walkKeeper{Engine: s.engine, feed: s.feed, dir: s.cfg.Data, log: s.log, kept: s.feed.Snapshot()}
}

// walkKeeper writes where the walk stands with each checkpoint of an engine: as it stood when the checkpoint
// was begun, once that is durable. The journal makes one checkpoint at a time.
type walkKeeper struct {
	*engine.Engine
	feed *market.Feed
	dir  string
	log  zerolog.Logger

	walked     *market.Walked // at the beginning of the checkpoint; nil: nothing has changed
	kept, next *market.Prices // the snapshots that were written last, and that would be next
	text       []byte
	failed     bool
}

// Checkpoint is part of journal.Checkpointer.
func (k *walkKeeper) Checkpoint(ctx context.Context, store func([]engine.AccountState) error) (uint64, error) {
	k.walked, k.next = nil, k.feed.Snapshot() // first: what changes in between is written again
	if k.next != k.kept {
		k.walked = k.feed.Walked()
	}
	return k.Engine.Checkpoint(ctx, store)
}

// Checkpointed is part of journal.Checkpointer.
func (k *walkKeeper) Checkpointed() {
	k.Engine.Checkpointed()
	if k.walked == nil {
		return
	}
	k.text = k.walked.AppendText(k.text[:0])
	if err := replaceSynced(filepath.Join(k.dir, walkFile), k.text); err != nil {
		if !k.failed {
			k.log.Warn().Err(err).
				Msg("where the walk of prices stands cannot be written: a start would go on from before")
		}
		k.failed = true
		return
	}
	k.kept, k.failed = k.next, false
}

// Apply is part of console.Market.
func (s *server) Apply(_ context.Context, updates []market.Update) ([]market.Outcome, error) {
	if why := s.unready.Load(); why != nil {
		return nil, fmt.Errorf("%w: %s", console.ErrNotReady, why.why)
	}
	s.interfere("quotes from outside")
	return s.applyQuotes(updates), nil
}

// applyQuotes applies updates that are of now unless they have a time.
func (s *server) applyQuotes(updates []market.Update) []market.Outcome {
	now := s.clock()()
	for i := range updates {
		if u := &updates[i]; u.Time == 0 {
			u.Time = s.quoteTime(u.ID, now)
		}
	}
	outcomes := make([]market.Outcome, len(updates))
	s.feed.Apply(max(now, s.feed.Snapshot().Time()), updates, outcomes)
	return outcomes
}

// quoteTime returns the time of an update that comes now without one. Quotes of a replay have the times of its
// file, and what would be later than they are would make them late.
func (s *server) quoteTime(id market.ID, now int64) int64 {
	newest := max(s.feed.Snapshot().Quote(id).Time, 1)
	if s.tape != nil {
		return newest
	}
	return max(newest, now)
}

// exchange is what a script acts on.
type exchange struct {
	*engine.Engine
	server *server
}

// ApplyQuote is part of simulator.Exchange.
func (x exchange) ApplyQuote(u market.Update) market.Outcome {
	return x.server.applyQuotes([]market.Update{u})[0]
}
