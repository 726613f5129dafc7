package gateway

import (
	"context"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/panjf2000/gnet/v2"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/ranking"
)

// SessionInfo describes a connection.
type SessionInfo struct {
	UID          uint64
	Account      uint64 // 0: not logged in
	Key          string // the name of the key that it logged in with; empty: none
	Remote       string
	Since        time.Time
	LastRead     time.Time // when something came from it last
	WaitingBytes int       // that the client has still to take
	InFlight     int       // requests without an answer
	CatchingUp   bool

	FramesReceived, BytesReceived uint64 // before decryption and PROXY headers are taken off, not counted
	FramesSent, BytesSent         uint64 // likewise, those that wait included
}

// SessionState is what a connection does.
type SessionState uint8

// The states.
const (
	AnyState SessionState = iota
	NotLoggedIn
	CatchingUp
	Live
)

// State returns what the connection does.
func (in *SessionInfo) State() SessionState {
	switch {
	case in.Account == 0:
		return NotLoggedIn
	case in.CatchingUp:
		return CatchingUp
	}
	return Live
}

// SessionOrder is what sessions are sorted by.
type SessionOrder uint8

// The orders.
const (
	ByUID SessionOrder = iota
	ByAccount
	ByWaiting
	ByInFlight
	ByFramesSent
	ByBytesSent
	ByFramesReceived
	ByBytesReceived
)

// SessionSearch says which sessions to find. Its zero value finds none, since Limit is 0.
type SessionSearch struct {
	After      uint64 // only higher uids
	Account    uint64 // 0: any
	State      SessionState
	MinWaiting int
	Remote     string // the beginning of the address
	By         SessionOrder
	Descending bool
	Limit      int // ranking.All: all
}

// SessionTotals are of all connections.
type SessionTotals struct {
	Sessions, Live, CatchingUp, NotLoggedIn int
	WaitingBytes, InFlight                  int
}

// Sessions returns all connections, sorted by uid.
func (g *Gateway) Sessions() []SessionInfo {
	list, _, _ := g.FindSessions(SessionSearch{Limit: ranking.All})
	return list
}

// FindSessions returns the connections that a search finds, sorted; how many fit it, whatever After and Limit; and what
// all have together. Each loop looks at its own, for a millisecond at a time.
func (g *Gateway) FindSessions(q SessionSearch) (list []SessionInfo, total int, totals SessionTotals) {
	var mu sync.Mutex
	var parts []*ranking.Ranking[located]
	g.eachSession(func() (visit func(*Session), done func()) {
		var mine SessionTotals
		fits, r := 0, ranking.New[located](q.Limit, q.Descending)
		return func(s *Session) {
				in := s.info()
				mine.add(&in)
				if q.fits(s, &in) {
					fits++
					if key := q.keyOf(&in); in.UID > q.After && r.Wants(key, in.UID) {
						r.Add(key, in.UID, located{in, copyAddr(s.RemoteAddr())})
					}
				}
			}, func() {
				mu.Lock()
				defer mu.Unlock()
				parts, total = append(parts, r), total+fits
				totals.plus(&mine)
			}
	})
	mu.Lock() // if gnet stops, a loop may still be at it
	defer mu.Unlock()
	found := ranking.Merge(parts...)
	list = make([]SessionInfo, len(found))
	for i, f := range found {
		list[i] = f.SessionInfo
		if f.from != nil { // addresses take longest to format, so that is done on the caller's goroutine
			list[i].Remote = f.from.String()
		}
	}
	return list, total, totals
}

// located is a session with where it comes from.
type located struct {
	SessionInfo
	from net.Addr
}

func (t *SessionTotals) add(in *SessionInfo) {
	t.Sessions++
	t.WaitingBytes += in.WaitingBytes
	t.InFlight += in.InFlight
	switch in.State() {
	case NotLoggedIn:
		t.NotLoggedIn++
	case CatchingUp:
		t.CatchingUp++
	default:
		t.Live++
	}
}

func (t *SessionTotals) plus(more *SessionTotals) {
	t.Sessions += more.Sessions
	t.Live += more.Live
	t.CatchingUp += more.CatchingUp
	t.NotLoggedIn += more.NotLoggedIn
	t.WaitingBytes += more.WaitingBytes
	t.InFlight += more.InFlight
}

// fits reports whether a session is what is looked for, whatever After says. It is called on the session's loop.
func (q *SessionSearch) fits(s *Session, in *SessionInfo) bool {
	if q.Account != 0 && in.Account != q.Account || q.State != AnyState && in.State() != q.State ||
		in.WaitingBytes < q.MinWaiting {
		return false
	}
	if q.Remote == "" {
		return true
	}
	from := s.RemoteAddr()
	return from != nil && strings.HasPrefix(from.String(), q.Remote)
}

func (q *SessionSearch) keyOf(in *SessionInfo) int64 {
	switch q.By {
	case ByAccount:
		return ranking.Unsigned(in.Account)
	case ByWaiting:
		return int64(in.WaitingBytes)
	case ByInFlight:
		return int64(in.InFlight)
	case ByFramesSent:
		return ranking.Unsigned(in.FramesSent)
	case ByBytesSent:
		return ranking.Unsigned(in.BytesSent)
	case ByFramesReceived:
		return ranking.Unsigned(in.FramesReceived)
	case ByBytesReceived:
		return ranking.Unsigned(in.BytesReceived)
	default:
		return ranking.Unsigned(in.UID)
	}
}

// eachSession has each loop visit its sessions, and returns when all have, or gnet has stopped. A loop takes down which
// sessions it has, and looks at them for a spell at a time, with reads and answers in between. begin is called once on
// each loop, and done when it has visited all.
func (g *Gateway) eachSession(begin func() (visit func(*Session), done func())) {
	loops := *g.loops.Load()
	ran, waiting := make(chan struct{}, len(loops)), 0
	for _, l := range loops {
		if l.el.Execute(context.Background(), l.task(func() {
			visit, done := begin()
			l.visitAll(visit, func() {
				done()
				ran <- struct{}{}
			})
		})) == nil {
			waiting++
		}
	}
	for range waiting {
		select {
		case <-ran:
		case <-g.ended:
			return
		}
	}
}

// visitAll visits the sessions that the loop has now, without those that are closed meanwhile.
func (l *loop) visitAll(visit func(*Session), done func()) {
	list := make([]*Session, 0, l.wheel.count)
	l.wheel.each(func(s *Session) { list = append(list, s) })
	var w sweep
	w.begin(len(list))
	var next gnet.Runnable
	next = l.task(func() {
		l.sweepOn(&w, func() []*Session { return list }, func(s *Session) {
			if s.phase.Load() != phaseClosed {
				visit(s)
			}
		}, next)
		if !w.underWay {
			done()
		}
	})
	_ = next.Run(context.Background())
}

// info is called on the session's loop. Remote is left out.
func (s *Session) info() SessionInfo {
	in := SessionInfo{
		UID: s.uid, Since: s.loop.gw.timeOf(s.opened), LastRead: s.loop.gw.timeOf(s.lastRead),
		InFlight:       s.engine.InFlight(),
		FramesReceived: s.received.frames, BytesReceived: s.received.bytes,
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
	in.FramesSent, in.BytesSent = s.sent.frames, s.sent.bytes
	return in
}

// timeOf returns when the coarse time of a loop was.
func (g *Gateway) timeOf(at millis) time.Time {
	return g.start.Add(time.Duration(at-1) * time.Millisecond)
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
			l.now = g.millis()
			l.closeAfterAnswers(victim, papertapev1.GoodbyeReason_GOODBYE_REASON_KICKED, reason, l.answersBy())
		}
	})
	_, ok := found.Load(uid)
	return ok
}
