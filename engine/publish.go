package engine

import (
	"slices"

	"github.com/papertape/papertape/positions"
)

// publish carries out one action, after the commit. The order of actions is the order in which sessions see things.
func (s *shard) publish(act *action) {
	switch act.what {
	case whatExecuted:
		s.publishEvent(&s.step.events[act.index], act.req)
	case whatControl:
		s.publishControl(act)
		return
	case whatDeclined:
		if r := act.req; r.Session != nil {
			s.publisher.Declined(r.Decider, r.Session, r.ID)
			r.Session.End()
		}
	case whatRepeated:
		s.publishRepeat(act)
	case whatHistory:
		r := act.req
		s.history(&historyPage{session: r.Session, id: r.ID, account: r.Order.Account, before: r.Before, limit: int(r.Limit)})
		return
	case whatHoldings:
		s.publishHoldings(act)
		return
	case whatRefused, whatFailed:
		s.answerFailed(act)
	}
	if r := act.req; r != nil && r.Kind == KindDecide {
		var ev *positions.Event
		if act.what == whatExecuted {
			ev = &s.step.events[act.index]
		}
		r.Decider.Done(r.Arg, ev, act.refusal)
	}
}

// publishEvent adds the event to the tail and tells the account's sessions. r is the request that caused it, nil for none.
func (s *shard) publishEvent(ev *positions.Event, r *Request) {
	a := s.find(ev.Account)
	var owner *Session
	var id uint64
	if r != nil && r.Session != nil {
		owner, id = r.Session, r.ID
		if owner.state == sessionCatching {
			// Before the event can be read from the tail, or the replay would send it as an EVENT.
			owner.catchup.owed = append(owner.catchup.owed, owed{seq: ev.Seq, id: id})
			owner = nil
		}
	}
	s.keep(a, ev)
	if len(a.live) > 0 {
		s.publisher.Event(ev, a.live, owner, id)
	}
	if owner != nil {
		owner.End()
	}
}

func (s *shard) answerFailed(act *action) {
	r := act.req
	if r.Session == nil {
		return
	}
	if act.what == whatRefused {
		s.publisher.Refused(&r.Order, act.refusal, r.Session, r.ID)
	} else {
		s.publisher.Failed(r.Session, r.ID, &r.Order, act.failure)
	}
	r.Session.End()
}

func (s *shard) publishRepeat(act *action) {
	r, ev := act.req, &s.step.repeats[act.index]
	if r.Session == nil {
		return
	}
	if ev.Kind == 0 { // older than the tail
		order := r.Order // the request's room is used again
		s.read(&historyPage{session: r.Session, id: r.ID, account: ev.Account, before: ev.Seq + 1, limit: 1, repeat: &order})
		return
	}
	s.publisher.Repeat(ev, r.Session, r.ID)
	r.Session.End()
}

func (s *shard) publishHoldings(act *action) {
	r := act.req
	switch {
	case r.Session.state == sessionCatching:
		r.Session.catchup.holdings = append(r.Session.catchup.holdings, r.ID)
		return
	case act.index >= 0:
		s.publisher.Holdings(&s.step.holdings[act.index], r.Session, r.ID)
	default: // it was catching up when the query was decided, and has ended since
		s.publisher.Failed(r.Session, r.ID, &r.Order, FailureUnknownAccount)
	}
	r.Session.End()
}

func (s *shard) publishControl(act *action) {
	c := act.ctl
	switch c.kind {
	case controlLogin:
		var h *positions.Holdings
		if act.index >= 0 {
			h = &s.step.holdings[act.index]
		}
		s.login(c.session, &c.login, h)
	case controlLogout:
		s.logout(c.session)
	case controlCatchUp:
		if c.session.state == sessionCatching {
			s.step.joining = append(s.step.joining, c.session)
		}
	case controlRead:
		s.replayRead(c)
		s.eng.reads.used(c.slot)
	case controlHistory:
		s.publishPage(c.page)
		s.eng.reads.used(c.page.slot)
	case controlQuery:
		if c.query.history {
			s.history(&historyPage{query: c.query, account: c.query.account, before: c.query.before, limit: c.query.limit})
			return
		}
		c.query.answerHoldings(act.index, s.step.holdings)
	case controlAccounts:
		c.query.answer(queryResult{accounts: c.query.accounts})
	case controlBust:
		s.foldHistory(c.bust)
	case controlFolded:
		s.publishBust(c, act.index)
	case controlOpen:
		c.query.answer(queryResult{err: c.query.err})
	}
}

// --- sessions

func (s *shard) login(ses *Session, l *Login, h *positions.Holdings) {
	a := s.find(l.Account)
	if a == nil {
		s.publisher.LoginRefused(ses, l.ID, l.Account, FailureUnknownAccount)
		return
	}
	if a.sessions >= s.eng.cfg.SessionsPerAccountMax {
		s.publisher.LoginRefused(ses, l.ID, l.Account, FailureTooManySessions)
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
	s.publisher.LoggedIn(ses, l.ID, &reply)
}

// resumeAfter returns the sequence after which history is replayed, and false if it is not.
func resumeAfter(l *Login, epoch, oldest, head uint64) (from uint64, ok bool) {
	if oldest == 0 { // nothing is kept: only who misses nothing can go on
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
	if ses.state == sessionOut {
		return
	}
	a := ses.account
	a.sessions--
	if i := slices.Index(a.live, ses); i >= 0 {
		last := len(a.live) - 1
		a.live[i] = a.live[last]
		a.live[last] = nil
		a.live = a.live[:last]
	}
	if c := ses.catchup; c != nil { // nobody is there to be answered
		if c.reading != nil {
			s.eng.reads.cancel(c.reading)
		}
		for range len(c.owed) + len(c.holdings) {
			ses.End()
		}
	}
	ses.state, ses.account, ses.catchup = sessionOut, nil, nil
}

// --- catching up

// bringForward hands a session that is catching up its next piece, and makes it live when it has all. It runs after every
// event of the step was published, so what the book says and what the tail ends with are the same.
func (s *shard) bringForward(ses *Session) {
	if ses.state != sessionCatching || ses.catchup.reading != nil {
		return
	}
	a, c := ses.account, ses.catchup
	for c.cursor < a.tail.head {
		if !a.tail.has(c.cursor + 1) {
			s.readForward(ses)
			return
		}
		if !s.replayOne(ses, a.tail.at(c.cursor+1)) {
			return // the outlet calls CatchUp when what it has was written
		}
	}
	s.join(ses)
}

// replayOne sends the next event of the replay, as an execution if the session ordered it.
func (s *shard) replayOne(ses *Session, ev *positions.Event) bool {
	c := ses.catchup
	var id uint64
	if len(c.owed) > 0 && c.owed[0].seq == ev.Seq {
		id = c.owed[0].id
	}
	if !s.publisher.Replay(ev, ses, id, ev.Seq <= c.replayTo) {
		return false
	}
	c.cursor = ev.Seq
	if id != 0 {
		c.owed = c.owed[1:]
		ses.End()
	}
	return true
}

// join makes a session live that has all there is, and answers the queries it asked meanwhile.
func (s *shard) join(ses *Session) {
	a, ids := ses.account, ses.catchup.holdings
	ses.state, ses.catchup = sessionLive, nil
	a.live = append(a.live, ses)
	for _, id := range ids {
		i := s.snapshot(a.number)
		s.publisher.Holdings(&s.step.holdings[i], ses, id)
		ses.End()
	}
}

// readForward has a reader outside the drainer fetch what the tail no longer holds. Until it is back nobody else moves the
// session's cursor.
func (s *shard) readForward(ses *Session) {
	if !s.keeps {
		s.publisher.Lost(ses) // dropped under the cursor
		s.logout(ses)
		return
	}
	account, from := ses.account.number, ses.catchup.cursor+1
	ses.catchup.reading = &read{run: func(slot *readSlot) {
		err := s.eng.read(slot, account, from, readEvents)
		s.post(control{kind: controlRead, session: ses, slot: slot, err: err})
	}}
	s.eng.reads.inTurn(ses.catchup.reading)
}

// replayRead sends what a reader found, as far as it fits, and goes on.
func (s *shard) replayRead(c *control) {
	ses, events := c.session, c.slot.events
	if ses.state != sessionCatching {
		return
	}
	ses.catchup.reading = nil
	if c.err != nil || len(events) == 0 || events[0].Seq != ses.catchup.cursor+1 {
		s.eng.cfg.Log.Error().Err(c.err).Uint64("account", ses.account.number).Uint64("seq", ses.catchup.cursor+1).
			Msg("history could not be read; the session is ended")
		s.publisher.Lost(ses)
		s.logout(ses)
		return
	}
	for i := range events {
		if !s.replayOne(ses, &events[i]) {
			return
		}
	}
	s.step.joining = append(s.step.joining, ses)
}
