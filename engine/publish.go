package engine

// publish is the third pass of one action, after the commit. Sessions see the actions in this
// order.
func (s *shard) publish(act *action) {
	s.drainer.Check()
	if act.item != nil {
		act.item.publish(s, act)
		return
	}
	r := act.req
	s.timed(r.Asked)
	switch act.outcome {
	case outcomeExecuted:
		s.publishEvents(act.events, r)
	case outcomeDeclined:
		if r.Session != nil {
			s.answer(Answer{Kind: AnswerDeclined, Session: r.Session, ID: r.ID, Decider: r.Decider})
		}
	case outcomeRepeated:
		s.publishRepeat(act)
	case outcomeHistory:
		s.publishHistory(r)
	case outcomeHoldings:
		s.publishHoldings(act)
	case outcomeRefused, outcomeFailed:
		s.answerFailed(act)
	}
	if r.Kind == KindDecide {
		r.Decider.Done(r.Arg, act.events.in(s.step.events), act.refusal)
	}
}

// publishEvents adds events to the tails of their accounts and sends them to the sessions. r is the
// request that caused them, or nil: the first event answers it.
func (s *shard) publishEvents(caused span, r *Request) {
	for i := range caused.count {
		s.publishEvent(int(caused.first+i), r)
		r = nil
	}
}

// publishEvent adds the event at index i to the tail and sends it to the account's sessions. r is
// the request that it answers, or nil.
func (s *shard) publishEvent(i int, r *Request) {
	ev := &s.step.events[i]
	a := s.find(ev.Account)
	var owner *Session
	var id uint64
	if r != nil && r.Session != nil {
		owner, id = r.Session, r.ID
		if owner.state == sessionCatching {
			// This comes before the event can be read from the tail. Otherwise the replay would
			// send it as an EVENT.
			owner.catchup.owed = append(owner.catchup.owed, owed{seq: ev.Seq, id: id})
			owner = nil
		}
	}
	s.appendToTail(a, ev.Seq, s.step.record(i))
	if len(a.live) > 0 {
		s.publisher.Event(ev, a.live, owner, id)
	}
	if owner != nil {
		owner.End()
	}
}

// answerFailed answers an order that was not executed.
func (s *shard) answerFailed(act *action) {
	r := act.req
	if r.Session == nil {
		return
	}
	a := Answer{Kind: AnswerFailed, Session: r.Session, ID: r.ID, Order: &r.Order, Failure: act.failure}
	if act.outcome == outcomeRefused {
		a.Kind, a.Refusal = AnswerRefused, act.refusal
	}
	s.answer(a)
}

// answer answers a request of a session, and counts it as answered.
func (s *shard) answer(a Answer) {
	s.publisher.Answer(a)
	a.Session.End()
}
