package journal

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// directoryOf makes a directory with these files. Names that end in a slash are directories.
func directoryOf(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		path := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			must(t, os.Mkdir(path, 0o755))
			continue
		}
		must(t, os.WriteFile(path, []byte("another program's\n"), 0o644))
	}
	return dir
}

// TestForeignDirectory: no ledger is begun among other people's files, and none of them is
// touched.
func TestForeignDirectory(t *testing.T) {
	for _, names := range [][]string{
		{"bin/", "etc/", "home/", "usr/", "var/"}, {"notes.txt"}, {".profile"}, {"sub/"}, {"000001.log"},
		{"1.log", "2.log"},
		{"lost+found/", "photo.jpg"}, {"LOCK", "CURRENT", "MANIFEST-000004", "000005.ldb", "LOG"}, {"OPENING"},
		{"OPTIONS-000007"},
	} {
		dir := directoryOf(t, names...)
		before := statesOf(t, dir)
		_, err := Open(dir, testOptions(t, nil, Sync))
		if err == nil || !strings.Contains(err.Error(), dir+" has other files (") ||
			!strings.Contains(err.Error(), "a ledger is begun in an empty directory") {
			t.Errorf("%v: %v", names, err)
		}
		for what, read := range map[string]func() error{
			"verify": func() error {
				_, err := Verify(context.Background(), dir, testOptions(t, nil, Sync))
				return err
			},
			"backup": func() error {
				return BackupStopped(dir, filepath.Join(t.TempDir(), "out"), testOptions(t, nil, Sync))
			},
		} {
			if err := read(); err == nil || !strings.Contains(err.Error(), "there is no journal in "+dir) {
				t.Errorf("%s of %v: %v", what, names, err)
			}
		}
		if after := statesOf(t, dir); !reflect.DeepEqual(before, after) {
			t.Errorf("%v: before %v, after %v", names, before, after)
		}
	}
}

// TestNamesInRefusal: the refusal of a directory with many files lists the first few.
func TestNamesInRefusal(t *testing.T) {
	dir := directoryOf(t, "e", "d", "c", "b", "a")
	if err := checkMayOpen(vfs.Default, dir); err == nil || !strings.Contains(err.Error(), "(a, b, c and 2 more)") {
		t.Error(err)
	}
}

// TestDirectoryToBeginIn: a ledger is begun in an empty directory, also in one with what an
// interrupted first start has left.
func TestDirectoryToBeginIn(t *testing.T) {
	for _, names := range [][]string{{}, {"lost+found/"}} {
		dir := directoryOf(t, names...)
		w := newWorld(2, 6, 9)
		j, _ := mustRecover(t, dir, testOptions(t, nil, Sync))
		w.run(t, j, 10, 5)
		mustClose(t, j)
		copied := filepath.Join(t.TempDir(), "copy")
		must(t, BackupStopped(dir, copied, testOptions(t, nil, Sync)))
		for _, dir := range []string{dir, copied} { // once more, now that there is a ledger
			j, r := mustRecover(t, dir, testOptions(t, nil, Sync))
			if err := w.compare(j, r, w.acked(everything)); err != nil {
				t.Errorf("%v: %v", names, err)
			}
		}
	}
}

// TestFirstStartCutOff: after a first start that was interrupted before any of its writes, the
// next start begins the ledger.
func TestFirstStartCutOff(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	disk := crashDisk{vfs.NewCrashableMem()}
	var clones []*vfs.MemFS
	var mu sync.Mutex
	o := testOptions(t, disk.beforeWrites(func(errorfs.Op) {
		mu.Lock()
		defer mu.Unlock()
		for _, percent := range []int{0, 100} {
			clones = append(clones,
				disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(1, 1))}))
		}
	}), Sync)
	mustRecover(t, "data", o)
	mu.Lock()
	all := clones
	mu.Unlock()
	if len(all) < 40 {
		t.Fatalf("%d moments", len(all))
	}
	for n, clone := range all {
		names, _ := clone.List("data")
		j, _, err := recoverFrom("data", testOptions(t, clone, Sync))
		if err != nil {
			t.Errorf("moment %d, with %v: %v", n, names, err)
			continue
		}
		mustClose(t, j)
	}
}

// TestOtherProgramsPebble: another program's Pebble database is refused and left unchanged.
func TestOtherProgramsPebble(t *testing.T) {
	dir := t.TempDir()
	db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatMinSupported, Logger: quietEvents()})
	must(t, err)
	must(t, db.Set([]byte("a"), []byte("another program's"), pebble.Sync))
	must(t, db.Close())
	before := statesOf(t, dir)
	delete(before, dir)
	_, opened := Open(dir, testOptions(t, nil, Sync))
	_, verified := Verify(context.Background(), dir, testOptions(t, nil, Sync))
	for name, err := range map[string]error{"open": opened, "verify": verified} {
		if err == nil || !strings.Contains(err.Error(), "or the database is another program's") {
			t.Errorf("%s: %v", name, err)
		}
	}
	after := statesOf(t, dir)
	delete(after, dir)
	if !reflect.DeepEqual(before, after) {
		t.Errorf("before: %v\nafter: %v", before, after)
	}
}

// TestNoDirectory: a path that cannot be a directory is refused, and nothing is made there.
func TestNoDirectory(t *testing.T) {
	dir := directoryOf(t, "file")
	at := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.Symlink("nowhere", at("dangling")))
	must(t, os.Symlink("round", at("round")))
	long := at(strings.Repeat("a", 300))
	for path, want := range map[string]error{
		at("file"): syscall.ENOTDIR, at("file/data"): syscall.ENOTDIR,
		at("dangling"): syscall.EEXIST, at("round"): syscall.ELOOP,
		long: syscall.ENAMETOOLONG, filepath.Join(long, "data"): syscall.ENAMETOOLONG,
		at("a\x00b"): syscall.EINVAL,
	} {
		if _, err := Open(path, testOptions(t, nil, Sync)); !errors.Is(err, want) {
			t.Errorf("%.80q: %v, want %v", path, err, want)
		}
	}
	must(t, os.Mkdir(at("real"), 0o700))
	must(t, os.Symlink("real", at("link")))
	j, _ := mustRecover(t, at("link"), testOptions(t, nil, Sync)) // a link to a directory will do
	mustClose(t, j)
	if _, err := Verify(context.Background(), at("real"), testOptions(t, nil, Sync)); err != nil {
		t.Error(err)
	}
}

// TestUnfinishedBackup: at no moment of a backup is what exists of it accepted as a ledger,
// under whatever name, and the next backup says what to do with it.
func TestUnfinishedBackup(t *testing.T) {
	for name, backUp := range map[string]func(o Options, j *Journal) error{
		"of a running server": func(_ Options, j *Journal) error { return j.Backup("backup") },
		"of a stopped one":    func(o Options, _ *Journal) error { return BackupStopped("stopped", "backup", o) },
	} {
		t.Run(name, func(t *testing.T) {
			disk, w := crashDisk{vfs.NewCrashableMem()}, newWorld(3, 6, 9)
			j, _ := mustRecover(t, "stopped", testOptions(t, disk, Sync))
			w.run(t, j, 60, 5)
			mustClose(t, j)
			m := moments{disk: disk}
			o := testOptions(t, noLinkFS{disk.beforeWrites(m.take)}, Sync)
			j, _ = mustRecover(t, "data", o)
			newWorld(3, 6, 9).run(t, j, 60, 5)
			m.armed.Store(true)
			must(t, backUp(o, j))
			m.armed.Store(false)
			m.judge(t)
		})
	}
}

// moments are the states of the disk before each operation of a backup.
type moments struct {
	disk  crashDisk
	armed atomic.Bool
	mu    sync.Mutex
	disks []*vfs.MemFS
}

func (m *moments) take(op errorfs.Op) {
	if !m.armed.Load() || !strings.Contains(op.Path, "backup") {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, percent := range []int{0, 100} {
		m.disks = append(m.disks,
			m.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(1, 1))}))
	}
}

func (m *moments) judge(t *testing.T) {
	t.Helper()
	unfinished := 0
	for n, disk := range m.disks {
		if _, err := disk.Stat("backup.unfinished"); err != nil {
			continue
		}
		o := testOptions(t, disk, Sync)
		const want = "remove backup.unfinished, and try again"
		if err := makeBackup(disk, "backup", nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("moment %d: the next backup: %v, want %q", n, err, want)
		}
		must(t, disk.Rename("backup.unfinished", "restored")) // as a hasty operator may do
		if _, ok, _ := readFile(disk, "restored", backupFile); ok {
			continue // it is complete
		}
		names, _ := disk.List("restored")
		_, verified := Verify(context.Background(), "restored", o)
		_, opened := Open("restored", o)
		for what, err := range map[string]error{"verify": verified, "open": opened} {
			switch {
			case len(names) == 0 && what == "open",
				reflect.DeepEqual(names, []string{lockFile}) && what == "open": // nothing is in it yet
			case err == nil,
				!strings.Contains(err.Error(), "a backup that was not finished") &&
					!strings.Contains(err.Error(), "no journal"):
				t.Errorf("moment %d, with %v: %s: %v", n, names, what, err)
			}
		}
		unfinished++
	}
	if unfinished < 20 {
		t.Errorf("of %d moments %d had an unfinished backup", len(m.disks), unfinished)
	}
}

// TestUnfinishedBackupOfEarlierVersion: those versions wrote no mark, so such a backup is
// recognised by its name and by what it lacks.
func TestUnfinishedBackupOfEarlierVersion(t *testing.T) {
	dir := ledgers(t)["crashed"]
	unfinished := dir + unfinishedSuffix
	must(t, os.Rename(dir, unfinished))
	if _, err := Verify(context.Background(), unfinished, testOptions(t, nil, Sync)); err != nil {
		t.Errorf("a ledger by this name that was served: %v", err)
	}
	must(t, os.Remove(filepath.Join(unfinished, lockFile)))
	_, verified := Verify(context.Background(), unfinished, testOptions(t, nil, Sync))
	_, opened := Open(unfinished, testOptions(t, nil, Sync))
	for what, err := range map[string]error{"verify": verified, "open": opened} {
		const want = "a backup that was not finished, so a part of the ledger is missing: remove it, and make another"
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestTwoBackupsToOnePlace: of several backups of stopped servers made to one place at the same
// time, exactly one succeeds, and it is complete.
func TestTwoBackupsToOnePlace(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	dir := ledgers(t)["clean"]
	for range 20 {
		out := filepath.Join(t.TempDir(), "backup")
		var made atomic.Int32
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				var target *TargetError
				switch err := BackupStopped(dir, out, testOptions(t, nil, Sync)); {
				case err == nil:
					made.Add(1)
				case !errors.As(err, &target):
					t.Error(err)
				}
			})
		}
		all.Wait()
		if _, err := Verify(context.Background(), out, testOptions(t, nil, Sync)); err != nil || made.Load() != 1 {
			t.Errorf("%d were made, and what there is: %v", made.Load(), err)
		}
	}
}

// TestBackupTargets: the error says what is wrong with the target, and that it is the target.
func TestBackupTargets(t *testing.T) {
	dir := ledgers(t)["clean"]
	there := directoryOf(t, "file", "sub/", "left.unfinished/")
	for name, want := range map[string]string{
		"file": "would overwrite", "sub": "would overwrite", "left": "left.unfinished, and try again",
		"file/new":               "not a directory",
		strings.Repeat("a", 300): "file name too long",
		strings.Repeat("a", 250): ".unfinished, as it is called until it is whole: ",
	} {
		var target *TargetError
		err := BackupStopped(dir, filepath.Join(there, name), testOptions(t, nil, Sync))
		if !errors.As(err, &target) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %q", name, err, want)
		}
	}
}
