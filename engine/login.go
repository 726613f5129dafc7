package engine

import (
	"slices"

	"github.com/papertape/papertape/positions"
)

// ResumeMode says how a session begins. Its values are the ones on the wire.
type ResumeMode uint8

// The ways in which a session begins.
const (
	ModeSnapshot ResumeMode = 1 // the current state, then live events
	ModeResume   ResumeMode = 2 // the events after a sequence, then live events
	ModeRestart  ResumeMode = 3 // every event kept, then live events
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

// LoginReply is the answer to a successful login.
type LoginReply struct {
	Account   uint64
	HeadSeq   uint64
	OldestSeq uint64
	After     uint64 // events follow after this sequence: HeadSeq, unless some are replayed
	Epoch     uint64
	Mode      ResumeMode
	Resynced  bool
	Holdings  *positions.Holdings // ModeSnapshot
}

// Login starts a session. The answer comes through the outlet.
func (e *Engine) Login(s *Session, l Login) {
	e.shardOf(l.Account).post(&loginItem{session: s, login: l})
}

// Logout ends a session, whether or not its login has been answered. account is the one of the
// login.
func (e *Engine) Logout(s *Session, account uint64) {
	e.shardOf(account).post(logoutItem{s})
}

// loginItem starts a session.
type loginItem struct {
	session *Session
	login   Login
}

// decide copies the holdings if the answer may need them: a resume that is not possible becomes a
// snapshot.
func (l *loginItem) decide(s *shard, act *action) {
	if l.login.Mode == ModeSnapshot || l.login.Mode == ModeResume {
		act.index = s.snapshot(l.login.Account)
	}
}

func (l *loginItem) publish(s *shard, act *action) {
	var h *positions.Holdings
	if act.index >= 0 {
		h = &s.step.holdings[act.index]
	}
	s.login(l.session, &l.login, h)
}

// logoutItem ends a session.
type logoutItem struct{ session *Session }

func (logoutItem) decide(*shard, *action) {}

func (l logoutItem) publish(s *shard, _ *action) { s.logout(l.session) }

func (s *shard) login(ses *Session, l *Login, h *positions.Holdings) {
	a := s.find(l.Account)
	if a == nil {
		s.refuseLogin(ses, l, FailureUnknownAccount)
		return
	}
	if a.sessions >= s.eng.cfg.SessionsPerAccountMax {
		s.refuseLogin(ses, l, FailureTooManySessions)
		return
	}
	oldest := s.oldest(a)
	reply := LoginReply{
		Account: l.Account, HeadSeq: a.tail.head, OldestSeq: oldest, After: a.tail.head,
		Epoch: s.eng.cfg.Journal.Epoch(), Mode: l.Mode,
	}
	from, replay := resumeAfter(l, reply.Epoch, oldest, a.tail.head)
	if l.Mode == ModeSnapshot || l.Mode == ModeResume && !replay {
		reply.Mode, reply.Resynced, reply.Holdings = ModeSnapshot, l.Mode == ModeResume, h
	}
	a.sessions++
	ses.account = a
	if replay && from < a.tail.head {
		reply.After = from
		ses.state = sessionCatching
		ses.catchup = &catchup{cursor: from, replayTo: a.tail.head}
		s.step.joining = append(s.step.joining, ses)
	} else {
		ses.state = sessionLive
		a.live = append(a.live, ses)
	}
	s.measures.sessions(ses.state, 1)
	s.publisher.Answer(Answer{Kind: AnswerLoggedIn, Session: ses, ID: l.ID, Login: &reply})
}

func (s *shard) refuseLogin(ses *Session, l *Login, f Failure) {
	s.publisher.Answer(Answer{Kind: AnswerLoginRefused, Session: ses, ID: l.ID, Account: l.Account, Failure: f})
}

// resumeAfter returns the sequence after which history is replayed, and false if none is replayed.
func resumeAfter(l *Login, epoch, oldest, head uint64) (from uint64, ok bool) {
	if oldest == 0 { // nothing is kept: only a session that has missed nothing can resume
		oldest = head + 1
	}
	switch l.Mode {
	case ModeRestart:
		return oldest - 1, true
	case ModeResume:
		return l.LastSeq, l.Epoch == epoch && l.LastSeq >= oldest-1 && l.LastSeq <= head
	}
	return 0, false
}

// oldest returns the oldest sequence of the account that can be replayed, 0 if there is none.
func (s *shard) oldest(a *account) uint64 {
	if s.keeps {
		return min(1, a.tail.head)
	}
	return a.tail.oldest
}

func (s *shard) logout(ses *Session) {
	s.drainer.Check()
	if ses.state == sessionOut {
		return
	}
	a := ses.account
	a.sessions--
	s.measures.sessions(ses.state, -1)
	if i := slices.Index(a.live, ses); i >= 0 {
		last := len(a.live) - 1
		a.live[i] = a.live[last]
		a.live[last] = nil
		a.live = a.live[:last]
	}
	if c := ses.catchup; c != nil { // its pending requests will not be answered
		if c.reading != nil {
			s.eng.reads.cancel(c.reading)
		}
		for range len(c.owed) + len(c.holdings) {
			ses.End()
		}
	}
	ses.state, ses.account, ses.catchup = sessionOut, nil, nil
}
