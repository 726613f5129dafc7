package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/engine/gateway"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/engine/timeline"
	"github.com/papertape/papertape/market"
)

// tapeClock is what a server has whose time is that of a tape.
type tapeClock struct {
	*timeline.Driver
	hours   market.Hours
	markets []string // of the universe
	resumed bool     // the ledger had events already, so what is played begins anew somewhere
}

// newTapeClock returns a clock that shows the first moment of the server's tape.
func (s *server) newTapeClock() (*tapeClock, error) {
	d, err := timeline.New(timeline.Config{
		Tape: s.tape, Feed: s.feed, Hours: s.hours, Speed: s.cfg.Prices.Speed, Interfered: s.interfered,
	})
	switch {
	case errors.Is(err, timeline.ErrEmpty):
		err = fmt.Errorf("%s: %w: %s", s.cfg.Prices.File, err, s.tape.Report())
		fallthrough
	case err != nil:
		return nil, errors.Join(s.cfg.Wrong("prices.file", "%w", err), s.tape.Close())
	}
	return &tapeClock{Driver: d, hours: s.hours, markets: marketsOf(s.universe)}, nil
}

func marketsOf(u *market.Universe) (names []string) {
	for id := range market.ID(u.Len()) {
		if name := u.At(id).Market; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// trades reports whether some market is open from a moment on.
func (t *tapeClock) trades(from int64) bool {
	return slices.ContainsFunc(t.markets, func(name string) bool {
		return t.hours.Status(name, from) == market.StatusOpen
	})
}

// clock returns what the server goes by.
func (s *server) clock() func() int64 {
	if s.timeline != nil {
		return s.timeline.Now
	}
	return func() int64 { return time.Now().UnixNano() }
}

// skipTape has the tape begin after the newest event of the ledger.
func (s *server) skipTape(ctx context.Context) error {
	if s.timeline == nil {
		return nil
	}
	newest, err := s.engine.NewestTime(ctx)
	if err != nil {
		return fmt.Errorf("clock: tape: %w", err)
	}
	if newest < s.timeline.Now() {
		return nil
	}
	s.timeline.resumed = true
	if err := s.timeline.SkipTo(ctx, newest); err != nil {
		return fmt.Errorf("clock: tape: %w", err)
	}
	line, rest := s.log.Info(), ": the tape goes on after the newest of them"
	if s.timeline.Ended() {
		line, rest = s.log.Warn(), ", and nothing of the tape is left after the newest of them"
	}
	line.Time("newest", time.Unix(0, newest).UTC()).Msg("the ledger has events already" + rest)
	return nil
}

// playTape plays the tape to its end, or until ctx ends, and says what came of it.
func (s *server) playTape(ctx context.Context) error {
	began, start := time.Now(), s.timeline.Now()
	players := []timeline.Player{s.flow.OnTape(start, s.timeline.trades)}
	if s.runner != nil {
		script := s.runner.OnTape(exchange{s.engine, s}, start)
		defer script.End()
		players = append(players, script)
	}
	err := s.timeline.Run(ctx, s.engine, players...)
	message := "the tape has ended"
	if err != nil {
		message = "stopped before the end of the tape"
	}
	if errors.Is(err, ctx.Err()) {
		err = nil
	}
	s.sumUpTape(start, time.Since(began), message)
	return errors.Join(err, s.tape.Close())
}

// sumUpTape logs what a run of the tape has done, and what was wrong with its lines.
func (s *server) sumUpTape(start int64, took time.Duration, message string) {
	report, state := s.tape.Report(), s.timeline.State()
	for _, p := range report.Problems {
		s.log.Warn().Str("file", s.cfg.Prices.File).Stringer("problem", p).Msg("a line of the tape was left out")
	}
	fills := s.flow.State().Fills
	if s.runner != nil {
		fills += s.runner.State().Fills
	}
	s.log.Info().Uint64("moments", state.Moments).Uint64("updates", state.Updates).
		Int64("bad_lines", report.RefusedLines()).Uint64("refused_updates", state.Refused).Uint64("fills", fills).
		Time("from", time.Unix(0, start).UTC()).Time("to", time.Unix(0, state.Now).UTC()).
		Stringer("tape_time", time.Duration(state.Now-start)).Stringer("real_time", took).
		Bool("reproducible", state.Interfered == "" && !s.timeline.resumed).Msg(message)
}

// interfere notes that somebody outside acts on the server. by says who or what it was.
func (s *server) interfere(by string) {
	if s.timeline != nil {
		s.timeline.Interfere(by)
	}
}

func (s *server) interfered(by string) {
	s.log.Warn().Str("by", by).Msg("somebody outside has acted on a server that goes by a tape: " +
		"another run of the same tape need not come to the same histories")
}

// watchForOrders sees what clients send, and notes their orders.
func (s *server) watchForOrders() gateway.Wrapper {
	return gateway.Wrapper{Request: func(c *gateway.Session, f codec.Frame) *codec.Error {
		if f.Type == codec.TypeOrder || f.Type >= codec.TypeEmbedder {
			s.interfere(fmt.Sprintf("a request of account %d", c.Account()))
		}
		return nil
	}}
}

// loggedIn tells the script of a login.
func (s *server) loggedIn(c *gateway.Session) {
	if s.runner.LoggedIn(c.Account()) {
		s.interfere(fmt.Sprintf("the login of account %d, for which the script waits", c.Account()))
	}
}

// tapeState is what the console says of the tape; nil: the server goes by the machine's clock.
func (s *server) tapeState() *console.TapeClock {
	if s.timeline == nil {
		return nil
	}
	state := s.timeline.State()
	return &console.TapeClock{
		First: time.Unix(0, state.First).UTC(), Now: time.Unix(0, state.Now).UTC(), Moments: state.Moments,
		Updates: state.Updates, Ended: state.Ended, InterferedBy: state.Interfered,
	}
}

// operatedFlow is the flow as the console changes it.
type operatedFlow struct {
	*simulator.Flow
	server *server
}

func (f operatedFlow) Change(rate *float64, paused *bool) error {
	f.server.interfere("a change of the simulator")
	return f.Flow.Change(rate, paused)
}
