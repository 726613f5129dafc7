package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/record"
)

// Checkpointer is what Run and Checkpoint make checkpoints of: *engine.Engine.
type Checkpointer interface {
	Checkpoint(ctx context.Context, store func([]engine.AccountState) error) (mark uint64, err error)
	Checkpointed()
	CheckpointWanted() <-chan struct{}
}

// checkpointBytes is the size at which a batch of accounts is written. An account is never
// split, so a large one makes a larger batch.
const checkpointBytes = 1 << 20

// Run makes checkpoints of e until ctx ends: every CheckpointInterval, after every
// CheckpointEvents events, and whenever e asks for one, as long as the disk has room. After an
// error no more checkpoints can be made, so that sooner or later e refuses all orders: the
// process should end. The end of ctx is also the end of the run, so from then on no write waits
// for room on the disk.
func (j *Journal) Run(ctx context.Context, e Checkpointer) error {
	context.AfterFunc(ctx, j.stopWaitingForRoom)
	timer := time.NewTimer(j.o.CheckpointInterval)
	defer timer.Stop()
	for putOff := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-j.checkpointDue:
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
			j.logPutOff(err)
		}
		timer.Reset(j.o.CheckpointInterval)
	}
}

// logPutOff is called when checkpoints begin to be put off (err says why), and when one
// succeeds again.
func (j *Journal) logPutOff(err error) {
	log := j.o.Log.With().Str("dir", j.dir).Logger()
	if err != nil {
		log.Warn().Err(err).Msg("no checkpoint: what was committed is safe, and a start would replay it")
		return
	}
	log.Info().Msg("a checkpoint has been made again")
}

// Checkpoint makes one checkpoint of e. Each account that it stores is valid at once, but
// blocks are only dropped with the mark at the end. If the disk has no room, no checkpoint is
// made (ErrNoRoom).
func (j *Journal) Checkpoint(ctx context.Context, e Checkpointer) error {
	j.checkpointing.Lock()
	defer j.checkpointing.Unlock()
	j.mu.RLock()
	defer j.mu.RUnlock()
	if err := j.checkUsable(); err != nil {
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
	j.checkpointAt.Store(time.Now().UnixNano())
	return nil
}

// checkpointWriter writes accounts without syncing them. Pebble's log is sequential, so the
// sync of the mark covers them.
type checkpointWriter struct {
	j      *Journal
	batch  *pebble.Batch
	value  []byte
	opened uint64 // accounts that are in a checkpoint for the first time
}

func (w *checkpointWriter) accounts(states []engine.AccountState) error {
	for i := range states {
		if err := w.account(&states[i]); err != nil {
			return err
		}
	}
	return nil
}

// account adds everything about an account to one batch: events, rows, cash, sequence, order
// ids.
func (w *checkpointWriter) account(st *engine.AccountState) error {
	if err := checkRuns(st); err != nil {
		return fmt.Errorf("account %d at event %d: the %d events since its last checkpoint do not lead there: %w",
			st.Account, st.Seq, st.Count, err)
	}
	if w.batch == nil {
		w.batch = w.j.db.NewBatch()
	}
	first := st.Seq - st.Count + 1
	if first == 1 {
		w.opened++
	}
	var err error
	records := recordCutter{runs: st.Runs}
	for left := st.Count; left > 0 && err == nil; {
		n := min(left, runEventsMax)
		w.value = binary.AppendUvarint(newValue(w.value), n)
		w.value = records.append(w.value, n)
		err = w.set(runKey(st.Account, first))
		first, left = first+n, left-n
	}
	w.value = appendAccount(newValue(w.value), st, w.j.table)
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

// checkRuns checks that the runs are st.Count whole records, and that the first and the last one are
// of the events that they should be of.
func checkRuns(st *engine.AccountState) error {
	if st.Count == 0 || st.Count > st.Seq {
		return errors.New("there cannot be so many")
	}
	n := uint64(0)
	for _, run := range st.Runs {
		for len(run) > 0 {
			rec, rest, err := record.Cut(run)
			if err != nil {
				return fmt.Errorf("record %d: %w", n+1, err)
			}
			run = rest
			if n++; n != 1 && n != st.Count {
				continue
			}
			account, seq, err := record.Head(rec)
			if want := st.Seq - st.Count + n; err == nil && (account != st.Account || seq != want) {
				err = fmt.Errorf("it is of event %d of account %d, and should be of event %d", seq, account, want)
			}
			if err != nil {
				return fmt.Errorf("record %d: %w", n, err)
			}
		}
	}
	if n != st.Count {
		return fmt.Errorf("there are %d records", n)
	}
	return nil
}

// recordCutter goes through runs that checkRuns has checked.
type recordCutter struct{ runs [][]byte }

// append appends the next n records to dst.
func (c *recordCutter) append(dst []byte, n uint64) []byte {
	for n > 0 {
		run, end := c.runs[0], 0
		for ; n > 0 && end < len(run); n-- {
			end += record.Size(run[end:])
		}
		dst = append(dst, run[:end]...)
		if c.runs[0] = run[end:]; end == len(run) {
			c.runs = c.runs[1:]
		}
	}
	return dst
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
	if !w.j.hasRoom() { // the disk has filled up since the checkpoint began
		return errors.Join(ErrNoRoom, b.Close())
	}
	return errors.Join(b.Commit(pebble.NoSync), b.Close())
}

// moveMark records durably that the checkpoints have everything up to this block, and drops the
// blocks up to it. Both are one batch, which follows the accounts in Pebble's log: whoever
// finds the mark also finds the accounts.
func (j *Journal) moveMark(number, opened uint64) error {
	j.mark.accounts += opened
	if number <= j.mark.number {
		return nil // nothing was committed since the last mark, so there is no block to drop
	}
	hash, err := j.blockHashOf(number)
	if err != nil {
		return err
	}
	next := markRecord{blockID: blockID{number, hash}, accounts: j.mark.accounts}
	key, value := metaKey(metaMark), next.append(newValue(nil))
	sealValue(key, value)
	covered := j.committed.Load()
	b := j.db.NewBatch()
	err = errors.Join(
		b.Set(key, value, nil),
		b.DeleteRange(blockKey(0), blockKey(number+1), nil),
		b.Commit(pebble.Sync),
		b.Close(),
	)
	if err != nil {
		return err
	}
	j.raiseSynced(covered)
	j.mark = next
	return nil
}

// blockHashOf reads a block and returns its hash.
func (j *Journal) blockHashOf(number uint64) (uint64, error) {
	key := blockKey(number)
	value, closer, err := j.db.Get(key)
	if err != nil {
		return 0, j.damage(nameKey(key), err)
	}
	_, _, err = openValue(key, value)
	hash := blockHash(number, value)
	if err = errors.Join(err, closer.Close()); err != nil {
		return 0, j.damage(nameKey(key), err)
	}
	return hash, nil
}
