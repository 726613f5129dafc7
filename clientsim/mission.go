package clientsim

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/papertape/papertape/client"
)

//go:embed mission.yaml
var missionScript []byte

// MissionScript is what the server has to do while the mission runs, as a scenario script for its simulator. It is
// about the accounts 100091 to 100100, counts from the first login of each, and goes on for an hour, so that a mission may
// last, be run again, and meet the same after a restart of the server.
func MissionScript() []byte { return slices.Clone(missionScript) }

// missionName is what the server's log calls the clients.
const missionName = "papertape-mission"

const (
	firstAccountDefault = 100091
	timeoutDefault      = 2 * time.Minute // beside the duration: outages are in it
	fillsMin            = 2               // by the simulator, that each client waits for
	anewMax             = 100             // times that a client begins something anew
	breath              = time.Second     // between two rounds of trading
)

// MissionConfig says where the mission takes place. Addr is all that is needed.
type MissionConfig struct {
	Addr         string        // of the server, HOST:PORT
	FirstAccount uint64        // of ten in a row; 0: 100091, as in MissionScript
	Wait         time.Duration // for a server that is not there yet
	Duration     time.Duration // the clients trade on until so long after all have logged in; 0: they end when they are done, in about 5 s
	Timeout      time.Duration // for all of it, beside Duration; 0: two minutes

	// Restarts is how often the server is stopped and started again meanwhile, with all that it knew: each client has to come
	// back to so many other runs of it, which a connection that breaks is not, and to resume; none may begin anew. 0: what
	// happens to the server is not known.
	Restarts int

	// LoggedIn, if not nil, is called once, when all are logged in.
	LoggedIn func()

	// Progress, if not nil, is told what each client sees and does, a line at a time. Notice, if not nil, is told when all
	// are logged in, and, where there is no Progress, what happens to their connections and what each has missed. Each is
	// called by one goroutine at a time.
	Progress func(account uint64, text string)
	Notice   func(text string)

	patience time.Duration        // for what the server does by itself, while connected; 0: pushPatience
	cutting  func(account uint64) // called before a client cuts itself off, while it takes updates; nil: nobody is
}

// Mission runs the ten clients of the scenario, all at once, each on a connection of its own. Each logs in, pulls its
// list, trades, is pushed fills by the server's simulator, and compares all of it with its shadow; at the end also a
// fresh list, and the whole history folded from nothing. A client whose connection breaks goes on where it was; one whose
// server has lost its history begins what it was doing anew. The error is an ErrCannotRun where not all could log in.
func Mission(ctx context.Context, cfg MissionConfig) (*Report, error) {
	if cfg.FirstAccount == 0 {
		cfg.FirstAccount = firstAccountDefault
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = timeoutDefault
	}
	if cfg.patience == 0 {
		cfg.patience = pushPatience
	}
	cfg.oneAtATime()
	ctx, cancel := context.WithTimeout(ctx, cfg.Wait+cfg.Duration+cfg.Timeout)
	defer cancel()
	start := time.Now()
	report := &Report{Clients: make([]ClientReport, len(mission))}
	traders := make([]*trader, len(mission))
	for i := range mission {
		r := &report.Clients[i]
		r.Account, r.Task = cfg.FirstAccount+uint64(i), mission[i].name //nolint:gosec // not negative
		traders[i] = newTrader(&cfg, r)
		defer func() { traders[i].close() }()
	}
	if err := openTraders(ctx, &cfg, traders); err != nil {
		return nil, err
	}
	cfg.Notice(fmt.Sprintf("all %d clients are logged in", len(mission)))
	if cfg.LoggedIn != nil {
		cfg.LoggedIn()
	}
	until := time.Now().Add(cfg.Duration)
	var clients sync.WaitGroup
	for i, t := range traders {
		clients.Go(func() { t.play(ctx, mission[i].play, until) })
	}
	clients.Wait()
	report.Elapsed = time.Since(start)
	return report, nil
}

// oneAtATime puts a lock around what is told, and nobody in the place of nil.
func (cfg *MissionConfig) oneAtATime() {
	var mu sync.Mutex
	notice := cfg.Notice
	cfg.Notice = func(text string) {
		if notice != nil {
			mu.Lock()
			defer mu.Unlock()
			notice(text)
		}
	}
	if progress := cfg.Progress; progress != nil {
		cfg.Progress = func(account uint64, text string) {
			mu.Lock()
			defer mu.Unlock()
			progress(account, text)
		}
	}
}

// openTraders logs all in, the first before the others, so that one alone waits for a server that is not there yet.
func openTraders(ctx context.Context, cfg *MissionConfig, traders []*trader) error {
	failed := make(chan error, len(traders))
	var logins sync.WaitGroup
	for i, t := range traders {
		open := func(wait time.Duration, notice func(string, ...any)) {
			if err := t.openWithin(ctx, cfg.Addr, missionName, wait, notice); err != nil {
				failed <- err
			}
		}
		if i == 0 {
			open(cfg.Wait, func(format string, args ...any) { cfg.Notice(fmt.Sprintf(format, args...)) })
			if len(failed) > 0 {
				break
			}
			continue
		}
		logins.Go(func() { open(openPatience, nil) })
	}
	logins.Wait()
	select {
	case err := <-failed:
		return fmt.Errorf("%w: %w", ErrCannotRun, err)
	default:
		return nil
	}
}

// play is the life of one client that is logged in: its task, and what all do.
func (t *trader) play(ctx context.Context, task func(*trader, context.Context) error, until time.Time) {
	for _, act := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"look around", t.lookAround},
		{t.report.Task, func(ctx context.Context) error { return task(t, ctx) }},
		{"trade", t.fourMovements},
		{"be refused", t.beRefused},
		{"be pushed simulated fills", t.bePushed},
		{"trade on", func(ctx context.Context) error { return t.tradeOn(ctx, until) }},
		{"see the server restarted", t.seeRestarts},
		{"agree with the server", t.agree},
	} {
		if err := t.insistOn(ctx, act.what, act.do); err != nil {
			t.wrongf("%s: %v", act.what, err)
			break
		}
	}
	if t.shadow != nil {
		if n := t.shadow.Unfolded(); n > 0 {
			t.notice("%d trades taken back were older than this session: what came of that was checked in the history", n)
		}
		t.report.RowsAtEnd = t.shadow.Len()
	}
	if t.report.OK() {
		t.sayf("done: all %d events were right", t.report.Events)
	}
}

// insistOn does something until it is done: where the account begins anew from a snapshot, or a connection that it needs
// breaks, it is begun anew, from what the account is then.
func (t *trader) insistOn(ctx context.Context, what string, do func(context.Context) error) error {
	for try := 1; ; try++ {
		t.resyncs = t.tally.Resyncs
		err := do(ctx)
		if err == nil || ctx.Err() != nil || try == anewMax || !errors.Is(err, errResynced) && !broken(err) {
			return err
		}
		t.notice("begins anew: %s (%v)", what, err)
		if err := t.awaitOnline(ctx); err != nil {
			return err
		}
		if err := t.idle(ctx, pace); err != nil {
			return err
		}
	}
}

// lookAround asks what there is and compares the list once more.
func (t *trader) lookAround(ctx context.Context) error {
	t.report.RowsAtLogin = t.shadow.Len()
	if err := t.load(ctx); err != nil {
		return err
	}
	_, err := t.list(ctx)
	return err
}

// beRefused asks for what cannot be, and expects a refusal with its code and no event.
func (t *trader) beRefused(ctx context.Context) error {
	i := t.tools[0]
	o := &client.Order{Side: client.Sell, Market: i.Market, Code: i.Code, Quantity: senselessShares}
	_, err := t.place(ctx, o)
	return t.expectReject(err, client.InsufficientShares, orderText(o))
}

// bePushed waits for fills that nobody ordered, where too few came yet.
func (t *trader) bePushed(ctx context.Context) error { return t.awaitPushes(ctx, fillsMin) }

// tradeOn fills the time, so that what is done to the server or to the network meanwhile finds the clients trading.
func (t *trader) tradeOn(ctx context.Context, until time.Time) error {
	for time.Now().Before(until) {
		if err := t.fourMovements(ctx); err != nil { // about two seconds
			return err
		}
		if _, err := t.list(ctx); err != nil {
			return err
		}
		if err := t.idle(ctx, min(breath, time.Until(until))); err != nil {
			return err
		}
	}
	return nil
}

// seeRestarts waits until the client has come back from every restart of the server, which has kept its history.
func (t *trader) seeRestarts(ctx context.Context) error {
	if t.cfg.Restarts > 0 && t.instance == 0 {
		return errors.New("the server does not say in WELCOME which run of it this is, so that a restart cannot be told from a broken connection")
	}
	if err := t.awaitCount(ctx, "restarts of the server", &t.tally.Restarts, t.cfg.Restarts, "the server was to be restarted meanwhile"); err != nil {
		return err
	}
	if t.cfg.Restarts > 0 && t.tally.Resyncs > 0 {
		t.wrongf("began anew from a snapshot %d times: expected to resume, as the server was restarted with all that it knew", t.tally.Resyncs)
	}
	return nil
}

// agree ends a session: a sign of life, a fresh list against the shadow, and the history from its first event.
func (t *trader) agree(ctx context.Context) error {
	if _, err := t.during(ctx, t.acc.Ping); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	h, err := t.list(ctx)
	if err != nil {
		return err
	}
	return t.anew(t.fold(ctx, h))
}
