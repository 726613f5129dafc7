package engine

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/papertape/papertape/positions"
)

// TestStopWaits: Stop waits for a commit that a failed Drain left behind; then the caller owns the
// books. Requests that were not decided yet are dropped.
func TestStopWaits(t *testing.T) {
	w := newWorld(t, options{shards: 3}, alice, bob)
	c := w.loggedIn(alice)
	release := w.journal.holdCommits()
	defer release()
	c.order(buy(1))
	w.until("the commit", w.committing)
	c.order(buy(2)) // waits in the inbox
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := w.eng.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Drain: %v", err)
	}
	stopped := make(chan bool)
	go func() {
		w.eng.Stop()
		close(stopped)
	}()
	<-w.eng.stopping
	w.until("all shards stopped", func() bool {
		for _, s := range w.eng.shards {
			s.mu.Lock()
			stopped := s.stopped
			s.mu.Unlock()
			if !stopped {
				return false
			}
		}
		return true
	})
	if n := w.eng.Submit(alice, []Request{{Kind: KindOrder, Order: buy(3)}}); n != 0 {
		t.Error("an order was taken after Stop")
	}
	w.connect(bob).login(ModeQuick, 0) // nobody serves it
	select {
	case <-stopped:
		t.Fatal("Stop returned while a commit was under way")
	case <-time.After(5 * time.Millisecond): // time enough for a Stop that does not wait
	}
	release()
	<-stopped
	var seq uint64
	w.eng.Books(func(h positions.Holdings) { // a data race with the drainer, if that still runs
		if h.Account == alice {
			seq = h.Seq
		}
	})
	if seq != 2 || w.journal.head(alice) != 2 {
		t.Errorf("the book is at %d, the journal at %d; the second order had not begun", seq, w.journal.head(alice))
	}
	c.expect("EXECUTION 2 #2")
}

// TestStopWaitsForReaders: the journal may be closed after Stop, since no reader uses it any more.
func TestStopWaitsForReaders(t *testing.T) {
	w := newWorld(t, options{keeps: true, tail: 1, reads: 1}, alice, bob)
	w.trade(alice, 3)
	w.trade(bob, 3)
	release := w.journal.holdReads()
	defer release()
	for _, number := range []uint64{alice, bob} {
		w.connect(number).login(ModeRestart, 0)
	}
	w.until("one at work, one waiting", func() bool { return w.readersReading() == 1 && w.eng.busy.Load() == 2 })
	stopped := make(chan bool)
	go func() {
		w.eng.Stop()
		close(stopped)
	}()
	<-w.eng.stopping
	select {
	case <-stopped:
		t.Fatal("Stop returned while a reader was under way")
	case <-time.After(5 * time.Millisecond):
	}
	release()
	<-stopped
	if n := w.readersReading(); n != 0 {
		t.Errorf("%d readers after Stop", n)
	}
	w.ended = true // the waiting read never ends
}

// TestShutdown: a last checkpoint after Drain leaves nothing to replay.
func TestShutdown(t *testing.T) {
	w := newWorld(t, options{keeps: true, shards: 2, slice: 1}, alice, bob, carol+1)
	for range 5 {
		w.trade1(alice)
		w.trade1(carol + 1)
	}
	if err := w.eng.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	mark, err := w.eng.Checkpoint(t.Context(), w.journal.store)
	if err != nil || mark != w.journal.Committed() {
		t.Fatalf("the last checkpoint: mark %d of %d, %v", mark, w.journal.Committed(), err)
	}
	w.eng.Checkpointed()
	w.eng.Stop()
	next := w.journal.restart(0)
	next.mark = int(mark)
	again := newWorld(t, options{keeps: true, journal: next}, alice, bob, carol+1)
	w.eng.Books(func(want positions.Holdings) {
		got, err := again.eng.Holdings(t.Context(), want.Account)
		if err != nil || !sameHoldings(got, want) {
			t.Errorf("account %d is %+v, %v; it was %+v", want.Account, got, err, want)
		}
	})
	if st := again.eng.Stats(); st.UncheckpointedBytes != 0 {
		t.Errorf("%d bytes had to be replayed", st.UncheckpointedBytes)
	}
}
