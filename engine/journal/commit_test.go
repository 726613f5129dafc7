package journal

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.uber.org/goleak"

	"github.com/papertape/papertape/positions"
)

// opening is an account's first event.
func opening(account uint64) positions.Event {
	return positions.Event{
		Account: account, Seq: 1, Cash: positions.Cash{Balance: 1}, Kind: positions.KindAdjustment,
		Adjustment: &positions.Adjustment{Cash: 1},
	}
}

// gate holds up syncs of the log while it is closed.
type gate struct {
	mu    sync.Mutex
	waits chan struct{} // holds one: a sync has come to the gate
}

func (g *gate) on(disk vfs.FS) vfs.FS {
	return inject(disk, func(op errorfs.Op) error {
		if isLog(op) && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
			select {
			case g.waits <- struct{}{}:
			default:
			}
			g.mu.Lock()
			defer g.mu.Unlock()
		}
		return nil
	})
}

func until(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("it never came: %s", what)
		}
	}
}

// TestGroupCommit: what comes during a sync is one block, and nobody is released before its sync; in mode Interval nobody waits
// for a sync at all.
func TestGroupCommit(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	g := &gate{waits: make(chan struct{}, 1)}
	o := testOptions(t, g.on(vfs.NewMem()), Sync)
	o.tune = nil
	j, _ := mustRecover(t, "data", o)
	select {
	case <-g.waits:
	default:
	}
	const shards = 20
	g.mu.Lock()
	var committed, first sync.WaitGroup
	first.Add(1)
	go func() {
		defer first.Done()
		if err := j.Commit([]positions.Event{opening(1)}); err != nil {
			t.Error(err)
		}
	}()
	<-g.waits // the first is in its sync
	for i := range uint64(shards) {
		committed.Add(1)
		go func() {
			defer committed.Done()
			if err := j.Commit([]positions.Event{opening(2 + 2*i), opening(3 + 2*i)}); err != nil {
				t.Error(err)
			}
		}()
	}
	until(t, "all commits are ready", func() bool { return len(j.queue) == shards })
	if n := j.Committed(); n != 0 {
		t.Errorf("commit %d is done before any sync", n)
	}
	g.mu.Unlock()
	first.Wait()
	committed.Wait()
	if n, stats := j.Committed(), j.Stats(); n != 2 || stats.Events != 1+2*shards {
		t.Errorf("%d blocks with %d events", n, stats.Events)
	}
	mustClose(t, j)
}

// TestIntervalDoesNotWait: commits go on while a sync hangs.
func TestIntervalDoesNotWait(t *testing.T) {
	g := &gate{waits: make(chan struct{}, 1)}
	o := testOptions(t, g.on(vfs.NewMem()), Interval)
	o.tune = nil
	j, _ := mustRecover(t, "data", o)
	g.mu.Lock()
	for i := range uint64(50) {
		if err := j.Commit([]positions.Event{opening(1 + i)}); err != nil {
			t.Fatal(err)
		}
	}
	if j.Committed() != 50 {
		t.Errorf("commit %d", j.Committed())
	}
	g.mu.Unlock()
	until(t, "the sync of all", func() bool { return j.synced.Load() == 50 })
	mustClose(t, j)
}

// TestLargeCommits: a block ends when it is large, and a commit is never split.
func TestLargeCommits(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	g := &gate{waits: make(chan struct{}, 1)}
	disk := vfs.NewMem()
	o := testOptions(t, g.on(disk), Sync)
	o.tune = nil
	j, _ := mustRecover(t, "data", o)
	select {
	case <-g.waits:
	default:
	}
	large := func(account uint64) []positions.Event {
		events := []positions.Event{opening(account)}
		events[0].Adjustment = &positions.Adjustment{Cash: 1, Reason: string(make([]byte, blockBytesMax*3/4))}
		return events
	}
	g.mu.Lock()
	var all sync.WaitGroup
	for i := range uint64(6) {
		all.Add(1)
		go func() {
			defer all.Done()
			if err := j.Commit(large(1 + i)); err != nil {
				t.Error(err)
			}
		}()
		if i == 0 {
			<-g.waits
		}
	}
	until(t, "all commits are ready", func() bool { return len(j.queue) == 5 })
	g.mu.Unlock()
	all.Wait()
	if n := j.Committed(); n != 4 { // 1, 2, 2, 1
		t.Errorf("%d blocks", n)
	}
	mustClose(t, j)
	if _, err := Verify(context.Background(), "data", testOptions(t, disk, Sync)); err != nil {
		t.Error(err)
	}
}
