package gateway

import (
	"net"
	"sync"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
)

// cause is why a session ended.
type cause uint8

const (
	causeClient cause = iota // the client or the network ended it: nobody here has decided that
	causeIdle
	causeKicked
	causeRevoked
	causeProtocol
	causeFull
	causeLoginTimeout
	causeShutdown
	causeOutbox  // its own outbox was full
	causeStalled // it read nothing for the stall timeout
	causeTotal   // all outboxes together had too much
	causeLost    // what came next was no longer kept
	causeServer  // a panic was contained
)

var causeNames = [...]string{
	causeClient: "client", causeIdle: "idle", causeKicked: "kicked", causeRevoked: "revoked", causeProtocol: "protocol",
	causeFull: "full", causeLoginTimeout: "login_timeout", causeShutdown: "shutdown", causeOutbox: "slow_outbox",
	causeStalled: "slow_stalled", causeTotal: "slow_total", causeLost: "lost", causeServer: "server",
}

// EndCauses are the names of the causes for which sessions that were logged in end.
func EndCauses() []string { return causeNames[:] }

// causeOf returns the cause that goes with a GOODBYE where no other is known.
func causeOf(reason papertapev1.GoodbyeReason) cause {
	switch reason {
	case papertapev1.GoodbyeReason_GOODBYE_REASON_SLOW:
		return causeOutbox
	case papertapev1.GoodbyeReason_GOODBYE_REASON_IDLE:
		return causeIdle
	case papertapev1.GoodbyeReason_GOODBYE_REASON_KICKED:
		return causeKicked
	case papertapev1.GoodbyeReason_GOODBYE_REASON_PROTOCOL:
		return causeProtocol
	case papertapev1.GoodbyeReason_GOODBYE_REASON_FULL:
		return causeFull
	case papertapev1.GoodbyeReason_GOODBYE_REASON_LOGIN_TIMEOUT:
		return causeLoginTimeout
	case papertapev1.GoodbyeReason_GOODBYE_REASON_SHUTDOWN:
		return causeShutdown
	}
	return causeClient
}

// because notes why the session ends. The first cause stays. mu must be held.
func (s *Session) because(why cause) {
	if s.cause == causeClient {
		s.cause = why
	}
}

// decide is because for callers that do not hold mu.
func (s *Session) decide(why cause) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.because(why)
}

// endedMax is how many sessions that have ended are remembered; of more, the oldest are forgotten.
const endedMax = 1000

// EndedSession is a session that was logged in, and is gone.
type EndedSession struct {
	SessionInfo // as it was at its end; WaitingBytes are those that its client has not taken
	Ended       time.Time
	Cause       string // one of EndCauses

	from net.Addr // what Remote is made from when it is asked for
}

// endedSessions are the sessions that ended last. Any goroutine may use it.
type endedSessions struct {
	mu   sync.Mutex
	list []EndedSession // a ring, once it is full
	next int            // where the next one goes
	all  uint64         // how many have ended
}

// remember keeps what is to be known of a session whose connection, which came from this address, is gone. Those that
// never logged in are not kept: whoever only connects could drive out the others.
func (l *loop) remember(s *Session, from net.Addr) {
	if !s.greeted {
		return
	}
	e := EndedSession{SessionInfo: s.info(), Ended: time.Now(), from: copyAddr(s.limitedAs(from))}
	e.Account = s.Account()
	if s.key != nil {
		e.Key = s.key.Name
	}
	s.mu.Lock()
	why := s.cause
	s.mu.Unlock()
	if why == causeClient && s.closing != nil { // the client has not waited for GOODBYE
		why = causeOf(s.closing.reason)
	}
	e.Cause = causeNames[why]
	l.gw.gone.add(e)
}

func (g *endedSessions) add(e EndedSession) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all++
	if len(g.list) < endedMax {
		g.list = append(g.list, e)
		return
	}
	g.list[g.next] = e
	g.next = (g.next + 1) % endedMax
}

// Ended returns the sessions that ended last, newest first, up to limit of those that are wanted, and how many have
// ended since the start.
func (g *Gateway) Ended(limit int, wanted func(*EndedSession) bool) (list []EndedSession, all uint64) {
	g.gone.mu.Lock()
	defer g.gone.mu.Unlock()
	n := len(g.gone.list)
	for i := 1; i <= n && len(list) < limit; i++ {
		e := g.gone.list[(g.gone.next-i+2*n)%n]
		if e.from != nil {
			e.Remote = e.from.String()
		}
		if wanted(&e) {
			list = append(list, e)
		}
	}
	return list, g.gone.all
}
