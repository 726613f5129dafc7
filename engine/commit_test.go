package engine

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// TestNothingBeforeTheCommit: no answer, push or login reply leaves before the events of its step
// are durable, even if it does not depend on them. Deciders and queries of the process wait as
// well.
func TestNothingBeforeTheCommit(t *testing.T) {
	w := newWorld(t, options{}, alice, bob)
	c, other := w.loggedIn(alice), w.loggedIn(bob)
	w.trade(bob, 1)
	catching := w.catching(bob, 1)
	other.seen++
	joining := w.connect(bob)
	release := w.journal.holdCommits()
	defer release()
	d := &decider{decide: func(positions.View, *market.Prices, uint64) (positions.Order, bool) { return buy(3), true }}
	asked := make(chan error, 2)
	before := w.outlet.published()

	w.inOneStep(w.eng.shardOf(alice), func() {
		c.order(buy(1))
		c.order(sell(99))
		c.order(buy(1, "x"))
		c.order(buy(1, "x"))
		c.holdings()
		c.history(0, 5)
		other.holdings()
		other.history(0, 5)
		joining.login(ModeSnapshot, 0)
		catching.piece = 2
		catching.read()
		w.decideBy(alice, d, 1)
		go func() {
			_, err := w.eng.Holdings(context.Background(), bob)
			asked <- err
		}()
		go func() {
			_, _, err := w.eng.History(context.Background(), alice, 0, 5)
			asked <- err
		}()
		w.until("login, catch-up and both queries in the lane", func() bool { return w.lane(alice) == 4 })
	})

	w.until("the commit", w.committing)
	time.Sleep(5 * time.Millisecond) // time enough for a premature answer
	if n := w.outlet.published() - before; n != 0 {
		t.Errorf("%d things were published before the commit returned", n)
	}
	if len(asked) > 0 {
		t.Error("a query was answered before the commit returned")
	}
	if c.InFlight() != 6 || other.InFlight() != 2 {
		t.Errorf("%d and %d requests in flight during the commit", c.InFlight(), other.InFlight())
	}
	release()
	w.settle()
	c.expect("EXECUTION 2 #2", "REFUSED InsufficientShares #3", "EXECUTION 3 #4", "REPEAT 3 #5", "HOLDINGS 3 #6",
		"HISTORY 3 2 1 oldest=1 #7", "EVENT 4")
	other.expect("HOLDINGS 2 #2", "HISTORY 2 1 oldest=1 #3")
	joining.expect("LOGIN SNAPSHOT head=2 oldest=1 holdings=2 #1")
	catching.expect("EVENT 1 replay", "EVENT 2 replay")
	for range 2 {
		if err := <-asked; err != nil {
			t.Error(err)
		}
	}
	if len(d.events) != 1 || d.events[0] != 4 {
		t.Errorf("Done was told of %v", d.events)
	}
}

// TestNoEventsNoCommit: a step without events does not wait for the disk.
func TestNoEventsNoCommit(t *testing.T) {
	w := newWorld(t, options{}, alice)
	c := w.loggedIn(alice)
	release := w.journal.holdCommits()
	defer release()
	c.holdings()
	c.order(sell(1))
	c.history(0, 1)
	w.settle()
	c.expect("HOLDINGS 1 #2", "REFUSED InsufficientShares #3", "HISTORY 1 oldest=1 #4")
}

// TestOneCommitForAStep: the events of a step become durable together.
func TestOneCommitForAStep(t *testing.T) {
	w := newWorld(t, options{}, alice, bob)
	before := w.journal.commits
	w.together(func() {
		for range 100 {
			w.trade1(alice)
			w.trade1(bob)
		}
	})
	if n := w.journal.commits - before; n != 1 || w.journal.head(alice) != 101 || w.journal.head(bob) != 101 {
		t.Errorf("%d commits", n)
	}
}

// TestShardsCommitApart: the commit of a shard does not hold up other shards.
func TestShardsCommitApart(t *testing.T) {
	w := newWorld(t, options{shards: 3}, alice, bob)
	if w.eng.ShardOf(alice) == w.eng.ShardOf(bob) {
		t.Fatal("the test needs two shards")
	}
	c := w.loggedIn(bob)
	release := w.journal.holdCommits()
	defer release()
	w.trade1(alice)
	w.until("the commit", w.committing)
	w.journal.set(func() { w.journal.commitGate = nil }) // the next one does not wait
	c.order(buy(1))
	w.until("the answer", func() bool { return c.InFlight() == 0 })
	c.expect("EXECUTION 2 #2")
	if w.journal.head(alice) != 1 {
		t.Error("the first commit did not wait")
	}
}

func TestCommitFails(t *testing.T) {
	w := newWorld(t, options{}, alice)
	c := w.loggedIn(alice)
	full := errors.New("no space left on device")
	w.journal.set(func() { w.journal.failure = full })
	d := &decider{decide: func(positions.View, *market.Prices, uint64) (positions.Order, bool) { return buy(3), true }}
	w.inOneStep(w.eng.shardOf(alice), func() {
		c.holdings()
		c.order(buy(1))
		w.decideBy(alice, d, 1)
	})
	if err := w.fatal(); !errors.Is(err, full) || !strings.HasPrefix(err.Error(), "journal: a commit failed") {
		t.Errorf("Fatal was called with %v", err)
	}
	c.expect()
	if c.InFlight() != 2 || len(d.args) != 0 {
		t.Errorf("%d requests in flight, Done called %d times", c.InFlight(), len(d.args))
	}
}

// TestPanicWhilePublishing: memory and clients may disagree, so the process ends.
func TestPanicWhilePublishing(t *testing.T) {
	for _, trap := range []string{"EXECUTION", "EVENT", "REFUSED", "HOLDINGS", "HISTORY", "LOGIN", "Flush"} {
		t.Run(trap, func(t *testing.T) {
			w := newWorld(t, options{}, alice)
			c := w.loggedIn(alice)
			w.loggedIn(alice)
			w.outlet.mu.Lock()
			w.outlet.trap = trap
			w.outlet.mu.Unlock()
			c.order(sell(1))
			c.holdings()
			c.history(0, 1)
			w.connect(alice).login(ModeQuick, 0)
			c.order(buy(1))
			if err := w.fatal(); !strings.Contains(err.Error(), "the publisher is made to panic at "+trap) {
				t.Errorf("Fatal was called with %v", err)
			}
		})
	}
}

func TestPanicInDone(t *testing.T) {
	w := newWorld(t, options{}, alice)
	d := &decider{panics: true}
	d.decide = func(positions.View, *market.Prices, uint64) (positions.Order, bool) { return buy(3), true }
	w.decideBy(alice, d, 1)
	if err := w.fatal(); !strings.Contains(err.Error(), "Done is made to panic") {
		t.Errorf("Fatal was called with %v", err)
	}
}

func TestUnknownKind(t *testing.T) {
	w := newWorld(t, options{}, alice)
	w.eng.Submit(alice, []Request{{Kind: 99}})
	if err := w.fatal(); !strings.Contains(err.Error(), "request of kind 99") {
		t.Errorf("Fatal was called with %v", err)
	}
}

// TestDrain: Drain returns only when no work is pending.
func TestDrain(t *testing.T) {
	w := newWorld(t, options{keeps: true, tail: 1}, alice)
	c := w.loggedIn(alice)
	release := w.journal.holdCommits()
	defer release()
	c.order(buy(1))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	if err := w.eng.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Drain during a commit: %v", err)
	}
	release()
	if err := w.eng.Drain(t.Context()); err != nil || c.InFlight() != 0 {
		t.Errorf("Drain: %v, %d in flight", err, c.InFlight())
	}
	w.checkpoint()
	release = w.journal.holdReads()
	defer release()
	c.history(0, 2)
	w.until("a reader", func() bool { return w.readersReading() == 1 })
	if w.eng.idle() {
		t.Error("idle while a reader is under way")
	}
	release()
	if err := w.eng.Drain(t.Context()); err != nil || c.InFlight() != 0 {
		t.Errorf("Drain: %v, %d in flight", err, c.InFlight())
	}
	c.expect("EXECUTION 2 #2", "HISTORY 2 1 oldest=1 #3")
}

// TestIdleMeansAnswered: a request that goes from the drainer to a reader and back counts as
// pending all the time.
func TestIdleMeansAnswered(t *testing.T) {
	w := newWorld(t, options{shards: 3, keeps: true, tail: 1}, alice, bob, carol)
	var asking []*conn
	for _, number := range []uint64{alice, bob, carol} {
		w.trade(number, 1)
		asking = append(asking, w.loggedIn(number))
	}
	for range 500 {
		for _, c := range asking {
			c.history(2, 1)
		}
		for !w.eng.idle() {
			runtime.Gosched()
		}
		for _, c := range asking {
			if n := c.InFlight(); n != 0 {
				t.Fatalf("idle, with %d requests in flight", n)
			}
		}
	}
}

// inOneStep lets one step of s serve everything that f puts into its mailbox. It does not wait for
// the step.
func (w *world) inOneStep(s *shard, f func()) {
	w.t.Helper()
	w.until("the drainer to end", s.hold)
	f()
	w.eng.execute(s.drainFunc)
}

func TestNewRefuses(t *testing.T) {
	good := Config{
		Shards: 2, Workers: 2, InboxOrdersMax: 1, HistoryReadsMax: 1, SessionsPerAccountMax: 1, Universe: testUniverse,
		Journal: NewMemoryJournal(), Outlet: &fakeOutlet{},
	}
	for _, test := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Shards = 0 },
			"engine: 0 shards on 2 workers: there must be at least one shard, and a worker for each"},
		{func(c *Config) { c.Workers = 1 },
			"engine: 2 shards on 1 workers: there must be at least one shard, and a worker for each"},
		{func(c *Config) { c.InboxOrdersMax = 0 }, "engine: every bound must be at least 1"},
		{func(c *Config) { c.HistoryReadsMax = 0 }, "engine: every bound must be at least 1"},
		{func(c *Config) { c.SessionsPerAccountMax = 0 }, "engine: every bound must be at least 1"},
	} {
		cfg := good
		test.change(&cfg)
		if eng, err := New(cfg); err == nil || err.Error() != test.want {
			t.Errorf("New: %v, want %q", err, test.want)
			if eng != nil {
				eng.Stop()
			}
		}
	}
	eng, err := New(good)
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Stop()
	if eng.Shards() != 2 || eng.ShardOf(7) != 1 || eng.ShardOf(8) != 0 {
		t.Errorf("%d shards; 7 in %d, 8 in %d", eng.Shards(), eng.ShardOf(7), eng.ShardOf(8))
	}
}
