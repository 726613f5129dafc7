package journal

import (
	"errors"
	"fmt"
)

// Close ends the run: all that was committed is synced, and it is left in writing where the journal ends. Run must have
// returned, and the engine have stopped. After a failure, or where Recover did not come to its end, nothing is written.
func (j *Journal) Close() error {
	j.leave() // whoever waits for room has the journal in use
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
		return j.failure // the database hangs on what failed
	default:
	}
	j.workers.Wait()
	var err error
	if was == running && j.hasRoom() {
		err = j.db.Flush() // so that the next start has no log to read
	}
	if err = errors.Join(err, j.closeDB()); err == nil && was == running {
		mark := cleanMark{epoch: j.epoch, last: j.newest, mark: j.mark.number}
		err = j.leaveInWriting(mark)
	}
	if err = errors.Join(err, j.unlock()); err != nil {
		return fmt.Errorf("the journal in %s could not be closed: %w", j.dir, err)
	}
	return nil
}

// leaveInWriting says where the journal ends. Where there is no room for that the next start takes it for a crash, and
// reads its log.
func (j *Journal) leaveInWriting(mark cleanMark) error {
	err := writeFile(j.disk, j.dir, cleanFile, mark.text())
	if isNoRoom(err) {
		j.o.Log.Warn().Err(err).Str("dir", j.dir).
			Msg("the disk has no room to leave in writing that this run has ended: nothing is lost")
		return nil
	}
	return err
}
