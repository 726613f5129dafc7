package journal

import (
	"errors"
	"fmt"
	"hash/crc32"
)

const (
	// cleanFile says where the journal ended. It exists from the clean end of a run until the first
	// write of the next one.
	cleanFile = "CLEAN"
	// backupFile marks a backup. It exists until the first start from the backup.
	backupFile = "BACKUP"
)

const backupText = "This is a backup of a papertape journal. " +
	"The first start from it takes a new epoch and removes this file.\n"

// cleanMark is the content of cleanFile.
type cleanMark struct {
	epoch      uint64
	last       blockID
	markNumber uint64
}

// The number of the format in this file stays 1, since the file has not changed: a program of format 1
// reads it, and then refuses the ledger by the format in the record of the run.
const cleanFormatNumber = 1

const cleanFormat = "papertape journal closed\nformat %d\nepoch %016x\ncommit %d\nhash %016x\nmark %d\n"

func (c *cleanMark) text() string {
	text := fmt.Sprintf(cleanFormat, cleanFormatNumber, c.epoch, c.last.number, c.last.hash, c.markNumber)
	return text + fmt.Sprintf("sum %08x\n", crc32.Checksum([]byte(text), castagnoli))
}

var errClean = errors.New("it does not say what a clean end of a run writes")

func parseCleanMark(text string) (c cleanMark, err error) {
	var format int
	_, err = fmt.Sscanf(text, cleanFormat, &format, &c.epoch, &c.last.number, &c.last.hash, &c.markNumber)
	if err != nil || format != cleanFormatNumber || c.text() != text { // the checksum included
		return c, errClean
	}
	return c, nil
}
