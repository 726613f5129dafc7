package engine

import (
	"errors"
	"slices"
	"testing"

	"github.com/papertape/papertape/positions"
)

// catching logs in a session that is replayed everything, with pieces of at most piece events, of
// which it has the first.
func (w *world) catching(account uint64, piece int) *conn {
	w.t.Helper()
	c := w.connect(account)
	c.piece = piece + 1 // the login reply counts too
	c.login(ModeRestart, 0)
	w.settle()
	c.seen++
	c.piece = piece
	return c
}

// TestOrdersWhileCatchingUp: a session's own orders appear at their place of the replay, as
// executions.
func TestOrdersWhileCatchingUp(t *testing.T) {
	w := newWorld(t, options{}, alice)
	w.trade(alice, 3)
	other := w.loggedIn(alice)
	c := w.catching(alice, 2)
	c.expect("EVENT 1 replay", "EVENT 2 replay")
	c.order(buy(7))
	c.order(sell(999))
	other.order(buy(8))
	c.order(buy(9, "x"))
	c.order(buy(9, "x"))
	w.settle()
	// Refusals and repeats carry no new sequence, so they need not wait.
	c.expect("REFUSED InsufficientShares #3", "REPEAT 7 #5")
	other.expect("EVENT 5", "EXECUTION 6 #2", "EVENT 7")
	if n := c.InFlight(); n != 2 {
		t.Errorf("%d requests in flight; two executions are owed", n)
	}
	c.read()
	w.settle()
	c.expect("EVENT 3 replay", "EVENT 4 replay")
	c.read()
	w.settle()
	c.expect("EXECUTION 5 #2", "EVENT 6")
	if n := c.InFlight(); n != 1 {
		t.Errorf("%d requests in flight; one execution is owed", n)
	}
	c.read()
	w.settle()
	c.expect("EXECUTION 7 #4")
	if ev := c.last().ev; ev.Trade.Quantity != 9 || ev.Trade.OrderID.String() != "x" {
		t.Errorf("the execution is %+v", ev)
	}
	c.order(buy(1))
	w.settle()
	c.expect("EXECUTION 8 #6")
	if n := c.InFlight(); n != 0 || c.catchup != nil || c.state != sessionLive {
		t.Errorf("%d requests in flight, %+v", n, c.catchup)
	}
}

// TestHoldingsWhileCatchingUp: queries for holdings are answered when the session is live, after
// all events that the answer includes.
func TestHoldingsWhileCatchingUp(t *testing.T) {
	w := newWorld(t, options{}, alice)
	w.trade(alice, 2)
	c := w.catching(alice, 2)
	c.expect("EVENT 1 replay", "EVENT 2 replay")
	w.together(func() {
		c.holdings()
		c.order(buy(5))
		c.holdings()
		c.history(0, 2) // moves no cursor, so it need not wait
	})
	c.expect("HISTORY 4 3 oldest=1 #5")
	if n := c.InFlight(); n != 3 {
		t.Errorf("%d requests in flight", n)
	}
	w.together(func() {
		c.read()
		w.trade1(alice) // decided in the step in which the session becomes live
		c.piece = piecesUnbounded
	})
	c.expect("EVENT 3 replay", "EXECUTION 4 #3", "EVENT 5", "HOLDINGS 5 #2", "HOLDINGS 5 #4")
	if h := c.last().holdings; len(h.Positions) != 1 || h.Positions[0].Quantity != 8 {
		t.Errorf("holdings %+v", h)
	}
	c.holdings()
	w.settle()
	c.expect("HOLDINGS 5 #6")
	if n := c.InFlight(); n != 0 {
		t.Errorf("%d requests in flight", n)
	}
}

// TestHoldingsInTheStepOfTheLogin: a query in the step of the login is decided before the login is
// answered, and still answered correctly.
func TestHoldingsInTheStepOfTheLogin(t *testing.T) {
	w := newWorld(t, options{}, alice)
	w.trade(alice, 3)
	c := w.connect(alice)
	c.piece = 2
	w.together(func() {
		c.login(ModeRestart, 0)
		c.holdings()
		c.order(buy(1))
	})
	c.expect("LOGIN RESTART head=4 oldest=1 after=0 #1", "EVENT 1 replay")
	for range 3 {
		c.read()
		w.settle()
	}
	c.expect("EVENT 2 replay", "EVENT 3 replay", "EVENT 4 replay", "EXECUTION 5 #3", "HOLDINGS 5 #2")
}

// TestReplayBelowTail: a reader outside the drainer fetches the events below the tail, piece by
// piece.
func TestReplayBelowTail(t *testing.T) {
	const n = 3*readEvents + 10
	for _, piece := range []int{1000, 100, 1} {
		w := newWorld(t, options{tail: 4, keeps: true, reads: 1}, alice)
		w.trade(alice, n-1)
		c := w.connect(alice)
		c.piece = piece
		c.login(ModeRestart, 0)
		w.settle()
		for reads := 0; c.isCatchingUp(); reads++ {
			if reads > 2*n {
				t.Fatal("the replay does not end")
			}
			c.read()
			w.settle()
		}
		if got := c.fresh()[1:]; !slices.Equal(got, events(1, n, " replay")) {
			t.Errorf("pieces of %d: %d frames: %v", piece, len(got), got[:min(len(got), 20)])
		}
	}
}

func (c *conn) isCatchingUp() bool {
	c.w.outlet.mu.Lock()
	defer c.w.outlet.mu.Unlock()
	return c.catchUp
}

// TestReplayWhileReading: events that come while a reader is at work follow those that it fetches.
func TestReplayWhileReading(t *testing.T) {
	w := newWorld(t, options{tail: 2, keeps: true}, alice)
	w.trade(alice, 5) // 5 and 6 are in the tail
	release := w.journal.holdReads()
	defer release()
	c := w.connect(alice)
	c.login(ModeResume, 2)
	w.until("a reader", func() bool { return w.readersReading() == 1 })
	c.expect("LOGIN RESUME head=6 oldest=1 after=2 #1")
	c.order(buy(5))
	c.holdings()
	w.eng.CatchUp(&c.Session, alice) // an extra call does no harm
	w.until("the event", func() bool { return w.journal.head(alice) == 7 })
	c.expect()
	release()
	w.settle()
	c.expect("EVENT 3 replay", "EVENT 4 replay", "EVENT 5 replay", "EVENT 6 replay", "EXECUTION 7 #2", "HOLDINGS 7 #3")
}

// TestOneReaderOfASession: an extra call of CatchUp does not start a second reader, which would
// send the same piece again.
func TestOneReaderOfASession(t *testing.T) {
	w := newWorld(t, options{tail: 1, keeps: true}, alice)
	w.trade(alice, 5)
	release := w.journal.holdReads()
	defer release()
	c := w.connect(alice)
	c.piece = 3
	c.login(ModeRestart, 0)
	w.until("a reader", func() bool { return w.readersReading() == 1 })
	w.eng.CatchUp(&c.Session, alice)
	w.until("the catch-up", func() bool { return w.eng.shardOf(alice).disarmed() })
	if n := w.eng.busy.Load(); n != 1 {
		t.Errorf("%d readers for one session", n)
	}
	release()
	w.settle()
	c.expect("LOGIN RESTART head=6 oldest=1 after=0 #1", "EVENT 1 replay", "EVENT 2 replay")
	for range 2 {
		c.read()
		w.settle()
	}
	c.expect(events(3, 6, " replay")...)
}

// TestReplayWaitsItsTurn: if the maximum of readers is at work, a replay waits instead of being
// refused.
func TestReplayWaitsItsTurn(t *testing.T) {
	w := newWorld(t, options{tail: 1, keeps: true, reads: 1}, alice)
	w.trade(alice, 3)
	release := w.journal.holdReads()
	defer release()
	asking := w.loggedIn(alice)
	asking.history(3, 1)
	w.until("a reader", func() bool { return w.readersReading() == 1 })
	c := w.connect(alice)
	c.login(ModeRestart, 0)
	w.until("two readers at work or waiting", func() bool { return w.eng.busy.Load() == 2 })
	asking.order(buy(1))
	w.until("the answer", func() bool { return asking.InFlight() == 1 })
	asking.expect("EXECUTION 5 #3")
	c.expect("LOGIN RESTART head=4 oldest=1 after=0 #1")
	release()
	w.settle()
	asking.expect("HISTORY 2 oldest=1 #2")
	c.expect("EVENT 1 replay", "EVENT 2 replay", "EVENT 3 replay", "EVENT 4 replay", "EVENT 5")
}

// TestLost: with a journal that does not keep, a session ends if the tail drops events that it
// still needs.
func TestLost(t *testing.T) {
	w := newWorld(t, options{tail: 4, sessions: 1}, alice)
	w.trade(alice, 3)
	c := w.catching(alice, 1)
	c.expect("EVENT 1 replay")
	w.trade(alice, 1) // drops event 1, which the session has
	c.read()
	w.settle()
	c.expect("EVENT 2 replay")
	w.trade(alice, 2) // drops events 2 and 3
	c.expect()
	c.read()
	w.settle()
	c.expect("LOST")
	w.trade(alice, 1)
	c.expect()
	c.logout() // the outlet calls it when the connection has ended
	again := w.connect(alice)
	again.login(ModeResume, 2)
	w.settle()
	again.expect("LOGIN SNAPSHOT head=8 oldest=5 resynced holdings=8 #1")
}

// TestLostByReader: a session ends if the events of its replay cannot be read. It must not continue
// with a gap.
func TestLostByReader(t *testing.T) {
	for name, breakJournal := range map[string]func(j *fakeJournal){
		"error":    func(j *fakeJournal) { j.readErr = errors.New("the disk is gone") },
		"nothing":  func(j *fakeJournal) { j.misread = func([]positions.Event) []positions.Event { return nil } },
		"one late": func(j *fakeJournal) { j.misread = func(e []positions.Event) []positions.Event { return e[1:] } },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, options{tail: 1, keeps: true}, alice)
			w.trade(alice, 3)
			w.journal.set(func() { breakJournal(w.journal) })
			c := w.connect(alice)
			c.login(ModeRestart, 0)
			w.settle()
			c.expect("LOGIN RESTART head=4 oldest=1 after=0 #1", "LOST")
			c.order(buy(1)) // sent before the client knew: it is executed, but nobody gets the answer
			w.settle()
			c.expect()
			if a := w.account(alice); c.InFlight() != 0 || a.sessions != 0 || a.tail.head != 5 {
				t.Errorf("%d in flight, %d sessions, head %d", c.InFlight(), a.sessions, a.tail.head)
			}
		})
	}
}

func TestLogoutWhileCatchingUp(t *testing.T) {
	w := newWorld(t, options{}, alice)
	w.trade(alice, 3)
	c := w.catching(alice, 1)
	c.expect("EVENT 1 replay")
	w.together(func() {
		c.logout()
		c.read()
		c.order(buy(1)) // sent before the connection ended
		c.holdings()
	})
	w.trade(alice, 1)
	// Its requests are answered where possible, and the outlet discards the answers. No event
	// follows.
	for _, f := range c.fresh() {
		if f != "FAILED UNKNOWN_ACCOUNT #3" {
			t.Errorf("sent %s after the logout", f)
		}
	}
	if a := w.account(alice); a.sessions != 0 || len(a.live) != 0 || c.InFlight() != 0 {
		t.Errorf("%d sessions, %d live, %d in flight", a.sessions, len(a.live), c.InFlight())
	}
}

func TestLogoutWhileReading(t *testing.T) {
	w := newWorld(t, options{tail: 1, keeps: true}, alice)
	w.trade(alice, 3)
	release := w.journal.holdReads()
	defer release()
	c := w.connect(alice)
	c.login(ModeRestart, 0)
	w.until("a reader", func() bool { return w.readersReading() == 1 })
	c.logout()
	w.until("the logout", func() bool { return w.lane(alice) == 0 })
	release()
	w.settle()
	w.trade(alice, 1)
	c.expect("LOGIN RESTART head=4 oldest=1 after=0 #1")
	if a := w.account(alice); a.sessions != 0 || len(a.live) != 0 {
		t.Errorf("%d sessions, %d live", a.sessions, len(a.live))
	}
}

// TestInFlightAfterTheEnd: every accepted request is counted down, also those that were still to be
// answered when the session ended.
func TestInFlightAfterTheEnd(t *testing.T) {
	w := newWorld(t, options{tail: 4}, alice)
	w.trade(alice, 3)
	leaves, lost := w.catching(alice, 1), w.catching(alice, 1)
	for _, c := range []*conn{leaves, lost} {
		c.order(buy(1))
		c.holdings()
	}
	w.trade(alice, 5)
	leaves.logout()
	lost.read()
	w.settle()
	if f := lost.last(); f.kind != "LOST" {
		t.Fatalf("the second session was sent %s", f)
	}
	if leaves.InFlight() != 0 || lost.InFlight() != 0 {
		t.Errorf("%d requests in flight after a logout, %d after Lost", leaves.InFlight(), lost.InFlight())
	}
}

// TestManyCatchingUp: sessions at different places of the replay do not affect each other.
func TestManyCatchingUp(t *testing.T) {
	w := newWorld(t, options{tail: 6, keeps: true, reads: 2}, alice, bob)
	w.trade(alice, 19)
	w.trade(bob, 9)
	var all []*conn
	for i := range 12 {
		c := w.connect([]uint64{alice, bob}[i%2])
		c.piece = 1 + i%5
		c.login(ModeResume, uint64(i))
		all = append(all, c)
	}
	w.settle()
	for round := 0; round < 10 || slices.ContainsFunc(all, (*conn).isCatchingUp); round++ {
		if round > 1000 {
			t.Fatal("the replays do not end")
		}
		if round < 10 {
			w.trade1(alice)
			w.trade1(bob)
		}
		for i, c := range all {
			if (round+i)%3 == 0 {
				c.read()
			}
		}
		w.settle()
	}
	for i, c := range all {
		head := map[uint64]int{alice: 20, bob: 10}[c.account]
		if i == 11 { // bob has 10 events
			if got := c.all()[0].String(); got != "LOGIN SNAPSHOT head=10 oldest=1 resynced holdings=10 #1" {
				t.Errorf("session %d: %s", i, got)
			}
			i = 10
		}
		want := append(events(i+1, head, " replay"), events(max(i, head)+1, head+10, "")...)
		if got := c.fresh()[1:]; !slices.Equal(got, want) {
			t.Errorf("session %d was sent %v", i, got)
		}
	}
}
