package journal

import (
	"errors"
	"fmt"
	"hash/crc32"
)

const (
	// cleanFile is there from a clean end of a run to the first write of the next: what the journal ended with.
	cleanFile = "CLEAN"
	// backupFile is there from a backup to the first start from it.
	backupFile = "BACKUP"
)

const backupText = "This is a backup of a papertape journal. The first start from it takes a new epoch and removes this file.\n"

// cleanMark is what cleanFile says.
type cleanMark struct {
	epoch uint64
	last  place
	mark  uint64
}

const cleanFormat = "papertape journal closed\nformat %d\nepoch %016x\ncommit %d\nhash %016x\nmark %d\n"

func (c *cleanMark) text() string {
	text := fmt.Sprintf(cleanFormat, formatNumber, c.epoch, c.last.number, c.last.hash, c.mark)
	return text + fmt.Sprintf("sum %08x\n", crc32.Checksum([]byte(text), castagnoli))
}

var errClean = errors.New("it does not say what a clean end of a run writes")

func parseCleanMark(text string) (c cleanMark, err error) {
	var format int
	_, err = fmt.Sscanf(text, cleanFormat, &format, &c.epoch, &c.last.number, &c.last.hash, &c.mark)
	if err != nil || format != formatNumber || c.text() != text { // the checksum included
		return c, errClean
	}
	return c, nil
}
