package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/rs/zerolog"
)

// eachFormatOne runs a test on all ledgers of format 1 that there are.
func eachFormatOne(t *testing.T, f func(t *testing.T, disk *vfs.MemFS, w *world)) {
	for _, name := range formatOneFixtures {
		t.Run(name, func(t *testing.T) {
			disk, w := formatOneFixture(t, name)
			f(t, disk, w)
		})
	}
	for name, clean := range map[string]bool{"made here, killed": false, "made here, clean": true} {
		t.Run(name, func(t *testing.T) {
			disk, w := formatOneLedger(t, 5, clean)
			f(t, disk, w)
		})
	}
}

const formatOneBackup = "data/" + formatOneDir

// mustBeFormatOne checks the backup of format 1 in a ledger.
func mustBeFormatOne(tb testing.TB, disk vfs.FS, want map[string]string) {
	tb.Helper()
	sum, err := Verify(context.Background(), formatOneBackup, testOptions(tb, disk, Sync))
	if err != nil || sum.Format != format1 || !sum.Backup {
		tb.Errorf("the backup of format 1: %+v, %v", sum, err)
		return
	}
	mustExport(tb, disk, formatOneBackup, want)
}

// TestFirstStartOnFormatOne: the first start leaves a backup and says what it does; afterwards
// everything is as it was, the epoch too. Later starts leave the backup alone.
func TestFirstStartOnFormatOne(t *testing.T) {
	eachFormatOne(t, func(t *testing.T, disk *vfs.MemFS, w *world) {
		before, err := Verify(context.Background(), "data", testOptions(t, disk, Sync))
		must(t, err)
		want, log := exportOf(t, disk, "data"), new(testLog)
		o := testOptions(t, disk, Sync)
		o.Log = zerolog.New(log)
		j, r := mustRecover(t, "data", o)
		if err := w.compare(j, r, w.acked(everything)); err != nil || j.Epoch() != before.Epoch {
			t.Errorf("epoch %x after %x, %v", j.Epoch(), before.Epoch, err)
		}
		mustSayInOrder(t, log.String(),
			`"backup":"data/format-1","message":"the ledger is of format 1: this start makes it format 2`,
			"going back is a start of the older program from that backup", `"took_ms"`,
			"the backup of format 1 is made", "the ledger is of format 2 now")
		key := j.idKey
		w = w.goOnFrom(r, 3)
		w.run(t, j, 12, 5)
		must(t, j.Backup("backup"))
		mustClose(t, j)
		mustBeFormatOne(t, disk, want)
		if sum, err := Verify(context.Background(), "data", o); err != nil || sum.Format != formatNumber {
			t.Errorf("%+v, %v", sum, err)
		}
		must(t, BackupStopped("data", "stopped", o))
		for _, dir := range []string{"backup", "stopped"} {
			names, err := disk.List(dir)
			if err != nil || slices.ContainsFunc(names, isFormatOneDir) {
				t.Errorf("%s has %v, %v", dir, names, err)
			}
			if sum, err := Verify(context.Background(), dir, o); err != nil || sum.Format != formatNumber {
				t.Errorf("%s: %+v, %v", dir, sum, err)
			}
		}
		for range 2 { // now with values of both versions
			log = new(testLog)
			o.Log = zerolog.New(log)
			j, r = mustRecover(t, "data", o)
			if err := w.compare(j, r, w.acked(everything)); err != nil || j.Epoch() != before.Epoch || j.idKey != key {
				t.Errorf("epoch %x after %x, %v", j.Epoch(), before.Epoch, err)
			}
			if strings.Contains(log.String(), "format") {
				t.Errorf("a later start says %s", log)
			}
			w = w.goOnFrom(r, 4)
			w.run(t, j, 12, 5)
			mustCheckpoint(t, j, w)
			w.run(t, j, 12, 5)
			mustClose(t, j)
			if _, err := Verify(context.Background(), "data", o); err != nil {
				t.Error(err)
			}
		}
		mustBeFormatOne(t, disk, want)
		mustStartFromBackup(t, disk, w, before)
	})
}

func mustSayInOrder(tb testing.TB, text string, parts ...string) {
	tb.Helper()
	rest := text
	for _, part := range parts {
		_, after, ok := strings.Cut(rest, part)
		if !ok {
			tb.Errorf("it does not say %q, or not there: %s", part, text)
			return
		}
		rest = after
	}
}

// mustStartFromBackup starts a server from the backup inside the ledger, as going back would.
func mustStartFromBackup(t *testing.T, disk *vfs.MemFS, w *world, before Summary) {
	t.Helper()
	j, r := mustRecover(t, formatOneBackup, testOptions(t, disk, Sync))
	n := 0
	for number, a := range r.accounts {
		if events := w.accountOf(number).events; int(a.seq) > len(events) ||
			a.cash != events[a.seq-1].Cash {
			t.Errorf("account %d came back at event %d", number, a.seq)
		}
		n += int(a.seq)
	}
	if n != int(before.Events) || j.Epoch() == before.Epoch {
		t.Errorf("%d events of %d came back, epoch %x after %x", n, before.Events, j.Epoch(), before.Epoch)
	}
	mustClose(t, j)
	if _, err := disk.Stat(formatOneBackup + "/" + formatOneDir); err != nil {
		t.Errorf("that start has left no backup: %v", err)
	}
}

func (w *world) accountOf(number uint64) (of *worldAccount) {
	w.each(func(n uint64, a *worldAccount) {
		if n == number {
			of = a
		}
	})
	return of
}

// TestEpochOfFormatOne: a first start follows the rules of any other start.
func TestEpochOfFormatOne(t *testing.T) {
	for _, c := range []struct {
		name    string
		mode    Mode
		killed  bool
		backup  bool
		changes bool
	}{
		{"sync, clean", Sync, false, false, false},
		{"sync, killed", Sync, true, false, false},
		{"interval, clean", Interval, false, false, false},
		{"interval, killed", Interval, true, false, true},
		{"a backup", Sync, true, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk, w := vfs.NewCrashableMem(), newWorld(1, 3, 1)
			j, _ := mustRecover(t, "data", testOptions(t, disk, c.mode))
			w.run(t, j, 5, 3)
			epoch := j.Epoch()
			mustClose(t, j)
			makeFormatOne(t, disk)
			if c.killed {
				must(t, removeFile(disk, "data", cleanFile))
			}
			if c.backup {
				must(t, writeFile(disk, "data", backupFile, backupText))
			}
			j, r := mustRecover(t, "data", testOptions(t, disk, Sync))
			if err := w.compare(j, r, w.acked(everything)); err != nil || (j.Epoch() != epoch) != c.changes {
				t.Errorf("epoch %x after %x, %v", j.Epoch(), epoch, err)
			}
			epoch = j.Epoch()
			mustClose(t, j)
			if j, _ = mustRecover(t, "data", testOptions(t, disk, Sync)); j.Epoch() != epoch {
				t.Errorf("the next start: epoch %x after %x", j.Epoch(), epoch)
			}
		})
	}
}

// TestPowerLossInFirstStart loses power before the operations of a first start on format 1. What is
// left is a whole ledger of format 1, or a whole one of format 2 with the backup in it, with the same
// events; and the next start succeeds.
func TestPowerLossInFirstStart(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	eachFormatOne(t, func(t *testing.T, start *vfs.MemFS, w *world) {
		want := exportOf(t, start, "data")
		disk := crashDisk{start}
		var mu sync.Mutex
		var losses []*vfs.MemFS
		var ops []string
		y := newTally(t, "power loss in the first start")
		rng := rand.New(rand.NewPCG(y.seed, 1))
		o := testOptions(t, noLinkFS{disk.beforeWrites(func(op errorfs.Op) {
			mu.Lock()
			defer mu.Unlock()
			if !thorough() && rng.IntN(4) != 0 {
				return
			}
			losses, ops = append(losses, disk.lose(rng)), append(ops, fmt.Sprintf("%d of %s", op.Kind, op.Path))
		})}, Sync)
		j, _ := mustRecover(t, "data", o)
		mu.Lock()
		lost, before := append(slices.Clone(losses), crashed(start)), append(slices.Clone(ops),
			"the end") // compactions go on
		mu.Unlock()
		epoch := j.Epoch()
		mustClose(t, j)
		forEach(len(lost), func(n int) {
			format, err := judgeFirstStart(t, lost[n], w, want, epoch)
			if err != nil {
				y.found("before operation %s: format %d: %v", before[n], format, err)
			}
			y.saw(fmt.Sprintf("of format %d", format), 1)
			y.tried(1)
		})
		y.mustHaveSeen("of format 1", "of format 2")
	})
}

func judgeFirstStart(t *testing.T, disk *vfs.MemFS, w *world, want map[string]string, epoch uint64) (
	format uint64, err error,
) {
	t.Helper()
	o := testOptions(t, disk, Sync)
	sum, err := Verify(context.Background(), "data", o)
	if err != nil {
		return sum.Format, err
	}
	if sum.Format == formatNumber {
		mustBeFormatOne(t, disk, want)
	} else {
		mustExport(t, disk, "data", want)
	}
	j, r, err := recoverFrom("data", o)
	if err != nil {
		return sum.Format, err
	}
	if err = w.compare(j, r, w.acked(everything)); err == nil && j.Epoch() != epoch {
		err = errors.New("the epoch is another")
	}
	if err = errors.Join(err, j.Close()); err != nil {
		return sum.Format, err
	}
	mustBeFormatOne(t, disk, want)
	after, err := Verify(context.Background(), "data", o)
	if err == nil && (after.Format != formatNumber || after.Events != sum.Events) {
		err = fmt.Errorf("%+v after %+v", after, sum)
	}
	if names, _ := disk.List("data"); slices.Contains(names, Unfinished(formatOneDir)) {
		err = errors.Join(err, errors.New("an unfinished backup is left"))
	}
	return sum.Format, err
}

// TestNoBackupNoFormatTwo fails every operation on the backup of format 1 in turn: the start fails with
// a sentence that says so, nothing of the ledger has changed, and a later start succeeds.
func TestNoBackupNoFormatTwo(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EIO} {
		t.Run(cause.Error(), func(t *testing.T) {
			disk, w := formatOneFixture(t, "killed")
			want := exportOf(t, disk, "data")
			f := &failingDisk{err: cause, is: func(op errorfs.Op) bool {
				return op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpRemoveAll &&
					strings.HasPrefix(op.Path, formatOneBackup)
			}}
			o := testOptions(t, noLinkFS{f.on(disk)}, Sync)
			n := int64(0)
			for ; ; n++ {
				f.left.Store(n)
				f.armed.Store(true)
				j, r, err := recoverFrom("data", o)
				f.armed.Store(false)
				if err == nil {
					must(t, errors.Join(w.compare(j, r, w.acked(everything)), j.Close()))
					break
				}
				const say = "the journal in data stays as it is, of format 1, since no backup of it can be made: "
				var damage *DamageError
				if !strings.Contains(err.Error(), say) || !errors.Is(err, cause) || errors.As(err, &damage) {
					t.Fatal(err)
				}
				if sum, err := Verify(context.Background(), "data", testOptions(t, disk, Sync)); err != nil ||
					sum.Format != format1 {
					t.Fatalf("operation %d: %+v, %v", n, sum, err)
				}
			}
			if n < 15 {
				t.Errorf("it failed at %d operations", n)
			}
			mustBeFormatOne(t, disk, want)
		})
	}
}

// TestEarlierBackupIsMadeAnew: what an interrupted first start has left, whole or not, does not count.
func TestEarlierBackupIsMadeAnew(t *testing.T) {
	for _, left := range []string{formatOneDir, Unfinished(formatOneDir)} {
		disk, _ := formatOneFixture(t, "killed")
		want := exportOf(t, disk, "data")
		must(t, disk.MkdirAll("data/"+left+"/sub", privateDir))
		must(t, writeFile(disk, "data/"+left, backupFile, "of some other time"))
		if _, err := Verify(context.Background(), "data", testOptions(t, disk, Sync)); err != nil {
			t.Errorf("%s is in the way of verify: %v", left, err)
		}
		j, _ := mustRecover(t, "data", testOptions(t, disk, Sync))
		mustClose(t, j)
		mustBeFormatOne(t, disk, want)
		if names, err := disk.List("data/" + formatOneDir); err != nil || slices.Contains(names, "sub") {
			t.Errorf("%s: the backup has %v, %v", left, names, err)
		}
	}
}

// TestFormatOneOnDisk: on a real disk the backup takes links, only its owner may read it, and its
// directory does not keep the ledger's own from being private. A directory with nothing but such a
// backup is no place to begin a ledger in.
func TestFormatOneOnDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	must(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "format1", "killed"))))
	must(t, os.Chmod(dir, 0o755))
	o := testOptions(t, nil, Sync)
	o.Beside = []string{"OPENING"}
	o.tune = func(p *pebble.Options) { p.DisableAutomaticCompactions = true }
	j, _ := mustRecover(t, dir, o)
	backup := filepath.Join(dir, formatOneDir)
	links := 0
	must(t, filepath.WalkDir(backup, func(path string, d fs.DirEntry, err error) error {
		must(t, err)
		in, err := d.Info()
		must(t, err)
		if in.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, in.Mode())
		}
		if strings.HasSuffix(path, ".sst") && in.Sys().(*syscall.Stat_t).Nlink == 2 {
			links++
		}
		return nil
	}))
	if _, err := os.Stat(filepath.Join(backup, "OPENING")); err != nil || links == 0 {
		t.Errorf("%d tables are linked; %v", links, err)
	}
	mustClose(t, j)
	must(t, os.Chmod(dir, 0o755))
	log := new(testLog)
	o.Log = zerolog.New(log)
	j, _ = mustRecover(t, dir, o)
	mustClose(t, j)
	if in, err := os.Stat(dir); err != nil || in.Mode().Perm() != privateDir ||
		!strings.Contains(log.String(), "its directory is 0700 now") {
		t.Errorf("%v, %v, %s", in.Mode(), err, log)
	}
	before := statesOf(t, backup)
	readAll(t, backup, nil)
	readAll(t, dir, nil)
	if after := statesOf(t, backup); !reflect.DeepEqual(before, after) {
		t.Errorf("before: %v\nafter: %v", slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
	}
	alone := directoryOf(t, formatOneDir+"/")
	if _, err := Open(alone, testOptions(t, nil, Sync)); err == nil ||
		!strings.Contains(err.Error(), "has other files (format-1) and no ledger") {
		t.Errorf("beside nothing but such a backup: %v", err)
	}
}

// TestCopyIsChecked: a copy that is not what the journal is does not count as its backup.
func TestCopyIsChecked(t *testing.T) {
	disk, _ := formatOneFixture(t, "killed")
	other, _ := formatOneFixture(t, "clean")
	if _, err := vfs.Clone(other, disk, "data", "other"); err != nil {
		t.Fatal(err)
	}
	j, err := Open("data", testOptions(t, disk, Sync))
	must(t, err)
	must(t, j.copyAll("copy"))
	if err := j.checkFormatOne("copy"); err != nil {
		t.Error(err)
	}
	const want = "and the journal with commit 1062"
	if err := j.checkFormatOne("other"); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("another ledger: %v", err)
	}
	mustClose(t, j)
}
