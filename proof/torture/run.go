package torture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/proof/process"
	"github.com/papertape/papertape/proof/shadow"
)

const (
	firstAccount = 100001
	dialingMax   = 32 // connections that log in at the same time

	loadLeast, loadMost = 20 * time.Millisecond, 600 * time.Millisecond // of load before a kill
	stormMax            = 60 * time.Millisecond                         // from the first connection to a kill
	startingMax         = 150 * time.Millisecond                        // from the start of a process to a kill
	stoppingMax         = 60 * time.Millisecond                         // from SIGTERM to a kill
	restTimeout         = time.Minute                                   // for the clients to catch up
	cleanEvery          = 12                                            // kills between two clean stops
	progressEvery       = 5 * time.Second
)

// Config describes a run.
type Config struct {
	Binary   string          // the server, started as `Binary serve …` under the name of papertape
	Sealed   *process.Sealed // nil: no TLS
	Kills    int
	Seed     uint64
	Accounts int     // each with two clients
	Rate     float64 // simulated fills a second while there is load
	Data     string  // the data directory, which must not exist; "": a temporary one

	// Durability is the mode of the server: sync, except to see this test fail.
	Durability string

	Progress io.Writer // a line every few seconds
}

// run is the state of a run. One goroutine owns it. While clients work, each goroutine owns its
// trader.
type run struct {
	Config
	rng      *rand.Rand
	deck     []fate // of the next kills
	accounts []*account
	traders  []*trader // two for each account: one with a shadow, and a witness
	desk     []*operator
	epoch    epoch
	findings findings
	counting sync.Mutex // guards what count increments
	report   Report
	tried    [fates]Tried
	recovery []time.Duration
	verified time.Duration // the longest verify
	said     time.Time
	began    time.Time
}

// Run kills servers as Config says. The error says why the run was not possible; what was found is
// in the report.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	parent, err := os.MkdirTemp("", "papertape-torture-")
	if err != nil {
		return nil, fmt.Errorf("torture: %w", err)
	}
	if cfg.Data == "" {
		cfg.Data = filepath.Join(parent, "data")
	} else if _, err := os.Lstat(cfg.Data); err == nil {
		return nil, fmt.Errorf("%s exists: a run begins with no data, and writes over none", cfg.Data)
	}
	r := newRun(cfg)
	err = r.killAll(ctx)
	for _, t := range r.traders {
		t.disconnect()
	}
	if err != nil {
		return nil, fmt.Errorf("%w; the directory is left as it was: %s", err, cfg.Data)
	}
	r.finish()
	if r.report.OK() {
		err = errors.Join(os.RemoveAll(cfg.Data), os.RemoveAll(parent))
	}
	return &r.report, err
}

func newRun(cfg Config) *run {
	r := &run{Config: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 0)), began: time.Now(), said: time.Now()}
	for i := range cfg.Accounts {
		a := newAccount(uint64(firstAccount+i), &r.findings)
		r.accounts = append(r.accounts, a)
		for n, computed := range []*shadow.Shadow{shadow.New(a.number), nil} {
			r.traders = append(r.traders, &trader{
				account: a, name: fmt.Sprintf("t%d-%d-%d", cfg.Seed, i, n), shadow: computed, epoch: &r.epoch,
				tls: cfg.Sealed.Client(),
				rng: rand.New(rand.NewPCG(cfg.Seed, uint64(1+2*i+n))),
			})
		}
	}
	for i := range operators {
		r.desk = append(r.desk, &operator{
			name: fmt.Sprintf("b%d-%d", cfg.Seed, i), accounts: r.accounts,
			rng: rand.New(rand.NewPCG(cfg.Seed, uint64(1<<32+i))),
		})
	}
	return r
}

// killAll kills servers the configured number of times, or until the first breach, and then checks
// everything once more.
func (r *run) killAll(ctx context.Context) error {
	clean := false
	for r.kills() < r.Kills {
		if err := r.cycle(ctx, r.fate()); err != nil || r.findings.any() {
			return err
		}
		if clean = !clean && r.kills()%cleanEvery == 0; clean {
			if err := r.cycle(ctx, fates); err != nil || r.findings.any() {
				return err
			}
		}
		r.say()
	}
	return r.replayAll(ctx)
}

func (r *run) kills() (n int) {
	for _, t := range r.tried {
		n += t.Kills
	}
	return n
}

// fatesOfTen kills are aimed at these times, in random order.
var fatesOfTen = [...]fate{underLoad, underLoad, underLoad, underLoad, underLoad, underLoad, inStorm, starting,
	stopping,
	stopping}

// fate draws when the next kill strikes. The first is under load, so that there is something to
// lose.
func (r *run) fate() fate {
	if len(r.deck) == 0 {
		r.deck = slices.Clone(fatesOfTen[:])
		r.rng.Shuffle(len(r.deck), func(i, j int) { r.deck[i], r.deck[j] = r.deck[j], r.deck[i] })
		if r.kills() == 0 {
			i := slices.Index(r.deck, underLoad)
			r.deck[0], r.deck[i] = r.deck[i], r.deck[0]
		}
	}
	f := r.deck[0]
	r.deck = r.deck[1:]
	return f
}

func (r *run) say() {
	if time.Since(r.said) < progressEvery {
		return
	}
	r.said = time.Now()
	_, _ = fmt.Fprintf(r.Progress, "%s: %d of %d kills, %d events acknowledged, nothing wrong\n",
		time.Since(r.began).Round(time.Second), r.kills(), r.Kills, r.events())
}

// start starts a server on the directory. Settings that do not affect the data are drawn anew each
// time.
func (r *run) start() (*process.Server, error) {
	return process.Start(r.Binary, append(r.Sealed.Flags(), "--data", r.Data, "--durability", r.Durability,
		"--accounts", fmt.Sprint(r.Accounts), "--seed", fmt.Sprint(r.Seed), "--connections-prelogin-max", "100000",
		"--checkpoint-interval", [...]string{"20ms", "100ms", "500ms", "5s"}[r.rng.IntN(4)],
		"--shards", fmt.Sprint(1+r.rng.IntN(4)))...)
}

// cycle is the life of one server, from its start on the data of the last one to its end, and the
// check of what it left.
func (r *run) cycle(ctx context.Context, f fate) error {
	s, err := r.start()
	if err != nil {
		return err
	}
	err = r.liveUntilKill(ctx, s, f)
	if err == nil {
		r.end(s, f)
	} else {
		s.Kill()
	}
	for _, t := range r.traders {
		t.disconnect()
	}
	if err != nil {
		return err
	}
	r.tally(s, f)
	took, breach, err := process.Verify(ctx, r.Binary, r.Data)
	if err != nil {
		return fmt.Errorf("papertape verify: %w", err)
	}
	if r.verified = max(r.verified, took); breach != "" {
		r.findings.add(other, 1, "%s", breach)
		return nil
	}
	r.report.Verified++
	return nil
}

// liveUntilKill brings a server to the time of its kill. A breach, or a server that ends by itself, ends it
// early.
func (r *run) liveUntilKill(ctx context.Context, s *process.Server, f fate) error {
	if f == starting {
		return r.waitBetween(ctx, 0, startingMax)
	}
	took, err := s.Await(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		r.findings.add(other, 1, "%v", err)
		return nil
	}
	r.recovery = append(r.recovery, took)
	if f == inStorm {
		return r.storm(ctx, s)
	}
	if err := r.checkAtRest(ctx, s); err != nil {
		return r.reportBroken(ctx, s, err)
	}
	if r.findings.any() {
		return nil
	}
	return r.load(ctx, s, f)
}

// load makes clients trade on a server, and kills it meanwhile if it is to be killed.
func (r *run) load(ctx context.Context, s *process.Server, f fate) error {
	trading, stop := context.WithCancel(ctx)
	var trades sync.WaitGroup
	began := make(chan struct{}, 1)
	for _, t := range r.traders {
		t.began = began
		trades.Go(func() { t.trade(trading) })
	}
	for _, o := range r.desk {
		trades.Go(func() { o.work(trading, s.Admin()) })
	}
	_, err := console.NewClient(s.Admin(), "").SetRate(ctx, r.Rate)
	if err == nil {
		err = awaitOrder(ctx, s.Ended(), began)
	}
	if err == nil {
		err = r.waitBetween(ctx, loadLeast, loadMost)
	}
	if err == nil && f != fates {
		err = r.strike(ctx, s, f)
	}
	stop()
	trades.Wait()
	if err != nil {
		return r.reportBroken(ctx, s, err)
	}
	return nil
}

// awaitOrder waits until an order was executed: a server that is killed earlier has promised
// nothing.
func awaitOrder(ctx context.Context, ended, began <-chan struct{}) error {
	limit := time.NewTimer(restTimeout)
	defer limit.Stop()
	select {
	case <-began:
		return nil
	case <-ended:
		return errors.New("the server ended before it executed an order")
	case <-limit.C:
		return fmt.Errorf("no order was executed within %s", restTimeout)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// strike kills the server while clients trade. Their orders end with their connections.
func (r *run) strike(ctx context.Context, s *process.Server, f fate) error {
	if f == stopping {
		s.Terminate()
		if err := r.waitBetween(ctx, 0, stoppingMax); err != nil {
			return err
		}
	}
	s.Kill()
	return nil
}

// reportBroken reports the failure of a server that should have served as a breach, unless the caller
// gave up.
func (r *run) reportBroken(ctx context.Context, s *process.Server, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.findings.add(other, 1, "%v; the end of the server's log: %s", err, s.Log())
	return nil
}

// end ends a server, and counts how it ended.
func (r *run) end(s *process.Server, f fate) {
	if f == fates {
		if err := s.Stop(); err != nil {
			r.findings.add(other, 1, "%v", err)
		}
		r.report.CleanStops++
		return
	}
	if s.Kill() {
		r.tried[f].Kills++
		return
	}
	if f == stopping && s.Err() == nil { // it stopped before the kill
		r.report.CleanStops++
		return
	}
	r.findings.add(other, 1, "the server ended by itself: %v; the end of its log: %s", s.Err(), s.Log())
}

// tally counts what clients heard of a server.
func (r *run) tally(s *process.Server, f fate) {
	for _, line := range s.Complaints() {
		r.findings.add(other, 1, "the server's log complains: %s", line)
	}
	fresh, orders, takebacks, bookings := 0, 0, 0, 0
	for _, t := range r.traders {
		fresh += int(t.fresh.Swap(0))
		r.report.ReadAgain += int(t.again.Swap(0))
	}
	for _, a := range r.accounts {
		a.settle()
		orders += a.unanswered.waiting()
		takebacks += a.undecided.waiting()
		bookings += a.unbooked.waiting()
	}
	if f < fates {
		r.tried[f].Acknowledged += fresh
	}
	if f == underLoad || f == stopping { // at other times nobody places orders
		r.tried[f].Unanswered += orders
		r.report.BustsUnanswered += takebacks
		r.report.BookingsUnanswered += bookings
	}
}

// waitBetween waits for a random time between the two.
func (r *run) waitBetween(ctx context.Context, least, most time.Duration) error {
	select {
	case <-time.After(least + time.Duration(r.rng.Int64N(int64(most-least)))):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *run) events() (n int) {
	for _, a := range r.accounts {
		n += int(a.newestSeq())
	}
	return n
}

// finish completes the report.
func (r *run) finish() {
	rep := &r.report
	rep.Seed, rep.Durability, rep.Kills, rep.Accounts, rep.Connections = r.Seed, r.Durability, r.kills(),
		len(r.accounts), len(r.traders)
	for f, t := range r.tried {
		t.When = fate(f).String()
		rep.Tried = append(rep.Tried, t)
		rep.Unanswered += t.Unanswered
	}
	rep.Events = r.events()
	for _, a := range r.accounts {
		rep.Orders += len(a.executed)
		busts, corrections := a.countTakebacks()
		rep.Busts, rep.Corrections = rep.Busts+busts, rep.Corrections+corrections
		bookings, resets := a.countBookings()
		rep.Bookings, rep.Resets = rep.Bookings+bookings, rep.Resets+resets
	}
	rep.RecoveryMedian, rep.RecoveryMax = spread(r.recovery)
	rep.VerifyMax = milliseconds(r.verified)
	if r.findings.addTo(rep); rep.OK() {
		rep.Failures = append(rep.Failures, rep.tooLittle(r.Kills)...)
	}
	if !rep.OK() {
		rep.Data = r.Data
	}
}
