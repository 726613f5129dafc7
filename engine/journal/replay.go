package journal

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

const (
	batchEvents   = 1024 // large enough that waking a lane costs nothing compared with replaying a batch
	recordBytes   = 80   // about what a record takes; a batch grows if it is more
	replayBatches = 4    // in circulation; some 500 KB together
)

// errNoMore ends the reading after a lane has failed to replay an event.
var errNoMore = errors.New("what was read before could not be replayed")

// replay replays events on several goroutines (lanes) while the reader reads further blocks: decoding
// and replaying take longer than reading.
//
// Events are passed in batches, of which there are replayBatches. Every lane gets every batch
// and takes the events of its own shards, so the events of an account stay in order. When the
// last lane is done with a batch it can be filled again; while none is free, the reader waits.
type replay struct {
	s       *store
	into    Recovery
	lanes   []*lane
	running sync.WaitGroup // the lanes' goroutines, which finish ends
	failed  atomic.Bool    // whether a lane has failed
	free    chan *batch    // has room for all batches

	// Owned by the reader.
	filling *batch
	count   uint64 // events in the batches handed out so far
}

// batch is owned by the reader until it is handed out. Then the lanes share it, and only read
// it.
type batch struct {
	records []byte       // one behind the other
	ends    []int        // where the record of each event ends
	commits []uint64     // the commit of each event
	lanes   []int        // the lane of each event
	first   uint64       // number of events in earlier batches
	left    atomic.Int32 // lanes that are not done with it
}

// lane replays the events of a part of the shards on one goroutine.
type lane struct {
	number  int
	batches chan *batch // has room for all batches

	// Owned by the goroutine until it has ended.
	at  uint64 // position of its current event among all events
	ev  positions.Event
	err error // its first error, after which it replays nothing
}

// startReplay starts a replay on the given number of lanes, at least one. The caller must call
// finish.
func (s *store) startReplay(into Recovery, lanes int) *replay {
	r := &replay{s: s, into: into, free: make(chan *batch, replayBatches)}
	for range replayBatches {
		r.free <- &batch{
			records: make([]byte, 0, batchEvents*recordBytes),
			ends:    make([]int, 0, batchEvents),
			commits: make([]uint64, 0, batchEvents),
			lanes:   make([]int, 0, batchEvents),
		}
	}
	r.filling = <-r.free
	for i := range lanes {
		l := &lane{number: i, batches: make(chan *batch, replayBatches)}
		r.lanes = append(r.lanes, l)
		r.running.Add(1)
		go r.replayLane(l)
	}
	return r
}

// add passes the events of a commit on to the lanes.
func (r *replay) add(commit uint64, events *decoder, count int) error {
	for range count {
		if len(r.filling.ends) == batchEvents {
			r.handOut()
		}
		if r.failed.Load() {
			return errNoMore
		}
		b := r.filling
		begin := len(b.records)
		if b.records = events.appendRecord(b.records); events.Err != nil {
			return events.Err
		}
		account, _, err := record.Head(b.records[begin:])
		if err != nil {
			return err
		}
		b.ends = append(b.ends, len(b.records))
		b.commits = append(b.commits, commit)
		b.lanes = append(b.lanes, r.into.ShardOf(account)%len(r.lanes))
	}
	return events.End()
}

// handOut gives the current batch to the lanes, and takes another to fill.
func (r *replay) handOut() {
	b := r.filling
	b.first = r.count
	r.count += uint64(len(b.ends))
	b.left.Store(int32(len(r.lanes)))
	for _, l := range r.lanes {
		l.batches <- b
	}
	r.filling = <-r.free
	next := r.filling
	next.records, next.ends = next.records[:0], next.ends[:0]
	next.commits, next.lanes = next.commits[:0], next.lanes[:0]
}

// finish waits until all events that were added are replayed, and returns the error of the
// first event that could not be. When one lane fails, lanes that are behind it go on, so it
// really is the first.
func (r *replay) finish() error {
	r.handOut()
	for _, l := range r.lanes {
		close(l.batches)
	}
	r.running.Wait()
	var first *lane
	for _, l := range r.lanes {
		if l.err != nil && (first == nil || l.at < first.at) {
			first = l
		}
	}
	if first == nil {
		return nil
	}
	return first.err
}

// replayLane is the goroutine of a lane.
func (r *replay) replayLane(l *lane) {
	defer r.running.Done()
	for b := range l.batches {
		if l.err == nil {
			l.err = r.apply(l, b)
		}
		if l.err != nil {
			r.failed.Store(true)
		}
		if b.left.Add(-1) == 0 {
			r.free <- b
		}
	}
}

func (r *replay) apply(l *lane, b *batch) (err error) {
	defer r.s.contain("the commits", &err)
	begin := 0
	for i, number := range b.lanes {
		rec := b.records[begin:b.ends[i]:b.ends[i]]
		begin = b.ends[i]
		if number != l.number {
			continue
		}
		l.at = b.first + uint64(i)
		err := r.s.table.Decode(rec, &l.ev)
		if err == nil {
			err = r.into.Replay(&l.ev, rec)
		}
		if err != nil {
			return r.s.damageUnlessCanceled(fmt.Sprintf("commit %d", b.commits[i]), err)
		}
	}
	return nil
}
