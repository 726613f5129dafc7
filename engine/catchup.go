package engine

import "github.com/papertape/papertape/positions"

// catchup is the state of a session that is catching up, until it is live.
type catchup struct {
	cursor   uint64   // last sequence passed to the outlet
	replayTo uint64   // events up to this sequence are sent with the flag REPLAY
	owed     []owed   // executions of its own orders meanwhile, by sequence; bounded by the requests in flight
	holdings []uint64 // ids of HOLDINGS requests to answer once it is live; bounded likewise
	reading  *read    // the read that waits for a slot or is under way
}

// owed is an execution of the session's own order, which the replay sends in its place.
type owed struct{ seq, id uint64 }

// CatchUp continues the replay of a session that is catching up. The outlet calls it when
// everything that the session was sent has been written.
func (e *Engine) CatchUp(s *Session, account uint64) {
	e.shardOf(account).post(catchUpItem{s})
}

// catchUpItem continues the replay of a session at the end of the step.
type catchUpItem struct{ session *Session }

func (catchUpItem) decide(*shard, *action) {}

func (c catchUpItem) publish(s *shard, _ *action) {
	if c.session.state == sessionCatching {
		s.step.joining = append(s.step.joining, c.session)
	}
}

// replayItem brings the events that a reader fetched for a session.
type replayItem struct {
	session *Session
	slot    *readSlot
	err     error
}

func (*replayItem) decide(*shard, *action) {}

func (r *replayItem) publish(s *shard, _ *action) {
	s.replayRead(r)
	s.eng.reads.release(r.slot)
}

// bringForward sends the next piece of the replay to a session that is catching up, and makes the
// session live when it has everything. It runs after all events of the step have been published, so
// the book and the tail agree.
func (s *shard) bringForward(ses *Session) {
	s.drainer.Check()
	if ses.state != sessionCatching || ses.catchup.reading != nil {
		return
	}
	a, c := ses.account, ses.catchup
	if c.cursor < a.tail.head {
		if !a.tail.has(c.cursor + 1) {
			s.readForward(ses)
			return
		}
		var ev positions.Event
		for r := a.tail.reader(c.cursor + 1); c.cursor < a.tail.head; {
			if s.decode(r.next(), &ev); !s.replayOne(ses, &ev) {
				return // the outlet calls CatchUp when the piece has been written
			}
		}
	}
	s.join(ses)
}

// replayOne sends the next event of the replay, as an EXECUTION if it came of the session's own
// order.
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

// join makes a session live that has caught up, and answers the queries that it sent meanwhile.
func (s *shard) join(ses *Session) {
	a, ids := ses.account, ses.catchup.holdings
	ses.state, ses.catchup = sessionLive, nil
	s.measures.sessions(sessionCatching, -1)
	s.measures.sessions(sessionLive, 1)
	a.live = append(a.live, ses)
	for _, id := range ids {
		i := s.snapshot(a.number)
		s.answer(Answer{Kind: AnswerHoldings, Session: ses, ID: id, Holdings: &s.step.holdings[i]})
	}
}

// readForward has a reader fetch the events that the tail no longer holds. Until they arrive
// nothing else moves the session's cursor.
func (s *shard) readForward(ses *Session) {
	if !s.keeps {
		s.publisher.Lost(ses) // the tail dropped events that the session still needed
		s.logout(ses)
		return
	}
	account, from := ses.account.number, ses.catchup.cursor+1
	ses.catchup.reading = &read{fetch: func(slot *readSlot) {
		err := s.eng.read(slot, account, from, readEvents)
		s.post(&replayItem{session: ses, slot: slot, err: err})
	}}
	s.eng.reads.enqueue(ses.catchup.reading)
}

// replayRead sends the events that a reader fetched, as many as fit, and continues the replay.
func (s *shard) replayRead(r *replayItem) {
	ses, events := r.session, r.slot.events
	if ses.state != sessionCatching {
		return
	}
	ses.catchup.reading = nil
	if r.err != nil || len(events) == 0 || events[0].Seq != ses.catchup.cursor+1 {
		s.eng.cfg.Log.Error().Err(r.err).Uint64("account", ses.account.number).Uint64("seq", ses.catchup.cursor+1).
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
