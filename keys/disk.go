package keys

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/papertape/papertape/usertext"
)

// Load reads a file of keys. It refuses a file that others may read, or that somebody else owns: see secretFile.
func Load(path string) (*File, error) { return load(path, false) }

// Inspect is Load for whoever looks after the file, who may be root where it belongs to a service.
func Inspect(path string) (*File, error) { return load(path, true) }

func load(path string, edited bool) (*File, error) {
	f, err := openSecret(path, edited)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	return readOpen(f, path)
}

func readOpen(f io.Reader, path string) (*File, error) {
	text, err := io.ReadAll(io.LimitReader(f, fileBytesMax+1))
	if err != nil {
		return nil, usertext.Unreadable(path, err)
	}
	file, err := Parse(text)
	if err != nil {
		return nil, named(path, err)
	}
	return file, nil
}

// named puts the name of the file before an error, and the line behind it.
func named(path string, err error) error {
	var line *LineError
	var fault *usertext.Fault
	switch {
	case errors.As(err, &line):
		return fmt.Errorf("%s:%d: %w", path, line.Line, line.Err)
	case errors.As(err, &fault):
		return fmt.Errorf("%s:%d: %s", path, fault.Line, fault.Why())
	default:
		return fmt.Errorf("%s: %w", path, err)
	}
}

// openSecret opens a regular file that nobody else may read. edited says that root may open the file of a service.
func openSecret(path string, edited bool) (*os.File, error) {
	// Without O_NONBLOCK, opening a pipe would wait for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, usertext.Unreadable(path, err)
	}
	info, err := f.Stat() // of the open file: the name may lead elsewhere a moment later
	if err == nil {
		err = checkOpened(info, uint32(os.Geteuid()), edited) //nolint:gosec // a user id
	}
	if err != nil {
		_ = f.Close()
		return nil, usertext.Unreadable(path, err)
	}
	return f, nil
}

func checkOpened(info fs.FileInfo, user uint32, edited bool) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || !info.Mode().IsRegular():
		return errors.New("it is not a regular file")
	case edited && user == 0:
		return secretFile(info.Mode(), stat.Uid, stat.Uid)
	default:
		return secretFile(info.Mode(), stat.Uid, user)
	}
}

// secretFile returns what makes a file with this mode and owner unfit to hold a user's secrets: its group or everybody
// may do anything with it, except that a group may read what belongs to root (mode 0640 or 0440), as services get their
// secrets that way; or its owner is neither root nor the user.
func secretFile(mode fs.FileMode, owner, user uint32) error {
	const others = 0o077
	switch perm := mode.Perm(); {
	case owner != 0 && owner != user:
		return fmt.Errorf("it belongs to user %d; it must belong to root or to user %d, who reads it", owner, user)
	case perm&others == 0, owner == 0 && (perm == 0o640 || perm == 0o440):
		return nil
	default:
		return fmt.Errorf("others than its owner may use it (its mode is %04o); chmod 600, or 640 where root owns it",
			perm)
	}
}

// Edit changes a file of keys. One program at a time edits it; readers see the file as it was or as it will be. Its
// owner and mode are kept. If it is not there, it is made, for its owner alone.
func Edit(path string, change func(*File) error) error {
	path, err := resolve(path)
	if err != nil {
		return err
	}
	f, err := lock(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = create(path); err == nil {
			f, err = lock(path)
		}
	}
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // it was only read; this lets go of the lock
	file, err := readOpen(f, path)
	if err != nil {
		return err
	}
	if err := change(file); err != nil {
		return err
	}
	text := file.Text()
	if _, err := Parse(text); err != nil {
		return fmt.Errorf("what would be written could not be read again: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return replace(path, text, info)
}

// resolve follows links, so that the file is replaced and not the link to it.
func resolve(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil
	}
	if err != nil {
		return "", usertext.Unreadable(path, err)
	}
	return real, nil
}

// lock opens the file and keeps other editors out until it is closed. An editor that waited for another finds the file
// replaced, and begins again.
func lock(path string) (*os.File, error) {
	for {
		f, err := openSecret(path, true)
		if err != nil {
			return nil, err
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
			return nil, errors.Join(fmt.Errorf("%s cannot be locked: %w", path, err), f.Close())
		}
		mine, err := f.Stat()
		there, missing := os.Stat(path)
		if err == nil && missing == nil && os.SameFile(mine, there) {
			return f, nil
		}
		if err := errors.Join(err, missing, f.Close()); err != nil {
			return nil, usertext.Unreadable(path, err)
		}
	}
}

// create makes a file without keys, unless there is one.
func create(path string) error {
	temp, err := writeTemporary(path, newFile().Text(), nil)
	if err != nil {
		return err
	}
	defer os.Remove(temp) //nolint:errcheck // only its name: the file has another
	if err := os.Link(temp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s cannot be made: %w", path, errors.Unwrap(err))
	}
	return syncDirectory(path)
}

// replace puts a text in the place of a file.
func replace(path string, text []byte, as fs.FileInfo) error {
	temp, err := writeTemporary(path, text, as)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return syncDirectory(path)
}

// writeTemporary writes a file beside path, on the disk when it returns, with the owner and the mode of another.
func writeTemporary(path string, text []byte, as fs.FileInfo) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.new") // with mode 0600
	if err != nil {
		return "", fmt.Errorf("%s cannot be written: %w", path, err)
	}
	if as != nil {
		err = takeOver(f, as)
	}
	if err == nil {
		_, err = f.Write(text)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("%s cannot be written: %w", path, err), os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// takeOver gives a file the owner and the mode of another. The owner first, while nobody else may open it.
func takeOver(f *os.File, as fs.FileInfo) error {
	want, ok := as.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("its owner is not known")
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if is, ok := info.Sys().(*syscall.Stat_t); !ok || is.Uid != want.Uid || is.Gid != want.Gid {
		if err := f.Chown(int(want.Uid), int(want.Gid)); err != nil {
			return fmt.Errorf("its owner cannot be kept: %w", err)
		}
	}
	return f.Chmod(as.Mode().Perm())
}

// syncDirectory makes a new name in the file's directory durable.
func syncDirectory(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
