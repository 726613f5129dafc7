package journal

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// ledgers returns journals on a real disk, by how they ended.
func ledgers(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	o, w := testOptions(t, nil, Sync), newWorld(2, 6, 9)
	j, _ := mustRecover(t, at("clean"), o)
	w.run(t, j, 30, 5)
	mustCheckpoint(t, j, w)
	w.run(t, j, 30, 5)
	must(t, j.Backup(at("backup")))
	must(t, os.CopyFS(at("crashed"), os.DirFS(at("clean"))))
	mustClose(t, j)
	must(t, os.CopyFS(at("backup of an earlier version"), os.DirFS(at("backup"))))
	must(t, os.Remove(filepath.Join(at("backup of an earlier version"), lockFile)))
	return map[string]string{
		"clean": at("clean"), "crashed": at("crashed"), "backup": at("backup"),
		"backup of an earlier version": at("backup of an earlier version"),
	}
}

// fileState is a file as it is: its identity, its times, and its content.
type fileState struct {
	mode            fs.FileMode
	inode           uint64
	changed, edited syscall.Timespec
	sum             [sha256.Size]byte
}

func statesOf(t *testing.T, dir string) map[string]fileState {
	t.Helper()
	states := make(map[string]fileState)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		in, err := d.Info()
		if err != nil {
			return err
		}
		st := in.Sys().(*syscall.Stat_t)
		s := fileState{mode: in.Mode(), inode: st.Ino, changed: st.Ctim, edited: st.Mtim}
		if !d.IsDir() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			s.sum = sha256.Sum256(text)
		}
		states[path] = s
		return nil
	})
	must(t, err)
	return states
}

// readAll does everything that can be done with a ledger that no server has open.
func readAll(t *testing.T, dir string, disk vfs.FS) {
	t.Helper()
	o, out := testOptions(t, disk, Sync), t.TempDir()
	if sum, err := Verify(context.Background(), dir, o); err != nil || sum.Events == 0 {
		t.Errorf("verify: %+v, %v", sum, err)
	}
	if sum, err := Export(context.Background(), dir, filepath.Join(out, "histories"), o); err != nil ||
		sum.Events == 0 {
		t.Errorf("export: %+v, %v", sum, err)
	}
	backup := filepath.Join(out, "backup")
	if err := BackupStopped(dir, backup, o); err != nil {
		t.Errorf("backup: %v", err)
	}
	if _, err := Verify(context.Background(), backup, testOptions(t, nil, Sync)); err != nil {
		t.Errorf("verify the backup: %v", err)
	}
}

// TestReadersChangeNothing: reading a ledger changes none of its files.
func TestReadersChangeNothing(t *testing.T) {
	for name, dir := range ledgers(t) {
		t.Run(name, func(t *testing.T) {
			before := statesOf(t, dir)
			readAll(t, dir, nil)
			if after := statesOf(t, dir); !reflect.DeepEqual(before, after) {
				t.Errorf("before: %v\nafter: %v", before, after)
			}
		})
	}
}

// TestReadersNeedNoWriting: a ledger can be read where nothing can be written, be it a
// read-only file system or somebody else's directory.
func TestReadersNeedNoWriting(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	for name, dir := range ledgers(t) {
		for _, cause := range []error{syscall.EROFS, syscall.EACCES} {
			t.Run(name+", "+cause.Error(), func(t *testing.T) {
				readAll(t, dir, errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
					if strings.HasPrefix(op.Path, dir) && op.Kind.ReadOrWrite() == errorfs.OpIsWrite &&
						op.Kind != errorfs.OpFileClose {
						return &fs.PathError{Op: "write", Path: op.Path, Err: cause}
					}
					return nil
				})))
			})
		}
	}
}

// TestReadOnlyMount is the same on a file system that is really mounted read-only, if the
// machine allows that.
func TestReadOnlyMount(t *testing.T) {
	for name, dir := range ledgers(t) {
		t.Run(name, func(t *testing.T) {
			mounted := t.TempDir()
			if !mountReadOnly(t, dir, mounted) {
				return // TestReadersNeedNoWriting has done that by refusing all writes
			}
			readAll(t, mounted, nil)
			if _, err := Open(mounted, testOptions(t, nil, Sync)); !errors.Is(err, syscall.EROFS) {
				t.Errorf("a server: %v, want %v", err, syscall.EROFS)
			}
		})
	}
}

// mountReadOnly mounts a directory read-only at another place. ok says whether the machine
// allows that.
func mountReadOnly(t *testing.T, dir, at string) (ok bool) {
	t.Helper()
	if err := syscall.Mount(dir, at, "", syscall.MS_BIND, ""); errors.Is(err, fs.ErrPermission) {
		return false
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(at, syscall.MNT_DETACH)) })
	must(t, syscall.Mount("", at, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	return true
}

const inUse = "is in use: another papertape has it open, or is reading it"

func mustBeInUse(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), inUse) {
		t.Errorf("%s: %v, want %q", what, err, inUse)
	}
}

// TestReadersTogether: any number of readers at a time, but no server while there is a reader,
// and no reader while there is a server.
func TestReadersTogether(t *testing.T) {
	dir := ledgers(t)["clean"]
	o := testOptions(t, nil, Sync)
	var readers sync.WaitGroup
	first, err := openArchive(context.Background(), dir, o)
	must(t, err)
	for range 3 {
		readers.Go(func() {
			if _, err := Verify(context.Background(), dir, o); err != nil {
				t.Error(err)
			}
		})
	}
	readers.Wait()
	_, err = Open(dir, o)
	mustBeInUse(t, "a server beside a reader", err)
	must(t, first.unlock())
	j, _ := mustRecover(t, dir, o)
	_, err = Verify(context.Background(), dir, o)
	mustBeInUse(t, "a reader beside a server", err)
	_, err = Open(dir, o)
	mustBeInUse(t, "a server beside a server that a reader has asked", err)
	mustClose(t, j)
}

// TestLockOfEarlierVersion: the locks of earlier versions and of this one exclude each other.
func TestLockOfEarlierVersion(t *testing.T) {
	dir := ledgers(t)["clean"]
	o := testOptions(t, nil, Sync)
	lock, err := pebble.LockDirectory(dir, vfs.Default)
	must(t, err)
	_, err = Open(dir, o) // the earlier lock belongs to the process, and closing the file has released it
	mustBeInUse(t, "a server", err)
	must(t, lock.Close())
	lock, err = pebble.LockDirectory(dir, vfs.Default)
	must(t, err)
	_, err = Verify(context.Background(), dir, o)
	mustBeInUse(t, "a reader", err)
	must(t, lock.Close())
	reader, err := openArchive(context.Background(), dir, o)
	must(t, err)
	if _, err := vfs.Default.Lock(filepath.Join(dir, lockFile)); !errors.Is(err, syscall.EAGAIN) &&
		!errors.Is(err, syscall.EACCES) {
		t.Errorf("an earlier version beside a reader: %v", err)
	}
	must(t, reader.unlock())
}

// TestServerComesWhileRead: a reader without a lock finds out at the end that a server has
// started.
func TestServerComesWhileRead(t *testing.T) {
	dir := ledgers(t)["backup of an earlier version"]
	o := testOptions(t, nil, Sync)
	a, err := openArchive(context.Background(), dir, o)
	must(t, err)
	j, _ := mustRecover(t, dir, o)
	const want = "a server has begun to use"
	if err := a.unlock(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
	mustClose(t, j)
}

// TestReadDiskRefuses: the file system of readers refuses all changes.
func TestReadDiskRefuses(t *testing.T) {
	dir := t.TempDir()
	d, name, other := readOnlyFS{privateFS{vfs.Default}}, filepath.Join(dir, "a"), filepath.Join(dir, "b")
	must(t, os.WriteFile(name, nil, 0o600))
	before := statesOf(t, dir)
	_, create := d.Create(name, vfs.WriteCategoryUnspecified)
	_, open := d.OpenReadWrite(other, vfs.WriteCategoryUnspecified)
	_, reuse := d.ReuseForWrite(name, other, vfs.WriteCategoryUnspecified)
	for what, err := range map[string]error{
		"create": create, "open": open, "reuse": reuse, "link": d.Link(name, other), "remove": d.Remove(name),
		"remove all": d.RemoveAll(name),
		"rename":     d.Rename(name, other), "make a directory": d.MkdirAll(other, privateDir),
	} {
		if !errors.Is(err, errReadOnly) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if after := statesOf(t, dir); !reflect.DeepEqual(before, after) {
		t.Errorf("before: %v\nafter: %v", before, after)
	}
}

// TestReaderWaitsForNobody: a pipe in place of the directory is refused at once, and not
// opened.
func TestReaderWaitsForNobody(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	must(t, syscall.Mkfifo(pipe, 0o600))
	ended := make(chan error, 2)
	go func() {
		_, err := Open(pipe, testOptions(t, nil, Sync))
		ended <- err
		_, err = Verify(context.Background(), pipe, testOptions(t, nil, Sync))
		ended <- err
	}()
	for range 2 {
		select {
		case err := <-ended:
			if !errors.Is(err, syscall.ENOTDIR) {
				t.Errorf("%v, want %v", err, syscall.ENOTDIR)
			}
		case <-time.After(patience):
			t.Fatal("it hangs")
		}
	}
}
