package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// keysOf returns all keys that begin with a byte.
func keysOf(tb testing.TB, j *Journal, what byte) (keys []string) {
	tb.Helper()
	it, err := j.iterate(what)
	if err != nil {
		tb.Fatal(err)
	}
	for it.First(); it.Valid(); it.Next() {
		keys = append(keys, nameKey(it.Key()))
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		tb.Fatal(err)
	}
	return keys
}

// TestCheckpointDropsBlocks: a checkpoint drops the blocks up to its mark and no others. A
// checkpoint with nothing new writes nothing.
func TestCheckpointDropsBlocks(t *testing.T) {
	j, _ := mustRecover(t, "data", testOptions(t, vfs.NewMem(), Sync))
	w := newWorld(2, 6, 9)
	w.run(t, j, 30, 3)
	mustCheckpoint(t, j, w)
	if blocks := keysOf(t, j, keyBlock); len(blocks) != 0 || j.mark.number != j.Committed() || j.mark.number == 0 {
		t.Errorf("mark %d of %d, and left are %v", j.mark.number, j.Committed(), blocks)
	}
	mark := j.mark
	mustCheckpoint(t, j, w)
	if j.mark != mark || w.marked != 2 {
		t.Errorf("mark %+v after %+v, %d checkpoints", j.mark, mark, w.marked)
	}
	w.run(t, j, 6, 3)
	blocks, first := keysOf(t, j, keyBlock), fmt.Sprintf("commit %d", mark.number+1)
	if uint64(len(blocks)) != j.Committed()-mark.number || blocks[0] != first {
		t.Errorf("%v", blocks)
	}
}

// interruptedCheckpoint is a Checkpointer whose checkpoint returns an error after some
// accounts.
type interruptedCheckpoint struct {
	*world
	after int
	err   error
}

func (s *interruptedCheckpoint) Checkpoint(ctx context.Context, store func([]engine.AccountState) error) (uint64,
	error) {
	n := 0
	return s.world.Checkpoint(ctx, func(states []engine.AccountState) error {
		if n++; n > s.after {
			return s.err
		}
		return store(states)
	})
}

// TestCheckpointGivenUp: an interrupted checkpoint drops no blocks. What it stored does no
// harm, and the next checkpoint is complete, with or without a start in between.
func TestCheckpointGivenUp(t *testing.T) {
	for _, restart := range []bool{false, true} {
		disk := vfs.NewMem()
		o := testOptions(t, disk, Sync)
		j, _ := mustRecover(t, "data", o)
		w := newWorld(2, 6, 9)
		w.run(t, j, 20, 4)
		mustCheckpoint(t, j, w)
		w.run(t, j, 20, 4)
		mark, given := j.mark, errors.New("given up")
		if err := j.Checkpoint(context.Background(), &interruptedCheckpoint{w, 5, given}); !errors.Is(err, given) {
			t.Fatalf("%v", err)
		}
		if j.mark != mark || w.marked != 1 {
			t.Errorf("mark %+v after %+v", j.mark, mark)
		}
		w.run(t, j, 20, 4)
		if restart {
			mustClose(t, j)
			var r *recovered
			j, r = mustRecover(t, "data", o)
			if err := w.compare(j, r, w.acked(everything)); err != nil {
				t.Fatal(err)
			}
			w = w.goOnFrom(r, 4)
			w.run(t, j, 10, 4)
		}
		mustCheckpoint(t, j, w)
		mustClose(t, j)
		if _, err := Verify(context.Background(), "data", o); err != nil {
			t.Errorf("restart %t: %v", restart, err)
		}
		j, r := mustRecover(t, "data", o)
		if err := w.compare(j, r, w.acked(everything)); err != nil {
			t.Errorf("restart %t: %v", restart, err)
		}
	}
}

// TestCheckpointChecksRuns: an account whose events do not lead to its state is refused and not
// stored.
func TestCheckpointChecksRuns(t *testing.T) {
	j, _ := mustRecover(t, "data", testOptions(t, vfs.NewMem(), Sync))
	rec := func(account, seq uint64) []byte {
		ev := opening(account)
		ev.Seq = seq
		return j.table.Append(nil, &ev)
	}
	first, cut := rec(7, 1), rec(7, 1)
	for name, st := range map[string]engine.AccountState{
		"no events":       {Account: 7, Seq: 1},
		"no records":      {Account: 7, Seq: 1, Count: 1},
		"too few":         {Account: 7, Seq: 2, Count: 2, Runs: [][]byte{rec(7, 1)}},
		"too many":        {Account: 7, Seq: 1, Count: 1, Runs: [][]byte{first, first}},
		"more than there": {Account: 7, Seq: 1, Count: 2, Runs: [][]byte{first, first}},
		"another begin":   {Account: 7, Seq: 3, Count: 2, Runs: [][]byte{rec(7, 1), rec(7, 3)}},
		"another end":     {Account: 7, Seq: 3, Count: 2, Runs: [][]byte{append(rec(7, 2), rec(7, 4)...)}},
		"another account": {Account: 7, Seq: 2, Count: 2, Runs: [][]byte{first, rec(8, 2)}},
		"cut":             {Account: 7, Seq: 1, Count: 1, Runs: [][]byte{cut[:len(cut)-1]}},
	} {
		w := checkpointWriter{j: j}
		if err := w.accounts([]engine.AccountState{st}); err == nil || !strings.Contains(err.Error(), "account 7") ||
			w.batch != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCheckpointBatches: a batch is written when it is large, and an account is never split.
func TestCheckpointBatches(t *testing.T) {
	j, _ := mustRecover(t, "data", testOptions(t, vfs.NewMem(), Sync))
	w := checkpointWriter{j: j}
	account := func(number uint64, events int) engine.AccountState {
		st := engine.AccountState{Account: number, Seq: uint64(events), Count: uint64(events)}
		for i := range events {
			ev := opening(number)
			ev.Seq, ev.Adjustment = uint64(i+1), &positions.Adjustment{Reason: strings.Repeat("x", 1000)}
			st.Runs = append(st.Runs, j.table.Append(nil, &ev))
		}
		return st
	}
	for _, c := range []struct {
		number  uint64
		events  int
		flushed bool
	}{{1, 10, false}, {2, 900, false}, {3, 200, true}, {4, 3000, true}, {5, 1, false}} {
		if err := w.accounts([]engine.AccountState{account(c.number, c.events)}); err != nil {
			t.Fatal(err)
		}
		if (w.batch == nil) != c.flushed {
			t.Errorf("after account %d with %d events there is a batch: %t", c.number, c.events, w.batch != nil)
		}
	}
	if err := w.flush(); err != nil || w.opened != 5 {
		t.Fatalf("%v, %d opened", err, w.opened)
	}
	if runs := keysOf(t, j, keyRun); len(runs) != 1+4+1+12+1 {
		t.Errorf("%d runs: %v", len(runs), runs)
	}
}

// TestRun: checkpoints are made in time, after enough events and on request, until Run is told
// to stop.
func TestRun(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, c := range []struct {
		name string
		set  func(*Options)
		wish bool
	}{
		{"in time", func(o *Options) { o.CheckpointInterval = time.Millisecond }, false},
		{"after enough events", func(o *Options) { o.CheckpointEvents = 20 }, false},
		{"when wanted", func(*Options) {}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := testOptions(t, vfs.NewMem(), Sync)
			c.set(&o)
			j, _ := mustRecover(t, "data", o)
			w := newWorld(2, 6, 9)
			w.journal.Store(j)
			ctx, cancel := context.WithCancel(context.Background())
			var run sync.WaitGroup
			run.Add(1)
			go func() {
				defer run.Done()
				if err := j.Run(ctx, w); err != nil {
					t.Error(err)
				}
			}()
			for n := range uint64(3) {
				w.run(t, j, 10, 5)
				if c.wish {
					w.wanted <- struct{}{}
				}
				waitUntil(t, "the next checkpoint", func() bool { return j.Stats().Checkpoints > n })
			}
			cancel()
			run.Wait()
			mustClose(t, j)
		})
	}
}

// TestRunFails: Run returns an error unless it comes from the end of its context.
func TestRunFails(t *testing.T) {
	o := testOptions(t, vfs.NewMem(), Sync)
	o.CheckpointInterval = time.Millisecond
	j, _ := mustRecover(t, "data", o)
	w, given := newWorld(1, 2, 1), errors.New("given up")
	w.run(t, j, 5, 2)
	if err := j.Run(context.Background(), &interruptedCheckpoint{w, 0, given}); !errors.Is(err, given) {
		t.Errorf("%v", err)
	}
}

// TestOrderIDs: the last 4,096 order ids of an account are kept, forgotten ones are deleted,
// and a start gets them oldest first.
func TestOrderIDs(t *testing.T) {
	disk := vfs.NewMem()
	o := testOptions(t, disk, Sync)
	o.tune = func(o *pebble.Options) { o.MemTableSize = 256 << 10 }
	j, _ := mustRecover(t, "data", o)
	w := newWorld(1, 1, 9)
	w.run(t, j, 1, 1)
	s := w.shards[0]
	trade := func(n int) {
		var events []positions.Event
		for i := range n {
			order := positions.Order{
				Account: 100001, Quantity: 1, Instrument: market.ID(i % 3), Side: positions.Buy,
				Origin: positions.OriginClient,
			}
			order.ID, _ = positions.MakeOrderID(fmt.Appendf(nil, "order %d", len(s.accounts[100001].events)))
			var ev positions.Event
			if r := s.book.Decide(&order, universe.Opening(), 1, &ev); r.Reason != positions.NoRefusal {
				t.Fatal(r.Reason)
			}
			s.apply(ev)
			events = append(events, ev)
		}
		if err := commit(j, events...); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []int{100, 3900, 500, 5000, 7} {
		trade(n)
		mustCheckpoint(t, j, w)
		want := s.accounts[100001].rememberedIDs(len(s.accounts[100001].events), &j.idKey)
		if keys := keysOf(t, j, keyOrderID); len(keys) != len(want) {
			t.Fatalf("%d order ids are kept, of %d", len(keys), len(want))
		}
		mustClose(t, j)
		if _, err := Verify(context.Background(), "data", o); err != nil {
			t.Fatal(err)
		}
		var r *recovered
		j, r = mustRecover(t, "data", o)
		if got := r.accounts[100001].loaded.IDs; !slices.Equal(got, want) {
			t.Fatalf("%d order ids came back, want %d", len(got), len(want))
		}
	}
}

// TestRead reads pages from any sequence, across the ends of runs. They have nothing past what
// is stored, and nothing of other accounts.
func TestRead(t *testing.T) {
	disk := vfs.NewMem()
	o := testOptions(t, disk, Sync)
	j, _ := mustRecover(t, "data", o)
	w := newWorld(1, 3, 9)
	for range 10 {
		w.run(t, j, 12, 20)
		mustCheckpoint(t, j, w)
	}
	w.run(t, j, 12, 20)
	w.each(func(number uint64, a *worldAccount) {
		for _, from := range []int{1, 2, 100, 256, 257, 258, a.stored - 1, a.stored, a.stored + 1, a.stored + 100} {
			for _, limit := range []int{0, 1, 20, 300, 10_000} {
				if from < 1 {
					continue
				}
				before := []positions.Event{{Account: 42}}
				got, err := j.Read(slices.Clone(before), number, uint64(from), limit)
				want := a.events[min(from-1, a.stored):min(from-1+limit, a.stored)]
				if from > a.stored {
					want = nil
				}
				if err != nil || len(got) != 1+len(want) || got[0].Account != 42 {
					t.Fatalf("account %d, from %d, %d: %d events, %v", number, from, limit, len(got)-1, err)
				}
				for i := range want {
					if got[1+i].Seq != want[i].Seq || got[1+i].Cash != want[i].Cash || got[1+i].Account != number {
						t.Fatalf("account %d, from %d: %+v, want %+v", number, from, got[1+i], want[i])
					}
				}
			}
		}
	})
	for _, account := range []uint64{0, 7, 1 << 63, everything} {
		if got, err := j.Read(nil, account, 1, 10); err != nil || len(got) != 0 {
			t.Errorf("account %d: %d events, %v", account, len(got), err)
		}
	}
	if got, err := j.Read(nil, 100001, 0, 10); err != nil || len(got) != 0 {
		t.Errorf("from 0: %d events, %v", len(got), err)
	}
}
