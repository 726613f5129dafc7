package journal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// shortLife is a short run of a server on a disk that fails at some point: a start, commits,
// checkpoints, a backup, an end.
type shortLife struct {
	base *world // what was there before; never changed
	disk *vfs.MemFS
	o    Options
	said <-chan error // what ended the process

	mu     sync.Mutex
	w      *world // nil before the recovery
	j      *Journal
	backup error
	stage  string
}

func (b *lifeBase) life(tb testing.TB, mode Mode) *shortLife {
	tb.Helper()
	l := &shortLife{base: b.w, disk: b.disk.CrashClone(vfs.CrashCloneCfg{}), stage: "start"}
	l.o = testOptions(tb, l.disk, mode)
	l.o.tune = func(o *pebble.Options) {
		smallPebble(o)
		o.MemTableSize = 4 << 10
	}
	l.said = fatals(&l.o)
	return l
}

// lifeBase is what a short life begins with: a disk without a journal, or with the journal of a
// run that ended cleanly.
type lifeBase struct {
	name string
	w    *world
	disk *vfs.MemFS
}

func lifeBases(t *testing.T) (bases []*lifeBase) {
	t.Helper()
	first := &lifeBase{"the first start", newWorld(2, 3, 9), vfs.NewCrashableMem()}
	later := &lifeBase{"a later start", newWorld(2, 3, 9), vfs.NewCrashableMem()}
	j, _ := mustRecover(t, "data", testOptions(t, later.disk, Sync))
	later.w.run(t, j, 6, 5)
	mustCheckpoint(t, j, later.w)
	later.w.run(t, j, 6, 5)
	mustClose(t, j)
	return []*lifeBase{later, first}
}

// enter begins a stage.
func (l *shortLife) enter(stage string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stage = stage
}

func (l *shortLife) at() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stage
}

// live is the run. If the process ends in it, it may not return.
func (l *shortLife) live() error {
	j, r, err := recoverFrom("data", l.o)
	if err != nil {
		return err
	}
	w := l.base.goOnFrom(r, 11)
	w.journal.Store(j)
	l.mu.Lock()
	l.j, l.w, l.stage = j, w, "run"
	l.mu.Unlock()
	for i := range 10 {
		if err := w.step(i%len(w.shards), j, 4); err != nil {
			return err
		}
		switch i {
		case 2, 8:
			if err := j.Checkpoint(context.Background(), w); err != nil && !errors.Is(err, ErrNoRoom) {
				return err
			}
		case 5:
			err := j.Backup("copy")
			l.mu.Lock()
			l.backup = err
			l.mu.Unlock()
		}
	}
	l.enter("end")
	return j.Close()
}

// end runs live, and returns how that ended: with an error, with the end of the process
// (fatal), or well.
func (l *shortLife) end() (fatal bool, err error) {
	over := make(chan error, 1)
	go func() { over <- l.live() }()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	select {
	case err := <-l.said:
		return true, err
	case err = <-over:
	case <-deadline.C:
		return false, errors.New("it hangs")
	}
	select {
	case err := <-l.said: // a commit may have returned this error before
		return true, err
	default:
		return false, err
	}
}

// comesBack starts from what is on the disk now, with and without what was never synced.
func (l *shortLife) comesBack(tb testing.TB, fatal bool) error {
	w, safe := l.base, uint64(everything)
	l.mu.Lock()
	j := l.j
	if j != nil {
		w = l.w
	}
	l.mu.Unlock()
	if j != nil && l.o.Mode == Interval {
		safe = j.synced.Load()
	}
	acked := w.acked(safe)
	for _, percent := range []int{0, 100} {
		o := testOptions(tb,
			l.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(1, 1))}), Sync)
		again, r, err := recoverFrom("data", o)
		if err == nil {
			err = errors.Join(w.compare(again, r, acked), again.Close())
		}
		if err == nil && j != nil && l.o.Mode == Sync && again.Epoch() != j.Epoch() {
			err = errors.New("the epoch is another")
		}
		if err == nil {
			_, err = Verify(context.Background(), "data", o)
		}
		if err != nil {
			return fmt.Errorf("with %d %% of what was not synced: %w", percent, err)
		}
	}
	if fatal && j != nil && l.at() == "run" && commit(j, goldenEvents(tb)[0]) == nil {
		return errors.New("a commit after the failure was acknowledged")
	}
	return nil
}

// kindOfOperation groups operations for counting. Pebble syncs a directory in the same way as a
// file.
func kindOfOperation(op errorfs.Op) string {
	switch op.Kind {
	case errorfs.OpFileWrite, errorfs.OpFileWriteAt:
		return "writes"
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo, errorfs.OpFileFlush:
		if base := op.Path[strings.LastIndexByte(op.Path, '/')+1:]; base == "data" || base == "." || base == "" ||
			strings.HasPrefix(base, "copy") {
			return "syncs of directories"
		}
		return "syncs"
	case errorfs.OpCreate:
		return "creates"
	case errorfs.OpRename:
		return "renames"
	case errorfs.OpRemove, errorfs.OpRemoveAll:
		return "removes"
	case errorfs.OpLink:
		return "links"
	}
	return "other operations"
}

// diskFault is what goes wrong: the n-th of some operations, and perhaps all that follow it.
type diskFault struct {
	name string
	is   func(errorfs.Op) bool
	once bool
}

func ofKinds(kinds ...string) func(errorfs.Op) bool {
	return func(op errorfs.Op) bool { return slices.Contains(kinds, kindOfOperation(op)) }
}

func isWrite(op errorfs.Op) bool { return op.Kind.ReadOrWrite() == errorfs.OpIsWrite }

// TestFailingDisk fails each writing operation of a short run. After the failure nobody is told
// that something was committed, the process ends with an error that says why, and everything
// acknowledged is there at the next start.
func TestFailingDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	y := newTally(t, "failing disk")
	bases := lifeBases(t)
	often, sometimes := 3*faultsLeftOut, 24*faultsLeftOut // every third, and every 24th, in a quick test
	if thorough() {
		often, sometimes = 1, 1
	}
	failEach(t, y, bases[0], Sync, diskFault{"one operation", isWrite, true}, often)
	failEach(t, y, bases[0], Sync, diskFault{"all links", ofKinds("links"), false}, 1)
	for _, base := range bases {
		for _, f := range []diskFault{
			{"all operations", isWrite, false},
			{"all writes", ofKinds("writes"), false},
			{"all syncs", ofKinds("syncs", "syncs of directories"), false},
			{"all creates and renames", ofKinds("creates", "renames"), false},
			{"all removes", ofKinds("removes"), false},
		} {
			failEach(t, y, base, Sync, f, sometimes)
		}
	}
	failEach(t, y, bases[1], Sync, diskFault{"one operation", isWrite, true}, sometimes)
	failEach(t, y, bases[0], Interval, diskFault{"one operation", isWrite, true}, sometimes)
	y.mustHaveSeen("writes", "syncs", "removes", "links")
	if thorough() {
		y.mustHaveSeen("syncs of directories", "creates", "renames")
	}
}

// failEach fails the first of the operations, then the one that comes step later, and so on to
// the last.
func failEach(t *testing.T, y *counted, base *lifeBase, mode Mode, f diskFault, step int) {
	t.Helper()
	for n, reached := 0, new(atomic.Bool); n == 0 || reached.Load(); n += faultsAtOnce * step {
		reached.Store(false)
		forEach(faultsAtOnce, func(i int) {
			hit, err := failAt(t, y, base.life(t, mode), f, n+i*step)
			if hit {
				reached.Store(true)
			}
			if err != nil {
				y.found("%s (%s), %s, number %d (once: %t): %v", base.name, mode, f.name, n+i*step, f.once, err)
			}
		})
	}
}

// faultsAtOnce is how many runs go on at a time, and so how many there may be with an n that no
// operation reaches.
const faultsAtOnce = 4

// failAt fails the n-th of some operations of a life. hit is false if there were fewer than n.
func failAt(t *testing.T, y *counted, l *shortLife, f diskFault, n int) (hit bool, err error) {
	failing := &failingDisk{is: f.is, err: syscall.EIO, once: f.once, stage: l.at}
	failing.left.Store(int64(n))
	failing.armed.Store(true)
	l.o.FS = failing.on(l.disk)
	fatal, ended := l.end()
	first := failing.first.Load()
	if first == nil {
		return false, errors.Join(ended, l.comesBack(t, fatal))
	}
	y.saw(kindOfOperation(first.op), 1)
	y.tried(1)
	if err = l.mustEnd(first, fatal, ended, syscall.EIO); err == nil {
		err = l.comesBack(t, fatal)
	}
	if err != nil {
		err = fmt.Errorf("operation %d of %s (%s) failed at the %s: %w",
			first.op.Kind, first.op.Path, kindOfOperation(first.op), first.stage, err)
	}
	return true, err
}

// mustEnd checks that the life ended as it should after the failure of an operation. An
// operation of a backup fails only the backup, except a link, for which Pebble falls back to a
// copy. Failing to remove a file does no harm.
func (l *shortLife) mustEnd(first *failedOp, fatal bool, ended error, cause syscall.Errno) error {
	l.mu.Lock()
	ofBackup := strings.HasPrefix(first.op.Path, "copy") || first.op.Path == "." && first.stage == "run"
	backup := l.backup
	l.mu.Unlock()
	says := func(err error, what string) bool { return err != nil && strings.Contains(err.Error(), what) }
	failed := says(ended, cause.Error())
	switch kind := kindOfOperation(first.op); {
	case ended == nil && kind != "removes" && kind != "links" && (!ofBackup || !says(backup, cause.Error())):
		return fmt.Errorf("it went on, and the backup ended with: %w", backup)
	case ended != nil && !failed,
		failed && !says(ended, "the journal in data") && !says(ended, "the directory of the journal"):
		return fmt.Errorf("it ended with: %w", ended)
	case failed && !fatal && first.stage == "run":
		return fmt.Errorf("the process went on, and only then ended with: %w", ended)
	case fatal && first.stage == "start" && cause == syscall.ENOSPC &&
		says(ended, "cannot be started, as its disk has no room"):
	case fatal && !says(ended, "a write or a sync has failed, so nothing more can be acknowledged"):
		return fmt.Errorf("it says: %w", ended)
	}
	return nil
}
