package journal

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"
)

// underUmask sets the umask of the process.
func underUmask(t *testing.T, mask int) {
	t.Helper()
	before := syscall.Umask(mask)
	t.Cleanup(func() { syscall.Umask(before) })
}

// mustBePrivateAll reports files in a directory that others can access, or that their owner
// cannot.
func mustBePrivateAll(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		in, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if in.Mode().Perm() != want {
			t.Errorf("%s is %04o, want %04o", path, in.Mode().Perm(), want)
		}
		files++
		return nil
	})
	if err != nil || files < 5 {
		t.Errorf("%d files, %v", files, err)
	}
}

// TestPrivate: only the owner can access what is made, whatever the umask: a ledger and its
// directories, through flushes, compactions, new and recycled logs, checkpoints and starts; its
// backups; its exports.
func TestPrivate(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	for _, mask := range []int{0, 0o022, 0o077, 0o777} {
		dir := t.TempDir()
		underUmask(t, mask)
		data, at := filepath.Join(dir, "new", "data"), func(name string) string { return filepath.Join(dir, name) }
		o, w := testOptions(t, nil, Sync), newWorld(2, 6, 9)
		j, _ := mustRecover(t, data, o)
		w.run(t, j, 200, 5)
		mustCheckpoint(t, j, w)
		w.run(t, j, 200, 5)
		must(t, j.Backup(at("backup")))
		mustBePrivateAll(t, at("new"))
		mustClose(t, j)
		mustBePrivateAll(t, at("new")) // now with the file CLEAN
		mustBePrivateAll(t, at("backup"))
		must(t, BackupStopped(data, at("copy"), o))
		mustBePrivateAll(t, at("copy"))
		if _, err := Export(context.Background(), data, filepath.Join(at("histories"), "of", "today"), o); err != nil {
			t.Fatal(err)
		}
		mustBePrivateAll(t, at("histories"))
		j, _ = mustRecover(t, data, o)
		mustBePrivateAll(t, at("new"))
		mustClose(t, j)
	}
}

// widen lets everybody do everything.
func widen(t *testing.T, dir string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(path, 0o777)
		}
		return os.Chmod(path, 0o666)
	}))
}

// TestTighten: a start takes away the permissions of others that an earlier version, or a copy,
// left, and logs it once. Files that are not the ledger's stay as they are.
func TestTighten(t *testing.T) {
	for name, dir := range ledgers(t) {
		widen(t, dir)
		must(t, os.WriteFile(filepath.Join(dir, "BESIDE"), nil, 0o600))
		must(t, os.WriteFile(filepath.Join(dir, "notes"), nil, 0o600))
		for _, file := range []string{"BESIDE", "notes"} {
			must(t, os.Chmod(filepath.Join(dir, file), 0o644))
		}
		log, o := new(testLog), testOptions(t, nil, Sync)
		o.Log, o.Beside = zerolog.New(log), []string{"BESIDE"}
		j, _ := mustRecover(t, dir, o)
		notes := filepath.Join(dir, "notes")
		if in, err := os.Stat(notes); err != nil || in.Mode().Perm() != 0o644 {
			t.Errorf("%s: a file of others is %04o now, %v", name, in.Mode().Perm(), err)
		}
		must(t, os.Remove(notes))
		mustBePrivateAll(t, dir)
		mustClose(t, j)
		j, _ = mustRecover(t, dir, o)
		mustClose(t, j)
		const want = "others on this machine could read the ledger, and cannot any more"
		if n := strings.Count(log.String(), want); n != 1 {
			t.Errorf("%s: it was said %d times: %s", name, n, log)
		}
	}
}

// TestSharedDirectory: a directory that contains other directories, like /, keeps its mode so
// that others can pass through it, and that is logged.
func TestSharedDirectory(t *testing.T) {
	dir := ledgers(t)["clean"]
	widen(t, dir)
	must(t, os.Mkdir(filepath.Join(dir, "home"), 0o755))
	log, o := new(testLog), testOptions(t, nil, Sync)
	o.Log = zerolog.New(log)
	j, _ := mustRecover(t, dir, o)
	if in, err := os.Stat(dir); err != nil || in.Mode().Perm() != 0o777 {
		t.Errorf("the directory is %04o now, %v", in.Mode().Perm(), err)
	}
	if in, err := os.Stat(filepath.Join(dir, lockFile)); err != nil || in.Mode().Perm() != 0o600 {
		t.Errorf("a file of the ledger is %04o, %v", in.Mode().Perm(), err)
	}
	if text := log.String(); !strings.Contains(text, "others on this machine may read the ledger") ||
		!strings.Contains(text, "other directories in it") {
		t.Errorf("it said: %s", text)
	}
	mustClose(t, j)
	must(t, os.Chmod(dir, 0o700))
	if _, err := tighten(dir, isOurs); err != nil {
		t.Errorf("where others may do nothing: %v", err)
	}
}

// TestDirectoryBeside: a directory of the server's own, which is private itself, does not keep the
// ledger's directory from being made private, and backups leave it out.
func TestDirectoryBeside(t *testing.T) {
	dir := ledgers(t)["clean"]
	widen(t, dir)
	must(t, os.Mkdir(filepath.Join(dir, "bars"), 0o700))
	o := testOptions(t, nil, Sync)
	o.BesideDirs = []string{"bars"}
	j, _ := mustRecover(t, dir, o)
	mustBePrivateAll(t, dir)
	live, stopped := filepath.Join(t.TempDir(), "live"), filepath.Join(t.TempDir(), "stopped")
	must(t, j.Backup(live))
	mustClose(t, j)
	must(t, BackupStopped(dir, stopped, o))
	for _, copied := range []string{live, stopped} {
		if _, err := os.Stat(filepath.Join(copied, "bars")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s has bars: %v", copied, err)
		}
	}
}

// TestBeside: backups have the files named in Beside, and no other files that are not the
// journal's.
func TestBeside(t *testing.T) {
	dir := ledgers(t)["clean"]
	for _, name := range []string{"BESIDE", "admin.token"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600))
	}
	must(t, os.Mkdir(filepath.Join(dir, lostFound), 0o700))
	o := testOptions(t, nil, Sync)
	o.Beside = []string{"BESIDE", "NOT THERE"}
	out := t.TempDir()
	stopped, running := filepath.Join(out, "stopped"), filepath.Join(out, "running")
	must(t, BackupStopped(dir, stopped, o))
	j, _ := mustRecover(t, dir, o)
	must(t, j.Backup(running))
	for _, backup := range []string{stopped, running} {
		if text, ok, err := readFile(vfs.Default, backup, "BESIDE"); text != "BESIDE" || !ok || err != nil {
			t.Errorf("%s: %q, %t, %v", backup, text, ok, err)
		}
		for _, name := range []string{"admin.token", lostFound, "NOT THERE", unfinishedFile} {
			if _, err := os.Lstat(filepath.Join(backup, name)); err == nil {
				t.Errorf("%s has %s", backup, name)
			}
		}
	}
}

// TestIsOurs recognises the journal's files by their names.
func TestIsOurs(t *testing.T) {
	for _, dir := range ledgers(t) {
		entries, err := os.ReadDir(dir)
		must(t, err)
		for _, e := range entries {
			if !isOurs(e.Name()) {
				t.Errorf("%s is not", e.Name())
			}
		}
	}
	for _, name := range []string{"CLEAN.new", "temporary.000004.dbtmp", "000012.blob", "UNFINISHED"} {
		if !isOurs(name) {
			t.Errorf("%s is not", name)
		}
	}
	for _, name := range []string{"", ".log", "server.log", "1a.log", "000012.txt", "OPENING", "CURRENT", "notes",
		"admin.token", lostFound} {
		if isOurs(name) {
			t.Errorf("%s is", name)
		}
	}
}
