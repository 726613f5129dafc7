package engine

import "sync/atomic"

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
