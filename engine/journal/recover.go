package journal

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/papertape/papertape/engine"
	"github.com/papertape/papertape/positions"
)

// Recovery is what a journal is recovered into: *engine.Engine. What it is given is its own only until it returns. Accounts are
// loaded one after the other; then events are replayed, those of one shard in order, those of different shards at once.
type Recovery interface {
	Load(*engine.AccountState) error
	ShardOf(account uint64) int
	Replay(*positions.Event) error
}

// Recover gives everything to into, the accounts as of their checkpoints first and then the events since the mark, and makes
// the journal ready for Commit. progress, which may be nil, is called after each account and block; total is an estimate
// until done has reached it. It is called once, before anything but Epoch. Where it fails nothing was written.
func (j *Journal) Recover(ctx context.Context, into Recovery, progress func(done, total uint64)) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.state != opened {
		return errors.New("the journal was recovered already, or is closed")
	}
	blocks := j.start.number - j.mark.number
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
	r := j.replayInto(into, runtime.GOMAXPROCS(0))
	reached, err := j.eachBlock(j.mark.place, func(number uint64, events *decoder, count int) error {
		p.step(0)
		return errors.Join(r.read(number, events, count), ctx.Err())
	})
	if earlier := r.end(); earlier != nil {
		return earlier
	}
	if err != nil {
		return err
	}
	if reached != j.start {
		return j.damage(fmt.Sprintf("commit %d", reached.number), fmt.Errorf("there should be %d commits", j.start.number))
	}
	if err := j.recoveredWell(); err != nil {
		return err
	}
	if err := j.begin(); err != nil {
		return fmt.Errorf("the journal in %s cannot be written: %w", j.dir, err)
	}
	j.startWork()
	return nil
}

// startWork starts the goroutines that Close ends.
func (j *Journal) startWork() {
	j.newest = j.start
	j.committed.Store(j.start.number)
	j.synced.Store(j.start.number)
	j.state = running
	j.serving.Store(true)
	j.watchOnce(false)
	j.workers.Add(2)
	go j.commitBlocks()
	go j.watch()
	if j.o.Mode == Interval {
		j.workers.Add(1)
		go j.syncBlocks()
	}
}

type recoveryProgress struct {
	done, total uint64
	report      func(done, total uint64)
}

// step counts one more, of which there are at least left to come.
func (p *recoveryProgress) step(left uint64) {
	p.done++
	p.total = max(p.total, p.done+left)
	if p.report != nil {
		p.report(p.done, p.total)
	}
}
