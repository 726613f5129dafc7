package engine

import (
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/papertape/papertape/positions"
)

// reads bounds the reads of history outside the drainers. A read holds a slot from its start until
// the drainer has used its result. So there are at most HistoryReadsMax readers at work, and at
// most that many results in control lanes, however many sessions come back at once. A read that
// waits for a slot has no goroutine and no buffer, and is cancelled when its session ends.
type reads struct {
	eng      *Engine
	slotsMax int

	mu      sync.Mutex
	slots   int         // how many exist
	free    []*readSlot // not in use
	waiting read        // root of the ring of waiting reads; waiting.next has waited longest
}

// readSlot holds the result of one read.
type readSlot struct{ events []positions.Event }

// read is a read of history. fetch fills the slot and posts it to the shard, on a goroutine of its
// own.
type read struct {
	fetch      func(*readSlot)
	prev, next *read // while it waits; guarded by reads.mu
}

func (r *reads) init(eng *Engine, slotsMax int) {
	r.eng, r.slotsMax = eng, slotsMax
	r.waiting.prev, r.waiting.next = &r.waiting, &r.waiting
}

// acquire returns a slot, or nil if all are in use. r.mu must be held.
func (r *reads) acquire() *readSlot {
	if n := len(r.free); n > 0 {
		slot := r.free[n-1]
		r.free = r.free[:n-1]
		return slot
	}
	if r.slots == r.slotsMax {
		return nil
	}
	r.slots++
	return new(readSlot)
}

// enqueue starts rd as soon as there is a slot.
func (r *reads) enqueue(rd *read) {
	r.eng.busy.Add(1)
	r.mu.Lock()
	slot := r.acquire()
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

// tryStart starts rd if there is a slot now.
func (r *reads) tryStart(rd *read) bool {
	r.mu.Lock()
	slot := r.acquire()
	r.mu.Unlock()
	if slot == nil {
		return false
	}
	r.eng.busy.Add(1)
	r.start(rd, slot)
	return true
}

// cancel removes a read that still waits for a slot.
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

// release gives a slot back. The read that has waited longest gets it.
func (r *reads) release(slot *readSlot) {
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

// start is called by drainers only. So no read starts any more once all drainers have ended.
func (r *reads) start(rd *read, slot *readSlot) {
	e := r.eng
	e.readers.Go(func() {
		defer e.busy.Add(-1) // after the result has been posted, which is counted separately
		defer func() {
			if p := recover(); p != nil {
				e.fatal(fmt.Errorf("journal: panic while reading history: %v\n%s", p, debug.Stack()))
			}
		}()
		rd.fetch(slot)
	})
}

// read fills the slot with up to limit events of account, from sequence from on.
func (e *Engine) read(slot *readSlot, account, from uint64, limit int) error {
	events, err := e.cfg.Journal.Read(slot.events[:0], account, from, limit)
	if err != nil {
		slot.events = slot.events[:0]
		return err
	}
	slot.events = events
	return nil
}
