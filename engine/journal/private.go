package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

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

// keepsNoModes lets pass that a mode could not be set: a file system may keep none. What others can do there, a start
// says.
func keepsNoModes(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// tighten takes from others what they may do with a directory and its files that are mine. What it cannot take is the
// error. A directory that others have directories in may be for them to go through, and is left as it is.
func tighten(dir string, mine func(name string) bool) (tightened bool, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false, err
	}
	alone := true
	for _, e := range entries {
		switch {
		case e.Type().IsRegular():
			if mine(e.Name()) && err == nil { // what is wrong with one is wrong with all
				err = narrow(filepath.Join(dir, e.Name()), privateFile, &tightened)
			}
		case e.Name() != lostFound:
			alone = false
		}
	}
	if !alone {
		return tightened, errors.Join(err, mustBePrivate(dir))
	}
	return tightened, errors.Join(err, narrow(dir, privateDir, &tightened))
}

// narrow takes from the mode of a file all that is not in most.
func narrow(path string, most os.FileMode, narrowed *bool) error {
	in, err := os.Stat(path)
	if err != nil || in.Mode().Perm()&^most == 0 {
		return err
	}
	if err := os.Chmod(path, in.Mode()&^(os.ModePerm&^most)); err != nil {
		return err
	}
	*narrowed = true
	return nil
}

var errNotAlone = errors.New("there are other directories in it, so its mode is left as it is: " +
	"best is a directory for the ledger alone")

func mustBePrivate(dir string) error {
	in, err := os.Stat(dir)
	if err == nil && in.Mode().Perm()&^privateDir != 0 {
		err = errNotAlone
	}
	return err
}
