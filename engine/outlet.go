package engine

import (
	"github.com/papertape/papertape/positions"
)

// Outlet takes the engine's answers and pushes: the gateway, or a fake in tests.
type Outlet interface {
	// Publisher is called once per shard, before the first request.
	Publisher() Publisher
}

// Publisher takes the output of one shard. Only the shard's drainer calls it, so it needs no locks
// of its own. It must not block, and may keep no pointer that it is given except sessions: the
// engine reuses the memory after the call.
type Publisher interface {
	// Event sends an executed event to the live sessions of its account: as the EXECUTION that
	// answers request id to owner, if owner is one of them, and as an EVENT to the others.
	Event(ev *positions.Event, live []*Session, owner *Session, id uint64)

	// Replay sends an event from history to a session that is catching up: as an EVENT, or, if id
	// is not 0, as the EXECUTION that answers that request. If the data waiting to be written to
	// the session would exceed the size of a piece, it sends nothing and returns false. Then, and
	// only then, the outlet calls Engine.CatchUp once all of that data has been written.
	Replay(ev *positions.Event, s *Session, id uint64, replay bool) bool

	// Answer answers a request. Each request gets one answer, except those that Event or Replay
	// answer with an EXECUTION. It moves no cursor.
	Answer(a Answer)

	// Lost ends a session whose next event is no longer kept. The client comes back and starts from
	// a snapshot.
	Lost(s *Session)

	// Timed says of what is sent next when its events were decided and when its request was read, by
	// tally.Now, for the outlet to measure how long they take to their sockets. 0: that is not
	// measured. What is read from history is not, whatever was said.
	Timed(decided, asked int64)

	// Flush is called at the end of each step: the output so far must reach the event loops now.
	Flush()
}

// Answer is the answer to a request of a session. Which fields are set depends on Kind.
type Answer struct {
	Kind    AnswerKind
	Failure Failure // AnswerFailed, AnswerLoginRefused
	Session *Session
	ID      uint64 // of the request

	Order    *positions.Order    // AnswerRefused; AnswerFailed if the request is an order
	Refusal  positions.Refusal   // AnswerRefused
	Event    *positions.Event    // AnswerRepeat
	Decider  Decider             // AnswerDeclined
	Holdings *positions.Holdings // AnswerHoldings
	History  []*positions.Event  // AnswerHistory: newest first
	Oldest   uint64              // AnswerHistory: the oldest sequence kept, 0 if there is none
	Account  uint64              // AnswerLoginRefused: the account of the login
	Login    *LoginReply         // AnswerLoggedIn
}

// AnswerKind is the kind of an Answer.
type AnswerKind uint8

// The kinds of answer.
const (
	AnswerRepeat       AnswerKind = iota + 1 // the order was executed before: its first execution
	AnswerRefused                            // the book refused the order
	AnswerFailed                             // the request failed for another reason
	AnswerDeclined                           // a Decider made no order
	AnswerHoldings                           // the answer to a query
	AnswerHistory                            // the answer to a query
	AnswerLoggedIn                           // the session has begun
	AnswerLoginRefused                       // the session has not begun
)

// Failure is why a request failed for a reason other than a refusal of the book.
type Failure uint8

// The failures.
const (
	FailureUnknownAccount   Failure = iota + 1 // no such account
	FailureTooManySessions                     // the account has its maximum of sessions
	FailureDuplicateOrderID                    // the order id was used for an order with different content
	// the order id has the hash of another id and cannot be told from it any more
	FailureOrderIDClash
	FailureInternal       // a defect in the server; the order was not executed
	FailureHistoryBusy    // too many reads of history are under way
	FailureUncheckpointed // too many events are not checkpointed; the order was not executed
	FailureRateLimited    // the account exceeds its rate of orders
	FailureReadOnly       // no orders at the moment: the journal has no room
)
