package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// orders returns n orders of an account that no session waits for.
func orders(account uint64, n int) []Request {
	all := make([]Request, n)
	for i := range all {
		all[i] = Request{Kind: KindOrder, Account: account, Order: buy(1)}
	}
	return all
}

// TestSettleWaits: Settle returns when what was submitted has been decided and committed, not before.
func TestSettleWaits(t *testing.T) {
	w := newWorld(t, options{shards: 3}, alice, bob, carol)
	if err := w.eng.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	release := w.journal.holdCommits()
	w.eng.Submit(alice, orders(alice, 1))
	w.until("the commit", w.committing)
	w.eng.Submit(alice, orders(alice, 3*stepRequestsMax)) // these are taken only when the first is done
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := w.eng.Settle(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("during a commit: %v", err)
	}
	settled := make(chan uint64)
	go func() {
		if err := w.eng.Settle(t.Context()); err != nil {
			t.Error(err)
		}
		settled <- w.eng.Stats().Events
	}()
	w.until("Settle to wait", func() bool {
		s := w.eng.shardOf(alice)
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.settlers) == 2
	})
	release()
	if n := <-settled; n < 3+1+3*stepRequestsMax {
		t.Errorf("settled with %d events", n)
	}
}

// again is a Decider that submits itself again whenever it has been decided, until it is told to stop.
type again struct {
	w       *world
	stopped atomic.Bool
	rounds  atomic.Int64
}

func (a *again) Decide(
	_ positions.View, _ *market.Prices, _ int64, _ uint64, orders []positions.Order,
) []positions.Order {
	return orders
}

func (a *again) Done(uint64, []positions.Event, positions.Refusal) {
	if a.rounds.Add(1); !a.stopped.Load() {
		a.w.eng.Submit(alice, []Request{{Kind: KindDecide, Account: alice, Decider: a}})
	}
}

// TestSettleAmongOthers: Settle ends although somebody else keeps the shard busy without a pause.
func TestSettleAmongOthers(t *testing.T) {
	w := newWorld(t, options{}, alice)
	a := &again{w: w}
	w.eng.Submit(alice, []Request{{Kind: KindDecide, Account: alice, Decider: a}})
	for range 100 {
		before := w.eng.Stats().Events
		w.eng.Submit(alice, orders(alice, 1))
		if err := w.eng.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := w.eng.Stats().Events - before; n != 1 {
			t.Fatalf("%d events, after one order", n)
		}
	}
	a.stopped.Store(true)
	w.settle()
	if a.rounds.Load() == 0 {
		t.Error("nobody else was there")
	}
}

// TestSettleStorm: many goroutines deliver and settle, and each finds its own orders done.
func TestSettleStorm(t *testing.T) {
	accounts := []uint64{alice, bob, carol}
	w := newWorld(t, options{shards: 3, inbox: 7}, accounts...)
	var running sync.WaitGroup
	var delivered [3]atomic.Uint64
	for g := range 6 {
		running.Go(func() {
			account, n := accounts[g%3], &delivered[g%3]
			for i := range 30 {
				if err := w.eng.Deliver(t.Context(), account, orders(account, 1+i%20)); err != nil {
					t.Error(err)
				}
				n.Add(uint64(1 + i%20))
				atLeast := n.Load()
				if err := w.eng.Settle(t.Context()); err != nil {
					t.Error(err)
				}
				h, err := w.eng.Holdings(t.Context(), account)
				if err != nil || h.Seq < 1+atLeast {
					t.Errorf("account %d settled at %d, of %d orders: %v", account, h.Seq, atLeast, err)
				}
			}
		})
	}
	running.Wait()
	for i, account := range accounts {
		if h, _ := w.eng.Holdings(t.Context(), account); h.Seq != 1+delivered[i].Load() {
			t.Errorf("account %d is at %d after %d orders", account, h.Seq, delivered[i].Load())
		}
	}
}

// TestDeliverWaitsForRoom: Deliver is not refused for the lack of checkpoints or of room on the disk, and
// goes on when there is room.
func TestDeliverWaitsForRoom(t *testing.T) {
	var readOnly atomic.Bool
	w := newWorld(t, options{keeps: true, uncheckpointed: 80, readOnly: readOnly.Load}, alice)
	readOnly.Store(true)
	delivered := make(chan error)
	go func() { delivered <- w.eng.Deliver(t.Context(), alice, orders(alice, 300)) }()
	readOnly.Store(false)
	for done := false; !done; {
		select {
		case err := <-delivered:
			if done = true; err != nil {
				t.Fatal(err)
			}
		case <-w.eng.CheckpointWanted():
			if _, err := w.eng.Checkpoint(t.Context(), w.journal.store); err != nil {
				t.Fatal(err)
			}
			w.eng.Checkpointed()
		}
	}
	w.settle()
	if st := w.eng.Stats(); st.Events != 301 || st.Busy != 0 || st.ReadOnly != 0 {
		t.Errorf("%+v", st)
	}
}

func TestDeliverEnds(t *testing.T) {
	var readOnly atomic.Bool
	w := newWorld(t, options{readOnly: readOnly.Load}, alice)
	readOnly.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.eng.Deliver(ctx, alice, orders(alice, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("without a context: %v", err)
	}
	w.eng.Stop()
	if err := w.eng.Deliver(t.Context(), alice, orders(alice, 1)); !errors.Is(err, ErrStopped) {
		t.Errorf("after Stop: %v", err)
	}
	if err := w.eng.Settle(t.Context()); err != nil {
		t.Errorf("Settle after Stop: %v", err)
	}
}

// TestWholeHistory: with WholeHistory memory keeps more events of an account than it otherwise would, and the
// engine ends when they do not fit.
func TestWholeHistory(t *testing.T) {
	w := newWorld(t, options{}, alice)
	w.eng.cfg.WholeHistory = true
	memory := &w.eng.shardOf(alice).memory
	memory.eventsMax = w.eng.cfg.tailEvents()
	w.trade(alice, 2*tailEvents)
	seen := 0
	err := w.eng.Walk(t.Context(), alice, 1, func(*positions.Event) { seen++ })
	if err != nil || seen != 2*tailEvents+1 {
		t.Fatalf("%d events: %v", seen, err)
	}
	memory.bytesMax = memory.bytes
	w.eng.Submit(alice, orders(alice, 2*blockBytes/testRecordBytes))
	if err := w.fatal(); !errors.Is(err, ErrHistoryFull) {
		t.Error(err)
	}
}

// TestNewestTime: the newest time is found, whether a checkpoint has the event or memory.
func TestNewestTime(t *testing.T) {
	w := newWorld(t, options{keeps: true, shards: 2}, alice, bob)
	if newest, err := w.eng.NewestTime(t.Context()); err != nil || newest != w.clock.Load() {
		t.Errorf("%d after %d: %v", newest, w.clock.Load(), err)
	}
	w.eng.Submit(bob, orders(bob, 1))
	w.settle()
	at := w.clock.Load()
	w.checkpoint()
	after := newWorld(t, options{shards: 3, journal: w.journal})
	if newest, err := after.eng.NewestTime(t.Context()); err != nil || newest != at {
		t.Errorf("%d, of %d: %v", newest, at, err)
	}
	empty := newWorld(t, options{})
	if newest, err := empty.eng.NewestTime(t.Context()); err != nil || newest != 0 {
		t.Errorf("of nothing: %d, %v", newest, err)
	}
}

// BenchmarkSettle is a barrier: of engines with nothing to do, and after an order for each shard.
func BenchmarkSettle(b *testing.B) {
	for _, each := range []int{0, 1} {
		b.Run(fmt.Sprintf("orders=%d", each), func(b *testing.B) {
			prices := testUniverse.Opening()
			eng, err := New(Config{
				Shards: 2, Workers: 4, InboxOrdersMax: 1024, HistoryReadsMax: 1, HistoryMemoryBytesMax: 1 << 24,
				SessionsPerAccountMax: 1, Universe: testUniverse, Prices: func() *market.Prices { return prices },
				Clock: func() int64 { return 1 }, Journal: NewMemoryJournal(), Outlet: tallyOutlet{},
				Fatal: func(err error) { panic(err) },
			})
			if err != nil {
				b.Fatal(err)
			}
			defer eng.Stop()
			if err := openAccounts(b.Context(), eng, 2, 1); err != nil {
				b.Fatal(err)
			}
			requests := [2][]Request{orders(firstAccount, each), orders(firstAccount+1, each)}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				for n := range requests {
					for j := range requests[n] {
						requests[n][j].Order.Side = positions.Buy + positions.Side(i%2)
					}
					eng.Submit(firstAccount+uint64(n), requests[n])
				}
				if err := eng.Settle(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
