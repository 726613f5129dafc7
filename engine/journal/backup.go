package journal

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Backup writes to out, which must not be there yet, the journal as it is at a moment during the call: all that was committed
// before the call is in it. Whoever starts from it begins a new epoch, since the journal goes on without it. It may take
// long, and delays no commit.
func (j *Journal) Backup(out string) error {
	j.mu.RLock()
	defer j.mu.RUnlock()
	if err := j.usable(); err != nil {
		return err
	}
	return makeBackup(j.disk, out, j.copyTo)
}

// copyTo contains Pebble's panic where the directory of the copy cannot be synced: that is no failure of the journal's own.
func (j *Journal) copyTo(dir string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return j.db.Checkpoint(dir, pebble.WithFlushedWAL())
}

// BackupStopped is Backup of the journal in dir, which nobody may have open.
func BackupStopped(dir, out string, o Options) (err error) {
	if o.FS == nil {
		o.FS = newPrivateDisk()
	}
	lock, err := lockForReading(o.FS, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	peek, err := pebble.Peek(dir, o.FS)
	if err != nil {
		return openError(dir, err)
	}
	if !peek.Exists {
		return fmt.Errorf("there is no journal in %s", dir)
	}
	return makeBackup(o.FS, out, func(unfinished string) error { return copyDir(o.FS, dir, unfinished) })
}

// Unfinished is the directory in which a backup to out is made, until it is whole.
func Unfinished(out string) string { return out + ".unfinished" }

const (
	// unfinishedFile is in the directory in which a backup is made, beside it, and so above it.
	unfinishedFile = "UNFINISHED"
	// ledgerDir is the backup itself, there.
	ledgerDir = "ledger"
)

const unfinishedText = "A backup was being made here, and was cut off. It is of no use: remove this directory, and make another.\n"

// finished is an error where dir is a backup that was cut off: it lacks any part of the journal, and the mark of a backup, so
// that whoever started from it would give out numbers that its journal has given out already.
func finished(disk vfs.FS, dir string) error {
	for _, place := range []string{dir, disk.PathJoin(dir, "..")} {
		if _, err := disk.Stat(disk.PathJoin(place, unfinishedFile)); err == nil {
			return fmt.Errorf("%s is a backup that was cut off before it was whole: remove it, and make another", dir)
		}
	}
	return nil
}

// makeBackup has a backup made in another directory, and gives it its name when it is whole and marked as a backup: one that
// is neither would be taken for the journal itself.
func makeBackup(disk vfs.FS, out string, write func(dir string) error) error {
	unfinished := Unfinished(out)
	for _, dir := range []string{out, unfinished} {
		if _, err := disk.Stat(dir); err == nil {
			return fmt.Errorf("the backup would overwrite %s: remove it, or choose another place", dir)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the backup cannot be written to %s: %w", dir, err)
		}
	}
	parent, ledger := disk.PathDir(out), disk.PathJoin(unfinished, ledgerDir)
	err := makeDir(disk, unfinished)
	if err == nil {
		err = writeFile(disk, unfinished, unfinishedFile, unfinishedText)
	}
	if err == nil {
		err = write(ledger)
	}
	if err == nil {
		err = writeFile(disk, ledger, backupFile, backupText)
	}
	if err == nil {
		err = disk.Rename(ledger, out)
	}
	if err == nil {
		if err = syncDir(disk, parent); err != nil {
			err = errors.Join(err, disk.RemoveAll(out))
		}
	}
	if err != nil {
		err = fmt.Errorf("the backup to %s failed: %w", out, err)
	}
	return errors.Join(err, disk.RemoveAll(unfinished))
}

// lockFile is Pebble's lock, which says nothing about the data.
const lockFile = "LOCK"

// copyDir copies the files of a directory, synced.
func copyDir(disk vfs.FS, from, to string) error {
	names, err := disk.List(from)
	if err != nil {
		return err
	}
	if err := makeDir(disk, to); err != nil {
		return err
	}
	synced := vfs.NewSyncingFS(disk, vfs.SyncingFileOptions{})
	for _, name := range names {
		if name == lockFile {
			continue
		}
		if err := vfs.Copy(synced, disk.PathJoin(from, name), disk.PathJoin(to, name)); err != nil {
			return err
		}
	}
	return syncDir(disk, to)
}
