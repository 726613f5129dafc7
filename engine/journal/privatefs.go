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

// What is made is for its owner alone.
const (
	privateDir  = 0o700
	privateFile = 0o600
)

// privateDisk is the file system of the operating system. What is made in it is for its owner alone, whatever the
// umask, and from the first moment on. Its lock belongs to the open file, so that it holds against the same process
// too, and is not lost when another descriptor of the file is closed.
type privateDisk struct{ vfs.FS }

// Create is part of vfs.FS.
func (d privateDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	err := createPrivate(name)
	for errors.Is(err, fs.ErrExist) { // removed and not emptied: a backup may have it by a link
		if err = os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		err = createPrivate(name)
	}
	if err != nil {
		return nil, err
	}
	return d.FS.OpenReadWrite(name, c)
}

// OpenReadWrite is part of vfs.FS.
func (d privateDisk) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	if err := createPrivate(name); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return d.FS.OpenReadWrite(name, c, o...)
}

// MkdirAll is part of vfs.FS.
func (d privateDisk) MkdirAll(dir string, _ os.FileMode) error {
	if _, err := os.Stat(dir); err == nil {
		return d.FS.MkdirAll(dir, privateDir) // which says what is wrong with it, if it is no directory
	}
	if err := d.FS.MkdirAll(dir, privateDir); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w, and it is a link to what is not there", err)
	} else if err != nil {
		return err
	}
	return keepsNoModes(os.Chmod(dir, privateDir))
}

// Lock is part of vfs.FS.
func (privateDisk) Lock(name string) (io.Closer, error) {
	if err := createPrivate(name); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if err := lockFileOf(f.Fd(), unix.F_WRLCK); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Unwrap is part of vfs.FS.
func (d privateDisk) Unwrap() vfs.FS { return d.FS }

// createPrivate makes an empty file; it is an error if there is one.
func createPrivate(name string) error {
	f, err := openPrivate(name)
	if err != nil {
		return err
	}
	return f.Close()
}

func openPrivate(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, privateFile)
	if err != nil {
		return nil, err
	}
	if err := keepsNoModes(f.Chmod(privateFile)); err != nil { // a umask may take from the owner too
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
