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

// gate holds up syncs of the log while its mutex is locked.
type gate struct {
	mu    sync.Mutex
	waits chan struct{} // capacity 1; a sync has reached the gate
}

func (g *gate) wrap(disk vfs.FS) vfs.FS {
	return injectFS(disk, func(op errorfs.Op) error {
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

func waitUntil(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("it never came: %s", what)
		}
	}
}

// TestGroupCommit: commits that arrive during a sync become one block, and none of them returns
// before its sync.
func TestGroupCommit(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	g := &gate{waits: make(chan struct{}, 1)}
	o := testOptions(t, g.wrap(vfs.NewMem()), Sync)
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
		if err := commit(j, opening(1)); err != nil {
			t.Error(err)
		}
	}()
	<-g.waits // the first block is in its sync
	for i := range uint64(shards) {
		committed.Add(1)
		go func() {
			defer committed.Done()
			if err := commit(j, opening(2+2*i), opening(3+2*i)); err != nil {
				t.Error(err)
			}
		}()
	}
	waitUntil(t, "all commits are ready", func() bool { return len(j.queue) == shards })
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
	o := testOptions(t, g.wrap(vfs.NewMem()), Interval)
	o.tune = nil
	j, _ := mustRecover(t, "data", o)
	g.mu.Lock()
	for i := range uint64(50) {
		if err := commit(j, opening(1+i)); err != nil {
			t.Fatal(err)
		}
	}
	if j.Committed() != 50 {
		t.Errorf("commit %d", j.Committed())
	}
	g.mu.Unlock()
	waitUntil(t, "the sync of all", func() bool { return j.synced.Load() == 50 })
	mustClose(t, j)
}

// TestLargeCommits: a block that is large takes no further commits, and a commit is never
// split.
func TestLargeCommits(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	g := &gate{waits: make(chan struct{}, 1)}
	disk := vfs.NewMem()
	o := testOptions(t, g.wrap(disk), Sync)
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
			if err := commit(j, large(1+i)...); err != nil {
				t.Error(err)
			}
		}()
		if i == 0 {
			<-g.waits
		}
	}
	waitUntil(t, "all commits are ready", func() bool { return len(j.queue) == 5 })
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

// holdTime is how long a sync is held up, to see whether somebody does not wait for it.
const holdTime = 500 * time.Millisecond

// TestAnswerAfterTheSync holds up the sync of a block: its commit returns after the sync, and
// not before.
func TestAnswerAfterTheSync(t *testing.T) {
	g := &gate{waits: make(chan struct{}, 1)}
	o := testOptions(t, g.wrap(vfs.NewMem()), Sync)
	o.tune = nil
	j, _ := mustRecover(t, "data", o)
	select {
	case <-g.waits: // the sync of the start
	default:
	}
	g.mu.Lock()
	returned := make(chan error, 1)
	go func() { returned <- commit(j, opening(1)) }()
	synced := false
	for limit := time.After(patience); !synced; {
		select {
		case <-g.waits:
			synced = true
		case err := <-returned:
			g.mu.Unlock()
			t.Fatalf("a commit has returned before anything was synced: %v", err)
		case <-limit:
			g.mu.Unlock()
			t.Fatal("nothing is synced")
		}
	}
	select {
	case err := <-returned:
		t.Errorf("a commit has returned during its sync: %v", err)
		returned <- err
	case <-time.After(holdTime):
	}
	g.mu.Unlock()
	if err := <-returned; err != nil {
		t.Error(err)
	}
}
