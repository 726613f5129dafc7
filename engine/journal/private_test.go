package journal

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// listing is what lies in a directory: names and lengths.
func listing(t *testing.T, disk vfs.FS, dir string) string {
	t.Helper()
	names, err := disk.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	var all strings.Builder
	for _, name := range names {
		in, err := disk.Stat(disk.PathJoin(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s %d %d\n", name, in.Size(), in.ModTime().UnixNano())
	}
	return all.String()
}

// mustBePrivate looks at the modes of a directory and all in it.
func mustBePrivate(t *testing.T, dir string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		in, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(privateFile)
		if d.IsDir() {
			want = privateDir
		}
		if n++; in.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, in.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil || n < 2 {
		t.Errorf("%d files in %s: %v", n, dir, err)
	}
}

// umask sets the umask of this process for the rest of the test. No other test of this package looks at modes.
func umask(t *testing.T, mask int) {
	t.Helper()
	before := syscall.Umask(mask)
	t.Cleanup(func() { syscall.Umask(before) })
}

// TestPrivate: ledger, backups and exports can be read by nobody else, whatever the umask; a ledger that could is closed by a start.
func TestPrivate(t *testing.T) {
	umask(t, 0)
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	data := at("in/data")
	o := testOptions(t, nil, Sync)
	j, _ := mustRecover(t, data, o)
	newWorld(1, 2, 1).run(t, j, 50, 3)
	mustBePrivate(t, at("in"))
	if err := j.Backup(at("backup")); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := BackupStopped(data, at("stopped"), o); err != nil {
		t.Fatal(err)
	}
	if _, err := Export(t.Context(), data, at("export"), o); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"backup", "stopped", "export"} {
		mustBePrivate(t, at(name))
	}
	err := filepath.WalkDir(data, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chmod(path, 0o777)
	})
	if err != nil {
		t.Fatal(err)
	}
	j, _ = mustRecover(t, data, o)
	mustBePrivate(t, data)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// readOnlyDisk is a disk that is mounted read-only.
type readOnlyDisk struct {
	privateDisk
	t *testing.T
}

func (d readOnlyDisk) refuse(what, name string) error {
	d.t.Errorf("%s of %s by somebody who only reads", what, name)
	return &fs.PathError{Op: what, Path: name, Err: unix.EROFS}
}

func (d readOnlyDisk) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	return nil, d.refuse("create", name)
}

func (d readOnlyDisk) OpenReadWrite(name string, _ vfs.DiskWriteCategory, _ ...vfs.OpenOption) (vfs.File, error) {
	return nil, d.refuse("open for writing", name)
}
func (d readOnlyDisk) MkdirAll(name string, _ os.FileMode) error { return d.refuse("mkdir", name) }
func (d readOnlyDisk) Remove(name string) error                  { return d.refuse("remove", name) }
func (d readOnlyDisk) RemoveAll(name string) error               { return d.refuse("remove", name) }
func (d readOnlyDisk) Rename(name, _ string) error               { return d.refuse("rename", name) }
func (d readOnlyDisk) Link(name, _ string) error                 { return d.refuse("link", name) }
func (d readOnlyDisk) Lock(name string) (io.Closer, error) {
	return readerDisk{d.privateDisk}.Lock(name)
}

// TestReadingWritesNothing: Verify and Export need a ledger that they may read, and leave it as it is, whether the run before
// ended cleanly or not; two of them may read it together.
func TestReadingWritesNothing(t *testing.T) {
	for name, clean := range map[string]bool{"clean": true, "killed": false} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			o := testOptions(t, nil, Sync)
			j, _ := mustRecover(t, dir, o)
			newWorld(1, 2, 1).run(t, j, 50, 3)
			if clean {
				if err := j.Close(); err != nil {
					t.Fatal(err)
				}
			} else {
				copied := dir + " as a crash leaves it"
				if err := copyTree(vfs.Default, dir, copied); err != nil {
					t.Fatal(err)
				}
				if err := j.Close(); err != nil {
					t.Fatal(err)
				}
				dir = copied
			}
			for _, locked := range []bool{true, false} {
				if !locked {
					if err := os.Remove(filepath.Join(dir, lockFile)); err != nil {
						t.Fatal(err)
					}
				}
				before := listing(t, vfs.Default, dir)
				other, err := lockForReading(newPrivateDisk(), dir)
				if err != nil {
					t.Fatal(err)
				}
				only := o
				only.FS = readOnlyDisk{newPrivateDisk(), t}
				if _, err := Verify(t.Context(), dir, only); err != nil {
					t.Errorf("Verify: %v", err)
				}
				if _, err := Export(t.Context(), dir, filepath.Join(t.TempDir(), "out"), only); err != nil {
					t.Errorf("Export: %v", err)
				}
				if err := BackupStopped(dir, filepath.Join(t.TempDir(), "out"), o); err != nil {
					t.Errorf("BackupStopped: %v", err)
				}
				if err := other.Close(); err != nil {
					t.Error(err)
				}
				if after := listing(t, vfs.Default, dir); after != before {
					t.Errorf("the ledger was\n%s and is\n%s", before, after)
				}
			}
		})
	}
}

// TestReadersAndWriter exclude one another, also in one process, and what a reader was refused does no harm to the writer's lock.
func TestReadersAndWriter(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	o := testOptions(t, nil, Sync)
	j, _ := mustRecover(t, dir, o)
	for range 2 {
		if _, err := Verify(t.Context(), dir, o); err == nil || !strings.Contains(err.Error(), "is in use: another papertape has it open") {
			t.Errorf("Verify beside a server: %v", err)
		}
		if _, err := Open(dir, o); err == nil || !strings.Contains(err.Error(), "is in use") {
			t.Errorf("Open beside a server: %v", err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	reader, err := lockForReading(newPrivateDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, o); err == nil || !strings.Contains(err.Error(), "is in use") {
		t.Errorf("Open beside a reader: %v", err)
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	j, _ = mustRecover(t, dir, o)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}
