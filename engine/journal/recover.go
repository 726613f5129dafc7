package journal

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// Recovery is what a journal is recovered into: *engine.Engine. First Use is called, with the table
// by which records are made and the key with which order ids are hashed; both are kept. Then Load is
// called for one account after the other, then Replay for the events: those of one shard in order,
// those of different shards concurrently. rec is the event's record by that table. Load and Replay
// may keep their arguments only until they return.
type Recovery interface {
	Use(t *record.Table, key record.IDKey)
	Load(*engine.AccountState) error
	ShardOf(account uint64) int
	Replay(ev *positions.Event, rec []byte) error
}

// Recover gives everything to into: first the accounts as of their last checkpoints, then the
// events since the mark. After that the journal is ready for Commit. It is called once, before
// anything else but Epoch. If it fails, nothing was written.
//
// A journal of format 1 becomes one of format 2 at the end of that, after a backup of it is made in
// its directory (see migrate.go).
//
// progress, which may be nil, is called after each account and each block. total is an estimate
// until done has reached it.
func (j *Journal) Recover(ctx context.Context, into Recovery, progress func(done, total uint64)) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.state != opened {
		return errors.New("the journal was recovered already, or is closed")
	}
	into.Use(j.table, j.idKey)
	blocks := j.openedAt.number - j.mark.number
	p := recoveryProgress{total: j.mark.accounts + blocks, report: progress}
	err := j.eachAccount(func(st *engine.AccountState) error {
		p.step(blocks)
		if err := ctx.Err(); err != nil {
			return err
		}
		return into.Load(st)
	})
	if err != nil {
		return err
	}
	p.total = p.done + blocks
	r := j.startReplay(into, runtime.GOMAXPROCS(0))
	reached, err := j.eachBlock(j.mark.blockID, func(number uint64, events *decoder, count int) error {
		p.step(0)
		return errors.Join(r.add(number, events, count), ctx.Err())
	})
	if earlier := r.finish(); earlier != nil {
		return earlier
	}
	if err != nil {
		return err
	}
	if reached != j.openedAt {
		return j.damage(fmt.Sprintf("commit %d", reached.number),
			fmt.Errorf("there should be %d commits", j.openedAt.number))
	}
	if err := j.endOfRecovery(); err != nil {
		return err
	}
	if j.migrates() {
		if err := j.backUpFormatOne(); err != nil {
			return err
		}
	}
	if err := j.begin(); err != nil {
		return fmt.Errorf("the journal in %s cannot be written: %w", j.dir, err)
	}
	j.startWork()
	return nil
}

// startWork starts the goroutines that Close ends.
func (j *Journal) startWork() {
	j.newest = j.openedAt
	j.committed.Store(j.openedAt.number)
	j.synced.Store(j.openedAt.number)
	j.state = running
	j.measures.checkpointAt.Store(time.Now().UnixNano()) // the first is due from now on
	j.serving.Store(true)
	j.checkDisk(false)
	j.workers.Add(2)
	go j.commitBlocks()
	go j.watchDisk()
	if j.o.Mode == Interval {
		j.workers.Add(1)
		go j.syncBlocks()
	}
}

type recoveryProgress struct {
	done, total uint64
	report      func(done, total uint64)
}

// step counts one more step done; at least left more will follow.
func (p *recoveryProgress) step(left uint64) {
	p.done++
	p.total = max(p.total, p.done+left)
	if p.report != nil {
		p.report(p.done, p.total)
	}
}
