package clientsim

import (
	"context"
	"crypto/tls"
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

// MissionScript returns what the server has to do during the mission, as a scenario script for
// its simulator. It covers the accounts 100091 to 100100 and counts from the first login of
// each. It goes on for an hour. So a mission can take long and can be run again, and a restarted
// server still plays it.
func MissionScript() []byte { return slices.Clone(missionScript) }

// missionName identifies the clients in the server's log.
const missionName = "papertape-mission"

const (
	firstAccountDefault = 100091
	timeoutDefault      = 2 * time.Minute // in addition to the duration; includes outages
	fillsMin            = 2               // fills by the simulator that each client waits for
	attemptsMax         = 100             // how often a client begins one step anew
	roundPause          = time.Second     // pause between two rounds of trading
)

// MissionConfig configures a mission. Only the field Addr is required.
type MissionConfig struct {
	Addr string      // of the server, HOST:PORT
	TLS  *tls.Config // nil: connections are not encrypted
	Key  *client.Key // of all clients; nil: none
	// AllowPlaintext permits a Key without TLS beyond this machine.
	AllowPlaintext bool
	FirstAccount   uint64        // of ten in a row; 0 means 100091, as in MissionScript
	Wait           time.Duration // for a server that is not there yet
	Duration       time.Duration // of the trading, from when all are logged in; 0 means until done, about 5 s
	Timeout        time.Duration // for everything, in addition to Duration; 0 means two minutes

	// Restarts is how often the server is stopped and started again during the mission, with
	// its whole history. Each client has to come back to that many other runs of the server,
	// and to resume; a connection that merely breaks does not count, and none may begin anew. 0
	// means that nothing is known about restarts.
	Restarts int

	// LoggedIn, if not nil, is called once, when all clients are logged in.
	LoggedIn func()

	// Progress, if not nil, is called with each line about what a client sees and does. Notice,
	// if not nil, is called when all clients are logged in. If Progress is nil, Notice is also
	// called with what happens to their connections and what each has missed. Neither is called
	// concurrently.
	Progress func(account uint64, text string)
	Notice   func(text string)

	patience time.Duration        // for what the server does by itself, while connected; 0 means pushPatience
	cutting  func(account uint64) // called before a client cuts itself off, while it takes updates; may be nil
}

// Mission runs the ten clients of the scenario at the same time, each on its own connection.
// Each logs in, pulls its list, trades, is pushed fills by the server's simulator, and compares
// everything with its shadow. At the end it also compares a fresh list, and the whole history
// folded from nothing. A client whose connection breaks continues where it was. One whose
// server has lost its history begins its current step anew. The error is an ErrCannotRun if not
// all clients could log in.
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

// oneAtATime serialises the calls of Notice and Progress, and replaces a nil Notice.
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

// openTraders logs all clients in. The first logs in before the others, so that only one waits
// for a server that is not there yet.
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
		return tasksNeed(ctx, traders[0])
	}
}

// tasksNeed refuses a server of another universe: the tasks name instruments of cn.
func tasksNeed(ctx context.Context, t *trader) error {
	const one = "SZ.000001"
	_, err := t.acc.Instruments(ctx, one)
	var refused *client.Reject
	if errors.As(err, &refused) && refused.Code == client.UnknownInstrument {
		return fmt.Errorf("%w: the mission trades the instruments of the universe cn, and this server has no %s; "+
			"start it with universe: cn", ErrCannotRun, one)
	}
	return nil // whatever else may be wrong is for the clients to find
}

// play runs one client that is logged in: its own task, and the steps that all clients share.
func (t *trader) play(ctx context.Context, task func(*trader, context.Context) error, until time.Time) {
	for _, act := range []struct {
		name string
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
		if err := t.repeatUntilDone(ctx, act.name, act.do); err != nil {
			t.wrongf("%s: %v", act.name, err)
			break
		}
	}
	if t.shadow != nil {
		if n := t.shadow.Unfolded(); n > 0 {
			t.notice("%d trades taken back were older than this session: what came of that was checked in the "+
				"history", n)
		}
		t.report.RowsAtEnd = t.shadow.Len()
	}
	if t.report.OK() {
		t.sayf("done: all %d events were right", t.report.Events)
	}
}

// repeatUntilDone runs a step until it succeeds. If the account begins anew from a snapshot, or
// a connection that the step needs breaks, the step begins anew, from the account as it then is.
func (t *trader) repeatUntilDone(ctx context.Context, step string, do func(context.Context) error) error {
	for try := 1; ; try++ {
		t.resyncs = t.tally.Resyncs
		err := do(ctx)
		if err == nil || ctx.Err() != nil || try == attemptsMax ||
			!errors.Is(err, errResynced) && !lostConnection(err) {
			return err
		}
		t.notice("begins anew: %s (%v)", step, err)
		if err := t.awaitOnline(ctx); err != nil {
			return err
		}
		if err := t.idle(ctx, orderPause); err != nil {
			return err
		}
	}
}

// lookAround asks for the instruments and compares the list once more.
func (t *trader) lookAround(ctx context.Context) error {
	t.report.RowsAtLogin = t.shadow.Len()
	if err := t.load(ctx); err != nil {
		return err
	}
	_, err := t.list(ctx)
	return err
}

// beRefused places an impossible order, and expects a refusal with its code and no event.
func (t *trader) beRefused(ctx context.Context) error {
	i := t.tools[0]
	o := &client.Order{Side: client.Sell, Market: i.Market, Code: i.Code, Quantity: senselessShares}
	_, err := t.place(ctx, o)
	return t.expectReject(err, client.InsufficientShares, orderText(o))
}

// bePushed waits for fills that nobody ordered, if too few have come yet.
func (t *trader) bePushed(ctx context.Context) error { return t.awaitPushes(ctx, fillsMin) }

// tradeOn trades until the time is over, so that what is done to the server or the network
// meanwhile finds the clients trading.
func (t *trader) tradeOn(ctx context.Context, until time.Time) error {
	for time.Now().Before(until) {
		if err := t.fourMovements(ctx); err != nil { // about two seconds
			return err
		}
		if _, err := t.list(ctx); err != nil {
			return err
		}
		if err := t.idle(ctx, min(roundPause, time.Until(until))); err != nil {
			return err
		}
	}
	return nil
}

// seeRestarts waits until the client has come back from every restart of the server, which must
// have kept its history.
func (t *trader) seeRestarts(ctx context.Context) error {
	if t.cfg.Restarts > 0 && t.instance == 0 {
		return errors.New("the server does not say in WELCOME which run of it this is, so that a restart cannot " +
			"be told from a broken connection")
	}
	if err := t.awaitCount(ctx, "restarts of the server", &t.tally.Restarts, t.cfg.Restarts,
		"the server was to be restarted meanwhile"); err != nil {
		return err
	}
	if t.cfg.Restarts > 0 && t.tally.Resyncs > 0 {
		t.wrongf("began anew from a snapshot %d times: expected to resume, as the server was restarted with all "+
			"that it knew", t.tally.Resyncs)
	}
	return nil
}

// agree ends a session: it pings, compares a fresh list with the shadow, and folds the history
// from its first event.
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
