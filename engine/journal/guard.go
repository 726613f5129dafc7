package journal

import (
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// guardedDisk is the file system that Pebble sees. It does two things that Pebble v2.1.7 does not.
//
// What fails to be written in the journal's own directory ends the process before Pebble hears of it, while it opens its database
// too: where a log cannot be made, or a directory not be synced, Pebble panics, on a goroutine of its own or holding a lock that it
// does not hold; and where an Open fails late, goroutines that it has left behind panic. The process would end without a word about
// the disk. A backup, which is in another directory, may fail.
//
// And its manifest survives a loss of power at any moment. Pebble makes a new manifest, then the file whose name says which
// manifest counts, and only then has the directory synced. Where a disk keeps the second entry of the directory and not the
// first, which POSIX allows, the database cannot be opened any more. So the directory is synced once more, before such a file
// is made. (Pebble does so itself since cockroachdb/pebble#5915.)
type guardedDisk struct {
	vfs.FS
	dir  string      // as Pebble spells it
	fail func(error) // does not return
}

func guard(disk vfs.FS, dir string, fail func(error)) guardedDisk {
	return guardedDisk{disk, disk.PathDir(disk.PathJoin(dir, lockFile)), fail}
}

// markerPrefix is what the names of Pebble's marker files begin with.
const markerPrefix = "marker."

// Create is part of vfs.FS.
func (d guardedDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(d.PathBase(name), markerPrefix) {
		if err := syncDir(d, d.PathDir(name)); err != nil {
			return nil, err
		}
	}
	f, err := d.FS.Create(name, c)
	return d.file(name, f, err)
}

// ReuseForWrite is part of vfs.FS.
func (d guardedDisk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.ReuseForWrite(from, to, c)
	return d.file(to, f, err)
}

// Rename is part of vfs.FS.
func (d guardedDisk) Rename(from, to string) error {
	err := d.FS.Rename(from, to)
	if err != nil && d.PathDir(to) == d.dir {
		d.fail(err)
	}
	return err
}

// OpenDir is part of vfs.FS.
func (d guardedDisk) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	if err != nil || d.PathDir(d.PathJoin(name, lockFile)) != d.dir {
		return f, err
	}
	return guardedFile{f, d.fail}, nil
}

// Unwrap is part of vfs.FS.
func (d guardedDisk) Unwrap() vfs.FS { return d.FS }

func (d guardedDisk) file(name string, f vfs.File, err error) (vfs.File, error) {
	switch {
	case d.PathDir(name) != d.dir:
		return f, err
	case err != nil:
		d.fail(err)
	}
	return guardedFile{f, d.fail}, nil
}

// guardedFile is a file, or the directory itself, that is being written.
type guardedFile struct {
	vfs.File
	fail func(error)
}

// Write is part of vfs.File.
func (f guardedFile) Write(p []byte) (n int, err error) {
	if n, err = f.File.Write(p); err != nil {
		f.fail(err)
	}
	return n, err
}

// WriteAt is part of vfs.File.
func (f guardedFile) WriteAt(p []byte, at int64) (n int, err error) {
	if n, err = f.File.WriteAt(p, at); err != nil {
		f.fail(err)
	}
	return n, err
}

// Sync is part of vfs.File.
func (f guardedFile) Sync() error { return f.check(f.File.Sync()) }

// SyncData is part of vfs.File.
func (f guardedFile) SyncData() error { return f.check(f.File.SyncData()) }

func (f guardedFile) check(err error) error {
	if err != nil {
		f.fail(err)
	}
	return err
}
