package journal

import (
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// guardedFS is the file system that Pebble sees. It does four things that Pebble v2.1.7 does
// not.
//
// A failed write in the journal's own directory ends the process before Pebble hears of it,
// also while Pebble opens its database. If it cannot create a log or sync a directory, Pebble
// panics, on a goroutine of its own or while it unlocks a mutex that it does not hold; and
// after an Open that fails late, goroutines that it has left behind panic. The process would
// end without a word about the disk. A backup is in another directory, and may fail.
//
// A write that fails for lack of room waits for room, unless it is a commit (see
// retryWhileFull). Pebble would retry a table at once, again and again, and would end the
// process over its manifest. A failed sync does not wait: the disk may have dropped the data.
//
// The manifest survives a loss of power at any moment. Pebble creates a new manifest, then the
// marker file whose name says which manifest is current, and only then syncs the directory. If
// a disk keeps the second directory entry and not the first, which POSIX allows, the database
// can no longer be opened. So the directory is also synced before a marker file is created.
// (Pebble does so itself since cockroachdb/pebble#5915.)
//
// The directory of a backup contains the mark of an unfinished one before anything else.
type guardedFS struct {
	vfs.FS
	dir    string // as Pebble spells it
	events *pebbleEvents
}

func newGuardedFS(disk vfs.FS, dir string, on *pebbleEvents) guardedFS {
	return guardedFS{disk, disk.PathDir(disk.PathJoin(dir, lockFile)), on}
}

// markerPrefix begins the names of Pebble's marker files.
const markerPrefix = "marker."

// mustSucceed does something in the journal's own directory. It waits for room if it has to,
// and does not return if it fails for good.
func (on *pebbleEvents) mustSucceed(try func() error) {
	if err := try(); err != nil {
		on.retryOrFail(false, err, try)
	}
}

// retryOrFail is called with the error of a failed try. It returns only once try has succeeded.
func (on *pebbleEvents) retryOrFail(ofLog bool, err error, try func() error) {
	if on.waitForRoom != nil {
		err = on.waitForRoom(ofLog, err, try)
	}
	if err != nil {
		on.fail(err)
	}
}

// Create is part of vfs.FS.
func (d guardedFS) Create(name string, c vfs.DiskWriteCategory) (f vfs.File, err error) {
	if strings.HasPrefix(d.PathBase(name), markerPrefix) {
		if err := syncDir(d, d.PathDir(name)); err != nil {
			return nil, err
		}
	}
	return d.writableFile(name, func() (vfs.File, error) { return d.FS.Create(name, c) })
}

// ReuseForWrite is part of vfs.FS.
func (d guardedFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.writableFile(to, func() (vfs.File, error) { return d.FS.ReuseForWrite(from, to, c) })
}

// Rename is part of vfs.FS.
func (d guardedFS) Rename(from, to string) error {
	if d.PathDir(to) != d.dir {
		return d.FS.Rename(from, to)
	}
	d.events.mustSucceed(func() error { return d.FS.Rename(from, to) })
	return nil
}

// MkdirAll is part of vfs.FS. The only directory that Pebble creates besides its own is that of
// a backup.
func (d guardedFS) MkdirAll(dir string, mode os.FileMode) error {
	if err := d.FS.MkdirAll(dir, mode); err != nil || d.PathDir(d.PathJoin(dir, lockFile)) == d.dir {
		return err
	}
	return writeFile(d.FS, dir, unfinishedFile, unfinishedText)
}

// OpenDir is part of vfs.FS.
func (d guardedFS) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	if err != nil || d.PathDir(d.PathJoin(name, lockFile)) != d.dir {
		return f, err
	}
	return guardedFile{f, d.events, false}, nil
}

// Unwrap is part of vfs.FS.
func (d guardedFS) Unwrap() vfs.FS { return d.FS }

// writableFile opens a file for writing. If it is in the journal's own directory, opening it
// must succeed, and its writes are guarded. Files elsewhere are not.
func (d guardedFS) writableFile(name string, open func() (vfs.File, error)) (f vfs.File, err error) {
	if d.PathDir(name) != d.dir {
		return open()
	}
	d.events.mustSucceed(func() error {
		f, err = open()
		return err
	})
	return guardedFile{f, d.events, strings.HasSuffix(name, ".log")}, nil
}

// guardedFile is a file, or the directory itself, that is being written.
type guardedFile struct {
	vfs.File
	events *pebbleEvents
	isLog  bool
}

// Write is part of vfs.File.
func (f guardedFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	if err == nil {
		return n, nil
	}
	return f.writeRest(n, err, func(n int) (int, error) { return f.File.Write(p[n:]) })
}

// WriteAt is part of vfs.File.
func (f guardedFile) WriteAt(p []byte, at int64) (int, error) {
	n, err := f.File.WriteAt(p, at)
	if err == nil {
		return n, nil
	}
	return f.writeRest(n, err, func(n int) (int, error) { return f.File.WriteAt(p[n:], at+int64(n)) })
}

// writeRest writes the rest of a write of which n bytes are written.
func (f guardedFile) writeRest(n int, err error, write func(n int) (int, error)) (int, error) {
	f.events.retryOrFail(f.isLog, err, func() error {
		m, err := write(n)
		n += m
		return err
	})
	return n, nil
}

// Sync is part of vfs.File.
func (f guardedFile) Sync() error { return f.mustSync(f.File.Sync()) }

// SyncData is part of vfs.File.
func (f guardedFile) SyncData() error { return f.mustSync(f.File.SyncData()) }

// mustSync ends the process if a sync has failed.
func (f guardedFile) mustSync(err error) error {
	if err != nil {
		f.events.fail(err)
	}
	return err
}
