package clientsim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/papertape/papertape/client"
)

// swarmName identifies the clients in the server's log.
const swarmName = "papertape-swarm"

const (
	loginsMax    = 64              // logins at the same time; a server accepts 1,000 connections not yet logged in
	openPatience = 2 * time.Minute // for all to log in, once the server is there
	settleTime   = time.Minute     // at the end, for requests under way, the last comparison, and outages
)

// ErrCannotRun matches, with errors.Is, the error of clients that could not log in. Nothing was
// checked.
var ErrCannotRun = errors.New("the clients could not log in")

// SwarmConfig configures a swarm.
type SwarmConfig struct {
	Addr string      // of the server, HOST:PORT
	TLS  *tls.Config // nil: connections are not encrypted
	Key  *client.Key // of all clients; nil: none
	// AllowPlaintext permits a Key without TLS beyond this machine.
	AllowPlaintext bool
	Clients        int
	FirstAccount   uint64 // client i has account FirstAccount+i
	Profile        Profile
	Duration       time.Duration // of the trading, from when all are logged in
	Seed           uint64        // of the clients' random choices, together with the account
	Wait           time.Duration // for a server that is not there yet

	// Notice, if not nil, is called with one line about each thing that happens to the swarm:
	// all are logged in, or connections end and come back. Progress, if not nil, is called about
	// twice a second with how far the swarm is. Neither is called concurrently.
	Notice   func(text string)
	Progress func(p Progress)
}

// Swarm runs the clients, each on its own connection and account. Each thinks, buys, sells and
// queries as its profile says, and checks everything that comes against its shadow; at the end
// it also checks a fresh list and a page of the history. When ctx ends, the trading stops early
// and the comparison follows as usual. The error is an ErrCannotRun if not all clients could
// log in.
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
	s.tradeAndCompare(ctx)
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

// swarm is a swarm that is running.
type swarm struct {
	cfg      SwarmConfig
	gate     gate                // bounds the connections not yet logged in
	tools    []client.Instrument // what can be bought, for all members; prices are as of the start
	members  []*member
	board    board
	traded   time.Duration
	noticeMu sync.Mutex
}

func (s *swarm) notice(format string, args ...any) {
	if s.cfg.Notice != nil {
		s.noticeMu.Lock()
		defer s.noticeMu.Unlock()
		s.cfg.Notice(fmt.Sprintf(format, args...))
	}
}

// openAll logs all members in. The first waits for the server and asks for the instruments;
// then the others log in, a bounded number at the same time. The first failure ends the login
// for all.
func (s *swarm) openAll(ctx context.Context) error {
	for i := range s.cfg.Clients {
		s.members = append(s.members, newMember(s, s.cfg.FirstAccount+uint64(i))) //nolint:gosec // not negative
	}
	first := &s.members[0].user
	if err := first.openWithin(ctx, s.cfg.Addr, swarmName, s.cfg.Wait, s.notice); err != nil {
		return s.cannotLogIn(err)
	}
	tools, err := first.instruments(ctx)
	if err != nil {
		return s.cannotLogIn(err)
	}
	s.tools = tools
	var logins sync.WaitGroup
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(gate, loginsMax)
	for _, m := range s.members[1:] {
		if slots.enter(ctx) != nil {
			break
		}
		logins.Go(func() {
			defer slots.leave()
			if err := m.user.openWithin(ctx, s.cfg.Addr, swarmName, openPatience, nil); err != nil {
				cancel(err) // the first error is kept
			}
		})
	}
	logins.Wait()
	if ctx.Err() != nil {
		return s.cannotLogIn(context.Cause(ctx))
	}
	return nil
}

// cannotLogIn explains why a member could not log in.
func (s *swarm) cannotLogIn(err error) error {
	var reject *client.Reject
	if errors.As(err, &reject) && reject.Code == client.UnknownAccount {
		last := s.cfg.FirstAccount + uint64(s.cfg.Clients) - 1
		return fmt.Errorf("%w: %w; the %d clients want the accounts %d to %d: start the server with more "+
			"accounts, or name others",
			ErrCannotRun, err, s.cfg.Clients, s.cfg.FirstAccount, last)
	}
	return fmt.Errorf("%w: %w", ErrCannotRun, err)
}

// tradeAndCompare runs all members: they trade until the time is over or ctx ends, and then
// compare.
func (s *swarm) tradeAndCompare(ctx context.Context) {
	life, end := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Duration+settleTime)
	defer end()
	trading, stop := context.WithTimeout(ctx, s.cfg.Duration)
	defer stop()
	s.board.begin()
	begun := time.Now()
	slots := make(gate, loginsMax)
	var members sync.WaitGroup
	for _, m := range s.members {
		members.Go(func() {
			err := m.trade(trading, life)
			if err == nil {
				err = m.compare(life, slots)
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

// instruments asks for the tradable instruments.
func (u *user) instruments(ctx context.Context) ([]client.Instrument, error) {
	var list []client.Instrument
	err := u.retry(ctx, func(ctx context.Context) error {
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
