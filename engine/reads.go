package engine

import (
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/papertape/papertape/positions"
)

// reads bounds the reads of history outside the drainers. A read holds a slot from its beginning until the drainer has used
// what was read. So no more than HistoryReadsMax readers are at work, and no more than as many results wait in control lanes,
// however many sessions come back at once. Those that wait their turn have no goroutine and no buffer, and leave with their
// session.
type reads struct {
	eng  *Engine
	most int

	mu      sync.Mutex
	slots   int         // made
	free    []*readSlot // made, and not in use
	waiting read        // root of the ring of those that wait; waiting.next is the one that has waited longest
}

// readSlot is room for what one reader reads.
type readSlot struct{ events []positions.Event }

// read is a read of history: run fills the slot and posts it to the shard, on a goroutine of its own.
type read struct {
	run        func(*readSlot)
	prev, next *read // while it waits; under reads.mu
}

func (r *reads) init(eng *Engine, most int) {
	r.eng, r.most = eng, most
	r.waiting.prev, r.waiting.next = &r.waiting, &r.waiting
}

// take returns a slot, or nil if all are in use. r.mu must be held.
func (r *reads) take() *readSlot {
	if n := len(r.free); n > 0 {
		slot := r.free[n-1]
		r.free = r.free[:n-1]
		return slot
	}
	if r.slots == r.most {
		return nil
	}
	r.slots++
	return new(readSlot)
}

// inTurn runs rd as soon as there is a slot.
func (r *reads) inTurn(rd *read) {
	r.eng.busy.Add(1)
	r.mu.Lock()
	slot := r.take()
	if slot == nil {
		last := r.waiting.prev
		rd.prev, rd.next = last, &r.waiting
		last.next, r.waiting.prev = rd, rd
	}
	r.mu.Unlock()
	if slot != nil {
		r.start(rd, slot)
	}
}

// try runs rd if there is a slot now.
func (r *reads) try(rd *read) bool {
	r.mu.Lock()
	slot := r.take()
	r.mu.Unlock()
	if slot == nil {
		return false
	}
	r.eng.busy.Add(1)
	r.start(rd, slot)
	return true
}

// cancel makes a read that still waits not happen.
func (r *reads) cancel(rd *read) {
	r.mu.Lock()
	waits := rd.next != nil
	if waits {
		rd.leave()
	}
	r.mu.Unlock()
	if waits {
		r.eng.busy.Add(-1)
	}
}

// leave takes rd out of the ring. reads.mu must be held.
func (rd *read) leave() {
	rd.prev.next, rd.next.prev = rd.next, rd.prev
	rd.prev, rd.next = nil, nil
}

// used gives a slot back. The read that has waited longest has it next.
func (r *reads) used(slot *readSlot) {
	r.mu.Lock()
	next := r.waiting.next
	if next == &r.waiting {
		r.free = append(r.free, slot)
		r.mu.Unlock()
		return
	}
	next.leave()
	r.mu.Unlock()
	r.start(next, slot)
}

// start is called by drainers only, so that none is started any more once they have all ended.
func (r *reads) start(rd *read, slot *readSlot) {
	e := r.eng
	e.readers.Go(func() {
		defer e.busy.Add(-1) // after the result was posted, which counts by itself
		defer func() {
			if p := recover(); p != nil {
				e.fatal(fmt.Errorf("journal: panic while reading history: %v\n%s", p, debug.Stack()))
			}
		}()
		rd.run(slot)
	})
}

// read fills the slot with up to limit events of account from a sequence.
func (e *Engine) read(slot *readSlot, account, from uint64, limit int) error {
	events, err := e.cfg.Journal.Read(slot.events[:0], account, from, limit)
	if err != nil {
		slot.events = slot.events[:0]
		return err
	}
	slot.events = events
	return nil
}
