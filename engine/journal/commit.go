package journal

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/papertape/papertape/positions"
)

const (
	queueCommitsMax = 256       // commits waiting for the committer; the next one waits for a place
	blockBytesMax   = 4 << 20   // a block takes no more commits once it has so many bytes
	requestKeepMax  = 256 << 10 // a larger buffer of a request is not kept for the next
)

// request is a commit on its way to the committer. The shard that makes it encodes its events itself.
type request struct {
	encoded []byte
	events  int
	done    chan struct{} // holds one
}

var requests = sync.Pool{New: func() any { return &request{done: make(chan struct{}, 1)} }}

func (r *request) release() {
	if cap(r.encoded) > requestKeepMax {
		r.encoded = nil
	}
	r.encoded, r.events = r.encoded[:0], 0
	requests.Put(r)
}

// Commit returns when the events are in a block that is on the disk (Sync) or written (Interval). Any number of goroutines
// may call it; events of one account must come in sequence. It keeps nothing of the slice.
func (j *Journal) Commit(events []positions.Event) error {
	if len(events) == 0 {
		return nil
	}
	j.mu.RLock()
	defer j.mu.RUnlock()
	if err := j.usable(); err != nil {
		return err
	}
	r := requests.Get().(*request)
	for i := range events {
		r.encoded = j.l.appendEvent(r.encoded, &events[i])
	}
	r.events = len(events)
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

// usable is called under mu. What begins after a failure must not reach the disk: nobody would be told.
func (j *Journal) usable() error {
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

// commitBlocks is the committer: it takes what is ready, makes one block of it, and releases those who wait.
func (j *Journal) commitBlocks() {
	defer j.workers.Done()
	ready := make([]*request, 0, queueCommitsMax)
	for r := range j.queue {
		ready = append(ready[:0], r)
		size := len(r.encoded)
		for more := true; more && size < blockBytesMax; {
			select {
			case r, ok := <-j.queue:
				if more = ok; ok {
					ready = append(ready, r)
					size += len(r.encoded)
				}
			default:
				more = false
			}
		}
		j.commitBlock(ready, size)
		clear(ready)
	}
}

// commitBlock writes a block of the encoded events, size bytes in all. Where that fails it does not return, so that nobody
// is released.
func (j *Journal) commitBlock(ready []*request, size int) {
	events := 0
	for _, r := range ready {
		events += r.events
	}
	head := block{before: j.newest.hash, synced: j.synced.Load(), count: uint64(events)}
	var headBytes [blockHeadMax]byte
	encodedHead := head.append(headBytes[:0])

	b := j.db.NewBatchWithSize(size + blockHeadMax + 64) // and the batch's own head
	op := b.SetDeferred(blockKeyBytes, len(encodedHead)+size)
	number := j.newest.number + 1
	op.Key[0] = keyBlock
	binary.BigEndian.PutUint64(op.Key[1:], number)
	rest := op.Value[copy(op.Value, encodedHead):]
	for _, r := range ready {
		rest = rest[copy(rest, r.encoded):]
	}
	sealValue(op.Key, op.Value)
	newest := place{number, blockHash(number, op.Value)}
	err := op.Finish()
	if err == nil {
		err = j.commit(b)
	}
	if err == nil {
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
	j.count(events, size)
	for _, r := range ready {
		r.done <- struct{}{}
	}
}

// commit has a batch written, and in mode Sync on the disk.
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

// count asks for a checkpoint when there is enough for one.
func (j *Journal) count(events, size int) {
	j.events.Add(uint64(events))
	j.bytes.Add(uint64(size))
	if j.sinceMark.Add(uint64(events)) >= j.o.CheckpointEvents {
		select {
		case j.due <- struct{}{}:
		default:
		}
	}
}

// syncBlocks is the syncer of mode Interval. It is not the committer, so that commits go on during a sync.
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
		if err := j.syncWritten(); err != nil {
			j.fail(err)
		}
	}
}

// syncWritten brings to the disk what was committed up to now.
func (j *Journal) syncWritten() error {
	number := j.committed.Load()
	if number == j.synced.Load() {
		return nil
	}
	if err := j.db.LogData(nil, pebble.Sync); err != nil { // a sync in Pebble's log covers what was written before
		return err
	}
	j.raiseSynced(number)
	return nil
}

func (j *Journal) raiseSynced(number uint64) {
	for {
		before := j.synced.Load()
		if number <= before || j.synced.CompareAndSwap(before, number) {
			return
		}
	}
}
