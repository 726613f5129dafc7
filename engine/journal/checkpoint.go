package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/papertape/papertape/engine"
)

// Checkpointer is what is checkpointed: *engine.Engine.
type Checkpointer interface {
	Checkpoint(ctx context.Context, store func([]engine.AccountState) error) (mark uint64, err error)
	Checkpointed()
	CheckpointWanted() <-chan struct{}
}

// checkpointBytes is how many bytes of accounts go into one batch. An account goes whole, and alone where it is larger.
const checkpointBytes = 1 << 20

// Run makes checkpoints of e until ctx ends: every CheckpointInterval, after CheckpointEvents events, and when e wants
// one, as long as there is room on the disk. An error means that there will be none any more, so that sooner or later
// e refuses all orders: the process should end. When ctx ends, the end of the run has come: nothing waits for room any
// more.
func (j *Journal) Run(ctx context.Context, e Checkpointer) error {
	context.AfterFunc(ctx, j.leave)
	timer := time.NewTimer(j.o.CheckpointInterval)
	defer timer.Stop()
	for putOff := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-j.due:
		case <-e.CheckpointWanted():
		}
		err := j.Checkpoint(ctx, e)
		if err != nil && !errors.Is(err, ErrNoRoom) {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if before := putOff; before != (err != nil) {
			putOff = !before
			j.tellPutOff(err)
		}
		timer.Reset(j.o.CheckpointInterval)
	}
}

// tellPutOff is called when checkpoints begin to be put off, and when one has been made again.
func (j *Journal) tellPutOff(err error) {
	log := j.o.Log.With().Str("dir", j.dir).Logger()
	if err != nil {
		log.Warn().Err(err).Msg("no checkpoint: what was committed is safe, and a start would replay it")
		return
	}
	log.Info().Msg("a checkpoint has been made again")
}

// Checkpoint makes one checkpoint of e. What it stores counts account by account; only with the mark at the end are
// blocks dropped. Where there is no room for it, it is not made (ErrNoRoom).
func (j *Journal) Checkpoint(ctx context.Context, e Checkpointer) error {
	j.checkpointing.Lock()
	defer j.checkpointing.Unlock()
	j.mu.RLock()
	defer j.mu.RUnlock()
	if err := j.usable(); err != nil {
		return err
	}
	if !j.hasRoom() {
		return ErrNoRoom
	}
	began, since := time.Now(), j.sinceMark.Load()
	w := checkpointWriter{j: j}
	mark, err := e.Checkpoint(ctx, w.accounts)
	if err == nil {
		err = w.flush()
	}
	if err != nil {
		return fmt.Errorf("the checkpoint: %w", err)
	}
	if err := j.moveMark(mark, w.opened); err != nil {
		return err
	}
	e.Checkpointed()
	j.sinceMark.Add(-since)
	j.checkpoints.Add(1)
	j.checkpointed.Store(int64(time.Since(began)))
	return nil
}

// checkpointWriter writes accounts, unsynced: Pebble's log is in order, so the sync of the mark covers them.
type checkpointWriter struct {
	j      *Journal
	batch  *pebble.Batch
	value  []byte
	opened uint64 // accounts that no checkpoint had
}

func (w *checkpointWriter) accounts(states []engine.AccountState) error {
	for i := range states {
		if err := w.account(&states[i]); err != nil {
			return err
		}
	}
	return nil
}

// account adds all of an account's part to one batch: run, rows, cash, sequence, order ids.
func (w *checkpointWriter) account(st *engine.AccountState) error {
	if n := uint64(len(st.Events)); n == 0 || st.Seq < n || st.Events[0].Seq != st.Seq-n+1 || st.Events[n-1].Seq != st.Seq {
		return fmt.Errorf("account %d at event %d: the %d events since its last checkpoint do not lead there", st.Account, st.Seq, n)
	}
	if w.batch == nil {
		w.batch = w.j.db.NewBatch()
	}
	if st.Events[0].Seq == 1 {
		w.opened++
	}
	var err error
	for events := st.Events; len(events) > 0 && err == nil; {
		n := min(len(events), runEventsMax)
		w.value = w.j.l.appendRun(newValue(w.value), events[:n])
		err = w.set(runKey(st.Account, events[0].Seq))
		events = events[n:]
	}
	w.value = w.j.l.appendAccount(newValue(w.value), st)
	err = errors.Join(err, w.set(accountKey(st.Account)))
	for i := range st.Forgotten {
		err = errors.Join(err, w.batch.Delete(orderIDKey(st.Account, st.Forgotten[i].Seq), nil))
	}
	for i := range st.IDs {
		w.value = appendOrderID(newValue(w.value), &st.IDs[i])
		err = errors.Join(err, w.set(orderIDKey(st.Account, st.IDs[i].Seq)))
	}
	if err != nil {
		return err
	}
	if w.batch.Len() >= checkpointBytes {
		return w.flush()
	}
	return nil
}

func (w *checkpointWriter) set(key []byte) error {
	sealValue(key, w.value)
	return w.batch.Set(key, w.value, nil)
}

func (w *checkpointWriter) flush() error {
	if w.batch == nil {
		return nil
	}
	b := w.batch
	w.batch = nil
	if !w.j.hasRoom() { // any more
		return errors.Join(ErrNoRoom, b.Close())
	}
	return errors.Join(b.Commit(pebble.NoSync), b.Close())
}

// moveMark makes it durable that the checkpoints have everything up to the block with this number, and drops the
// blocks. It is one batch, behind the accounts in Pebble's log: whoever finds the mark finds them too.
func (j *Journal) moveMark(number, opened uint64) error {
	j.mark.accounts += opened
	if number <= j.mark.number {
		return nil // nothing was committed meanwhile, and the blocks that there are stay
	}
	hash, err := j.hashOf(number)
	if err != nil {
		return err
	}
	next := markRecord{place: place{number, hash}, accounts: j.mark.accounts}
	key, value := metaKey(metaMark), next.append(newValue(nil))
	sealValue(key, value)
	covered := j.committed.Load()
	b := j.db.NewBatch()
	err = errors.Join(b.Set(key, value, nil), b.DeleteRange(blockKey(0), blockKey(number+1), nil), b.Commit(pebble.Sync), b.Close())
	if err != nil {
		return err
	}
	j.raiseSynced(covered)
	j.mark = next
	return nil
}

// hashOf is the hash of a block that is there.
func (j *Journal) hashOf(number uint64) (uint64, error) {
	key := blockKey(number)
	value, closer, err := j.db.Get(key)
	if err != nil {
		return 0, j.damage(nameKey(key), err)
	}
	_, err = openValue(key, value)
	hash := blockHash(number, value)
	if err = errors.Join(err, closer.Close()); err != nil {
		return 0, j.damage(nameKey(key), err)
	}
	return hash, nil
}
