package engine

import (
	"runtime/debug"
	"time"

	"github.com/papertape/papertape/positions"
)

// decideOrder decides r.Order for the account of r.
func (s *shard) decideOrder(r *Request, act *action) {
	r.Order.Account = r.Account
	if s.tooFast(r.Account) {
		act.outcome, act.failure = outcomeFailed, FailureRateLimited
		s.stats.rateLimited.Add(1)
		return
	}
	if r.Order.ID.IsZero() {
		s.decide(&r.Order, act)
		return
	}
	id := s.idKey.Hash(&r.Order.ID)
	content, ok := s.tryContentHash(&r.Order)
	if !ok {
		act.outcome, act.failure = outcomeFailed, FailureInternal
		return
	}
	if a := s.find(r.Account); a != nil && a.ids != nil {
		if first, known := a.ids.find(&r.Order.ID, id); known {
			s.repeat(a, first, &r.Order, content, act)
			return
		}
	}
	if !s.decide(&r.Order, act) {
		return
	}
	first := OrderIDRecord{ID: id, Content: content, Seq: s.step.events[len(s.step.events)-1].Seq}
	s.find(r.Account).remember(first, s.idsMax)
}

// tryContentHash recovers from the panic over an instrument that is not in the universe.
func (s *shard) tryContentHash(o *positions.Order) (h uint64, ok bool) {
	defer func() {
		if p := recover(); p != nil {
			s.recordPanic("content", o.Account, p)
		}
	}()
	return contentHash(o.Instrument, o.Side, o.Quantity, o.Limit, s.eng.cfg.Universe), true
}

// tooFast counts an order of the account and reports whether it exceeds the rate. An account that
// was quiet may send a second's worth at once.
func (s *shard) tooFast(account uint64) bool {
	if s.eng.cfg.OrdersPerSecond == 0 {
		return false
	}
	a := s.find(account)
	return a != nil && !a.pace.Allow(time.Duration(s.step.elapsed), s.eng.cfg.OrdersPerSecond)
}

// decide decides the order and applies the event. It reports whether the order was executed.
func (s *shard) decide(o *positions.Order, act *action) (executed bool) {
	s.drainer.Check()
	st := &s.step
	if st.readOnly {
		act.outcome, act.failure = outcomeFailed, FailureReadOnly
		s.stats.readOnly.Add(1)
		return false
	}
	if s.uncheckpointedFull() {
		act.outcome, act.failure = outcomeFailed, FailureUncheckpointed
		s.stats.busy.Add(1)
		return false
	}
	n := len(st.events)
	ev := st.nextEvent()
	refusal, ok := s.tryDecide(o, ev)
	switch {
	case !ok:
		act.outcome, act.failure = outcomeFailed, FailureInternal
	case refusal.Reason != positions.NoRefusal:
		act.outcome, act.refusal = outcomeRefused, refusal
		st.refused++
	default:
		act.outcome = outcomeExecuted
		s.accept(act)
		s.measures.counts.Count(countExecuted, 1)
		return true
	}
	st.events = st.events[:n]
	return false
}

// tryDecide recovers from a panic of the decision: the book has not been touched at that point.
func (s *shard) tryDecide(o *positions.Order, ev *positions.Event) (r positions.Refusal, ok bool) {
	defer func() {
		if p := recover(); p != nil {
			s.recordPanic("decide", o.Account, p)
		}
	}()
	return s.book.Decide(o, s.step.prices, s.step.now, ev), true
}

// decideWith decides the orders that a Decider makes, up to the first that is not executed.
func (s *shard) decideWith(r *Request, act *action) {
	act.outcome = outcomeDeclined
	st := &s.step
	st.orders = s.tryDecider(r, st.orders[:0])
	for i := range st.orders {
		r.Order = st.orders[i]
		if r.Session == nil {
			r.Order.ID = positions.OrderID{} // no client sent it, so none repeats it
			r.Order.Account = r.Account
			s.decide(&r.Order, act)
		} else {
			s.decideOrder(r, act) // as if the session had sent it: its id counts, and so does the rate
		}
		if int(act.events.count) <= i {
			break
		}
	}
	if act.events.count > 0 {
		act.outcome = outcomeExecuted // even if a later order failed
	}
}

// tryDecider recovers from a panic of the Decider, which then has made no orders.
func (s *shard) tryDecider(r *Request, orders []positions.Order) (made []positions.Order) {
	defer func() {
		if p := recover(); p != nil {
			made = orders
			s.recordPanic("decider", r.Account, p)
		}
	}()
	v, known := s.book.View(r.Account)
	if !known {
		return orders
	}
	return r.Decider.Decide(v, s.step.prices, s.step.now, r.Arg, orders)
}

func (s *shard) recordPanic(where string, account uint64, p any) {
	s.eng.panics.Add(1)
	s.eng.cfg.Log.Error().Str("in", where).Uint64("account", account).Any("panic", p).Bytes("stack", debug.Stack()).
		Msg("panic contained; the book is untouched")
}
