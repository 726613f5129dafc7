package engine

import (
	"sync/atomic"

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

// ResumeMode says how a session begins. Its values are those of the wire.
type ResumeMode uint8

// How a session begins.
const (
	ModeSnapshot ResumeMode = 1 // the state now, then live events
	ModeResume   ResumeMode = 2 // the events after a sequence, then live ones
	ModeRestart  ResumeMode = 3 // every event kept, then live ones
	ModeQuick    ResumeMode = 4 // live events only
)

// Login is a request to begin a session.
type Login struct {
	ID      uint64 // of the request
	Account uint64
	Mode    ResumeMode
	LastSeq uint64 // ModeResume
	Epoch   uint64 // ModeResume
}

// LoginReply is the answer to a login.
type LoginReply struct {
	Account   uint64
	HeadSeq   uint64
	OldestSeq uint64
	After     uint64 // the sequence after which events follow: HeadSeq, unless some are replayed
	Epoch     uint64
	Mode      ResumeMode
	Resynced  bool
	Holdings  *positions.Holdings // ModeSnapshot
}

// Session is a logged-in connection as the engine knows it. The outlet makes it, and hands it in with every request.
type Session struct {
	// Peer is the outlet's own. Set before the login, constant after.
	Peer any

	inFlight atomic.Int32 // requests taken and not yet answered

	// Owned by the drainer of the account's shard.
	state   sessionState
	account *account
	catchup *catchup // while catching up
}

type sessionState uint8

const (
	sessionOut      sessionState = iota // not logged in (yet, or any more)
	sessionCatching                     // has a cursor; not in the live list
	sessionLive                         // in the live list
)

// catchup is what a session needs until it is live.
type catchup struct {
	cursor   uint64   // last sequence handed to the outlet
	replayTo uint64   // frames up to here carry REPLAY
	owed     []owed   // its own orders executed meanwhile, by sequence; bounded by the requests in flight
	holdings []uint64 // ids of HOLDINGS to answer when it joins; bounded likewise
	reading  *read    // waits its turn, or is under way
}

// owed is an execution that the replay has to send in its place.
type owed struct{ seq, id uint64 }

// Begin counts a request of the session as taken, unless max are in flight already.
func (s *Session) Begin(max int) bool {
	if s.inFlight.Add(1) > int32(max) {
		s.inFlight.Add(-1)
		return false
	}
	return true
}

// End counts a request as answered. The engine calls it for each request that it accepted.
func (s *Session) End() { s.inFlight.Add(-1) }

// InFlight returns how many requests are taken and not yet answered.
func (s *Session) InFlight() int { return int(s.inFlight.Load()) }
