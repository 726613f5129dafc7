package journal

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// fail ends the process: what was to be written is not, or may not be, on the disk. It does not return.
func (j *Journal) fail(err error) {
	if isNoRoom(err) && !j.serving.Load() {
		j.end(fmt.Errorf("the journal in %s cannot be started, as its disk has no room; nothing that was acknowledged is lost: "+
			"make room, and start again: %w", j.dir, err))
	}
	j.end(fmt.Errorf("the journal in %s: a write or a sync has failed, so nothing more can be acknowledged: %w", j.dir, err))
}

func (j *Journal) end(err error) {
	j.failing.Do(func() {
		j.failure = err
		close(j.failed)
	})
	j.o.Fatal(j.failure)
	panic("journal: Options.Fatal returned")
}

// inBackground is called when a flush or a compaction fails, which Pebble tries again and again, until no commit gets
// through.
func (j *Journal) inBackground(err error) {
	b := &j.background
	b.Lock()
	recovered := b.recovered
	if b.err == nil {
		b.err = err
	}
	b.Unlock()
	switch {
	case !recovered:
	case pebble.IsCorruptionError(err):
		j.end(j.damage("the database", err))
	default:
		j.fail(err)
	}
}

// recoveredWell ends the time in which such an error has somebody to go to.
func (j *Journal) recoveredWell() error {
	b := &j.background
	b.Lock()
	defer b.Unlock()
	b.recovered = b.err == nil
	if b.err != nil {
		return j.damage("the database", b.err)
	}
	return nil
}

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
