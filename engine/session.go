package engine

import "sync/atomic"

// Session is a logged-in connection from the engine's point of view. The outlet creates it, and
// passes it in with every request.
type Session struct {
	// Peer belongs to the outlet. It is set before the login and constant afterwards.
	Peer any

	inFlight atomic.Int32 // requests accepted and not yet answered

	// Owned by the drainer of the account's shard.
	state   sessionState
	account *account
	catchup *catchup // nil unless it is catching up
}

type sessionState uint8

const (
	sessionOut      sessionState = iota // not logged in, or no longer
	sessionCatching                     // has a cursor; not in the live list
	sessionLive                         // in the live list
)

// Begin counts a request of the session as accepted, unless limit requests are in flight already.
func (s *Session) Begin(limit int) bool {
	if s.inFlight.Add(1) > int32(limit) {
		s.inFlight.Add(-1)
		return false
	}
	return true
}

// End counts a request as answered. The engine calls it for each request that it accepted.
func (s *Session) End() { s.inFlight.Add(-1) }

// InFlight returns how many requests are accepted and not yet answered.
func (s *Session) InFlight() int { return int(s.inFlight.Load()) }
