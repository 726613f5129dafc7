package journal

import (
	"errors"
	"fmt"
)

// Close ends the run: it syncs everything that was committed, and records where the journal
// ends. Run must have returned, and the engine must have stopped. After a failure, or if
// Recover did not finish, it writes nothing.
func (j *Journal) Close() error {
	j.stopWaitingForRoom() // a write that waits for room holds mu
	j.mu.Lock()
	defer j.mu.Unlock()
	was := j.state
	if was == closed {
		return nil
	}
	j.state = closed
	close(j.stop)
	close(j.queue)
	select {
	case <-j.failed:
		return j.failure // closing the database would hang on the write that failed
	default:
	}
	j.workers.Wait()
	var err error
	if was == running && j.hasRoom() {
		err = j.db.Flush() // saves the next start from reading the log
	}
	if err = errors.Join(err, j.closeDB()); err == nil && was == running {
		mark := cleanMark{epoch: j.epoch, last: j.newest, markNumber: j.mark.number}
		err = j.writeCleanMark(mark)
	}
	if err = errors.Join(err, j.unlock()); err != nil {
		return fmt.Errorf("the journal in %s could not be closed: %w", j.dir, err)
	}
	return nil
}

// writeCleanMark records where the journal ends. If the disk has no room for that, the next
// start treats this end as a crash and reads the log.
func (j *Journal) writeCleanMark(mark cleanMark) error {
	err := writeFile(j.disk, j.dir, cleanFile, mark.text())
	if isNoRoom(err) {
		j.o.Log.Warn().Err(err).Str("dir", j.dir).
			Msg("the disk has no room to leave in writing that this run has ended: nothing is lost")
		return nil
	}
	return err
}
