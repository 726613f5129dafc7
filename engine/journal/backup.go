package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// TargetError says that a backup or an export cannot be written to the place that was asked
// for. Another place may work.
type TargetError struct{ Err error }

func (e *TargetError) Error() string { return e.Err.Error() }

func (e *TargetError) Unwrap() error { return e.Err }

// Backup writes a copy of the journal to out, which must not exist. The copy is of some moment
// during the call, so it has everything that was committed before the call. A server that
// starts from it begins a new epoch, because this journal goes on without it. Backup may take
// long; it delays no commit.
func (j *Journal) Backup(out string) error {
	j.mu.RLock()
	defer j.mu.RUnlock()
	if err := j.checkUsable(); err != nil {
		return err
	}
	return makeBackup(j.disk, out, func(unfinished string) (io.Closer, error) {
		return nil, j.copyAll(unfinished)
	})
}

// copyAll writes the database's files, and those beside it, to dir.
func (j *Journal) copyAll(dir string) error {
	if err := j.copyTo(dir); err != nil {
		return err
	}
	return copyFiles(j.disk, j.dir, j.disk, dir, j.o.Beside)
}

// copyTo writes the database's files to dir. Pebble panics if the directory of the copy cannot
// be synced; copyTo returns that as an error, because the journal itself has not failed.
//
// If everything committed is synced already, nothing is written to the journal, so that a
// backup needs no room on the journal's disk.
func (j *Journal) copyTo(dir string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicError(p)
		}
	}()
	if _, err := j.syncWritten(); err != nil {
		return err
	}
	if err := j.db.Checkpoint(dir); err != nil {
		return err
	}
	if empty, err := hasEmptyManifest(j.disk, dir); err != nil || empty {
		if err = errors.Join(err, j.disk.RemoveAll(dir)); err == nil {
			err = j.db.Flush()
		}
		if err == nil {
			err = j.db.Checkpoint(dir)
		}
		if err != nil {
			return err
		}
	}
	return writeFile(j.disk, dir, lockFile, "") // readers of the backup lock it
}

// hasEmptyManifest reports whether a copy of the database lacks its content. Pebble v2.1.7 copies as
// much of its manifest as it has written since it was opened. Until it first writes to it, which a
// flush makes it do, that is nothing, although there are tables.
func hasEmptyManifest(disk vfs.FS, dir string) (bool, error) {
	names, err := disk.List(dir)
	for _, name := range names {
		if !strings.HasPrefix(name, "MANIFEST-") {
			continue
		}
		if in, err := disk.Stat(disk.PathJoin(dir, name)); err != nil || in.Size() == 0 {
			return true, err
		}
	}
	return false, err
}

// BackupStopped is Backup for the journal in dir, which no server may have open.
func BackupStopped(dir, out string, o Options) (err error) {
	if err := o.setDefaults(); err != nil {
		return err
	}
	disk := readOnlyFS{o.FS}
	lock, err := shareDir(disk, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if _, err := pebble.Peek(dir, disk); err != nil {
		return openError(dir, err)
	}
	return makeBackup(o.FS, out, func(unfinished string) (io.Closer, error) {
		claim, err := claimTarget(o.FS, out, unfinished)
		if err != nil {
			return nil, err
		}
		return claim, copyJournal(disk, dir, o.FS, unfinished, o.Beside)
	})
}

// Unfinished returns the name that a backup to out has until it is complete.
func Unfinished(out string) string { return out + unfinishedSuffix }

const (
	// unfinishedSuffix ends the name of a backup until the backup is complete.
	unfinishedSuffix = ".unfinished"
	// unfinishedFile is created before everything else in a backup, and removed when the backup is
	// complete.
	unfinishedFile = "UNFINISHED"
	unfinishedText = "This backup was not finished, and a part of the ledger is missing. Remove it, and make another.\n"
)

// makeBackup has write make a backup under a temporary name, and renames it when it is complete
// and marked as a backup. An incomplete backup, or one without the mark, could be taken for the
// journal itself.
//
// write may return a lock that keeps others from the same target; it is closed at the end.
func makeBackup(disk vfs.FS, out string, write func(unfinished string) (claim io.Closer, err error)) (err error) {
	unfinished, parent := Unfinished(out), disk.PathDir(out)
	if err := checkTarget(disk, out, unfinished); err != nil {
		return &TargetError{err}
	}
	if err := makeDir(disk, parent); err != nil {
		return &TargetError{fmt.Errorf("the backup cannot be written to %s: %w", out, err)}
	}
	claim, err := write(unfinished)
	if claim != nil {
		defer func() { err = errors.Join(err, claim.Close()) }()
	}
	if errors.Is(err, errConcurrentBackup) { // the files there belong to the other backup
		return &TargetError{err}
	}
	made := unfinished
	if err == nil {
		made, err = finishBackup(disk, unfinished, out)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("the backup to %s failed: %w", out, err), disk.RemoveAll(made))
	}
	return nil
}

// finishBackup marks a backup as complete and gives it its final name. It returns the name that
// the directory has afterwards.
func finishBackup(disk vfs.FS, unfinished, out string) (made string, err error) {
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

// checkTarget returns what prevents a backup from being written to out.
func checkTarget(disk vfs.FS, out, unfinished string) error {
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
			return fmt.Errorf("an earlier backup to %s was not finished, or is under way: "+
				"if none is, remove %s, and try again", out, unfinished)
		}
	}
	return nil
}

// lockFile is the file that Pebble locks. It holds no data.
const lockFile = "LOCK"

var errConcurrentBackup = errors.New("another backup to the same place is under way")

// claimTarget makes and locks the directory of a backup, so that only one process writes it at
// a time. If the finished backup exists once the lock is held, another process has made it in
// the meantime.
func claimTarget(disk vfs.FS, out, unfinished string) (io.Closer, error) {
	err := makeDir(disk, unfinished)
	var claim *pebble.Lock
	if err == nil {
		claim, err = pebble.LockDirectory(unfinished, disk)
	}
	if isLockTaken(err) || errors.Is(err, fs.ErrNotExist) { // not there any more: the other backup was renamed
		return nil, errConcurrentBackup
	}
	if err != nil {
		return nil, err
	}
	if _, err := disk.Stat(out); !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(errConcurrentBackup, claim.Close())
	}
	if err := writeFile(disk, unfinished, unfinishedFile, unfinishedText); err != nil {
		return nil, errors.Join(err, claim.Close())
	}
	return claim, nil
}

// copyJournal copies the journal's files, and the files named in beside.
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

// copyFiles copies the named files and syncs them. It skips those that do not exist.
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
