package engine

import "github.com/papertape/papertape/positions"

// catchup is what a session needs until it is live.
type catchup struct {
	cursor   uint64   // last sequence handed to the outlet
	replayTo uint64   // frames up to here carry REPLAY
	owed     []owed   // its own orders executed meanwhile, by sequence; bounded by the requests in flight
	holdings []uint64 // ids of HOLDINGS to answer when it joins; bounded likewise
	reading  *read    // waits its turn, or is under way
}

// owed is an execution that the replay has to send in its place.
type owed struct{ seq, id uint64 }

// CatchUp brings a session forward that is catching up, once all that it was sent has been written.
func (e *Engine) CatchUp(s *Session, account uint64) {
	e.shardOf(account).post(catchUpItem{s})
}

// catchUpItem has a session brought forward at the end of the step.
type catchUpItem struct{ session *Session }

func (catchUpItem) decide(*shard, *action) {}

func (c catchUpItem) publish(s *shard, _ *action) {
	if c.session.state == sessionCatching {
		s.step.joining = append(s.step.joining, c.session)
	}
}

// replayItem brings what a reader outside the drainer found for a session.
type replayItem struct {
	session *Session
	slot    *readSlot
	err     error
}

func (*replayItem) decide(*shard, *action) {}

func (r *replayItem) publish(s *shard, _ *action) {
	s.replayRead(r)
	s.eng.reads.used(r.slot)
}

// bringForward hands a session that is catching up its next piece, and makes it live when it has all. It runs after
// every event of the step was published, so what the book says and what the tail ends with are the same.
func (s *shard) bringForward(ses *Session) {
	s.drainer.Check()
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
		s.answer(Answer{Kind: AnswerHoldings, Session: ses, ID: id, Holdings: &s.step.holdings[i]})
	}
}

// readForward has a reader outside the drainer fetch what the tail no longer holds. Until it is back nobody else moves
// the session's cursor.
func (s *shard) readForward(ses *Session) {
	if !s.keeps {
		s.publisher.Lost(ses) // dropped under the cursor
		s.logout(ses)
		return
	}
	account, from := ses.account.number, ses.catchup.cursor+1
	ses.catchup.reading = &read{run: func(slot *readSlot) {
		err := s.eng.read(slot, account, from, readEvents)
		s.post(&replayItem{session: ses, slot: slot, err: err})
	}}
	s.eng.reads.inTurn(ses.catchup.reading)
}

// replayRead sends what a reader found, as far as it fits, and goes on.
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
