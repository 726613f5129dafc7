package gateway

import (
	"cmp"
	"net"
	"slices"
	"sync"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
)

// SessionInfo describes a connection.
type SessionInfo struct {
	UID          uint64
	Account      uint64 // 0: not logged in
	Key          string // the name of the key that it logged in with; empty: none
	Remote       string
	Since        time.Time
	WaitingBytes int // that the client has still to take
	InFlight     int // requests without an answer
	CatchingUp   bool
}

// Sessions returns all connections, sorted by uid. It asks each event loop. Addresses take longest to format, so that
// is done on the caller's goroutine.
func (g *Gateway) Sessions() []SessionInfo {
	var mu sync.Mutex
	var all []SessionInfo
	var from []net.Addr
	g.onEachLoop(func(l *loop) {
		part, remotes := make([]SessionInfo, 0, l.wheel.count), make([]net.Addr, 0, l.wheel.count)
		l.wheel.each(func(s *Session) {
			part, remotes = append(part, s.info()), append(remotes, copyAddr(s.RemoteAddr()))
		})
		mu.Lock()
		defer mu.Unlock()
		all, from = append(all, part...), append(from, remotes...)
	})
	for i, addr := range from {
		if addr != nil {
			all[i].Remote = addr.String()
		}
	}
	slices.SortFunc(all, func(a, b SessionInfo) int { return cmp.Compare(a.UID, b.UID) })
	return all
}

// info is called on the session's loop. Remote is left out.
func (s *Session) info() SessionInfo {
	in := SessionInfo{
		UID: s.uid, Since: s.loop.gw.start.Add(time.Duration(s.opened-1) * time.Millisecond),
		InFlight: s.engine.InFlight(),
	}
	if s.phase.Load() == phaseIn {
		in.Account = s.Account()
		if s.key != nil {
			in.Key = s.key.Name
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	in.WaitingBytes, in.CatchingUp = s.waiting(), s.catchUp
	return in
}

// Kick ends a connection with GOODBYE KICKED once its requests are answered. It returns false if no connection has that
// uid.
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
			l.tellTime()
			l.closeAfterAnswers(victim, papertapev1.GoodbyeReason_GOODBYE_REASON_KICKED, reason, l.answersBy())
		}
	})
	_, ok := found.Load(uid)
	return ok
}
