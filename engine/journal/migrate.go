package journal

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// formatOneDir is the backup of a ledger of format 1, in the ledger's directory, where a volume may
// be mounted. The first start of this program makes it before it writes anything of format 2.
const formatOneDir = "format-1"

// isFormatOneDir reports whether a name in the journal's directory is that of this backup, whole or
// unfinished.
func isFormatOneDir(name string) bool {
	return name == formatOneDir || name == Unfinished(formatOneDir)
}

// migrates reports whether this start makes a ledger of format 1 one of format 2.
func (j *Journal) migrates() bool { return j.record.format == format1 }

// logMigration says at the beginning of a start what it is going to do.
func (j *Journal) logMigration() {
	j.o.Log.Warn().Str("dir", j.dir).Str("backup", j.disk.PathJoin(j.dir, formatOneDir)).
		Msg("the ledger is of format 1: this start makes it format 2, which older programs cannot read; before " +
			"that, a backup is made by hard links; going back is a start of the older program from that backup")
}

// backUpFormatOne makes the backup. One that exists is of an earlier start that did not get as far as
// format 2, so it is made anew. Nothing of the ledger has changed yet.
func (j *Journal) backUpFormatOne() error {
	out := j.disk.PathJoin(j.dir, formatOneDir)
	began := time.Now()
	err := errors.Join(j.disk.RemoveAll(out), j.disk.RemoveAll(Unfinished(out)))
	if err == nil {
		err = syncDir(j.disk, j.dir)
	}
	if err == nil {
		err = makeBackup(j.disk, out, func(unfinished string) (io.Closer, error) {
			if err := j.copyAll(unfinished); err != nil {
				return nil, err
			}
			return nil, j.checkFormatOne(unfinished)
		})
	}
	if target := (*TargetError)(nil); errors.As(err, &target) { // nobody has named this place
		err = target.Err
	}
	if err != nil {
		return fmt.Errorf("the journal in %s stays as it is, of format 1, since no backup of it can be made: %w",
			j.dir, err)
	}
	j.o.Log.Info().Str("backup", out).Dur("took_ms", time.Since(began)).Msg("the backup of format 1 is made")
	return nil
}

// checkFormatOne checks that a copy is of format 1 and ends where the journal does.
func (j *Journal) checkFormatOne(dir string) error {
	s := store{disk: readOnlyFS{j.disk}, dir: dir, universe: j.universe}
	lock, err := lockDir(s.disk, dir)
	if err != nil {
		return err
	}
	s.lock = lock
	err = s.withReadOnlyDB(func(as *store) error {
		h, err := as.readHead(new(inspection))
		if err == nil && (h.record != j.record || h.mark != j.mark || h.last != j.openedAt) {
			err = fmt.Errorf("it ends with commit %d, and the journal with commit %d", h.last.number, j.openedAt.number)
		}
		return err
	})
	return errors.Join(err, s.unlock())
}
