package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// readFile reads a small file. ok is false if it does not exist.
func readFile(disk vfs.FS, dir, name string) (text string, ok bool, err error) {
	f, err := disk.Open(disk.PathJoin(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	const most = 1 << 12 // bytes; far more than any of these files has
	b, err := io.ReadAll(io.LimitReader(f, most))
	return string(b), err == nil, errors.Join(err, f.Close())
}

// temporarySuffix ends the name of a file until it is complete.
const temporarySuffix = ".new"

// writeFile creates a file atomically: after a crash the whole file is there, or nothing.
func writeFile(disk vfs.FS, dir, name, text string) error {
	path, temporary := disk.PathJoin(dir, name), disk.PathJoin(dir, name+temporarySuffix)
	err := writeTemporary(disk, temporary, text)
	if err == nil {
		err = disk.Rename(temporary, path)
	}
	if err != nil {
		_ = disk.Remove(temporary) // it may not exist
		return err
	}
	return syncDir(disk, dir)
}

func writeTemporary(disk vfs.FS, path, text string) error {
	f, err := disk.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, strings.NewReader(text))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// removeFile removes a file durably. It is no error if the file does not exist.
func removeFile(disk vfs.FS, dir, name string) error {
	err := disk.Remove(disk.PathJoin(dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncDir(disk, dir)
}

func syncDir(disk vfs.FS, dir string) error {
	d, err := disk.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeDir creates a directory and its parents durably.
func makeDir(disk vfs.FS, dir string) error {
	if in, err := disk.Stat(dir); err == nil && !in.IsDir() {
		return fmt.Errorf("%s: %w", dir, syscall.ENOTDIR)
	} else if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := disk.PathDir(dir)
	if parent != dir {
		if err := makeDir(disk, parent); err != nil {
			return err
		}
	}
	if err := disk.MkdirAll(dir, privateDir); err != nil {
		return err
	}
	return syncDir(disk, parent)
}
