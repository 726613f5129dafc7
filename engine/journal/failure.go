package journal

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// fail ends the process: a write or a sync has failed, so what was to be written may not be on
// the disk. It does not return.
func (j *Journal) fail(err error) {
	if isNoRoom(err) && !j.serving.Load() {
		j.endProcess(fmt.Errorf("the journal in %s cannot be started, as its disk has no room; "+
			"nothing that was acknowledged is lost: make room, and start again: %w", j.dir, err))
	}
	j.endProcess(fmt.Errorf("the journal in %s: a write or a sync has failed, so nothing more can be acknowledged: %w",
		j.dir, err))
}

func (j *Journal) endProcess(err error) {
	j.failing.Do(func() {
		j.failure = err
		close(j.failed)
	})
	j.o.Fatal(j.failure)
	panic("journal: Options.Fatal returned")
}

// failedInBackground is called when a flush or a compaction fails. Pebble would retry it again
// and again, until no commit gets through any more.
func (j *Journal) failedInBackground(err error) {
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
		j.endProcess(j.damage("the database", err))
	default:
		j.fail(err)
	}
}

// endOfRecovery returns the error of a background failure during recovery. Without one, such
// failures end the process from now on.
func (j *Journal) endOfRecovery() error {
	b := &j.background
	b.Lock()
	defer b.Unlock()
	b.recovered = b.err == nil
	if b.err != nil {
		return j.damage("the database", b.err)
	}
	return nil
}
