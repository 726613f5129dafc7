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

// Only the owner may do anything with what is made.
const (
	privateDir  = 0o700
	privateFile = 0o600
)

// privateFS is the file system of the operating system. What is created in it is accessible to
// its owner only, whatever the umask, from the first moment on. Its lock belongs to the open
// file: it also holds against another open in the same process, and is not lost when another
// descriptor of the file is closed.
type privateFS struct{ vfs.FS }

// Create is part of vfs.FS.
func (d privateFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	err := createPrivate(name)
	for errors.Is(err, fs.ErrExist) { // removed rather than truncated: a backup may have a hard link to it
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
func (d privateFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	if err := createPrivate(name); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return d.FS.OpenReadWrite(name, c, o...)
}

// MkdirAll is part of vfs.FS.
func (d privateFS) MkdirAll(dir string, _ os.FileMode) error {
	if _, err := os.Stat(dir); err == nil {
		return d.FS.MkdirAll(dir, privateDir) // fails if it is not a directory
	}
	if err := d.FS.MkdirAll(dir, privateDir); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w, and it is a link to what is not there", err)
	} else if err != nil {
		return err
	}
	return keepsNoModes(os.Chmod(dir, privateDir))
}

// Lock is part of vfs.FS.
func (privateFS) Lock(name string) (io.Closer, error) {
	if err := createPrivate(name); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if err := lockOpenFile(f.Fd(), unix.F_WRLCK); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Unwrap is part of vfs.FS.
func (d privateFS) Unwrap() vfs.FS { return d.FS }

// createPrivate creates an empty file. It is an error if the file exists.
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
	if err := keepsNoModes(f.Chmod(privateFile)); err != nil { // the umask may have taken bits from the owner
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
