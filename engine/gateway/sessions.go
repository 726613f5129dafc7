package gateway

import (
	"cmp"
	"slices"
	"sync"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
)

// SessionInfo is what can be told of a connection.
type SessionInfo struct {
	UID          uint64
	Account      uint64 // 0: not logged in
	Remote       string
	Since        time.Time
	WaitingBytes int // the client has still to take
	InFlight     int // requests without an answer
	CatchingUp   bool
}

// Sessions returns all connections, by uid. It asks each event loop.
func (g *Gateway) Sessions() []SessionInfo {
	var mu sync.Mutex
	var all []SessionInfo
	g.onEachLoop(func(l *loop) {
		part := make([]SessionInfo, 0, l.wheel.count)
		l.wheel.each(func(s *Session) { part = append(part, s.info()) })
		mu.Lock()
		defer mu.Unlock()
		all = append(all, part...)
	})
	slices.SortFunc(all, func(a, b SessionInfo) int { return cmp.Compare(a.UID, b.UID) })
	return all
}

// info is called on the session's loop.
func (s *Session) info() SessionInfo {
	in := SessionInfo{
		UID: s.uid, Since: s.loop.gw.start.Add(time.Duration(s.opened-1) * time.Millisecond), InFlight: s.engine.InFlight(),
	}
	if addr := s.RemoteAddr(); addr != nil {
		in.Remote = addr.String()
	}
	if s.phase.Load() == phaseIn {
		in.Account = s.Account()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	in.WaitingBytes, in.CatchingUp = s.waiting(), s.catchUp
	return in
}

// Kick ends a connection with GOODBYE KICKED, once its requests are answered. It returns false if there is none with
// that uid.
func (g *Gateway) Kick(uid uint64, reason string) bool {
	var found sync.Map
	g.onEachLoop(func(l *loop) {
		var victim *Session
		l.wheel.each(func(s *Session) {
			if s.uid == uid {
				victim = s
			}
		})
		if victim != nil && !victim.endedByServer() {
			found.Store(uid, true)
			l.gw.stats.Kicked.Add(1)
			l.now = g.millis()
			l.closeAfterAnswers(victim, papertapev1.GoodbyeReason_GOODBYE_REASON_KICKED, reason, l.answersBy())
		}
	})
	_, ok := found.Load(uid)
	return ok
}
