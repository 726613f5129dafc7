package engine

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/papertape/papertape/positions"
)

// TestHoldingsAtItsPlace: a query between two orders of a batch shows the account as it is between
// them.
func TestHoldingsAtItsPlace(t *testing.T) {
	w := newWorld(t, options{}, alice)
	c, other := w.loggedIn(alice), w.loggedIn(alice)
	w.together(func() {
		c.holdings()
		c.order(buy(100))
		c.holdings()
		other.holdings()
		c.order(sell(100))
		c.holdings()
	})
	c.expect("HOLDINGS 1 #2", "EXECUTION 2 #3", "HOLDINGS 2 #4", "EXECUTION 3 #5", "HOLDINGS 3 #6")
	other.expect("EVENT 2", "HOLDINGS 2 #2", "EVENT 3")
	book := positions.NewBook(testUniverse)
	committed := w.journal.events(alice)
	for _, f := range c.all() {
		if f.kind != "HOLDINGS" {
			continue
		}
		for _, ev := range committed[:f.holdings.Seq] {
			if seq, _ := book.Seq(alice); ev.Seq > seq {
				book.Apply(&ev)
			}
		}
		if want, _, _ := book.Holdings(alice, w.prices.Load(), nil); !sameHoldings(f.holdings, want) {
			t.Errorf("%s: %+v, want %+v", f, f.holdings, want)
		}
	}
}

// sameHoldings compares holdings; a nil slice of positions equals an empty one.
func sameHoldings(a, b positions.Holdings) bool {
	if len(a.Positions) == 0 && len(b.Positions) == 0 {
		a.Positions, b.Positions = nil, nil
	}
	return reflect.DeepEqual(a, b)
}

// TestManyHoldings: earlier copies stay intact when a step takes more copies than the scratch
// memory has room for.
func TestManyHoldings(t *testing.T) {
	w := newWorld(t, options{}, alice)
	c := w.loggedIn(alice)
	w.together(func() {
		for range 50 {
			c.order(orderOf(positions.Buy, ten, 1))
			c.order(orderOf(positions.Buy, penny, 2))
			c.holdings()
		}
	})
	n := int64(0)
	for _, f := range c.all() {
		if f.kind != "HOLDINGS" {
			continue
		}
		n++
		h := f.holdings
		if h.Seq != uint64(1+2*n) || len(h.Positions) != 2 || h.Positions[0].Quantity != n ||
			h.Positions[1].Quantity != 2*n {
			t.Fatalf("holdings %d are %+v", n, h)
		}
		if h.Hash != positions.StateHash(testUniverse, alice, h.Seq, h.Cash, h.Positions) {
			t.Fatalf("the hash of holdings %d is not that of what they show", n)
		}
	}
	if n != 50 {
		t.Errorf("%d answers", n)
	}
}

func TestHistoryOfTail(t *testing.T) {
	w := newWorld(t, options{tail: 6}, alice)
	w.trade(alice, 9) // 5 to 10 are kept
	c := w.loggedIn(alice)
	for _, q := range []struct {
		before uint64
		limit  int
	}{{0, 3}, {0, 100}, {11, 2}, {1000, 2}, {10, 3}, {7, 3}, {5, 3}, {2, 3}, {1, 3}} {
		c.history(q.before, q.limit)
	}
	w.settle()
	c.expect("HISTORY 10 9 8 oldest=5 #2", "HISTORY 10 9 8 7 6 5 oldest=5 #3", "HISTORY 10 9 oldest=5 #4",
		"HISTORY 10 9 oldest=5 #5",
		"HISTORY 9 8 7 oldest=5 #6", "HISTORY 6 5 oldest=5 #7", "HISTORY oldest=5 #8", "HISTORY oldest=5 #9",
		"HISTORY oldest=5 #10")
	if n := c.InFlight(); n != 0 {
		t.Errorf("%d requests in flight", n)
	}
}

func TestHistoryAcrossTailAndJournal(t *testing.T) {
	w := newWorld(t, options{tail: 3, keeps: true}, alice)
	w.trade(alice, 9) // 8 to 10 are in the tail
	c := w.loggedIn(alice)
	for _, q := range []struct {
		before uint64
		limit  int
	}{{0, 3}, {0, 5}, {10, 4}, {8, 3}, {5, 100}, {1, 5}, {2, 5}} {
		c.history(q.before, q.limit)
		w.settle()
	}
	c.expect("HISTORY 10 9 8 oldest=1 #2", "HISTORY 10 9 8 7 6 oldest=1 #3", "HISTORY 9 8 7 6 oldest=1 #4",
		"HISTORY 7 6 5 oldest=1 #5",
		"HISTORY 4 3 2 1 oldest=1 #6", "HISTORY oldest=1 #7", "HISTORY 1 oldest=1 #8")
	for _, f := range c.all() {
		for _, ev := range f.history {
			if !reflect.DeepEqual(ev, w.journal.events(alice)[ev.Seq-1]) {
				t.Errorf("%s: event %d is %+v", f, ev.Seq, ev)
			}
		}
	}
}

// TestHistoryBusy: if the maximum of readers is at work, a page that needs a reader fails as busy;
// one that does not is answered.
func TestHistoryBusy(t *testing.T) {
	w := newWorld(t, options{tail: 2, keeps: true, reads: 2}, alice, bob)
	w.trade(alice, 5) // 5 and 6 are in the tail
	c := w.loggedIn(alice)
	release := w.journal.holdReads()
	defer release()
	c.history(0, 4)
	c.history(4, 1)
	w.until("two readers", func() bool { return w.readersReading() == 2 })
	c.history(4, 1)
	c.history(0, 2)
	c.order(buy(1))
	_, _, err := w.eng.History(t.Context(), alice, 3, 1)
	if !errors.Is(err, ErrBusy) {
		t.Errorf("the query of the process was answered %v", err)
	}
	if n := w.eng.Stats().HistoryBusy; n != 2 {
		t.Errorf("%d reads were counted as BUSY, want 2", n)
	}
	if all, _, err := w.eng.History(t.Context(), bob, 0, 9); err != nil || len(all) != 1 {
		t.Errorf("a page that the tail has whole: %d events, %v", len(all), err)
	}
	c.expect("FAILED HISTORY_BUSY #4", "HISTORY 6 5 oldest=1 #5", "EXECUTION 7 #6")
	if n := c.InFlight(); n != 2 {
		t.Errorf("%d requests in flight", n)
	}
	release()
	w.settle()
	got := c.fresh() // the two readers end in any order
	if fmt.Sprint(got) != "[HISTORY 6 5 4 3 oldest=1 #2 HISTORY 3 oldest=1 #3]" &&
		fmt.Sprint(got) != "[HISTORY 3 oldest=1 #3 HISTORY 6 5 4 3 oldest=1 #2]" {
		t.Errorf("sent %q", got)
	}
	c.history(4, 1)
	w.settle()
	c.expect("HISTORY 3 oldest=1 #7")
	if n := c.InFlight(); n != 0 {
		t.Errorf("%d requests in flight", n)
	}
}

func (w *world) readersReading() int {
	w.journal.mu.Lock()
	defer w.journal.mu.Unlock()
	return w.journal.reading
}

// TestHistoryReadFails: a request whose read fails is answered, and the next one is served.
func TestHistoryReadFails(t *testing.T) {
	w := newWorld(t, options{tail: 1, keeps: true}, alice)
	w.trade(alice, 3)
	c := w.loggedIn(alice)
	gone := errors.New("the disk is gone")
	w.journal.set(func() { w.journal.readErr = gone })
	c.history(2, 5)
	w.settle()
	c.expect("FAILED INTERNAL #2")
	if _, _, err := w.eng.History(t.Context(), alice, 2, 5); !errors.Is(err, gone) {
		t.Errorf("the query of the process was answered %v", err)
	}
	w.journal.set(func() { w.journal.readErr = nil })
	c.history(2, 5)
	w.settle()
	c.expect("HISTORY 1 oldest=1 #3")
}

// TestUnknownAccount: a session only sends requests of its own account, but requests of an unknown
// account are answered too.
func TestUnknownAccount(t *testing.T) {
	w := newWorld(t, options{}, alice)
	c := w.loggedIn(alice)
	c.account = 4711
	c.order(buy(1))
	c.order(buy(1, "x"))
	c.holdings()
	c.history(0, 1)
	w.settle()
	c.expect("REFUSED UnknownAccount #2", "REFUSED UnknownAccount #3", "FAILED UNKNOWN_ACCOUNT #4",
		"FAILED UNKNOWN_ACCOUNT #5")
	if n := c.InFlight(); n != 0 {
		t.Errorf("%d requests in flight", n)
	}
	if _, err := w.eng.Holdings(t.Context(), 4711); !errors.Is(err, ErrUnknownAccount) {
		t.Errorf("holdings: %v", err)
	}
	if _, _, err := w.eng.History(t.Context(), 4711, 0, 1); !errors.Is(err, ErrUnknownAccount) {
		t.Errorf("history: %v", err)
	}
}

func TestQueries(t *testing.T) {
	w := newWorld(t, options{shards: 3, tail: 2, keeps: true}, alice, bob)
	w.trade(bob, 4)
	h, err := w.eng.Holdings(t.Context(), bob)
	if err != nil || h.Account != bob || h.Seq != 5 || len(h.Positions) != 1 || h.Positions[0].Quantity != 4 {
		t.Errorf("holdings %+v, %v", h, err)
	}
	for _, test := range []struct {
		before uint64
		limit  int
		want   string
	}{{0, 2, "[5 4]"}, {0, 9, "[5 4 3 2 1]"}, {3, 1, "[2]"}, {1, 3, "[]"}} {
		events, oldest, err := w.eng.History(t.Context(), bob, test.before, test.limit)
		seqs := []uint64{}
		for _, ev := range events {
			seqs = append(seqs, ev.Seq)
		}
		if fmt.Sprint(seqs) != test.want || oldest != 1 || err != nil {
			t.Errorf("history below %d: %v, oldest %d, %v; want %s", test.before, seqs, oldest, err, test.want)
		}
	}
	// The result of a query does not change when the engine continues.
	w.trade(bob, 1)
	if _, err := w.eng.Holdings(t.Context(), bob); err != nil || h.Positions[0].Quantity != 4 {
		t.Errorf("the holdings of before are %+v now, %v", h, err)
	}
}

// TestQueriesEnd: queries end with their context, and with the engine.
func TestQueriesEnd(t *testing.T) {
	w := newWorld(t, options{}, alice)
	release := w.journal.holdCommits()
	defer release()
	w.trade1(alice)
	w.until("a commit", w.committing)
	ctx, cancel := context.WithCancel(t.Context())
	answers := make(chan error, queriesMax+1)
	for range queriesMax + 1 { // one more than may be pending
		go func() {
			_, err := w.eng.Holdings(ctx, alice)
			answers <- err
		}()
	}
	w.until("as many queries as may be", func() bool { return w.lane(alice) == queriesMax })
	cancel()
	for range queriesMax + 1 {
		if err := <-answers; !errors.Is(err, context.Canceled) {
			t.Errorf("a query was answered %v", err)
		}
	}
	release()
	w.settle()
	if _, err := w.eng.Holdings(t.Context(), alice); err != nil {
		t.Errorf("after all that: %v", err)
	}
	w.eng.Stop()
	w.eng.Stop() // a second call does nothing
	for range 20 {
		if _, err := w.eng.Holdings(t.Context(), alice); !errors.Is(err, ErrStopped) {
			t.Fatalf("after Stop: %v", err)
		}
	}
}

// TestQueriesGivenUp: queries whose caller gave up while the shard was busy count towards the bound
// too.
func TestQueriesGivenUp(t *testing.T) {
	w := newWorld(t, options{}, alice)
	release := w.journal.holdCommits()
	defer release()
	w.trade1(alice)
	w.until("a commit", w.committing)
	for range 4 * queriesMax {
		ctx, cancel := context.WithCancel(t.Context())
		n := w.lane(alice)
		answer := make(chan error)
		go func() {
			_, err := w.eng.Holdings(ctx, alice)
			answer <- err
		}()
		w.until("the query in the lane", func() bool { return w.lane(alice) > n || n >= queriesMax })
		cancel()
		if err := <-answer; !errors.Is(err, context.Canceled) {
			t.Fatalf("a query was answered %v", err)
		}
	}
	if n := w.lane(alice); n > queriesMax {
		t.Errorf("%d queries wait in the control lane; there may be %d", n, queriesMax)
	}
}

func (w *world) committing() bool {
	w.journal.mu.Lock()
	defer w.journal.mu.Unlock()
	return w.journal.committing > 0
}

func (w *world) lane(account uint64) int {
	s := w.eng.shardOf(account)
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.control)
}
