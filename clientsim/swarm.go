package clientsim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/papertape/papertape/client"
)

// swarmName is what the server's log calls the clients.
const swarmName = "papertape-swarm"

const (
	loginsMax    = 64              // under way at a time; a server takes 1,000 connections that are not logged in
	openPatience = 2 * time.Minute // for everybody to log in, once the server is there
	settle       = time.Minute     // at the end, for requests under way and the last comparison; also for a server that is away
)

// ErrCannotRun is what an error is where the clients did not get in at all, for errors.Is. Nothing was checked.
var ErrCannotRun = errors.New("the clients could not log in")

// SwarmConfig says who does what, where, and for how long.
type SwarmConfig struct {
	Addr         string // of the server, HOST:PORT
	Clients      int
	FirstAccount uint64 // client i has account FirstAccount+i
	Profile      Profile
	Duration     time.Duration // of the trading, from when all are logged in
	Seed         uint64        // of what the clients choose; the same seed and account choose the same
	Wait         time.Duration // for a server that is not there yet

	// Notice, if not nil, is told in a line what happens to all: that everybody is logged in, connections that go and come.
	// Progress, if not nil, is told how far it is, about twice a second. Both are called by one goroutine at a time.
	Notice   func(text string)
	Progress func(p Progress)
}

// Swarm runs the clients, each on a connection and an account of its own. Each thinks, buys, sells and asks as its profile
// says, and checks all that comes against its shadow; at the end also a fresh list and a page of the history. When ctx
// ends, the trading does, and the end is as ever. The error is an ErrCannotRun where not all clients could log in.
func Swarm(ctx context.Context, cfg SwarmConfig) (*SwarmReport, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &swarm{cfg: cfg, gate: make(gate, loginsMax)}
	s.board = board{clients: cfg.Clients, notice: s.notice, progress: cfg.Progress, duration: cfg.Duration}
	defer s.closeAll()
	defer s.board.watch()()
	begun := time.Now()
	if err := s.openAll(ctx); err != nil {
		return nil, err
	}
	loggedIn := time.Since(begun)
	s.notice("all %d clients are logged in", cfg.Clients)
	s.run(ctx)
	return s.report(loggedIn), nil
}

func (cfg *SwarmConfig) check() error {
	switch {
	case cfg.Clients < 1:
		return fmt.Errorf("%d clients: it takes at least one", cfg.Clients)
	case cfg.FirstAccount == 0:
		return errors.New("first account 0: accounts are numbered from 1 on")
	case cfg.Duration < 0 || cfg.Wait < 0:
		return errors.New("a duration is not negative")
	}
	return nil
}

// swarm is one under way.
type swarm struct {
	cfg     SwarmConfig
	gate    gate                // at which connections are made
	tools   []client.Instrument // what there is to buy, the same for all; prices are of the start
	members []*member
	board   board
	traded  time.Duration
	said    sync.Mutex
}

func (s *swarm) notice(format string, args ...any) {
	if s.cfg.Notice != nil {
		s.said.Lock()
		defer s.said.Unlock()
		s.cfg.Notice(fmt.Sprintf(format, args...))
	}
}

// openAll logs everybody in: one, who waits for the server and asks what there is to trade; then all others, so many at
// a time. The first who cannot ends it for all.
func (s *swarm) openAll(ctx context.Context) error {
	for i := range s.cfg.Clients {
		s.members = append(s.members, newMember(s, s.cfg.FirstAccount+uint64(i))) //nolint:gosec // not negative
	}
	first := &s.members[0].user
	if err := first.openWithin(ctx, s.cfg.Addr, swarmName, s.cfg.Wait, s.notice); err != nil {
		return s.cannot(err)
	}
	tools, err := first.instruments(ctx)
	if err != nil {
		return s.cannot(err)
	}
	s.tools = tools
	var logins sync.WaitGroup
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	turns := make(gate, loginsMax)
	for _, m := range s.members[1:] {
		if turns.enter(ctx) != nil {
			break
		}
		logins.Go(func() {
			defer turns.leave()
			if err := m.user.openWithin(ctx, s.cfg.Addr, swarmName, openPatience, nil); err != nil {
				cancel(err) // the first stays
			}
		})
	}
	logins.Wait()
	if ctx.Err() != nil {
		return s.cannot(context.Cause(ctx))
	}
	return nil
}

// cannot explains why somebody could not log in.
func (s *swarm) cannot(err error) error {
	var reject *client.Reject
	if errors.As(err, &reject) && reject.Code == client.UnknownAccount {
		last := s.cfg.FirstAccount + uint64(s.cfg.Clients) - 1
		return fmt.Errorf("%w: %w; the %d clients want the accounts %d to %d: start the server with more accounts, or name others",
			ErrCannotRun, err, s.cfg.Clients, s.cfg.FirstAccount, last)
	}
	return fmt.Errorf("%w: %w", ErrCannotRun, err)
}

// run has everybody trade until the time is over or ctx ends, and then compare.
func (s *swarm) run(ctx context.Context) {
	life, end := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Duration+settle)
	defer end()
	trading, stop := context.WithTimeout(ctx, s.cfg.Duration)
	defer stop()
	s.board.begin()
	begun := time.Now()
	turns := make(gate, loginsMax)
	var members sync.WaitGroup
	for _, m := range s.members {
		members.Go(func() {
			err := m.trade(trading, life)
			if err == nil {
				err = m.compare(life, turns)
			}
			if err != nil {
				m.user.wrongf("%v", err)
			}
			s.board.compared.Add(1)
		})
	}
	<-trading.Done()
	s.traded = time.Since(begun)
	if ctx.Err() != nil {
		s.notice("stopped early: the clients compare their accounts with the server and end")
	}
	s.board.phase.Store(int32(PhaseCompare))
	members.Wait()
}

func (s *swarm) closeAll() {
	var members sync.WaitGroup
	for _, m := range s.members {
		members.Go(m.user.close)
	}
	members.Wait()
}

func (s *swarm) report(loggedIn time.Duration) *SwarmReport {
	r := &SwarmReport{
		Server: s.cfg.Addr, Profile: s.cfg.Profile, LoginSeconds: loggedIn.Seconds(), Seconds: s.traded.Seconds(),
	}
	all, reading := make([]*stopwatches, 0, len(s.members)), newReading()
	for _, m := range s.members {
		m.result.Times = reading.timings(&m.times)
		m.result.RowsAtEnd = m.user.shadow.Len()
		r.Clients = append(r.Clients, m.result)
		r.Totals.add(&m.result)
		all = append(all, &m.times)
	}
	r.Totals.Times = reading.timings(all...)
	return r
}

// instruments asks what there is to trade.
func (u *user) instruments(ctx context.Context) ([]client.Instrument, error) {
	var list []client.Instrument
	err := u.insist(ctx, func(ctx context.Context) error {
		_, err := u.during(ctx, func(ctx context.Context) (err error) {
			list, err = u.acc.Instruments(ctx)
			return err
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ask for the instruments: %w", err)
	}
	for _, i := range list {
		if i.Price <= 0 || strings.TrimSpace(i.Name) == "" {
			u.wrongf("instrument %s %s has price %d and name %q", i.Market, i.Code, i.Price, i.Name)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("the server has no instruments: expected some")
	}
	return list, nil
}
