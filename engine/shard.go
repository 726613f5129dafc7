package engine

import (
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/papertape/papertape/engine/owner"
	"github.com/papertape/papertape/pace"
	"github.com/papertape/papertape/positions"
)

// stepRequestsMax is how many requests share one commit and one round of writes.
const stepRequestsMax = 1024

// shard is a part of the accounts, with the mailbox through which all that concerns them comes.
type shard struct {
	eng         *Engine
	run         func() // drain, made once: submitting it allocates nothing
	keeps       bool   // the journal does
	unstoredMax int64  // events that may be without a checkpoint, where it does
	idsMax      int    // order ids remembered of an account

	mu sync.Mutex
	// Shared, under mu.
	inbox   []Request // at most InboxOrdersMax; as many again may be in the drainer's hands
	control []item    // at most two of a connection, those of the process itself (queriesMax), one of a checkpoint
	armed   bool      // a drainer is running or has been submitted
	stopped bool      // none will be any more

	spareInbox   []Request // empty; given back by the drainer to be filled next
	spareControl []item

	// Read by anyone.
	stats shardStats

	// Owned by the drainer; before the first request by whoever loads and replays, after Stop by whoever looks. A
	// drain hops between the goroutines of the pool, so each one takes them and gives them back.
	drainer   owner.Goroutine
	book      *positions.Book
	accounts  map[uint64]*account
	last      *account // the last one looked up
	memory    memory
	dirty     dirty
	publisher Publisher
	step      step
}

// account is what the engine keeps of an account beside its book. It belongs to the drainer of its shard.
type account struct {
	number   uint64
	tail     tail
	live     []*Session   // sessions that are pushed each event
	sessions int          // logged in: live or catching up
	pace     pace.Limiter // of its orders, in the time of Config.Elapsed
	ids      *orderIDs    // nil until an order with an id was executed
	copied   uint64       // newest event that a checkpoint has copied, whatever became of it
	dirty    bool         // has newer ones, and so is among the shard's dirty accounts
}

// shardStats count since the start. The drainer adds once a step.
type shardStats struct {
	requests, events, refused, steps  atomic.Uint64
	rateLimited, historyBusy, dropped atomic.Uint64
	busy, readOnly                    atomic.Uint64
	unstored                          atomic.Int64 // events that no checkpoint has stored: now
	_                                 [6]uint64    // the next shard's counters lie on another cache line
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

// arm unlocks mu, and sees to it that a drainer runs.
func (s *shard) arm() {
	armed := s.armed
	s.armed = true
	if !armed {
		s.eng.busy.Add(1)
		s.eng.drains.Add(1)
	}
	s.mu.Unlock()
	if !armed {
		s.eng.execute(s.run)
	}
}

// stop makes the drainer end, if there is one, and no other begin.
func (s *shard) stop() {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
}

// take swaps the mailbox out, or disarms the shard if it is empty or has been stopped. What was taken before is given back to be filled again.
func (s *shard) take(inbox []Request, lane []item) ([]Request, []item, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if inbox != nil {
		s.spareInbox = inbox[:0]
	}
	if lane != nil {
		s.spareControl = lane[:0]
	}
	if len(s.inbox) == 0 && len(s.control) == 0 || s.stopped {
		s.armed = false
		s.eng.busy.Add(-1)
		return nil, nil, false
	}
	inbox, lane = s.inbox, s.control
	s.inbox, s.control = s.spareInbox, s.spareControl
	s.spareInbox, s.spareControl = nil, nil
	return inbox, lane, true
}

// drain works until the mailbox is empty. It is the only thing that runs on the pool.
func (s *shard) drain() {
	defer s.eng.drains.Done()
	defer func() {
		if p := recover(); p != nil {
			s.eng.fatal(fmt.Errorf("shard: panic outside of a decision, the books can no longer be trusted: %v\n%s", p, debug.Stack()))
		}
	}()
	inbox, lane, ok := s.take(nil, nil)
	for ; ok; inbox, lane, ok = s.take(inbox, lane) {
		s.drainer.Take() // not the whole drain: as soon as take has disarmed the shard, the next drainer may begin
		s.runSteps(inbox, lane)
		s.drainer.Release()
	}
}

// runSteps serves what was taken from the mailbox.
func (s *shard) runSteps(inbox []Request, lane []item) {
	n := min(len(inbox), stepRequestsMax)
	s.runStep(inbox[:n], lane)
	for rest := inbox[n:]; len(rest) > 0; rest = rest[n:] {
		n = min(len(rest), stepRequestsMax)
		s.runStep(rest[:n], nil)
	}
	clear(lane) // sessions and pages must not outlive their service in a spare slice
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
