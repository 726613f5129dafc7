package journal

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

const patience = 2 * time.Minute

// failingDisk fails the n-th operation of a kind once it is armed. If once is not set, it fails
// all later ones too.
type failingDisk struct {
	armed atomic.Bool
	left  atomic.Int64
	is    func(errorfs.Op) bool
	err   error
	once  bool

	stage func() string // nil: the failed operation is not recorded
	first atomic.Pointer[failedOp]
}

// failedOp is the operation that failed first.
type failedOp struct {
	op    errorfs.Op
	stage string
}

func (f *failingDisk) on(disk vfs.FS) vfs.FS {
	return injectFS(disk, func(op errorfs.Op) error {
		if !f.armed.Load() || !f.is(op) {
			return nil
		}
		if left := f.left.Add(-1); left >= 0 || left < -1 && f.once {
			return nil
		}
		if f.stage != nil { // before the error is returned, so that whoever sees the error finds the record
			f.first.CompareAndSwap(nil, &failedOp{op, f.stage()})
		}
		return f.err
	})
}

func isLog(op errorfs.Op) bool { return strings.HasSuffix(op.Path, ".log") }

func isTable(op errorfs.Op) bool { return strings.HasSuffix(op.Path, ".sst") }

// fatals collects the arguments of Options.Fatal. Like the end of the process, it does not
// return and releases no lock.
func fatals(o *Options) <-chan error {
	ch := make(chan error, 16)
	o.Fatal = func(err error) {
		select {
		case ch <- err:
		default:
		}
		select {}
	}
	return ch
}

// TestFailingCheckpoint: a checkpoint that does not become durable drops nothing and ends the
// process.
func TestFailingCheckpoint(t *testing.T) {
	disk := vfs.NewCrashableMem()
	f := &failingDisk{err: errors.New("I/O error"), is: func(op errorfs.Op) bool {
		return (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) && isLog(op)
	}}
	o := testOptions(t, f.on(disk), Sync)
	o.tune = nil // no flush during the test
	fatal := fatals(&o)
	j, _, err := recoverFrom("data", o)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(2, 6, 9)
	w.run(t, j, 20, 5)
	f.armed.Store(true)
	go func() { _ = j.Checkpoint(context.Background(), w) }() // blocks for ever in Fatal
	select {
	case err := <-fatal:
		if !strings.Contains(err.Error(), "I/O error") {
			t.Errorf("it says: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the process did not end")
	}
	if w.marked != 0 {
		t.Error("memory was told that the checkpoint is durable")
	}
	j, r := mustRecover(t, "data", testOptions(t, disk.CrashClone(vfs.CrashCloneCfg{}), Sync))
	if err := w.compare(j, r, w.acked(everything)); err != nil {
		t.Error(err)
	}
}

// TestFailingEnd: if CLEAN cannot be written, the next start treats the end as a crash, and has
// everything.
func TestFailingEnd(t *testing.T) {
	disk := vfs.NewCrashableMem()
	f := &failingDisk{err: errors.New("I/O error"), is: func(op errorfs.Op) bool {
		return strings.Contains(op.Path, cleanFile)
	}}
	o := testOptions(t, f.on(disk), Sync)
	j, _, err := recoverFrom("data", o)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(2, 6, 9)
	w.run(t, j, 20, 5)
	epoch := j.Epoch()
	f.armed.Store(true)
	if err := j.Close(); err == nil || !strings.Contains(err.Error(), "the journal in data could not be closed: ") {
		t.Errorf("closed: %v", err)
	}
	f.armed.Store(false)
	j, r := mustRecover(t, "data", o)
	if err := w.compare(j, r, w.acked(everything)); err != nil || j.Epoch() != epoch {
		t.Errorf("epoch %x after %x, %v", j.Epoch(), epoch, err)
	}
}

// TestFatalReturns: a Fatal that returns is a programming error, and causes a panic.
func TestFatalReturns(t *testing.T) {
	j := &Journal{o: Options{Fatal: func(error) {}}, failed: make(chan struct{})}
	defer func() {
		if recover() == nil {
			t.Error("it went on")
		}
	}()
	j.fail(errors.New("I/O error"))
}

// TestDamageInBackground: damage that a compaction finds is an error of Recover, or ends the
// process once Recover has returned.
func TestDamageInBackground(t *testing.T) {
	disk, w := vfs.NewMem(), newWorld(2, 6, 9)
	o := testOptions(t, disk, Sync)
	j, _ := mustRecover(t, "data", o)
	w.run(t, j, 40, 5)
	mustClose(t, j)
	corrupt := pebble.ErrCorruption

	j, err := Open("data", o)
	if err != nil {
		t.Fatal(err)
	}
	j.failedInBackground(corrupt)
	var damage *DamageError
	if err := j.Recover(context.Background(), refusing{}, nil); !errors.As(err, &damage) {
		t.Errorf("recover: %v", err)
	}
	mustClose(t, j)

	fatal := fatals(&o)
	j, _ = mustRecover(t, "data", o)
	go j.failedInBackground(corrupt)
	select {
	case err := <-fatal:
		if !errors.As(err, &damage) {
			t.Errorf("it says: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the process did not end")
	}
	mustEndFailed(t, j)
}

// mustEndFailed closes a journal that has failed, so that the end of the test does not.
func mustEndFailed(tb testing.TB, j *Journal) {
	tb.Helper()
	if err := j.Close(); err == nil {
		tb.Error("a failed journal was closed as if nothing had been")
	}
}
