package engine

import (
	"fmt"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
	"github.com/papertape/papertape/tally"
)

// step is the scratch memory of one step. The next step reuses it.
type step struct {
	events   []positions.Event // decided in this step, in order
	records  []byte            // of the events, one behind the other
	ends     []int             // where in records the record of each event ends
	orders   []positions.Order // of the current Decider
	repeats  []positions.Event // first executions of repeated orders
	actions  []action          // what to publish, in order
	holdings []positions.Holdings
	rows     []positions.Position // backing array of the holdings' rows
	joining  []*Session           // catching up; they get their next piece at the end of the step
	slices   []*sliceItem         // checkpoint slices to serve at the end of the step
	page     []*positions.Event
	recalled []positions.Event // events of the tail, decoded

	prices   *market.Prices
	now      int64 // for the times of events
	elapsed  int64 // for intervals; only set if the rate of orders is limited
	readOnly bool
	refused  uint64

	began int64 // by tally.Now
	first int64 // when the first request of the drain was read; 0: it is not measured, or was in a step before
	asked int64 // when the request that is being published was read; 0: it is not measured
}

// action is what an item of the control lane, or a request, has decided and still has to publish.
type action struct {
	item    item     // nil for requests
	req     *Request // nil for items
	events  span     // the events that it caused
	index   int32    // into step.holdings or step.repeats; -1: none
	outcome outcome  // of a request
	failure Failure
	refusal positions.Refusal
}

// span is a run of the step's events. The events of one action are adjacent, since actions are
// decided one after the other.
type span struct{ first, count int32 }

// add extends the span by the event at index i, which must be the next one.
func (sp *span) add(i int) {
	if sp.count == 0 {
		sp.first = int32(i)
	}
	sp.count++
}

// in returns the span's part of the step's events.
func (sp span) in(events []positions.Event) []positions.Event {
	return events[sp.first : sp.first+sp.count]
}

// outcome is what became of a request.
type outcome uint8

const (
	outcomeExecuted outcome = iota + 1
	outcomeRepeated
	outcomeRefused
	outcomeFailed
	outcomeHoldings
	outcomeHistory
	outcomeDeclined // a Decider made no order
)

// runStep decides the requests and items, commits the events, and publishes.
func (s *shard) runStep(requests []Request, lane []item) {
	s.drainer.Check()
	st := &s.step
	st.began = tally.Now()
	if st.first != 0 {
		s.measures.wait.Observe(st.began - st.first)
		st.first = 0
	}
	st.prices, st.now = s.eng.cfg.Prices(), s.eng.cfg.Clock()
	if s.eng.cfg.OrdersPerSecond > 0 {
		st.elapsed = s.eng.cfg.Elapsed()
	}
	st.readOnly = s.eng.cfg.ReadOnly != nil && s.eng.cfg.ReadOnly()
	for _, it := range lane {
		s.decideItem(it)
	}
	for i := range requests {
		s.decideRequest(&requests[i])
	}
	pass := s.timePasses(len(requests))
	if len(st.events) > 0 {
		if err := s.eng.cfg.Journal.Commit(st.records, len(st.events)); err != nil {
			s.eng.fatal(fmt.Errorf("journal: a commit failed, so nothing more may be answered: %w", err))
		}
		pass.committed()
	}
	// Counted before anything is answered, so that the counters include every request whose answer
	// has been received.
	s.stats.requests.Add(uint64(len(requests)))
	s.stats.events.Add(uint64(len(st.events)))
	s.stats.refused.Add(st.refused)
	s.stats.steps.Add(1)
	s.measures.counts.Publish()
	s.publisher.Timed(st.began, 0)
	for i := range st.actions {
		s.publish(&st.actions[i])
	}
	s.timed(0)
	for _, ses := range st.joining {
		s.bringForward(ses)
	}
	s.publisher.Flush()
	s.endStep()
	pass.published()
	s.measures.stepEnds(len(requests))
	s.resetStep()
}

// timed tells the outlet when the request that is published next was read. Those of one read come
// one after the other.
func (s *shard) timed(asked int64) {
	if st := &s.step; st.asked != asked {
		st.asked = asked
		s.publisher.Timed(st.began, asked)
	}
}

// endStep runs when the whole step has been published. This is the point at which a checkpoint
// copies accounts of the shard.
func (s *shard) endStep() {
	if s.wantsCheckpoint() && !s.eng.checkpointUnderway.Load() {
		s.eng.requestCheckpoint()
	}
	for _, it := range s.step.slices {
		it.end(s)
	}
	if s.memory.dropped > 0 && s.eng.cfg.wholeHistory() {
		s.eng.fatal(ErrHistoryFull)
	}
	s.stats.dropped.Store(s.memory.dropped)
	s.stats.unstored.Store(s.memory.unstored)
	s.stats.historyEvents.Store(s.memory.events)
	s.stats.historyBytes.Store(s.memory.bytes)
}

const (
	// scratchRowsMax is how many rows of scratch memory for queries are kept between steps.
	scratchRowsMax = 8 * positions.MaxRows
	// scratchRecordsMax is how many bytes of scratch memory for records are kept between steps.
	scratchRecordsMax = 1 << 20
)

// resetStep empties the scratch memory. The next step overwrites the pointers that are left in it.
// Memory that one unusually large step needed is freed.
func (s *shard) resetStep() {
	st := &s.step
	if cap(st.rows) > scratchRowsMax {
		st.rows, st.holdings = nil, nil
	}
	if cap(st.records) > scratchRecordsMax {
		st.records = nil
	}
	clear(st.joining)
	clear(st.slices)
	clear(st.page)
	clear(st.actions)
	st.events, st.repeats, st.actions = st.events[:0], st.repeats[:0], st.actions[:0]
	st.holdings, st.rows, st.joining = st.holdings[:0], st.rows[:0], st.joining[:0]
	st.slices, st.page = st.slices[:0], st.page[:0]
	st.records, st.ends = st.records[:0], st.ends[:0]
	st.refused, st.asked = 0, 0
}

// nextEvent returns room for one more event of the step. If no event comes of it, the caller
// truncates events again.
func (st *step) nextEvent() *positions.Event {
	n := len(st.events)
	if n < cap(st.events) {
		st.events = st.events[:n+1]
	} else {
		st.events = append(st.events, positions.Event{})
	}
	return &st.events[n]
}

// accept applies the newest event of the step, which an action has decided, and encodes it.
func (s *shard) accept(act *action) {
	st := &s.step
	n := len(st.events) - 1
	ev := &st.events[n]
	s.book.Apply(ev)
	s.measures.event(ev)
	st.records = s.table.Append(st.records, ev)
	st.ends = append(st.ends, len(st.records))
	act.events.add(n)
}

// record returns the record of the event at index i.
func (st *step) record(i int) []byte {
	begin := 0
	if i > 0 {
		begin = st.ends[i-1]
	}
	return st.records[begin:st.ends[i]]
}

// nextAction returns room for one more action of the step. It is zero, since resetStep has cleared
// it.
func (st *step) nextAction() *action {
	n := len(st.actions)
	if n < cap(st.actions) {
		st.actions = st.actions[:n+1]
	} else {
		st.actions = append(st.actions, action{})
	}
	act := &st.actions[n]
	act.index = -1
	return act
}

func (s *shard) decideRequest(r *Request) {
	act := s.step.nextAction()
	act.req = r
	switch r.Kind {
	case KindOrder:
		s.decideOrder(r, act)
	case KindDecide:
		s.decideWith(r, act)
	case KindHoldings:
		act.outcome = outcomeHoldings
		if r.Session.state != sessionCatching {
			act.index = s.snapshot(r.Account)
		}
	case KindHistory:
		act.outcome = outcomeHistory
	default:
		panic(fmt.Sprintf("request of kind %d", r.Kind))
	}
}
