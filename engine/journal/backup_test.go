package journal

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// TestBackup: a backup of a running journal has everything that was committed before, while
// commits and checkpoints go on. The first start from it begins a new epoch, later ones do not,
// and the journal itself stays in the old one.
func TestBackup(t *testing.T) {
	for _, mode := range []Mode{Sync, Interval} {
		t.Run(mode.String(), func(t *testing.T) {
			disk := vfs.NewMem()
			o := testOptions(t, disk, mode)
			j, _ := mustRecover(t, "data", o)
			w := newWorld(3, 6, 9)
			w.run(t, j, 60, 5)
			mustCheckpoint(t, j, w)
			w.run(t, j, 60, 5)
			before := w.acked(everything)
			var load sync.WaitGroup
			load.Add(1)
			go func() {
				defer load.Done()
				for i := range 60 {
					if err := w.step(i%3, j, 5); err != nil {
						t.Error(err)
					}
					if i%20 == 10 {
						if err := j.Checkpoint(context.Background(), w); err != nil {
							t.Error(err)
						}
					}
				}
			}()
			if err := j.Backup("backups/monday"); err != nil {
				t.Fatal(err)
			}
			load.Wait()
			err := j.Backup("backups/monday")
			if err == nil || !strings.Contains(err.Error(), "the backup would overwrite backups/monday") {
				t.Errorf("a second one in its place: %v", err)
			}
			restored := testOptions(t, disk, Sync)
			if sum, err := Verify(context.Background(), "backups/monday", restored); err != nil || !sum.Backup ||
				sum.Clean {
				t.Errorf("%+v, %v", sum, err)
			}
			b, r := mustRecover(t, "backups/monday", restored)
			if err := w.compare(b, r, before); err != nil {
				t.Error(err)
			}
			epoch := b.Epoch()
			if epoch == j.Epoch() {
				t.Error("the backup has the epoch of the journal")
			}
			mustClose(t, b)
			if sum, err := Verify(context.Background(), "backups/monday", restored); err != nil || sum.Backup ||
				sum.Epoch != epoch {
				t.Errorf("%+v, %v", sum, err)
			}
			mustClose(t, j)
			j2, r := mustRecover(t, "data", o)
			if err := w.compare(j2, r, w.acked(everything)); err != nil || j2.Epoch() != j.Epoch() {
				t.Errorf("epoch %x after %x, %v", j2.Epoch(), j.Epoch(), err)
			}
		})
	}
}

// TestBackupBeforeFirstFlush: a copy that is made before Pebble has written to its manifest is whole.
// Pebble has nothing to write there if the start before was cut off between its flush and its new log.
func TestBackupBeforeFirstFlush(t *testing.T) {
	start, w := crashDisk{vfs.NewCrashableMem()}, newWorld(2, 4, 7)
	j, _ := mustRecover(t, "data", testOptions(t, start, Sync))
	w.run(t, j, 60, 5)
	mustClose(t, j)
	var lost []*vfs.MemFS
	j, err := Open("data", testOptions(t, start.beforeWrites(func(op errorfs.Op) {
		if strings.HasSuffix(op.Path, ".log") && (op.Kind == errorfs.OpCreate || op.Kind == errorfs.OpRename) {
			lost = append(lost, start.CrashClone(vfs.CrashCloneCfg{}))
		}
	}), Sync))
	must(t, err)
	must(t, j.Close())
	for _, disk := range lost {
		o := testOptions(t, disk, Sync)
		j, err := Open("data", o)
		must(t, err)
		must(t, errors.Join(j.copyTo("copy"), j.Close(), disk.Remove("copy/"+unfinishedFile)))
		if _, err := Verify(context.Background(), "copy", o); err != nil {
			t.Error(err)
		}
		b, r, err := recoverFrom("copy", o)
		if err == nil {
			err = errors.Join(w.compare(b, r, w.acked(everything)), b.Close())
		}
		if err != nil {
			t.Error(err)
		}
	}
	if len(lost) == 0 {
		t.Error("no log was made")
	}
}

// TestBackupStopped makes backups of a journal that was closed, and of one that lost power.
func TestBackupStopped(t *testing.T) {
	disk, w := vfs.NewCrashableMem(), newWorld(3, 6, 9)
	j, _ := mustRecover(t, "data", testOptions(t, disk, Sync))
	w.run(t, j, 60, 5)
	mustCheckpoint(t, j, w)
	w.run(t, j, 60, 5)
	lost := crashed(disk)
	mustClose(t, j)
	for name, disk := range map[string]*vfs.MemFS{"closed": disk, "crashed": lost} {
		o := testOptions(t, disk, Sync)
		if err := BackupStopped("data", "backup", o); err != nil {
			t.Fatal(err)
		}
		if err := BackupStopped("data", "backup", o); err == nil {
			t.Errorf("%s: a backup was overwritten", name)
		}
		b, r := mustRecover(t, "backup", o)
		if err := w.compare(b, r, w.acked(everything)); err != nil || b.Epoch() == j.Epoch() {
			t.Errorf("%s: epoch %x after %x, %v", name, b.Epoch(), j.Epoch(), err)
		}
		again, r := mustRecover(t, "data", o)
		if err := w.compare(again, r, w.acked(everything)); err != nil || again.Epoch() != j.Epoch() {
			t.Errorf("%s: the original, epoch %x after %x, %v", name, again.Epoch(), j.Epoch(), err)
		}
	}
}

// TestBackupFails: a backup that cannot be written leaves nothing behind, and the journal goes
// on.
func TestBackupFails(t *testing.T) {
	disk := vfs.NewMem()
	f := &failingDisk{err: errors.New("no space left on device"), is: func(op errorfs.Op) bool {
		return op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpRemoveAll &&
			strings.HasPrefix(op.Path, "elsewhere")
	}}
	j, _ := mustRecover(t, "data", testOptions(t, f.on(disk), Sync))
	w := newWorld(3, 6, 9)
	w.run(t, j, 30, 5)
	if err := disk.MkdirAll("elsewhere", 0o755); err != nil {
		t.Fatal(err)
	}
	f.armed.Store(true)
	n := int64(0)
	for ; ; n++ {
		f.left.Store(n)
		err := j.Backup("elsewhere/backup")
		if err == nil {
			break
		}
		if !strings.Contains(err.Error(), "the backup to elsewhere/backup failed: ") {
			t.Fatal(err)
		}
		if names, err := disk.List("elsewhere"); err != nil || len(names) != 0 {
			t.Fatalf("after operation %d there are %v, %v", n, names, err)
		}
		w.run(t, j, 1, 5)
	}
	if n < 10 {
		t.Errorf("it failed at %d operations", n)
	}
}

// TestPowerLossInBackup: at no moment is there an incomplete backup that would be taken for the
// journal itself.
func TestPowerLossInBackup(t *testing.T) {
	disk, w := crashDisk{vfs.NewCrashableMem()}, newWorld(3, 6, 9)
	var armed atomic.Bool
	var clones []*vfs.MemFS
	var mu sync.Mutex
	o := testOptions(t, noLinkFS{disk.beforeWrites(func(op errorfs.Op) {
		if armed.Load() && strings.Contains(op.Path, "backup") {
			mu.Lock()
			defer mu.Unlock()
			clones = append(clones, disk.CrashClone(vfs.CrashCloneCfg{}))
		}
	})}, Sync)
	j, _ := mustRecover(t, "data", o)
	w.run(t, j, 60, 5)
	mustCheckpoint(t, j, w)
	armed.Store(true)
	if err := j.Backup("backup"); err != nil {
		t.Fatal(err)
	}
	armed.Store(false)
	clones = append(clones, crashed(disk.MemFS))
	whole := 0
	for _, clone := range clones {
		o := testOptions(t, clone, Sync)
		if _, err := clone.Stat("backup"); err != nil {
			continue
		}
		whole++
		b, r := mustRecover(t, "backup", o)
		if err := w.compare(b, r, w.acked(everything)); err != nil || b.Epoch() == j.Epoch() {
			t.Errorf("epoch %x after %x, %v", b.Epoch(), j.Epoch(), err)
		}
		mustClose(t, b)
	}
	if whole == 0 || whole == len(clones) {
		t.Errorf("of %d moments %d had a backup", len(clones), whole)
	}
}

// noLinkFS is a file system without hard links. For a link, Pebble's file system in memory
// locks a mutex twice.
type noLinkFS struct{ vfs.FS }

func (noLinkFS) Link(string, string) error { return errors.New("no links here") }
