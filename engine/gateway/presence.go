package gateway

import (
	"sync"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
)

// presenceMissedMax is how many sessions' states are kept for a subscriber that does not read. One more ends it.
const presenceMissedMax = 4096

// everyone stands for all accounts in presence.watchers.
const everyone = 0

// presence tells subscribers who comes and goes. It is built on the hooks: it hears of logins and logouts as any embedder would.
// The latest state wins: for a subscriber that has too much waiting the states are kept, one for each session, and sent
// when it has read.
type presence struct {
	all bool // subscribers are told of every account

	mu sync.Mutex
	// Shared, under mu. A session's own mutex may be taken inside of mu, never the other way round.
	sessions map[uint64]uint32              // logged in, by account
	watchers map[uint64]map[*Session]missed // by account, or under everyone
	out      *publisher                     // the way to the outboxes
}

// missed are the states that a subscriber has still to be sent, by uid; nil: none.
type missed map[uint64]state

type state struct {
	account  uint64
	online   bool
	sessions uint32
}

func newPresence(g *Gateway, all bool) *presence {
	return &presence{
		all: all, sessions: make(map[uint64]uint32), watchers: make(map[uint64]map[*Session]missed), out: &publisher{gw: g},
	}
}

// hooks are what presence is told by.
func (p *presence) hooks() Hooks {
	return Hooks{
		OnLogin:  func(s *Session) { p.changed(s, true) },
		OnLogout: func(s *Session) { p.watch(s, false); p.changed(s, false) },
	}
}

// of returns whose comings and goings a session is told of.
func (p *presence) of(s *Session) uint64 {
	if p.all {
		return everyone
	}
	return s.Account()
}

// watch switches presence on or off for a session.
func (p *presence) watch(s *Session, on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := p.of(s)
	_, watching := p.watchers[key][s]
	switch {
	case on && !watching:
		if p.watchers[key] == nil {
			p.watchers[key] = make(map[*Session]missed)
		}
		p.watchers[key][s] = nil
	case !on && watching:
		delete(p.watchers[key], s)
		if len(p.watchers[key]) == 0 {
			delete(p.watchers, key)
		}
	}
}

// changed tells everybody concerned that s has come or gone.
func (p *presence) changed(s *Session, online bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	account := s.Account()
	if online {
		p.sessions[account]++
	} else if p.sessions[account]--; p.sessions[account] == 0 {
		delete(p.sessions, account)
	}
	st := state{account: account, online: online, sessions: p.sessions[account]}
	watchers := p.watchers[p.of(s)]
	for w, m := range watchers {
		if w != s {
			watchers[w] = p.tell(w, m, s.uid, st)
		}
	}
	p.out.Flush()
}

// tell sends a state to a subscriber, or keeps it for later. It returns what the subscriber has missed.
func (p *presence) tell(w *Session, m missed, uid uint64, st state) missed {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting() <= p.out.gw.pieceBytes() && len(m) == 0 {
		p.out.frame = codec.AppendPresence(p.out.frame[:0], st.account, uid, st.online, st.sessions)
		p.out.add(w)
		return m
	}
	if m == nil {
		m = make(missed)
	}
	m[uid] = st
	w.presenceMissed = true
	if len(m) > presenceMissedMax {
		p.out.finish(w, papertapev1.GoodbyeReason_GOODBYE_REASON_SLOW, slowText)
	}
	return m
}

// catchUp sends a subscriber that has read everything what it has missed.
func (p *presence) catchUp(w *Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	watchers := p.watchers[p.of(w)]
	m := watchers[w]
	if len(m) == 0 {
		return
	}
	watchers[w] = nil
	w.mu.Lock()
	for uid, st := range m {
		p.out.frame = codec.AppendPresence(p.out.frame[:0], st.account, uid, st.online, st.sessions)
		p.out.add(w)
	}
	w.mu.Unlock()
	p.out.Flush()
}
