package journal

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// Modes of what the journal makes: accounts are nobody else's business.
const (
	privateDir  = 0o700
	privateFile = 0o600
)

// privateDisk is the operating system's file system, as the journal uses it.
//
// What it makes can be read by its owner alone, whatever the umask says. And it locks with open file description locks, which
// vfs.Default does not: a reader needs nothing but a file that it may read, so that a ledger can be looked at on a disk that is
// mounted read-only; and closing a second descriptor of the file does not let go of the first one's lock, as it does with the
// older kind. The two kinds exclude one another, so a server of an older version is respected, and respects.
type privateDisk struct{ vfs.FS }

func newPrivateDisk() privateDisk { return privateDisk{vfs.Default} }

// Unwrap is part of vfs.FS.
func (d privateDisk) Unwrap() vfs.FS { return d.FS }

// Create is part of vfs.FS.
func (d privateDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(name, c)
	return closeToOthers(f, err)
}

// OpenReadWrite is part of vfs.FS.
func (d privateDisk) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := d.FS.OpenReadWrite(name, c, opts...)
	return closeToOthers(f, err)
}

// MkdirAll is part of vfs.FS.
func (d privateDisk) MkdirAll(dir string, _ os.FileMode) error { return d.FS.MkdirAll(dir, privateDir) }

func closeToOthers(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	if err := unix.Fchmod(int(f.Fd()), privateFile); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Lock is part of vfs.FS.
func (d privateDisk) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, privateFile)
	if err != nil {
		return nil, err
	}
	return locked(f, unix.F_WRLCK)
}

// readerDisk locks for somebody who reads only: readers exclude who writes, not one another.
type readerDisk struct{ privateDisk }

// Lock is part of vfs.FS. Where there is no file to lock, nobody has ever written here but a backup: then there is nothing to
// exclude, and nothing is made.
func (d readerDisk) Lock(name string) (io.Closer, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return io.NopCloser(nil), nil
	}
	if err != nil {
		return nil, err
	}
	return locked(f, unix.F_RDLCK)
}

// locked locks all of a file, until it is closed.
func locked(f *os.File, kind int16) (io.Closer, error) {
	err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: kind, Whence: io.SeekStart})
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// tighten takes away what others may do with a journal that an older version made.
func (s *store) tighten() error {
	if _, ours := s.disk.(privateDisk); !ours {
		return nil
	}
	if err := os.Chmod(s.dir, privateDir); err != nil {
		return err
	}
	names, err := s.disk.List(s.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		path := s.disk.PathJoin(s.dir, name)
		if in, err := os.Lstat(path); err != nil || !in.Mode().IsRegular() || in.Mode().Perm()&0o077 == 0 {
			continue
		}
		if err := os.Chmod(path, privateFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
