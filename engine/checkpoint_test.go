package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// stored makes a checkpoint and returns what it stored as text: account, sequence, first event, and
// the sequences of the remembered and the forgotten ids.
func (w *world) stored() []string {
	w.t.Helper()
	var all []string
	_, err := w.eng.Checkpoint(context.Background(), func(states []AccountState) error {
		for _, st := range states {
			text := fmt.Sprintf("%d at %d", st.Account, st.Seq)
			if st.Count > 0 {
				text += fmt.Sprintf(" from %d", decoded(st.Runs[0])[0].Seq)
			}
			for _, r := range st.IDs {
				text += fmt.Sprintf(" +%d", r.Seq)
			}
			for _, r := range st.Forgotten {
				text += fmt.Sprintf(" -%d", r.Seq)
			}
			all = append(all, text)
		}
		return w.journal.store(states)
	})
	if err != nil {
		w.t.Fatalf("Checkpoint: %v", err)
	}
	slices.Sort(all)
	return all
}

func expectStored(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("a checkpoint stored %q, want %q", got, want)
	}
}

// TestCheckpoint: a checkpoint stores exactly what has changed since the last durable one, account
// by account.
func TestCheckpoint(t *testing.T) {
	w := newWorld(t, options{keeps: true, shards: 2, ids: 2, tail: 1}, alice, bob, carol)
	c := w.loggedIn(alice)
	// The first has no mark.
	expectStored(t, w.stored(), "100100 at 1 from 1", "100200 at 1 from 1", "100300 at 1 from 1")
	expectStored(t, w.stored(), "100100 at 1 from 1", "100200 at 1 from 1", "100300 at 1 from 1")
	w.eng.Checkpointed()
	expectStored(t, w.stored())
	w.eng.Checkpointed()

	c.order(buy(1, "a"))
	c.order(buy(2, "b"))
	c.order(buy(3))
	w.trade1(bob)
	w.settle()
	if a := w.account(alice); a.tail.oldest != 2 || a.tail.stored != 1 {
		t.Errorf("the tail holds from %d, stored is %d; what is not stored is pinned", a.tail.oldest, a.tail.stored)
	}
	expectStored(t, w.stored(), "100100 at 4 from 2 +2 +3", "100200 at 2 from 2")
	c.order(buy(4, "c")) // a is forgotten, which may be stored
	w.settle()
	w.eng.Checkpointed()
	if a := w.account(alice); a.tail.oldest != 5 || a.tail.stored != 4 {
		t.Errorf("the tail holds from %d, stored is %d; what is stored goes", a.tail.oldest, a.tail.stored)
	}
	c.order(buy(5, "d")) // b is forgotten
	c.order(buy(6, "e")) // c is forgotten, which was never stored
	w.settle()
	expectStored(t, w.stored(), "100100 at 7 from 5 +6 +7 -2 -3")
	w.eng.Checkpointed()
	if ids := w.account(alice).ids; len(ids.queue) != 2 || ids.places.used != 2 {
		t.Errorf("%d records in the queue, %d ids are remembered", len(ids.queue), ids.places.used)
	}
	if got := len(w.journal.stored[alice].IDs); got != 2 {
		t.Errorf("%d ids are stored", got)
	}
}

// TestCheckpointMark: the mark is the lowest number that a shard noted, whatever is committed
// meanwhile.
func TestCheckpointMark(t *testing.T) {
	w := newWorld(t, options{keeps: true, shards: 3, slice: 1}, alice, bob, carol)
	before := w.journal.Committed()
	slices := 0
	mark, err := w.eng.Checkpoint(t.Context(), func(states []AccountState) error {
		slices++
		w.trade1(alice)
		w.trade1(bob)
		w.settle()
		return w.journal.store(states)
	})
	if err != nil || mark != before || slices < 3 {
		t.Errorf("mark %d, %v after %d slices, want %d", mark, err, slices, before)
	}
	w.eng.Checkpointed()
	if mark, err = w.eng.Checkpoint(t.Context(), w.journal.store); err != nil || mark != w.journal.Committed() {
		t.Errorf("mark %d, %v; %d commits", mark, err, w.journal.Committed())
	}
}

// TestCheckpointHoldsUpNothing: orders are served while a slice is being stored.
func TestCheckpointHoldsUpNothing(t *testing.T) {
	w := newWorld(t, options{keeps: true, slice: 1}, alice, bob)
	c := w.loggedIn(alice)
	storing, release := make(chan bool), make(chan bool)
	ended := make(chan error)
	go func() {
		_, err := w.eng.Checkpoint(t.Context(), func([]AccountState) error {
			storing <- true
			<-release
			return nil
		})
		ended <- err
	}()
	for i := range 2 {
		<-storing
		c.order(buy(1))
		w.settle()
		c.expect(fmt.Sprintf("EXECUTION %d #%d", i+2, i+2))
		release <- true
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestCheckpointEnds: a checkpoint ends with its context, with the store and with the engine. The
// next one stores everything again.
func TestCheckpointEnds(t *testing.T) {
	w := newWorld(t, options{keeps: true, slice: 1, shards: 3}, alice, bob, carol)
	full := errors.New("no space left on device")
	calls := 0
	_, err := w.eng.Checkpoint(t.Context(), func([]AccountState) error {
		if calls++; calls == 2 {
			return full
		}
		return nil
	})
	if !errors.Is(err, full) {
		t.Errorf("Checkpoint: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = w.eng.Checkpoint(ctx, func([]AccountState) error {
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Checkpoint: %v", err)
	}
	w.settle()

	release := w.journal.holdCommits()
	defer release()
	w.trade1(alice)
	w.trade1(bob)
	w.until("two commits", func() bool { return len(w.journal.heads()) == 2 })
	ctx, cancel = context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := w.eng.Checkpoint(ctx, w.journal.store)
		failed <- err
	}()
	w.until("the checkpoint in the lane", func() bool { return slices.ContainsFunc(w.eng.shards, (*shard).asked) })
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("Checkpoint: %v", err)
	}
	release()
	w.settle()
	expectStored(t, w.stored(), "100100 at 2 from 1", "100200 at 2 from 1", "100300 at 1 from 1")
	w.eng.Checkpointed()
	w.eng.Stop()
	if _, err := w.eng.Checkpoint(t.Context(), w.journal.store); !errors.Is(err, ErrStopped) {
		t.Errorf("Checkpoint after Stop: %v", err)
	}
}

// heads returns the commits under way.
func (j *fakeJournal) heads() [][]positions.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.pending
}

// TestCheckpointedAlone: Checkpointed without a Checkpoint is a programming error.
func TestCheckpointedAlone(t *testing.T) {
	w := newWorld(t, options{keeps: true}, alice)
	w.checkpoint()
	defer func() {
		if recover() == nil {
			t.Error("Checkpointed twice did not panic")
		}
	}()
	w.eng.Checkpointed()
}

// TestUncheckpointedFull: orders are refused while too many events are not checkpointed; everything
// else works.
func TestUncheckpointedFull(t *testing.T) {
	w := newWorld(t, options{keeps: true, uncheckpointed: 4}, alice, bob)
	w.checkpoint()
	c := w.loggedIn(alice)
	d := &decider{decide: func(positions.View, *market.Prices, uint64) (positions.Order, bool) { return buy(1), true }}
	wanted := func() bool { return len(w.eng.CheckpointWanted()) == 1 }
	c.order(buy(1, "x"))
	w.settle()
	if wanted() {
		t.Error("a checkpoint is wanted for one event of four")
	}
	c.order(buy(2))
	w.settle()
	if !wanted() {
		t.Error("no checkpoint is wanted for two events of four")
	}
	w.together(func() {
		c.order(buy(3))
		c.order(buy(4, "y"))
		c.order(buy(5, "z"))
		c.order(buy(1, "x")) // a repeat, which executes nothing
		c.holdings()
		c.history(0, 1)
		w.decideBy(alice, d, 1)
		c.Begin(16)
		r := Request{Kind: KindDecide, Session: &c.Session, ID: 99, Decider: d, Arg: 2}
		r.Account = alice
		w.eng.Submit(alice, []Request{r})
	})
	c.expect("EXECUTION 2 #2", "EXECUTION 3 #3", "EXECUTION 4 #4", "EXECUTION 5 #5", "FAILED UNCHECKPOINTED #6",
		"REPEAT 2 #7", "HOLDINGS 5 #8", "HISTORY 5 oldest=1 #9", "FAILED UNCHECKPOINTED #99")
	if fmt.Sprint(d.args, d.events) != "[1 2] [0 0]" || d.refusals[0].Reason != positions.NoRefusal {
		t.Errorf("Done was told %v %v %v", d.args, d.events, d.refusals)
	}
	if st := w.eng.Stats(); st.Busy != 3 || st.UncheckpointedBytes != w.account(alice).tail.unstored {
		t.Errorf("%d orders were counted as BUSY, %d bytes are not checkpointed", st.Busy, st.UncheckpointedBytes)
	}
	w.checkpoint()
	if wanted() {
		t.Error("a checkpoint is wanted after one")
	}
	c.order(buy(5, "z")) // the refused id is free
	w.settle()
	c.expect("EXECUTION 6 #10")
	if st := w.eng.Stats(); st.UncheckpointedBytes != int64(len(w.account(alice).tail.at(6))) || c.InFlight() != 0 {
		t.Errorf("%d bytes are not checkpointed, %d requests in flight", st.UncheckpointedBytes, c.InFlight())
	}
}

// TestCheckpointWantedAgain: events that come during a checkpoint request another one only after it
// has ended.
func TestCheckpointWantedAgain(t *testing.T) {
	w := newWorld(t, options{keeps: true, uncheckpointed: 8}, alice)
	w.trade1(alice)
	w.trade1(alice)
	w.trade1(alice)
	w.settle()
	if len(w.eng.checkpointWanted) != 1 {
		t.Fatal("no checkpoint is wanted")
	}
	if _, err := w.eng.Checkpoint(t.Context(), func(states []AccountState) error {
		for range 4 {
			w.trade1(alice)
		}
		w.settle()
		if len(w.eng.checkpointWanted) != 0 {
			t.Error("a checkpoint is wanted though one is under way")
		}
		return w.journal.store(states)
	}); err != nil {
		t.Fatal(err)
	}
	w.eng.Checkpointed()
	if len(w.eng.checkpointWanted) != 1 {
		t.Error("no checkpoint is wanted for four events of eight")
	}
	crash := func([]AccountState) error { return errCrash }
	if _, err := w.eng.Checkpoint(t.Context(), crash); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	w.trade1(alice)
	w.settle()
	if len(w.eng.checkpointWanted) != 1 {
		t.Error("no checkpoint is wanted after one that was given up")
	}
}

// TestReadOnly: orders are refused; everything else works.
func TestReadOnly(t *testing.T) {
	var readOnly atomic.Bool
	w := newWorld(t, options{keeps: true, readOnly: readOnly.Load}, alice)
	c := w.loggedIn(alice)
	c.order(buy(1, "x"))
	w.settle()
	readOnly.Store(true)
	c.order(buy(1, "x"))
	w.settle()
	c.order(buy(2))
	w.settle()
	c.holdings()
	w.settle()
	readOnly.Store(false)
	c.order(buy(2))
	w.settle()
	c.expect("EXECUTION 2 #2", "REPEAT 2 #3", "FAILED READ_ONLY #4", "HOLDINGS 2 #5", "EXECUTION 3 #6")
	if n := w.eng.Stats().ReadOnly; n != 1 {
		t.Errorf("%d orders were counted as refused", n)
	}
}

// TestTailDroppedUnderReader: events that a checkpoint lets memory drop while a reader is at work
// are found by the next reader.
func TestTailDroppedUnderReader(t *testing.T) {
	w := newWorld(t, options{keeps: true, tail: 1, reads: 1}, alice)
	w.trade(alice, 5) // 1 to 5 are below the tail
	for range 4 {     // 7 to 10 are pinned
		w.trade1(alice)
	}
	w.settle()
	release := w.journal.holdReads()
	defer release()
	c := w.connect(alice)
	c.piece = 3
	c.login(ModeRestart, 0)
	w.until("a reader", func() bool { return w.readersReading() == 1 })
	if _, err := w.eng.Checkpoint(t.Context(), w.journal.store); err != nil {
		t.Fatal(err)
	}
	w.eng.Checkpointed()
	w.trade1(alice) // 11, pinned
	w.until("the event", func() bool { return w.journal.head(alice) == 11 })
	release()
	w.settle()
	if a := w.account(alice); a.tail.oldest != 11 {
		t.Fatalf("the tail holds from %d", a.tail.oldest)
	}
	for range 5 {
		c.read()
		w.settle()
	}
	c.expect(append(append([]string{"LOGIN RESTART head=10 oldest=1 after=0 #1"}, events(1, 10, " replay")...),
		"EVENT 11")...)
}

// TestCheckpointsUnderLoad: checkpoints follow one another while many goroutines log in and out,
// send and repeat orders, and read history. Each checkpoint is compared with what was committed.
func TestCheckpointsUnderLoad(t *testing.T) {
	w := newWorld(t, options{keeps: true, shards: 3, tail: 3, ids: 5, slice: 2, uncheckpointed: 200, reads: 2})
	if err := openAccounts(t.Context(), w.eng, 12, 1); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var checkpoints sync.WaitGroup
	var n atomic.Int64
	checkpoints.Go(func() {
		for ctx.Err() == nil {
			switch _, err := w.eng.Checkpoint(ctx, w.journal.store); {
			case err == nil:
				w.eng.Checkpointed()
				n.Add(1)
			case !errors.Is(err, context.Canceled):
				t.Error(err)
			}
		}
	})
	var traders sync.WaitGroup
	for i := range 6 {
		traders.Go(func() { w.tradeAtRandom(t, rand.New(rand.NewPCG(1, uint64(i)))) })
	}
	traders.Wait()
	w.until("some checkpoints", func() bool { return n.Load() >= 3 })
	cancel()
	checkpoints.Wait()
	w.settle()
	w.checkpoint()
	for i := range 12 {
		number := firstAccount + uint64(i)
		if a := w.account(number); w.journal.stored[number].Seq != a.tail.head || a.tail.stored != a.tail.head ||
			a.dirty {
			t.Errorf("account %d: head %d, stored %d, in the store %d", number, a.tail.head, a.tail.stored,
				w.journal.stored[number].Seq)
		}
	}
	if st := w.eng.Stats(); st.UncheckpointedBytes != 0 || st.Events < 500 {
		t.Errorf("%d events, %d bytes of them not checkpointed", st.Events, st.UncheckpointedBytes)
	}
}

func (w *world) tradeAtRandom(t *testing.T, rng *rand.Rand) {
	for range 40 {
		c := w.connect(firstAccount + uint64(rng.IntN(12)))
		c.login(ModeRestart, 0)
		for i := range 10 {
			c.order(buy(1, fmt.Sprintf("order %d", rng.IntN(20))))
			if i%4 == 0 {
				c.history(uint64(rng.IntN(50)), 5)
			}
		}
		// so that the bound on readers is not all that is tested
		for deadline := time.Now().Add(patience); c.InFlight() > 0; {
			if time.Now().After(deadline) {
				t.Errorf("%d requests are not answered", c.InFlight())
				return
			}
			time.Sleep(50 * time.Microsecond)
		}
		c.logout()
	}
}
