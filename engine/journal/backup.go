package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// TargetError says that a backup, or an export, cannot be written where it was to be: another place may do.
type TargetError struct{ Err error }

func (e *TargetError) Error() string { return e.Err.Error() }

func (e *TargetError) Unwrap() error { return e.Err }

// Backup writes to out, which must not be there yet, the journal as it is at a moment during the call: all that was
// committed before the call is in it. Whoever starts from it begins a new epoch, since the journal goes on without it.
// It may take long, and delays no commit.
func (j *Journal) Backup(out string) error {
	j.mu.RLock()
	defer j.mu.RUnlock()
	if err := j.usable(); err != nil {
		return err
	}
	return makeBackup(j.disk, out, func(unfinished string) (io.Closer, error) {
		if err := j.copyTo(unfinished); err != nil {
			return nil, err
		}
		return nil, copyFiles(j.disk, j.dir, j.disk, unfinished, j.o.Beside)
	})
}

// copyTo contains Pebble's panic where the directory of the copy cannot be synced: that is no failure of the journal's
// own. Nothing is written to the journal for it where all that was committed is synced, so that it takes no room
// beside the copy's.
func (j *Journal) copyTo(dir string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	if err := j.syncWritten(); err != nil {
		return err
	}
	if err := j.db.Checkpoint(dir); err != nil {
		return err
	}
	return writeFile(j.disk, dir, lockFile, "") // for those who read it
}

// BackupStopped is Backup of the journal in dir, which no server may have open.
func BackupStopped(dir, out string, o Options) (err error) {
	if err := o.setDefaults(); err != nil {
		return err
	}
	disk := readDisk{o.FS}
	lock, err := shareDir(disk, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if _, err := pebble.Peek(dir, disk); err != nil {
		return openError(dir, err)
	}
	return makeBackup(o.FS, out, func(unfinished string) (io.Closer, error) {
		claim, err := claimFor(o.FS, out, unfinished)
		if err != nil {
			return nil, err
		}
		return claim, copyJournal(disk, dir, o.FS, unfinished, o.Beside)
	})
}

// Unfinished is what a backup to out is called until it is whole.
func Unfinished(out string) string { return out + unfinishedSuffix }

const (
	// unfinishedSuffix is what the name of a backup ends with until it is whole.
	unfinishedSuffix = ".unfinished"
	// unfinishedFile is in a backup from before anything else is in it until it is whole.
	unfinishedFile = "UNFINISHED"
	unfinishedText = "This backup was not finished, and a part of the ledger is missing. Remove it, and make another.\n"
)

// makeBackup has a backup made under another name, and gives it its own when it is whole and marked as a backup: an
// unfinished one, or one without the mark, would be taken for the journal itself.
//
// write may return what keeps others from the same place, which is closed when all is done.
func makeBackup(disk vfs.FS, out string, write func(unfinished string) (claim io.Closer, err error)) (err error) {
	unfinished, parent := Unfinished(out), disk.PathDir(out)
	if err := mayWriteTo(disk, out, unfinished); err != nil {
		return &TargetError{err}
	}
	if err := makeDir(disk, parent); err != nil {
		return &TargetError{fmt.Errorf("the backup cannot be written to %s: %w", out, err)}
	}
	claim, err := write(unfinished)
	if claim != nil {
		defer func() { err = errors.Join(err, claim.Close()) }()
	}
	if errors.Is(err, errOthers) { // what is there is theirs
		return &TargetError{err}
	}
	made := unfinished
	if err == nil {
		made, err = finish(disk, unfinished, out)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("the backup to %s failed: %w", out, err), disk.RemoveAll(made))
	}
	return nil
}

// finish marks a backup and gives it its name. It returns what it is called then.
func finish(disk vfs.FS, unfinished, out string) (made string, err error) {
	if err := writeFile(disk, unfinished, backupFile, backupText); err != nil {
		return unfinished, err
	}
	if err := removeFile(disk, unfinished, unfinishedFile); err != nil {
		return unfinished, err
	}
	if err := disk.Rename(unfinished, out); err != nil {
		return unfinished, err
	}
	return out, syncDir(disk, disk.PathDir(out))
}

// mayWriteTo says what is in the way of a backup.
func mayWriteTo(disk vfs.FS, out, unfinished string) error {
	for _, dir := range []string{out, unfinished} {
		switch _, err := disk.Stat(dir); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil && dir == out:
			return fmt.Errorf("the backup cannot be written to %s: %w", out, err)
		case err != nil:
			return fmt.Errorf("the backup cannot be written to %s, as it is called until it is whole: %w", dir, err)
		case dir == out:
			return fmt.Errorf("the backup would overwrite %s: remove it, or choose another place", out)
		default:
			return fmt.Errorf("an earlier backup to %s was not finished, or is under way: if none is, remove %s, and try again",
				out, unfinished)
		}
	}
	return nil
}

// lockFile is Pebble's lock, which says nothing about the data.
const lockFile = "LOCK"

var errOthers = errors.New("another backup to the same place is under way")

// claimFor makes the directory of a backup, for one at a time. Whoever finds the backup there in the end has had the
// lock of the directory that it was made in.
func claimFor(disk vfs.FS, out, unfinished string) (io.Closer, error) {
	err := makeDir(disk, unfinished)
	var claim *pebble.Lock
	if err == nil {
		claim, err = pebble.LockDirectory(unfinished, disk)
	}
	if isTaken(err) || errors.Is(err, fs.ErrNotExist) { // it has another name by now
		return nil, errOthers
	}
	if err != nil {
		return nil, err
	}
	if _, err := disk.Stat(out); !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(errOthers, claim.Close())
	}
	if err := writeFile(disk, unfinished, unfinishedFile, unfinishedText); err != nil {
		return nil, errors.Join(err, claim.Close())
	}
	return claim, nil
}

// copyJournal copies the journal in a directory, and the files beside it that belong to it.
func copyJournal(from vfs.FS, dir string, to vfs.FS, out string, beside []string) error {
	names, err := from.List(dir)
	if err != nil {
		return err
	}
	var own []string
	for _, name := range names {
		if isOurs(name) && name != lockFile {
			own = append(own, name)
		}
	}
	return copyFiles(from, dir, to, out, append(own, beside...))
}

// copyFiles copies those of some files that there are, synced.
func copyFiles(from vfs.FS, dir string, to vfs.FS, out string, names []string) error {
	synced := vfs.NewSyncingFS(to, vfs.SyncingFileOptions{})
	for _, name := range names {
		path := from.PathJoin(dir, name)
		if _, err := from.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := vfs.CopyAcrossFS(from, path, synced, to.PathJoin(out, name)); err != nil {
			return err
		}
	}
	return syncDir(to, out)
}
