package journal

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// What must be free is a part of the low-water mark, where that is not as large as to make everything read-only.
const (
	roomToStartMax       = 16 << 20
	roomForCheckpointMax = 64 << 20
)

// roomToStart is an error where the disk is so full that the start would fail half-way: the database begins a log and a manifest,
// and may have to write tables of what the last log has.
func (j *Journal) roomToStart() error {
	free, err := j.freeBytes()
	least := min(roomToStartMax, j.o.LowWaterBytes/16)
	if err != nil || free >= least {
		return nil // a file system that does not say is no reason
	}
	return fmt.Errorf("the disk of %s has %d bytes left, and a start writes some: make room for at least %d; nothing was changed, "+
		"and nothing is lost", j.dir, free, least)
}

// roomForCheckpoint says whether the disk has room for a checkpoint, which is put off where it has not: what fails to be written
// ends the process, and nothing is lost by waiting, as no orders are taken meanwhile. A quarter of the low-water mark is
// enough: the last orders came when there was four times as much.
func (j *Journal) roomForCheckpoint() bool {
	free, err := j.freeBytes()
	return err != nil || free >= min(roomForCheckpointMax, j.o.LowWaterBytes/4)
}

// holdsNothingElse is an error where dir has no journal and is no place for one, since somebody else's files are in it.
func holdsNothingElse(disk vfs.FS, dir string) error {
	if err := finished(disk, dir); err != nil {
		return err
	}
	if peek, err := pebble.Peek(dir, disk); err != nil || peek.Exists {
		return nil // which is for whoever opens it
	}
	names, err := disk.List(dir)
	if err != nil {
		return fmt.Errorf("the directory of the journal cannot be read: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		if !isOurs(name) {
			return fmt.Errorf("%s has no ledger, but other files, %q for one: name an empty directory for a new ledger, or one that does "+
				"not exist yet", dir, name)
		}
	}
	return nil
}

// isOurs says whether a file may lie in a directory before there is a journal: what a first start that was cut off has left, and
// what file systems have at their root.
func isOurs(name string) bool {
	switch name {
	case lockFile, cleanFile, backupFile, "lost+found", "OPENING", "OPENING.new":
		return true
	}
	for _, prefix := range []string{"MANIFEST-", "OPTIONS-", "CURRENT", markerPrefix, "temporary."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	number, kind, _ := strings.Cut(name, ".")
	return strings.Trim(number, "0123456789") == "" && slices.Contains([]string{"log", "sst", "blob", "dbtmp"}, kind)
}
