package journal

import (
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// guardedDisk is the file system that Pebble sees. It does four things that Pebble v2.1.7 does not.
//
// What fails to be written in the journal's own directory ends the process before Pebble hears of it, while it opens
// its database too: where a log cannot be made, or a directory not be synced, Pebble panics, on a goroutine of its own
// or holding a lock that it does not hold; and where an Open fails late, goroutines that it has left behind panic. The
// process would end without a word about the disk. A backup, which is in another directory, may fail.
//
// What fails for lack of room waits for it, if it is not a commit (Journal.again): Pebble would try a table again and
// again at once, and end the process over its manifest. What fails to be synced does not wait: the disk may have
// dropped it.
//
// Its manifest survives a loss of power at any moment. Pebble makes a new manifest, then the file whose name says
// which manifest counts, and only then has the directory synced. Where a disk keeps the second entry of the directory
// and not the first, which POSIX allows, the database cannot be opened any more. So the directory is synced once more,
// before such a file is made. (Pebble does so itself since cockroachdb/pebble#5915.)
//
// And the directory of a backup has the mark of an unfinished one in it before anything else.
type guardedDisk struct {
	vfs.FS
	dir string // as Pebble spells it
	on  *pebbleEvents
}

func guard(disk vfs.FS, dir string, on *pebbleEvents) guardedDisk {
	return guardedDisk{disk, disk.PathDir(disk.PathJoin(dir, lockFile)), on}
}

// markerPrefix is what the names of Pebble's marker files begin with.
const markerPrefix = "marker."

// must does what changes the journal's own directory, and does not return if that fails for good.
func (on *pebbleEvents) must(try func() error) {
	if err := try(); err != nil {
		on.retry(false, err, try)
	}
}

// retry is called where try has failed. It returns when try has not.
func (on *pebbleEvents) retry(ofLog bool, err error, try func() error) {
	if on.again != nil {
		err = on.again(ofLog, err, try)
	}
	if err != nil {
		on.fail(err)
	}
}

// Create is part of vfs.FS.
func (d guardedDisk) Create(name string, c vfs.DiskWriteCategory) (f vfs.File, err error) {
	if strings.HasPrefix(d.PathBase(name), markerPrefix) {
		if err := syncDir(d, d.PathDir(name)); err != nil {
			return nil, err
		}
	}
	return d.file(name, func() (vfs.File, error) { return d.FS.Create(name, c) })
}

// ReuseForWrite is part of vfs.FS.
func (d guardedDisk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.file(to, func() (vfs.File, error) { return d.FS.ReuseForWrite(from, to, c) })
}

// Rename is part of vfs.FS.
func (d guardedDisk) Rename(from, to string) error {
	if d.PathDir(to) != d.dir {
		return d.FS.Rename(from, to)
	}
	d.on.must(func() error { return d.FS.Rename(from, to) })
	return nil
}

// MkdirAll is part of vfs.FS. The one directory that Pebble makes beside its own is that of a backup.
func (d guardedDisk) MkdirAll(dir string, mode os.FileMode) error {
	if err := d.FS.MkdirAll(dir, mode); err != nil || d.PathDir(d.PathJoin(dir, lockFile)) == d.dir {
		return err
	}
	return writeFile(d.FS, dir, unfinishedFile, unfinishedText)
}

// OpenDir is part of vfs.FS.
func (d guardedDisk) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	if err != nil || d.PathDir(d.PathJoin(name, lockFile)) != d.dir {
		return f, err
	}
	return guardedFile{f, d.on, false}, nil
}

// Unwrap is part of vfs.FS.
func (d guardedDisk) Unwrap() vfs.FS { return d.FS }

// file is one of the journal's own, made to be written; what is elsewhere is for others to look after.
func (d guardedDisk) file(name string, open func() (vfs.File, error)) (f vfs.File, err error) {
	if d.PathDir(name) != d.dir {
		return open()
	}
	d.on.must(func() error {
		f, err = open()
		return err
	})
	return guardedFile{f, d.on, strings.HasSuffix(name, ".log")}, nil
}

// guardedFile is a file, or the directory itself, that is being written.
type guardedFile struct {
	vfs.File
	on    *pebbleEvents
	isLog bool
}

// Write is part of vfs.File.
func (f guardedFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	if err == nil {
		return n, nil
	}
	return f.rest(n, err, func(n int) (int, error) { return f.File.Write(p[n:]) })
}

// WriteAt is part of vfs.File.
func (f guardedFile) WriteAt(p []byte, at int64) (int, error) {
	n, err := f.File.WriteAt(p, at)
	if err == nil {
		return n, nil
	}
	return f.rest(n, err, func(n int) (int, error) { return f.File.WriteAt(p[n:], at+int64(n)) })
}

// rest writes what is left of a write of which n bytes are written.
func (f guardedFile) rest(n int, err error, write func(n int) (int, error)) (int, error) {
	f.on.retry(f.isLog, err, func() error {
		m, err := write(n)
		n += m
		return err
	})
	return n, nil
}

// Sync is part of vfs.File.
func (f guardedFile) Sync() error { return f.check(f.File.Sync()) }

// SyncData is part of vfs.File.
func (f guardedFile) SyncData() error { return f.check(f.File.SyncData()) }

func (f guardedFile) check(err error) error {
	if err != nil {
		f.on.fail(err)
	}
	return err
}
