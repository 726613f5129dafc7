package journal

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/papertape/papertape/positions"
)

const (
	batchEvents   = 1024 // so many that waking a lane costs nothing beside replaying them
	replayBatches = 4    // of one replay: some 2 MB
)

// errNoMore ends the reading, since a lane met what it could not replay.
var errNoMore = errors.New("what was read before could not be replayed")

// replay gives events to what is recovered, beside whoever reads and decodes them: that takes longer than reading.
//
// Events lie in batches, of which there are replayBatches. Every lane is given every batch and takes what is of its shards, so
// that the events of an account stay in order. When the last lane has done with a batch it is filled again; as long as there is
// none, the reader waits.
type replay struct {
	s       *store
	into    Recovery
	lanes   []*lane
	running sync.WaitGroup // the lanes' goroutines, which end ends
	failed  atomic.Bool    // a lane has
	free    chan *batch    // room for all there are

	// Owned by the reader.
	filling *batch
	count   uint64 // events in the batches handed out
}

// batch belongs to the reader until it is handed to the lanes, which only read it.
type batch struct {
	events  []positions.Event
	commits []uint64 // of each event
	lanes   []int    // of each event
	first   uint64   // how many events there were before
	left    atomic.Int32
}

// lane is the share of the shards that one goroutine replays.
type lane struct {
	number  int
	batches chan *batch // room for all there are

	// Owned by the goroutine until it has ended.
	at  uint64 // how many events there were before the one that it is at
	err error  // the first there was; it took no more
}

// replayInto begins a replay over so many lanes, at least one. It must be ended.
func (s *store) replayInto(into Recovery, lanes int) *replay {
	r := &replay{s: s, into: into, free: make(chan *batch, replayBatches)}
	for range replayBatches {
		r.free <- &batch{
			events: make([]positions.Event, 0, batchEvents), commits: make([]uint64, 0, batchEvents), lanes: make([]int, 0, batchEvents),
		}
	}
	r.filling = <-r.free
	for i := range lanes {
		l := &lane{number: i, batches: make(chan *batch, replayBatches)}
		r.lanes = append(r.lanes, l)
		r.running.Add(1)
		go r.run(l)
	}
	return r
}

// read decodes the events of a commit and has them replayed.
func (r *replay) read(commit uint64, events *decoder, count int) error {
	for range count {
		if len(r.filling.events) == batchEvents {
			r.handOut()
		}
		if r.failed.Load() {
			return errNoMore
		}
		b := r.filling
		n := len(b.events)
		ev := &b.events[:n+1][n]
		if events.event(ev); events.err != nil {
			return events.err
		}
		b.events = b.events[:n+1]
		b.commits = append(b.commits, commit)
		b.lanes = append(b.lanes, r.into.ShardOf(ev.Account)%len(r.lanes))
	}
	return events.end()
}

// handOut gives the batch that is being filled to the lanes, and begins another.
func (r *replay) handOut() {
	b := r.filling
	b.first = r.count
	r.count += uint64(len(b.events))
	b.left.Store(int32(len(r.lanes)))
	for _, l := range r.lanes {
		l.batches <- b
	}
	r.filling = <-r.free
	r.filling.events, r.filling.commits, r.filling.lanes = r.filling.events[:0], r.filling.commits[:0], r.filling.lanes[:0]
}

// end has everything replayed that was read, and returns what is wrong with the first event that could not be. Lanes are at
// different events when one of them fails; those behind go on, so that it is the first indeed.
func (r *replay) end() error {
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

func (r *replay) run(l *lane) {
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
	for i, of := range b.lanes {
		if of != l.number {
			continue
		}
		l.at = b.first + uint64(i)
		if err := r.into.Replay(&b.events[i]); err != nil {
			return r.s.place(fmt.Sprintf("commit %d", b.commits[i]), err)
		}
	}
	return nil
}
