package journal

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/papertape/papertape/tally"
)

const (
	queueCommitsMax = 256     // commits waiting for the committer; further ones block until there is room
	blockBytesMax   = 4 << 20 // a block of this size takes no further commits
)

// request is a commit on its way to the committer.
type request struct {
	records []byte // the caller's, who waits
	count   int
	done    chan struct{} // capacity 1
}

var requests = sync.Pool{New: func() any { return &request{done: make(chan struct{}, 1)} }}

func (r *request) release() {
	r.records, r.count = nil, 0
	requests.Put(r)
}

// Commit returns when the events are in a block that is on the disk (Sync) or written
// (Interval). records are count records by the ledger's table (see Recovery), one behind the other.
// It is safe for concurrent use, but events of one account must come in sequence. Without an error
// it does not keep the slice.
func (j *Journal) Commit(records []byte, count int) error {
	if count == 0 {
		return nil
	}
	j.mu.RLock()
	defer j.mu.RUnlock()
	if err := j.checkUsable(); err != nil {
		return err
	}
	r := requests.Get().(*request)
	r.records, r.count = records, count
	select {
	case j.queue <- r:
	case <-j.failed:
		return j.failure
	}
	select {
	case <-r.done:
		r.release()
		return nil
	case <-j.failed:
		return j.failure
	}
}

// checkUsable is called with mu held. Work that begins after a failure must not reach the disk,
// because nobody would be told of it.
func (j *Journal) checkUsable() error {
	select {
	case <-j.failed:
		return j.failure
	default:
	}
	switch j.state {
	case running:
		return nil
	case closed:
		return errClosed
	}
	return errNotRecovered
}

// commitBlocks is the committer: it takes all waiting commits, writes them as one block, and
// releases their callers.
func (j *Journal) commitBlocks() {
	defer j.workers.Done()
	ready := make([]*request, 0, queueCommitsMax)
	for r := range j.queue {
		ready = append(ready[:0], r)
		size := len(r.records)
		for more := true; more && size < blockBytesMax; {
			select {
			case r, ok := <-j.queue:
				if more = ok; ok {
					ready = append(ready, r)
					size += len(r.records)
				}
			default:
				more = false
			}
		}
		j.commitBlock(ready, size)
		clear(ready)
	}
}

// commitBlock writes a block of the records, size bytes in all. If that fails it does
// not return, so that nobody is released.
func (j *Journal) commitBlock(ready []*request, size int) {
	events := 0
	for _, r := range ready {
		events += r.count
	}
	head := block{before: j.newest.hash, synced: j.synced.Load(), count: uint64(events)}
	var headBytes [blockHeadMax]byte
	encodedHead := head.append(headBytes[:0])

	b := j.db.NewBatchWithSize(size + blockHeadMax + 64) // 64 for the batch's own head
	op := b.SetDeferred(blockKeyBytes, len(encodedHead)+size)
	number := j.newest.number + 1
	op.Key[0] = keyBlock
	binary.BigEndian.PutUint64(op.Key[1:], number)
	rest := op.Value[copy(op.Value, encodedHead):]
	for _, r := range ready {
		rest = rest[copy(rest, r.records):]
	}
	sealValue(op.Key, op.Value)
	newest := blockID{number, blockHash(number, op.Value)}
	err := op.Finish()
	if err == nil {
		err = j.commit(b)
	}
	if err == nil {
		j.measures.committed(b, events, j.o.Mode)
		err = b.Close()
	}
	if err != nil {
		j.fail(err)
	}
	j.newest = newest
	if j.o.Mode == Sync {
		j.synced.Store(number)
	}
	j.committed.Store(number)
	j.countEvents(events, size)
	for _, r := range ready {
		r.done <- struct{}{}
	}
}

// commit writes a batch, and in mode Sync syncs it.
func (j *Journal) commit(b *pebble.Batch) error {
	j.committing.Store(j.o.Mode == Sync)
	defer j.committing.Store(false)
	return b.Commit(j.writeOptions())
}

func (j *Journal) writeOptions() *pebble.WriteOptions {
	if j.o.Mode == Sync {
		return pebble.Sync
	}
	return pebble.NoSync
}

// countEvents updates the counters, and asks for a checkpoint when enough events have come.
func (j *Journal) countEvents(events, size int) {
	j.events.Add(uint64(events))
	j.bytes.Add(uint64(size))
	if j.sinceMark.Add(uint64(events)) >= j.o.CheckpointEvents {
		select {
		case j.checkpointDue <- struct{}{}:
		default:
		}
	}
}

// syncBlocks is the syncer of mode Interval. It is a goroutine of its own so that commits go on
// during a sync.
func (j *Journal) syncBlocks() {
	defer j.workers.Done()
	tick := time.NewTicker(j.o.SyncInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-j.stop:
			return // Close syncs
		}
		began := tally.Now()
		synced, err := j.syncWritten()
		if err != nil {
			j.fail(err)
		}
		if synced {
			j.measures.synced(time.Duration(tally.Now() - began))
		}
	}
}

// syncWritten syncs everything that has been committed so far. It returns false if that was synced already.
func (j *Journal) syncWritten() (synced bool, err error) {
	number := j.committed.Load()
	if number == j.synced.Load() {
		return false, nil
	}
	if err := j.db.LogData(nil, pebble.Sync); err != nil { // a sync of Pebble's log covers all earlier writes
		return false, err
	}
	j.raiseSynced(number)
	return true, nil
}

func (j *Journal) raiseSynced(number uint64) {
	for {
		before := j.synced.Load()
		if number <= before || j.synced.CompareAndSwap(before, number) {
			return
		}
	}
}
