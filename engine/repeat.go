package engine

import (
	"fmt"
	"slices"

	"github.com/papertape/papertape/positions"
)

// repeat answers an order whose id was used before with its first execution. If the event is not in
// memory, the remembered hashes decide until it has been read from the journal: see repeatedOrder.
func (s *shard) repeat(a *account, first OrderIDRecord, o *positions.Order, content uint64, act *action) {
	st := &s.step
	ev := s.recent(a, first.Seq)
	if ev != nil && !sameContent(&ev.Trade, o) || ev == nil && first.Content != content {
		act.outcome, act.failure = outcomeFailed, FailureDuplicateOrderID
		return
	}
	act.outcome, act.index = outcomeRepeated, int32(len(st.repeats))
	s.measures.counts.Count(countRepeated, 1)
	if ev == nil { // it is read outside the drainer when the action is published
		ev = &positions.Event{Account: a.number, Seq: first.Seq}
	}
	st.repeats = append(st.repeats, *ev)
}

// recall decodes the events of the tail from one sequence to another, both included. It returns them
// newest first. They are valid until the next call.
func (s *shard) recall(a *account, from, to uint64) []*positions.Event {
	st := &s.step
	st.page = st.page[:0]
	n := int(to - from + 1)
	st.recalled = slices.Grow(st.recalled[:0], n)[:n]
	r := a.tail.reader(from)
	for i := range st.recalled {
		s.decode(r.next(), &st.recalled[i])
	}
	for i := n - 1; i >= 0; i-- {
		st.page = append(st.page, &st.recalled[i])
	}
	return st.page
}

// decode decodes a record that is in memory.
func (s *shard) decode(rec []byte, ev *positions.Event) {
	if err := s.table.Decode(rec, ev); err != nil {
		panic(fmt.Sprintf("a record in memory is spoilt: %v", err))
	}
}

// recent returns an event of the account if it is in memory, either in the tail or decided earlier
// in this step, else nil. It is valid until the next call of recall.
func (s *shard) recent(a *account, seq uint64) *positions.Event {
	if a.tail.has(seq) {
		return s.recall(a, seq, seq)[0]
	}
	if seq > a.tail.head {
		for i := len(s.step.events) - 1; i >= 0; i-- {
			if ev := &s.step.events[i]; ev.Account == a.number && ev.Seq == seq {
				return ev
			}
		}
	}
	return nil
}

// publishRepeat answers an order whose id was used before with its first execution.
func (s *shard) publishRepeat(act *action) {
	r, ev := act.req, &s.step.repeats[act.index]
	if r.Session == nil {
		return
	}
	if ev.Kind == 0 { // older than the tail
		// a copy, since the request's memory is reused
		p := &repeatedOrder{session: r.Session, id: r.ID, order: r.Order}
		p.historyPage = historyPage{asker: p, account: ev.Account, before: ev.Seq + 1, limit: 1}
		s.read(&p.historyPage)
		return
	}
	s.answer(Answer{Kind: AnswerRepeat, Session: r.Session, ID: r.ID, Event: ev})
}

// repeatedOrder is an order whose first execution has to be read from the journal, as a page of one
// event.
type repeatedOrder struct {
	historyPage
	session *Session
	id      uint64
	order   positions.Order
}

// page answers with the first execution if the event confirms it. Until now only hashes were
// compared.
func (p *repeatedOrder) page(s *shard, events []*positions.Event, _ uint64) {
	if len(events) != 1 {
		p.failed(s, nil)
		return
	}
	a := Answer{Kind: AnswerFailed, Session: p.session, ID: p.id, Order: &p.order}
	switch t := &events[0].Trade; {
	case t.OrderID != p.order.ID:
		a.Failure = FailureOrderIDClash
	case !sameContent(t, &p.order):
		a.Failure = FailureDuplicateOrderID
	default:
		a.Kind, a.Event = AnswerRepeat, events[0]
	}
	s.answer(a)
}

func (p *repeatedOrder) failed(s *shard, err error) { s.readFailed(p.account, p.session, p.id, err) }
