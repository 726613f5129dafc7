package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// readOnlyFS is a file system on which nothing can be changed. Its lock is shared: any number
// of readers may hold it at a time, and no server can then open the journal.
type readOnlyFS struct{ vfs.FS }

var errReadOnly = errors.New("the journal is only read here")

// Create is part of vfs.FS, as are the other methods that would change something.
func (readOnlyFS) Create(string, vfs.DiskWriteCategory) (vfs.File, error) { return nil, errReadOnly }

// OpenReadWrite is part of vfs.FS.
func (readOnlyFS) OpenReadWrite(string, vfs.DiskWriteCategory, ...vfs.OpenOption) (vfs.File, error) {
	return nil, errReadOnly
}

// ReuseForWrite is part of vfs.FS.
func (readOnlyFS) ReuseForWrite(string, string, vfs.DiskWriteCategory) (vfs.File, error) {
	return nil, errReadOnly
}

// Link is part of vfs.FS.
func (readOnlyFS) Link(string, string) error { return errReadOnly }

// Remove is part of vfs.FS.
func (readOnlyFS) Remove(string) error { return errReadOnly }

// RemoveAll is part of vfs.FS.
func (readOnlyFS) RemoveAll(string) error { return errReadOnly }

// Rename is part of vfs.FS.
func (readOnlyFS) Rename(string, string) error { return errReadOnly }

// MkdirAll is part of vfs.FS.
func (readOnlyFS) MkdirAll(string, os.FileMode) error { return errReadOnly }

// Unwrap is part of vfs.FS.
func (d readOnlyFS) Unwrap() vfs.FS { return d.FS }

// Lock is part of vfs.FS. The server creates the lock file; a reader must not. If there is
// none, the reader goes without a lock, and Close reports a server that has started meanwhile.
// If the file system has no locks, no server can hold one either.
func (d readOnlyFS) Lock(name string) (io.Closer, error) {
	f, err := d.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return noLock{d.FS, name}, nil
	}
	if err != nil {
		return nil, err
	}
	if f.Fd() == vfs.InvalidFd { // a file system in memory has only exclusive locks
		return d.lockMemory(f, name)
	}
	switch err = lockOpenFile(f.Fd(), unix.F_RDLCK); {
	case errors.Is(err, unix.ENOLCK), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP):
		return f, nil
	case err != nil:
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (d readOnlyFS) lockMemory(f vfs.File, name string) (io.Closer, error) {
	if err := f.Close(); err != nil {
		return nil, err
	}
	return d.FS.Lock(name)
}

// noLock stands in for the lock of a reader who found no file to lock.
type noLock struct {
	disk vfs.FS
	name string
}

// Close returns an error if a server has started in the meantime.
func (u noLock) Close() error {
	if _, err := u.disk.Stat(u.name); err == nil {
		return fmt.Errorf("a server has begun to use %s while it was read, so what was read counts for nothing",
			u.disk.PathDir(u.name))
	}
	return nil
}

// lockOpenFile locks an open file. It does not wait: it returns an error if somebody else has
// the lock.
func lockOpenFile(fd uintptr, kind int16) error {
	lock := unix.Flock_t{Type: kind, Whence: io.SeekStart}
	err := unix.FcntlFlock(fd, setLock, &lock)
	if errors.Is(err, unix.EINVAL) { // the kernel only knows locks that belong to a process
		err = unix.FcntlFlock(fd, unix.F_SETLK, &lock)
	}
	return err
}
