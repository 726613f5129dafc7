package journal

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/rs/zerolog"
)

// sizedDisk is a disk in memory that says how much of it is free.
type sizedDisk struct {
	disk   *vfs.MemFS
	free   atomic.Uint64
	writes atomic.Int64 // operations that need room
	log    *testLog
	o      Options
}

const lowWater = 4 << 20

func newSizedDisk(t *testing.T) *sizedDisk {
	t.Helper()
	r := &sizedDisk{disk: vfs.NewCrashableMem(), log: new(testLog)}
	r.free.Store(1 << 40)
	r.o = testOptions(t, injectFS(r.disk, func(op errorfs.Op) error {
		if takesRoom(op) {
			r.writes.Add(1)
		}
		return nil
	}), Sync)
	r.o.Log, r.o.LowWaterBytes = zerolog.New(r.log), lowWater
	r.o.FreeBytes = func() (uint64, error) { return r.free.Load(), nil }
	return r
}

func takesRoom(op errorfs.Op) bool {
	switch kindOfOperation(op) {
	case "writes", "creates", "links", "renames":
		return true
	}
	return op.Kind == errorfs.OpMkdirAll || op.Kind == errorfs.OpReuseForWrite
}

// comesBack starts again from what is on the disk, and compares.
func (r *sizedDisk) comesBack(t *testing.T, w *world) {
	t.Helper()
	acked := w.acked(everything) // before the crash: a commit may still be on its way, and is acknowledged after it
	o := testOptions(t, r.disk.CrashClone(vfs.CrashCloneCfg{}), Sync)
	j, again := mustRecover(t, "data", o)
	if err := w.compare(j, again, acked); err != nil {
		t.Error(err)
	}
	mustClose(t, j)
	if _, err := Verify(context.Background(), "data", o); err != nil {
		t.Error(err)
	}
}

// TestCheckpointPutOff: without room no checkpoint is made, and nothing is written for one.
// When there is room, it is made.
func TestCheckpointPutOff(t *testing.T) {
	r, w := newSizedDisk(t), newWorld(2, 6, 9)
	j, _ := mustRecover(t, "data", r.o)
	w.run(t, j, 30, 5)
	r.free.Store(lowWater - 1)
	before := r.writes.Load()
	if err := j.Checkpoint(t.Context(), w); !errors.Is(err, ErrNoRoom) || w.marked != 0 || r.writes.Load() != before {
		t.Errorf("%v, %d marks, %d writes; want %v and nothing written",
			err, w.marked, r.writes.Load()-before, ErrNoRoom)
	}
	r.comesBack(t, w)
	r.free.Store(lowWater)
	mustCheckpoint(t, j, w)
	if w.marked != 1 || j.Stats().Checkpoints != 1 {
		t.Errorf("%d marks, %d checkpoints", w.marked, j.Stats().Checkpoints)
	}
	r.comesBack(t, w)
}

// TestCheckpointRunsOutOfRoom fills up the disk at each point at which a checkpoint checks for
// room. The checkpoint drops nothing, and the next one, with room, has everything.
func TestCheckpointRunsOutOfRoom(t *testing.T) {
	for at := int64(1); ; at++ {
		r, w := newSizedDisk(t), newWorld(2, 6, 9)
		var looks atomic.Int64
		looks.Store(-1 << 40)
		r.o.watchInterval = watchInterval * 3600 // the watcher does not check meanwhile
		r.o.FreeBytes = func() (uint64, error) {
			if looks.Add(1) >= at {
				return 0, nil
			}
			return 1 << 40, nil
		}
		j, _ := mustRecover(t, "data", r.o)
		w.run(t, j, 60, 5)
		looks.Store(0)
		err := j.Checkpoint(t.Context(), w)
		if err == nil {
			if at < 3 {
				t.Errorf("a checkpoint looks %d times whether there is room", at-1)
			}
			return
		}
		if !errors.Is(err, ErrNoRoom) || w.marked != 0 {
			t.Fatalf("full at look %d: %v, %d marks", at, err, w.marked)
		}
		r.comesBack(t, w)
		looks.Store(-1 << 40)
		w.run(t, j, 20, 5)
		mustCheckpoint(t, j, w)
		r.comesBack(t, w)
		mustClose(t, j)
	}
}

// TestRunOutlivesFullDisk: Run does not end when checkpoints are put off. It logs that once,
// and makes them again later.
func TestRunOutlivesFullDisk(t *testing.T) {
	r, w := newSizedDisk(t), newWorld(2, 6, 9)
	j, _ := mustRecover(t, "data", r.o)
	w.run(t, j, 30, 5)
	r.free.Store(0)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- j.Run(ctx, w) }()
	said := func(what string) int { return strings.Count(r.log.String(), what) }
	for range 3 {
		w.wanted <- struct{}{}
	}
	waitUntil(t, "a word about it", func() bool {
		return said("no checkpoint: what was committed is safe") == 1 && len(w.wanted) == 0
	})
	waitUntil(t, "read-only", j.ReadOnly)
	r.free.Store(1 << 40)
	waitUntil(t, "orders again", func() bool { return !j.ReadOnly() })
	w.wanted <- struct{}{}
	waitUntil(t, "a checkpoint", func() bool { return j.Stats().Checkpoints > 0 })
	waitUntil(t, "a word about that", func() bool { return said("a checkpoint has been made again") == 1 })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := said("no checkpoint: what was committed is safe"); n != 1 {
		t.Errorf("it was said %d times", n)
	}
}

// TestWaitForRoom: every write that is not a commit waits for room: tables, manifests, creating
// a log, and a checkpoint's writes to the log. The journal is read-only meanwhile, and all of
// them succeed when there is room.
func TestWaitForRoom(t *testing.T) {
	isManifest := func(op errorfs.Op) bool { return strings.Contains(op.Path, "MANIFEST-") }
	for what, is := range map[string]func(errorfs.Op) bool{
		"writes of tables":    func(op errorfs.Op) bool { return isTable(op) && kindOfOperation(op) == "writes" },
		"tables to be made":   func(op errorfs.Op) bool { return isTable(op) && op.Kind == errorfs.OpCreate },
		"writes of manifests": func(op errorfs.Op) bool { return isManifest(op) && kindOfOperation(op) == "writes" },
		"logs to be made": func(op errorfs.Op) bool {
			return isLog(op) && (op.Kind == errorfs.OpCreate || op.Kind == errorfs.OpRename)
		},
	} {
		for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT} {
			t.Run(what+", "+cause.Error(), func(t *testing.T) {
				r, w := newSizedDisk(t), newWorld(2, 6, 9)
				f := &failingDisk{err: cause, is: is}
				r.o.FS = f.on(r.disk)
				j, _ := mustRecover(t, "data", r.o)
				f.armed.Store(true)
				run := make(chan struct{})
				go func() {
					defer close(run)
					w.run(t, j, 300, 5)
				}()
				waitUntil(t, "something waits", func() bool { return j.waiting.Load() > 0 })
				if !j.ReadOnly() {
					t.Error("orders are taken")
				}
				if err := j.Checkpoint(t.Context(), w); !errors.Is(err, ErrNoRoom) {
					t.Errorf("a checkpoint meanwhile: %v", err)
				}
				f.armed.Store(false)
				waitUntil(t, "room", func() bool { return !j.ReadOnly() })
				<-run
				mustCheckpoint(t, j, w)
				r.comesBack(t, w)
				mustClose(t, j)
				if text := r.log.String(); !strings.Contains(text,
					"the disk is full: no orders are taken until there is room again") ||
					!strings.Contains(text, "what waited for room on the disk is done with") {
					t.Errorf("it said: %s", text)
				}
			})
		}
	}
}

// TestCheckpointWaitsInLog: a checkpoint that finds no room in the log waits; a commit ends the
// process.
func TestCheckpointWaitsInLog(t *testing.T) {
	isLogWrite := func(op errorfs.Op) bool { return isLog(op) && kindOfOperation(op) == "writes" }
	r, w := newSizedDisk(t), newWorld(2, 6, 9)
	f := &failingDisk{err: syscall.ENOSPC, is: isLogWrite}
	r.o.FS, r.o.tune = f.on(r.disk), nil
	fatal := fatals(&r.o)
	j, _, err := recoverFrom("data", r.o)
	if err != nil {
		t.Fatal(err)
	}
	w.run(t, j, 30, 5)
	f.armed.Store(true)
	made := make(chan error, 1)
	go func() { made <- j.Checkpoint(context.Background(), w) }()
	waitUntil(t, "the checkpoint waits", func() bool { return j.waiting.Load() == 1 })
	f.armed.Store(false)
	if err := <-made; err != nil || w.marked != 1 {
		t.Fatalf("%v, %d marks", err, w.marked)
	}
	r.comesBack(t, w)
	f.armed.Store(true)
	go func() { _ = w.step(0, j, 5) }() // blocks for ever in Fatal
	err = <-fatal
	const want = "a write or a sync has failed, so nothing more can be acknowledged"
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), want) {
		t.Errorf("it says: %v", err)
	}
	r.comesBack(t, w)
	mustEndFailed(t, j)
}

// TestIntervalWaitsInLog: in mode Interval, where no caller waits for the disk, commits wait
// for room and are then written.
func TestIntervalWaitsInLog(t *testing.T) {
	r, w := newSizedDisk(t), newWorld(2, 6, 9)
	f := &failingDisk{err: syscall.ENOSPC, is: func(op errorfs.Op) bool {
		return isLog(op) && kindOfOperation(op) == "writes"
	}}
	r.o.FS, r.o.Mode = f.on(r.disk), Interval
	j, _ := mustRecover(t, "data", r.o)
	f.armed.Store(true)
	w.run(t, j, 30, 5)
	waitUntil(t, "the log waits", func() bool { return j.waiting.Load() > 0 && j.ReadOnly() })
	f.armed.Store(false)
	waitUntil(t, "all is synced", func() bool { return j.synced.Load() == j.Committed() && !j.ReadOnly() })
	r.comesBack(t, w)
}

// TestEndWhileWaiting: the end of a run does not wait for room. Whatever was waiting, that is a
// failure, and nothing is lost.
func TestEndWhileWaiting(t *testing.T) {
	for name, end := range map[string]func(j *Journal, w *world){
		"of Run":   func(j *Journal, w *world) { runAndStop(j, w) },
		"by Close": func(j *Journal, _ *world) { _ = j.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			r, w := newSizedDisk(t), newWorld(2, 6, 9)
			f := &failingDisk{err: syscall.ENOSPC, is: func(op errorfs.Op) bool {
				return isLog(op) && op.Kind == errorfs.OpCreate || isTable(op)
			}}
			r.o.FS = f.on(r.disk)
			fatal := fatals(&r.o)
			j, _, err := recoverFrom("data", r.o)
			if err != nil {
				t.Fatal(err)
			}
			w.journal.Store(j)
			f.armed.Store(true)
			var enough atomic.Bool
			stepped := make(chan struct{})
			go func() {
				defer close(stepped)
				for !enough.Load() && w.step(0, j, 5) == nil {
				}
			}()
			waitUntil(t, "something waits", func() bool { return j.waiting.Load() > 0 })
			// Close never returns, so no step may begin behind it: it would hold its shard for ever.
			enough.Store(true)
			waitUntil(t, "the last step is over, or in its commit", func() bool {
				select {
				case <-stepped:
					return true
				default:
				}
				if !j.mu.TryLock() {
					return true
				}
				j.mu.Unlock()
				return false
			})
			go end(j, w)
			if err := <-fatal; !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("it says: %v", err)
			}
			r.comesBack(t, w)
		})
	}
}

func runAndStop(j *Journal, w *world) {
	ctx, stop := context.WithCancel(context.Background())
	stop()
	_ = j.Run(ctx, w)
}

// TestCloseWithoutRoom: a run that ends on a full disk ends well, and the next start has
// everything.
func TestCloseWithoutRoom(t *testing.T) {
	r, w := newSizedDisk(t), newWorld(2, 6, 9)
	f := &failingDisk{err: syscall.ENOSPC, is: func(op errorfs.Op) bool { return takesRoom(op) && !isLog(op) }}
	r.o.FS, r.o.tune = f.on(r.disk), nil
	j, _ := mustRecover(t, "data", r.o)
	w.run(t, j, 30, 5)
	f.armed.Store(true)
	r.free.Store(0)
	if err := j.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if text := r.log.String(); !strings.Contains(text,
		"no room to leave in writing that this run has ended: nothing is lost") {
		t.Errorf("it said: %s", text)
	}
	if _, ok, _ := readFile(r.disk, "data", cleanFile); ok {
		t.Error("there is a mark of a clean end")
	}
	r.comesBack(t, w)
}

// TestStartWithoutRoom: a start without room says so, and has written nothing but the lock.
// With room it starts.
func TestStartWithoutRoom(t *testing.T) {
	r, w := newSizedDisk(t), newWorld(2, 6, 9)
	const want = "as its disk has no room: %s; nothing was changed: make room, and start again"
	refused := func(free uint64, numbers string) {
		t.Helper()
		r.free.Store(free)
		before := r.writes.Load()
		_, err := Open("data", r.o)
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), strings.Replace(want, "%s", numbers, 1)) {
			t.Errorf("with %d bytes free: %v", free, err)
		}
		if n := r.writes.Load() - before; n > 1 { // one for the directory
			t.Errorf("with %d bytes free: %d writes", free, n)
		}
	}
	refused(0, "0 bytes are free, and 1048576 are needed")
	refused(1<<20-1, "1048575 bytes are free, and 1048576 are needed")
	r.free.Store(1 << 40)
	r.o.tune = nil // no flush: the events stay in the log
	j, _ := mustRecover(t, "data", r.o)
	w.run(t, j, 60, 5)
	crashed := r.disk.CrashClone(vfs.CrashCloneCfg{})
	mustClose(t, j)
	refused(1<<20-1, "1048575 bytes are free, and 1048576 are needed")
	r.free.Store(1 << 20)
	j, again := mustRecover(t, "data", r.o) // there is nothing left to flush
	if err := w.compare(j, again, w.acked(everything)); err != nil || !j.ReadOnly() {
		t.Errorf("%v, read-only: %t", err, j.ReadOnly())
	}
	r.o.FS = crashed
	if _, err := Open("data", r.o); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("with room for the start and none for what is in the log: %v", err)
	}
	r.free.Store(1 << 40)
	j, again = mustRecover(t, "data", r.o)
	if err := w.compare(j, again, w.acked(everything)); err != nil {
		t.Error(err)
	}
}

// TestBackupOfFullDisk: a backup to another disk needs no room on the journal's disk, so that
// it can be made when the disk is full.
func TestBackupOfFullDisk(t *testing.T) {
	r, w := newSizedDisk(t), newWorld(2, 6, 9)
	f := &failingDisk{err: syscall.ENOSPC, is: func(op errorfs.Op) bool {
		return takesRoom(op) && strings.HasPrefix(op.Path, "data")
	}}
	r.o.FS = noLinkFS{f.on(r.disk)}
	j, _ := mustRecover(t, "data", r.o)
	w.run(t, j, 30, 5)
	mustCheckpoint(t, j, w)
	w.run(t, j, 30, 5)
	waitUntil(t, "an idle database", func() bool {
		m := j.db.Metrics()
		return m.Flush.NumInProgress == 0 && m.Compact.NumInProgress == 0
	})
	f.armed.Store(true)
	r.free.Store(0)
	if err := j.Backup("elsewhere"); err != nil {
		t.Fatal(err)
	}
	f.armed.Store(false)
	o := testOptions(t, r.disk, Sync)
	b, again := mustRecover(t, "elsewhere", o)
	if err := w.compare(b, again, w.acked(everything)); err != nil {
		t.Error(err)
	}
}

// TestPebbleKeepsReplay: the size of the memtables of a read-only database tells a start how
// much it has to flush.
func TestPebbleKeepsReplay(t *testing.T) {
	l := newLogWorld(t, Sync, 40, 5)
	s := store{disk: l.disk, dir: "data", universe: universe}
	lock, err := pebble.LockDirectory("data", l.disk)
	must(t, err)
	s.lock = lock
	f := new(inspection)
	if err := errors.Join(s.readBeforeOpening(f), s.unlock()); err != nil || f.unflushed < uint64(len(l.log)) {
		t.Errorf("%d bytes of a log of %d, %v", f.unflushed, len(l.log), err)
	}
}
