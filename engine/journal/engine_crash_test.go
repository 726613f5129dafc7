package journal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/rs/zerolog"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// ledger is the dumb model beside a real engine: the events that were decided, and how many of
// them clients may have heard of.
type ledger struct {
	mu      sync.Mutex
	decided map[uint64][]positions.Event
	heard   map[uint64]int
}

func newLedger() *ledger {
	return &ledger{decided: make(map[uint64][]positions.Event), heard: make(map[uint64]int)}
}

// heardOf returns how many events of each account clients may have heard of so far.
func (l *ledger) heardOf() map[uint64]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.heard)
}

// notingJournal notes events as decided before it commits them, and as heard of afterwards.
type notingJournal struct {
	*Journal
	l *ledger
}

func (n notingJournal) Commit(records []byte, count int) error {
	events := make([]positions.Event, count)
	rest := records
	for i := range events {
		rec, after, err := record.Cut(rest)
		if err = errors.Join(err, n.table.Decode(rec, &events[i])); err != nil {
			return err
		}
		rest = after
	}
	n.l.mu.Lock()
	for _, ev := range events {
		n.l.decided[ev.Account] = append(n.l.decided[ev.Account], ev)
	}
	n.l.mu.Unlock()
	if err := n.Journal.Commit(records, count); err != nil {
		return err
	}
	n.l.mu.Lock()
	defer n.l.mu.Unlock()
	for i := range events {
		n.l.heard[events[i].Account] = int(events[i].Seq)
	}
	return nil
}

// Publisher makes the ledger the outlet of an engine that has no sessions.
func (l *ledger) Publisher() engine.Publisher { return listener{} }

type listener struct {
	engine.Publisher // what nobody asks for is not called
}

func (listener) Flush()               {}
func (listener) Answer(engine.Answer) {}
func (listener) Timed(int64, int64)   {}

const engineAccounts = 8

// openAccounts opens those that are not open.
func openAccounts(ctx context.Context, e *engine.Engine) error {
	return simulator.Accounts{Count: engineAccounts, Seed: 1, Universe: universe}.Open(ctx, e)
}

// newEngine is a small engine on a journal, recovered.
func newEngine(tb testing.TB, j *Journal, l *ledger) (*engine.Engine, error) {
	tb.Helper()
	prices := universe.Opening()
	e, err := engine.New(engine.Config{
		Shards: 3, Workers: 6, InboxOrdersMax: 64, HistoryReadsMax: 4, HistoryMemoryBytesMax: 64 << 10,
		UncheckpointedBytesMax: 1 << 20, SessionsPerAccountMax: 1, Universe: universe,
		Prices: func() *market.Prices {
			return prices
		}, Clock: func() int64 { return 1 }, Journal: notingJournal{j, l}, Outlet: l,
		ReadOnly: j.ReadOnly, Log: zerolog.Nop(), Fatal: j.o.Fatal,
	})
	if err != nil {
		return nil, err
	}
	if err := j.Recover(context.Background(), e, nil); err != nil {
		e.Stop()
		return nil, err
	}
	return e, nil
}

// engineLife is the run of a server on a disk: engine, journal, checkpoints.
type engineLife struct {
	e               *engine.Engine
	j               *Journal
	stop            context.CancelFunc
	withoutBookings bool // as before there were any with ids
	ran             chan error
}

func startLife(tb testing.TB, o Options, l *ledger) (*engineLife, error) {
	tb.Helper()
	j, err := Open("data", o)
	if err != nil {
		return nil, err
	}
	e, err := newEngine(tb, j, l)
	if err != nil {
		return nil, errors.Join(err, j.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	life := &engineLife{e: e, j: j, stop: stop, ran: make(chan error, 1)}
	go func() { life.ran <- j.Run(ctx, e) }()
	if err := openAccounts(ctx, e); err != nil {
		return nil, errors.Join(err, life.end())
	}
	return life, nil
}

// end ends the run cleanly.
func (f *engineLife) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := f.e.Drain(ctx)
	f.stop()
	err = errors.Join(err, <-f.ran)
	f.e.Stop()
	return errors.Join(err, f.j.Close())
}

// trade submits orders, some of them twice, and takes trades back at the same time. It waits
// until all are answered.
func (f *engineLife) trade(rng *rand.Rand, orders int) error {
	busts := make(chan error, 1)
	go func(rng *rand.Rand) { busts <- f.takeBack(rng, orders/8) }(rand.New(rand.NewPCG(rng.Uint64(), 5)))
	for range orders {
		account := simulator.FirstAccount + rng.Uint64N(engineAccounts)
		o := positions.Order{
			Account: account, Quantity: 1 + rng.Int64N(100), Instrument: market.ID(rng.IntN(8)),
			Side: positions.Side(1 + rng.IntN(2)), Origin: positions.OriginClient,
		}
		if rng.IntN(2) == 0 {
			o.ID, _ = positions.MakeOrderID(fmt.Appendf(nil, "order %d", rng.IntN(2000)))
		}
		for f.e.Submit(account, []engine.Request{{Kind: engine.KindOrder, Account: account, Order: o}}) == 0 {
			time.Sleep(10 * time.Microsecond) // the inbox is full
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return errors.Join(<-busts, f.e.Drain(ctx))
}

// takeBack busts and corrects trades, books cash, resets accounts, and requests some of that twice.
func (f *engineLife) takeBack(rng *rand.Rand, busts int) error {
	for range busts {
		if !f.withoutBookings && rng.IntN(6) == 0 {
			if err := f.book(rng); err != nil {
				return err
			}
			continue
		}
		r := bustRequest(rng, simulator.FirstAccount+rng.Uint64N(engineAccounts), 30)
		ev, repeated, err := f.e.Bust(context.Background(), &r)
		var refused *engine.BustRefusedError
		switch {
		case errors.As(err, &refused):
		case err != nil:
			return err
		case repeated:
			return fmt.Errorf("bust %q of trade %d-%d was answered as a repeat of event %d",
				r.ID, r.Account, r.TradeSeq, ev.Seq)
		case r.ID != "":
			if err := f.askAgain(&r, ev); err != nil {
				return err
			}
		}
	}
	return nil
}

// book books cash or resets an account, and requests that twice.
func (f *engineLife) book(rng *rand.Rand) error {
	r := positions.BookingRequest{
		Account: simulator.FirstAccount + rng.Uint64N(engineAccounts), Kind: positions.BookingKind(1 + rng.IntN(3)),
		Amount: 1 + rng.Int64N(1_000_000_0000), Reason: "pocket money", Actor: "test",
		ID: fmt.Sprint("booking-", rng.Uint64()),
	}
	ev, repeated, err := f.e.Book(context.Background(), &r)
	var refused *engine.BookingRefusedError
	switch {
	case errors.As(err, &refused):
		return nil
	case err != nil:
		return err
	case repeated:
		return fmt.Errorf("%s was answered as a repeat of event %d", r.Title(), ev.Seq)
	}
	return f.bookAgain(&r, ev)
}

// bookAgain repeats a booking under its id. The answer must be the event of the first time.
func (f *engineLife) bookAgain(r *positions.BookingRequest, done positions.Event) error {
	again, repeated, err := f.e.Book(context.Background(), r)
	if err != nil || !repeated || !sameEvent(again, done) {
		return fmt.Errorf("%s asked for again: repeat %t, error %w\n got %+v\nwant %+v",
			r.Title(), repeated, err, again, done)
	}
	return nil
}

// bookingOf returns the request that an event carried out, if it was one with an id.
func bookingOf(ev *positions.Event) (r positions.BookingRequest, ok bool) {
	r = positions.BookingRequest{Account: ev.Account, Actor: "another", ID: ev.BookingID()}
	switch {
	case r.ID == "":
		return r, false
	case ev.Reset != nil:
		r.Kind, r.Amount, r.Reason = positions.ResetTo, ev.Reset.Cash, ev.Reset.Reason
	case ev.Adjustment.Cash < 0:
		r.Kind, r.Amount, r.Reason = positions.Withdrawal, -ev.Adjustment.Cash, ev.Adjustment.Reason
	default:
		r.Kind, r.Amount, r.Reason = positions.Deposit, ev.Adjustment.Cash, ev.Adjustment.Reason
	}
	return r, true
}

// askAgain repeats a bust under its id. The answer must be the event of the first time.
func (f *engineLife) askAgain(r *positions.BustRequest, done positions.Event) error {
	again, repeated, err := f.e.Bust(context.Background(), r)
	if err != nil || !repeated || !sameEvent(again, done) {
		return fmt.Errorf("bust %q asked for again: repeat %t, error %w\n got %+v\nwant %+v",
			r.ID, repeated, err, again, done)
	}
	return nil
}

// askAllAgain repeats all busts and bookings that are among the account's events.
func (f *engineLife) askAllAgain(events []positions.Event) error {
	for i := range events {
		if r, ok := bookingOf(&events[i]); ok {
			if err := f.bookAgain(&r, events[i]); err != nil {
				return err
			}
		}
		b := events[i].Bust
		if b == nil || b.ID == "" {
			continue
		}
		r := positions.BustRequest{
			Account: events[i].Account, TradeSeq: b.TradeSeq, Reason: b.Reason, Actor: "another", ID: b.ID,
			Policy: positions.PolicyCascade,
		}
		if b.Replacement != nil {
			r.Correct, r.Price, r.Quantity = true, b.Replacement.Price, b.Replacement.Quantity
		}
		if err := f.askAgain(&r, events[i]); err != nil {
			return err
		}
	}
	return nil
}

// check compares the engine with the ledger. Each account must have at least the events that
// clients have heard of, and at most those decided. Every event in memory or in the store must
// be as it was, and so must the state's hash.
func (f *engineLife) check(l *ledger, heard map[uint64]int, opened bool) error {
	for number := uint64(simulator.FirstAccount); number < simulator.FirstAccount+engineAccounts; number++ {
		h, err := f.e.Holdings(context.Background(), number)
		if errors.Is(err, engine.ErrUnknownAccount) && heard[number] == 0 && !opened {
			continue
		}
		if err != nil {
			return err
		}
		l.mu.Lock()
		decided := l.decided[number]
		l.mu.Unlock()
		n := int(h.Seq)
		if n < heard[number] || n > len(decided) {
			return fmt.Errorf("account %d is at event %d; heard of were %d, decided %d",
				number, n, heard[number], len(decided))
		}
		if want := stateHash(number, decided[:n]); h.Hash != want {
			return fmt.Errorf("account %d at event %d has state hash %x, want %x", number, n, h.Hash, want)
		}
		if err := f.checkHistory(number, decided[:n]); err != nil {
			return err
		}
	}
	return nil
}

func (f *engineLife) checkHistory(number uint64, decided []positions.Event) error {
	left := len(decided)
	for left > 0 {
		page, oldest, err := f.e.History(context.Background(), number, uint64(left)+1, 100)
		if err != nil || len(page) == 0 || oldest != 1 {
			return fmt.Errorf("account %d before event %d: %d events, oldest %d: %w",
				number, left+1, len(page), oldest, err)
		}
		for i := range page {
			if !sameEvent(page[i], decided[left-1]) {
				return fmt.Errorf("account %d, event %d:\n got %+v\nwant %+v", number, left, page[i], decided[left-1])
			}
			left--
		}
	}
	return nil
}

// TestPowerLossOfEngine is TestPowerLoss with the real engine: its checkpoints, made in slices
// between orders and busts, its recovery, and its history from memory and from the store.
func TestPowerLossOfEngine(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	y := newTally(t, "power loss of the engine")
	for tried, run := 0, uint64(0); tried < *crashPoints && !t.Failed(); run++ {
		tried += engineRun(t, y, run, min(100, *crashPoints-tried))
	}
	y.mustHaveSeen("losses after something was acknowledged", "busts", "corrections")
	if thorough() {
		y.mustHaveSeen("cascades", "resets")
	}
}

type engineLoss struct {
	disk  *vfs.MemFS
	heard map[uint64]int
	op    errorfs.Op
}

// engineRun is two runs of a server on a disk that loses power at up to most moments.
func engineRun(t *testing.T, y *counted, run uint64, most int) (tried int) {
	disk, l := crashDisk{vfs.NewCrashableMem()}, newLedger()
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(y.seed+run, 3))
	var losses []engineLoss
	o := testOptions(t, noLinkFS{disk.beforeWrites(func(op errorfs.Op) {
		mu.Lock()
		defer mu.Unlock()
		if len(losses) < most && rng.IntN(oneIn) == 0 {
			heard := l.heardOf()
			losses = append(losses, engineLoss{disk.lose(rng), heard, op})
			y.saw("losses after something was acknowledged", min(1, len(heard)))
		}
	})}, Sync)
	o.CheckpointInterval = 500 * time.Microsecond
	orders := rand.New(rand.NewPCG(y.seed+run, 4))
	if run%3 == 2 {
		if err := beginEngineWithFormatOne(t, disk, l, orders); err != nil {
			y.found("run %d: before format 2: %v", run, err)
			return most
		}
		y.saw("ledgers of format 1", 1)
	}
	for range 2 {
		life, err := startLife(t, o, l)
		if err == nil {
			err = errors.Join(life.trade(orders, 300), life.check(l, l.heardOf(), true), life.end())
		}
		if err != nil {
			y.found("run %d: %v", run, err)
			return len(losses)
		}
	}
	for _, events := range l.decided {
		y.sawBusts(events)
		for i := range events {
			if r, ok := bookingOf(&events[i]); ok && r.Kind == positions.ResetTo {
				y.saw("resets", 1)
			}
		}
	}
	forEach(len(losses), func(n int) {
		if err := judgeEngine(t, &losses[n], l, n); err != nil {
			op := losses[n].op
			y.found("run %d, loss %d, before operation %d of %s: %v", run, n, op.Kind, op.Path, err)
		}
		losses[n].disk = nil
		y.tried(1)
	})
	return len(losses)
}

// beginEngineWithFormatOne leaves a ledger of format 1 on the disk, of a server that has traded.
func beginEngineWithFormatOne(t *testing.T, disk crashDisk, l *ledger, orders *rand.Rand) error {
	o := testOptions(t, disk.MemFS, Sync)
	o.CheckpointInterval = 500 * time.Microsecond
	life, err := startLife(t, o, l)
	if err == nil {
		life.withoutBookings = true
		err = errors.Join(life.trade(orders, 200), life.end())
	}
	if err == nil {
		makeFormatOne(t, disk)
		err = syncDir(disk, "/")
	}
	return err
}

// judgeEngine starts a server on what is left, trades, and verifies the journal offline.
func judgeEngine(t *testing.T, loss *engineLoss, l *ledger, n int) error {
	o := testOptions(t, loss.disk, Sync)
	o.CheckpointInterval = 500 * time.Microsecond
	j, err := Open("data", o)
	if err != nil {
		return err
	}
	after := newLedger() // for what happens after the recovery
	e, err := newEngine(t, j, after)
	if err != nil {
		return errors.Join(err, j.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	life := &engineLife{e: e, j: j, stop: stop, ran: make(chan error, 1)}
	go func() { life.ran <- j.Run(ctx, e) }()
	if err = life.check(l, loss.heard, false); err == nil && n%4 == 0 {
		err = life.goOn(l, after)
	}
	if err = errors.Join(err, life.end()); err == nil && n%4 == 0 {
		_, err = Verify(context.Background(), "data", o)
	}
	return err
}

// goOn repeats all busts, opens the accounts if that was interrupted, and trades.
func (f *engineLife) goOn(l, after *ledger) error {
	for number := uint64(simulator.FirstAccount); number < simulator.FirstAccount+engineAccounts; number++ {
		h, err := f.e.Holdings(context.Background(), number)
		if err == nil {
			l.mu.Lock()
			after.decided[number] = append([]positions.Event(nil), l.decided[number][:h.Seq]...)
			l.mu.Unlock()
			err = f.askAllAgain(after.decided[number])
		}
		if err != nil && !errors.Is(err, engine.ErrUnknownAccount) {
			return err
		}
	}
	err := openAccounts(context.Background(), f.e)
	if err == nil {
		err = f.trade(rand.New(rand.NewPCG(1, 2)), 50)
	}
	return errors.Join(err, f.check(after, after.heardOf(), true))
}
