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

	// Replay sends an event from history to a session that is catching up: as EVENT, or, where id is not 0, as the
	// EXECUTION that answers that request. It returns false, and sends nothing, if what waits to be written to the session
	// would pass the size of a piece; then, and only then, the outlet calls Engine.CatchUp once all of it has been written.
	Replay(ev *positions.Event, s *Session, id uint64, replay bool) bool

	// Answer answers a request: each one once, but for those that Event or Replay answer with an EXECUTION. It moves
	// no cursor.
	Answer(a Answer)

	// Lost ends a session whose next event is no longer kept: the client comes back and starts from a snapshot.
	Lost(s *Session)

	// Flush is called at the end of each step: what was said has to reach the event loops now.
	Flush()
}

// Answer is the answer to a request of a session. Which fields are set depends on Kind.
type Answer struct {
	Kind    AnswerKind
	Failure Failure // AnswerFailed, AnswerLoginRefused
	Session *Session
	ID      uint64 // of the request

	Order    *positions.Order    // AnswerRefused; AnswerFailed where it is one
	Refusal  positions.Refusal   // AnswerRefused
	Event    *positions.Event    // AnswerRepeat
	Decider  Decider             // AnswerDeclined
	Holdings *positions.Holdings // AnswerHoldings
	History  []*positions.Event  // AnswerHistory: newest first
	Oldest   uint64              // AnswerHistory: the oldest sequence kept, 0 if there is none
	Account  uint64              // AnswerLoginRefused: asked for
	Login    *LoginReply         // AnswerLoggedIn
}

// AnswerKind says what an Answer says.
type AnswerKind uint8

// The kinds of answer.
const (
	AnswerRepeat       AnswerKind = iota + 1 // an order was executed before: its first execution
	AnswerRefused                            // the book refused an order
	AnswerFailed                             // the request failed for another reason
	AnswerDeclined                           // a Decider made no order
	AnswerHoldings                           // to a query
	AnswerHistory                            // to a query
	AnswerLoggedIn                           // a session has begun
	AnswerLoginRefused                       // it has not
)

// Failure is why a request failed that the book had no say in.
type Failure uint8

// The failures.
const (
	FailureUnknownAccount   Failure = iota + 1 // no such account
	FailureTooManySessions                     // the account has as many sessions as it may
	FailureDuplicateOrderID                    // the order id was used for an order with other content
	FailureOrderIDClash                        // the order id has the hash of another one, and cannot be told from it any more
	FailureInternal                            // a defect of the server; the order was not executed
	FailureHistoryBusy                         // too many reads of history are under way
	FailureUncheckpointed                      // too many events are not checkpointed; the order was not executed
	FailureRateLimited                         // the account sent more orders than it may
	FailureReadOnly                            // no orders at the moment: the journal has no room
)
