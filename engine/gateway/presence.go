package gateway

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/papertape/papertape/codec"
)

const (
	// presenceMax is how many accounts' states are kept in the order of change. A subscriber that has fallen behind
	// by more than that is ended.
	presenceMax = 4096

	// presenceBytes is how much a subscriber is sent at a time, and how much may wait for it before it is sent more.
	// It is little, because it is better to keep updates once for all subscribers than in each outbox.
	presenceBytes = 8 << 10

	// presenceEvery is how often a loop tells its subscribers what has changed.
	presenceEvery = 20 * time.Millisecond

	// everyone stands for all accounts in loop.watchers.
	everyone = 0
)

// presence knows which accounts are online. It is built on the hooks: it learns of logins and logouts as any embedder
// would. Its messages are conflated: only the latest state of an account counts. Each state is kept once for all
// subscribers, in the order of change. For each subscriber only the version up to which it is informed is kept. So a
// subscriber that does not read costs one number, and a login does not wait for subscribers.
type presence struct {
	gw  *Gateway
	all bool // subscribers are told of every account

	mu sync.Mutex
	// Shared, under mu.
	version uint64            // of the last change; 0: there was none
	states  map[uint64]*state // by account; of accounts that have sessions or are in the ring
	order   state             // root of the ring of states in the order of change; order.newer is the oldest
	ordered int               // states in the ring, presenceMax at most
	floor   uint64            // the newest version that left the ring
}

// state is what subscribers learn about an account: which session came or went last, and how many there are now.
type state struct {
	account, uid, version uint64
	sessions              uint32
	online                bool
	older, newer          *state // in the ring; nil: not in it
}

func newPresence(g *Gateway, all bool) *presence {
	p := &presence{gw: g, all: all, states: make(map[uint64]*state)}
	p.order.older, p.order.newer = &p.order, &p.order
	return p
}

// hooks are how presence learns of logins and logouts.
func (p *presence) hooks() Hooks {
	return Hooks{
		OnLogin:  func(s *Session) { p.changed(s, true) },
		OnLogout: func(s *Session) { p.changed(s, false) },
	}
}

// changed notes that s has logged in or out, and makes sure that the subscribers are informed.
func (p *presence) changed(s *Session, online bool) {
	p.note(s.Account(), s.uid, online)
	for _, l := range *p.gw.loops.Load() {
		if l.hasWatchers.Load() {
			l.tellSoon()
		}
	}
}

func (p *presence) note(account, uid uint64, online bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := p.states[account]
	if st == nil {
		st = &state{account: account}
		p.states[account] = st
	}
	if online {
		st.sessions++
	} else {
		st.sessions--
	}
	p.version++
	st.uid, st.online, st.version = uid, online, p.version
	p.toNewest(st)
	for p.ordered > presenceMax {
		p.dropOldest()
	}
}

// toNewest moves a state to the end of the ring, or puts it there.
func (p *presence) toNewest(st *state) {
	if st.newer == nil {
		p.ordered++
	} else {
		st.older.newer, st.newer.older = st.newer, st.older
	}
	newest := p.order.older
	st.older, st.newer = newest, &p.order
	newest.newer, p.order.older = st, st
}

func (p *presence) dropOldest() {
	oldest := p.order.newer
	oldest.older.newer, oldest.newer.older = oldest.newer, oldest.older
	oldest.older, oldest.newer = nil, nil
	p.ordered--
	p.floor = oldest.version
	if oldest.sessions == 0 {
		delete(p.states, oldest.account)
	}
}

// now is the version of the last change.
func (p *presence) now() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.version
}

// since appends to dst the states that are newer than version, oldest first, but no more than most. It also returns the
// version up to which they are complete, and false if some newer states are no longer in the ring.
func (p *presence) since(dst []state, version uint64, most int) (states []state, upTo uint64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if version < p.floor {
		return dst, p.version, false
	}
	st := &p.order
	for st.older != &p.order && st.older.version > version {
		st = st.older
	}
	for ; st != &p.order && len(dst) < most; st = st.newer {
		dst = append(dst, *st)
		version = st.version
	}
	if st == &p.order {
		version = p.version
	}
	return dst, version, true
}

// of returns the state of an account, if it has sessions.
func (p *presence) of(account uint64) state {
	p.mu.Lock()
	defer p.mu.Unlock()
	if st := p.states[account]; st != nil {
		return *st
	}
	return state{}
}

// watching is what a loop knows about its subscribers of presence.
type watching struct {
	hasWatchers atomic.Bool // read by anyone
	telling     atomic.Bool // a round is scheduled

	// Owned by the loop.
	watchers map[uint64][]*Session // by account, or under everyone
	round    sweep                 // of the watchers of everyone
	seen     uint64                // the version up to which the watchers of single accounts are informed
	states   []state               // scratch
	batch    batch
}

// batch is what is sent to the subscribers that are at the same version.
type batch struct {
	from, upTo uint64 // versions
	frames     []byte // PRESENCE of the states that are newer than from; nil: not made yet
	kept       bool   // everything newer is still in the ring
}

// watch switches presence on or off for a session.
func (l *loop) watch(s *Session, on bool) {
	l.goroutine.Check()
	p, key := l.gw.presence, uint64(everyone)
	if !l.gw.seesAll(s) {
		key = s.Account()
	}
	list := l.watchers[key]
	switch {
	case on && s.presenceSeat == 0:
		list = append(list, s)
		s.presenceSeat, s.presenceTold = int32(len(list)), p.now()
	case !on && s.presenceSeat != 0:
		last := list[len(list)-1]
		list[s.presenceSeat-1], last.presenceSeat = last, s.presenceSeat
		list[len(list)-1] = nil
		list = list[:len(list)-1]
		s.presenceSeat, s.presenceMissed = 0, false
	default:
		return
	}
	l.watchers[key] = list
	if len(list) == 0 {
		delete(l.watchers, key)
	}
	l.hasWatchers.Store(len(l.watchers) > 0)
}

// tellSoon has the loop tell its subscribers what has changed. Any goroutine may call it.
func (l *loop) tellSoon() {
	if l.telling.CompareAndSwap(false, true) {
		l.later(presenceEvery, l.tasks.presence)
	}
}

// tellPresence is a round: it sends the loop's subscribers the states that are new to them.
func (l *loop) tellPresence() {
	l.telling.Store(false)
	l.now = l.gw.millis()
	all := len(l.watchers[everyone]) > 0
	if !all || len(l.watchers) > 1 {
		l.tellOfAccounts()
	}
	switch {
	case !all:
	case l.round.underWay:
		l.tellSoon()
	default:
		l.batch.frames = nil
		l.round.begin(len(l.watchers[everyone]))
		l.goOnTelling()
	}
}

func (l *loop) goOnTelling() {
	l.sweepOn(&l.round, func() []*Session { return l.watchers[everyone] }, l.tellAll, l.tasks.presenceNext)
}

// tellOfAccounts informs the subscribers that watch one account.
func (l *loop) tellOfAccounts() {
	states, upTo, kept := l.gw.presence.since(l.states[:0], l.seen, presenceMax)
	l.states, l.seen = states, upTo
	if !kept { // more has changed than the ring holds: look at all accounts that are watched
		for account := range l.watchers { // of everyone there is no state
			l.states = append(l.states, l.gw.presence.of(account))
		}
	}
	for i := range l.states {
		account := l.states[i].account
		for k := len(l.watchers[account]) - 1; k >= 0; k-- { // downwards: a session whose socket fails leaves the list
			l.tellOf(l.watchers[account][k], &l.states[i])
		}
	}
}

// tellOf sends a session a state of its account.
func (l *loop) tellOf(s *Session, st *state) {
	if st.version <= s.presenceTold {
		return
	}
	l.frame = codec.AppendPresence(l.frame[:0], st.account, st.uid, st.online, st.sessions)
	l.sendPresence(s, l.frame, st.version)
}

// tellAll sends a session the states of all accounts that are new to it, one batch at a time.
func (l *loop) tellAll(s *Session) {
	b := &l.batch
	if b.frames == nil || b.from != s.presenceTold {
		l.fillBatch(s.presenceTold)
	}
	switch {
	case !b.kept:
		l.cut(s, causeOutbox, slowText)
	case b.upTo > s.presenceTold:
		l.sendPresence(s, b.frames, b.upTo)
	}
}

// fillBatch encodes the states that are newer than a version.
func (l *loop) fillBatch(from uint64) {
	const frame = 48 // bytes of a PRESENCE at most
	b := &l.batch
	l.states, b.upTo, b.kept = l.gw.presence.since(l.states[:0], from, max(1, l.gw.presenceBytes()/frame))
	b.from, b.frames = from, make([]byte, 0, frame*len(l.states))
	for i := range l.states {
		st := &l.states[i]
		b.frames = codec.AppendPresence(b.frames, st.account, st.uid, st.online, st.sessions)
	}
	if n := len(l.states); n > 0 && b.upTo == l.states[n-1].version && b.kept {
		l.tellSoon() // there may be more
	}
}

func (g *Gateway) presenceBytes() int { return min(presenceBytes, g.cfg.OutboxBytesMax/2) }

// sendPresence writes frames to a subscriber. If much waits for it already, it gets them when it has read that.
func (l *loop) sendPresence(s *Session, frames []byte, upTo uint64) {
	s.mu.Lock()
	if s.presenceMissed = s.waiting() > l.gw.presenceBytes(); s.presenceMissed {
		s.mu.Unlock()
		return
	}
	l.frame = append(l.frame[:0], frames...)
	l.send(s)
	s.mu.Unlock()
	s.presenceTold = upTo
	l.write(s)
}

// tellMissed sends a subscriber what it missed, now that it has read its outbox.
func (l *loop) tellMissed(s *Session) {
	s.presenceMissed = false
	if l.gw.seesAll(s) {
		l.tellSoon()
		return
	}
	st := l.gw.presence.of(s.Account())
	l.tellOf(s, &st)
}
