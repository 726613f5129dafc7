package engine

import (
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/papertape/papertape/engine/owner"
	"github.com/papertape/papertape/pace"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/record"
)

// stepRequestsMax is the largest number of requests that share a commit and a round of writes.
const stepRequestsMax = 1024

// shard holds a part of the accounts. Everything that concerns them comes through its mailbox.
type shard struct {
	eng         *Engine
	drainFunc   func() // the method value drain, made once so that submitting it does not allocate
	keeps       bool   // Journal.Keeps
	unstoredMax int64  // if keeps: bytes of records that may be without a checkpoint
	idsMax      int    // order ids remembered per account
	// set by Use, before the first event
	table *record.Table
	idKey record.IDKey

	mu sync.Mutex
	// Shared, guarded by mu.
	inbox   []Request // at most InboxOrdersMax; the drainer may be working on as many again
	control []item    // at most two per connection, queriesMax of the process itself, and one of a checkpoint
	armed   bool      // a drainer is running or has been submitted
	stopped bool      // no drainer will start any more

	takes    uint64    // how often a drainer has looked into the mailbox
	settlers []settler // calls of Settle that wait for a later look

	spareInbox   []Request // empty; returned by the drainer, to be filled next
	spareControl []item

	// Read by any goroutine.
	stats    shardStats
	measures measures

	// Owned by the drainer; before the first request by the goroutine that loads and replays, and
	// after Stop by the one that calls Books. A drain may run on any goroutine of the pool, so each
	// drain takes ownership and gives it back.
	drainer   owner.Goroutine
	book      *positions.Book
	accounts  map[uint64]*account
	highest   uint64   // the largest number in accounts
	last      *account // the last one looked up
	memory    memory
	dirty     dirty
	publisher Publisher
	step      step
}

// account is what the engine keeps of an account beside its book. The drainer of its shard owns it.
type account struct {
	number   uint64
	tail     tail
	live     []*Session   // every event is pushed to these
	sessions int          // logged in: live or catching up
	pace     pace.Limiter // limits its orders, on the clock of Config.Elapsed
	ids      *orderIDs    // nil until an order with an id has been executed
	copied   uint64       // newest event that a checkpoint has copied, even if the checkpoint failed
	dirty    bool         // has newer events, and so is in shard.dirty.accounts
}

// shardStats are counters since the start. The drainer updates them once per step.
type shardStats struct {
	requests, events, refused, steps  atomic.Uint64
	rateLimited, historyBusy, dropped atomic.Uint64
	busy, readOnly                    atomic.Uint64
	unstored                          atomic.Int64 // current size of the records that no checkpoint has stored
	historyEvents, historyBytes       atomic.Int64 // current; of the tails
	_                                 [4]uint64    // keeps the next shard's counters on another cache line
}

// submit puts as many requests as fit into the inbox and returns how many that were.
func (s *shard) submit(requests []Request) int {
	s.mu.Lock()
	n := min(len(requests), s.eng.cfg.InboxOrdersMax-len(s.inbox))
	if n <= 0 || s.stopped {
		s.mu.Unlock()
		return 0
	}
	s.inbox = append(s.inbox, requests[:n]...)
	s.arm()
	return n
}

// arm makes sure that a drainer runs. It unlocks mu.
func (s *shard) arm() {
	armed := s.armed
	s.armed = true
	if !armed {
		s.eng.busy.Add(1)
		s.eng.drains.Add(1)
	}
	s.mu.Unlock()
	if !armed {
		s.eng.execute(s.drainFunc)
	}
}

// stop makes the running drainer end, if there is one, and prevents another from starting.
func (s *shard) stop() {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
}

// take takes everything out of the mailbox, or disarms the shard if the mailbox is empty or the
// shard has been stopped. inbox and lane are the slices taken before, returned to be filled again.
func (s *shard) take(inbox []Request, lane []item) ([]Request, []item, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if inbox != nil {
		s.spareInbox = inbox[:0]
	}
	if lane != nil {
		s.spareControl = lane[:0]
	}
	rests := len(s.inbox) == 0 && len(s.control) == 0 || s.stopped
	s.takes++
	if len(s.settlers) > 0 {
		s.settled(rests)
	}
	if rests {
		s.armed = false
		s.eng.busy.Add(-1)
		return nil, nil, false
	}
	inbox, lane = s.inbox, s.control
	s.inbox, s.control = s.spareInbox, s.spareControl
	s.spareInbox, s.spareControl = nil, nil
	return inbox, lane, true
}

// drain runs steps until the mailbox is empty. Nothing else runs on the pool.
func (s *shard) drain() {
	defer s.eng.drains.Done()
	defer func() {
		if p := recover(); p != nil {
			s.eng.fatal(fmt.Errorf("shard: panic outside of a decision, the books can no longer be trusted: %v\n%s",
				p, debug.Stack()))
		}
	}()
	inbox, lane, ok := s.take(nil, nil)
	for ; ok; inbox, lane, ok = s.take(inbox, lane) {
		s.drainer.Take() // not for the whole drain: once take has disarmed the shard, the next drainer may start
		s.runSteps(inbox, lane)
		s.drainer.Release()
	}
}

// runSteps serves what was taken from the mailbox.
func (s *shard) runSteps(inbox []Request, lane []item) {
	n := min(len(inbox), stepRequestsMax)
	if n > 0 {
		s.step.first = inbox[0].Asked
	}
	s.runStep(inbox[:n], lane)
	for rest := inbox[n:]; len(rest) > 0; rest = rest[n:] {
		n = min(len(rest), stepRequestsMax)
		s.runStep(rest[:n], nil)
	}
	clear(lane) // a spare slice must not keep sessions and pages alive
	for i := range inbox {
		inbox[i].Session, inbox[i].Decider = nil, nil
	}
}

// find returns the account, or nil if there is none.
func (s *shard) find(number uint64) *account {
	s.drainer.Check()
	if s.last != nil && s.last.number == number {
		return s.last
	}
	a := s.accounts[number]
	if a != nil {
		s.last = a
	}
	return a
}
