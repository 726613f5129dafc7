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

// readDisk is a disk that is read, and on which nothing changes. Its lock is one that any number of readers may have
// at a time, and no server beside them.
type readDisk struct{ vfs.FS }

var errReadOnly = errors.New("the journal is only read here")

// Create and the others that would change something are part of vfs.FS.
func (readDisk) Create(string, vfs.DiskWriteCategory) (vfs.File, error) { return nil, errReadOnly }

// OpenReadWrite is part of vfs.FS.
func (readDisk) OpenReadWrite(string, vfs.DiskWriteCategory, ...vfs.OpenOption) (vfs.File, error) {
	return nil, errReadOnly
}

// ReuseForWrite is part of vfs.FS.
func (readDisk) ReuseForWrite(string, string, vfs.DiskWriteCategory) (vfs.File, error) {
	return nil, errReadOnly
}

// Link is part of vfs.FS.
func (readDisk) Link(string, string) error { return errReadOnly }

// Remove is part of vfs.FS.
func (readDisk) Remove(string) error { return errReadOnly }

// RemoveAll is part of vfs.FS.
func (readDisk) RemoveAll(string) error { return errReadOnly }

// Rename is part of vfs.FS.
func (readDisk) Rename(string, string) error { return errReadOnly }

// MkdirAll is part of vfs.FS.
func (readDisk) MkdirAll(string, os.FileMode) error { return errReadOnly }

// Unwrap is part of vfs.FS.
func (d readDisk) Unwrap() vfs.FS { return d.FS }

// Lock is part of vfs.FS. A server makes the file that is locked, and a reader must not: where there is none, or where
// locks are not known and no server could have one either, it reads without, and says so if a server has come
// meanwhile.
func (d readDisk) Lock(name string) (io.Closer, error) {
	f, err := d.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return unlocked{d.FS, name}, nil
	}
	if err != nil {
		return nil, err
	}
	if f.Fd() == vfs.InvalidFd { // a disk in memory has one kind of lock
		return d.lockMemory(f, name)
	}
	switch err = lockFileOf(f.Fd(), unix.F_RDLCK); {
	case errors.Is(err, unix.ENOLCK), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP):
		return f, nil
	case err != nil:
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (d readDisk) lockMemory(f vfs.File, name string) (io.Closer, error) {
	if err := f.Close(); err != nil {
		return nil, err
	}
	return d.FS.Lock(name)
}

// unlocked is the lock of a reader who found none to take.
type unlocked struct {
	disk vfs.FS
	name string
}

// Close ends the reading.
func (u unlocked) Close() error {
	if _, err := u.disk.Stat(u.name); err == nil {
		return fmt.Errorf("a server has begun to use %s while it was read, so what was read counts for nothing",
			u.disk.PathDir(u.name))
	}
	return nil
}

// lockFileOf takes a lock on an open file, or says at once who has it.
func lockFileOf(fd uintptr, kind int16) error {
	lock := unix.Flock_t{Type: kind, Whence: io.SeekStart}
	err := unix.FcntlFlock(fd, setLock, &lock)
	if errors.Is(err, unix.EINVAL) { // a kernel that knows locks of processes alone
		err = unix.FcntlFlock(fd, unix.F_SETLK, &lock)
	}
	return err
}
