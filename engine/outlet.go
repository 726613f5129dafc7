package engine

import (
	"github.com/papertape/papertape/positions"
)

// Outlet is where answers and pushes leave the engine: the gateway, or a fake in tests.
type Outlet interface {
	// Publisher is called once per shard, before the first request.
	Publisher() Publisher
}

// Publisher takes what one shard has to say. Only the shard's drainer calls it, so it needs no locks of its own. It must not
// block and must keep no pointer that it is given, sessions excepted: what they point at is used again after the call.
type Publisher interface {
	// Event sends an executed event to the live sessions of its account: to owner, where it is one of them, as the
	// EXECUTION that answers its request id, to the others as EVENT.
	Event(ev *positions.Event, live []*Session, owner *Session, id uint64)

	// Repeat answers an order that was executed before with its first execution. It moves no cursor.
	Repeat(ev *positions.Event, s *Session, id uint64)

	// Replay sends an event from history to a session that is catching up: as EVENT, or, where id is not 0, as the
	// EXECUTION that answers that request. It returns false, and sends nothing, if what waits to be written to the session
	// would pass the size of a piece; then, and only then, the outlet calls Engine.CatchUp once all of it has been written.
	Replay(ev *positions.Event, s *Session, id uint64, replay bool) bool

	// LoggedIn answers a login.
	LoggedIn(s *Session, id uint64, r *LoginReply)

	// LoginRefused answers a login that did not succeed.
	LoginRefused(s *Session, id uint64, account uint64, f Failure)

	// Holdings answers a query.
	Holdings(h *positions.Holdings, s *Session, id uint64)

	// History answers a query, newest event first. oldest is the oldest sequence kept, 0 if there is none.
	History(events []*positions.Event, oldest uint64, s *Session, id uint64)

	// Refused answers an order that the book refused.
	Refused(o *positions.Order, r positions.Refusal, s *Session, id uint64)

	// Failed answers a request that failed for another reason.
	Failed(s *Session, id uint64, o *positions.Order, f Failure)

	// Declined answers a request whose decider made no order.
	Declined(d Decider, s *Session, id uint64)

	// Lost ends a session whose next event is no longer kept: the client comes back and starts from a snapshot.
	Lost(s *Session)

	// Flush is called at the end of each step: what was said has to reach the event loops now.
	Flush()
}

// Failure is why a request failed that the book had no say in.
type Failure uint8

// The failures.
const (
	FailureUnknownAccount   Failure = iota + 1 // no such account
	FailureTooManySessions                     // the account has as many sessions as it may
	FailureDuplicateOrderID                    // the order id was used for an order with other content
	FailureOrderIDClash                        // the order id has the hash of another one, and cannot be told from it any more
	FailureInternal                            // a defect of the server; the order was not executed
	FailureBusy                                // too many history reads are under way; of an order: too many events are not checkpointed
	FailureRateLimited                         // the account sent more orders than it may
	FailureReadOnly                            // no orders at the moment: the journal has no room
)
