package engine

import (
	"fmt"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// step is the scratch of one step; it is used again by the next.
type step struct {
	events   []positions.Event // decided in this step, in order
	orders   []positions.Order // of the Decider at work
	repeats  []positions.Event // first executions of repeated orders
	actions  []action          // what to publish, in order
	holdings []positions.Holdings
	rows     []positions.Position // the holdings' rows
	joining  []*Session           // sessions to bring forward at the end of the step
	slices   []*sliceItem         // of a checkpoint, to serve at the end of the step
	page     []*positions.Event

	prices   *market.Prices
	now      int64 // for the times of events
	elapsed  int64 // for intervals; only where the orders of an account are limited
	readOnly bool
	refused  uint64
}

// action is what an item of the control lane, or a request, has decided and has to publish.
type action struct {
	item    item     // nil for requests
	req     *Request // nil for items
	events  span     // that it caused
	index   int32    // of the holdings or the repeat; -1: none
	what    what     // became of a request
	failure Failure
	refusal positions.Refusal
}

// span is a run of the step's events. Those of one action lie together, since one action is decided after the other.
type span struct{ first, count int32 }

// add lengthens the span by the event at place i, which is the next one.
func (sp *span) add(i int) {
	if sp.count == 0 {
		sp.first = int32(i)
	}
	sp.count++
}

// in is the span's events among those of a step.
func (sp span) in(events []positions.Event) []positions.Event {
	return events[sp.first : sp.first+sp.count]
}

type what uint8

const (
	whatExecuted what = iota + 1
	whatRepeated
	whatRefused
	whatFailed
	whatHoldings
	whatHistory
	whatDeclined // a Decider that made no order
)

// runStep decides, commits and publishes.
func (s *shard) runStep(requests []Request, lane []item) {
	s.drainer.Check()
	st := &s.step
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
	if len(st.events) > 0 {
		if err := s.eng.cfg.Journal.Commit(st.events); err != nil {
			s.eng.fatal(fmt.Errorf("journal: a commit failed, so nothing more may be answered: %w", err))
		}
	}
	// Counted before anybody hears of it, so that whoever has an answer finds it in the counters.
	s.stats.requests.Add(uint64(len(requests)))
	s.stats.events.Add(uint64(len(st.events)))
	s.stats.refused.Add(st.refused)
	s.stats.steps.Add(1)
	for i := range st.actions {
		s.publish(&st.actions[i])
	}
	for _, ses := range st.joining {
		s.bringForward(ses)
	}
	s.publisher.Flush()
	s.endStep()
	s.resetStep()
}

// endStep is what happens when all of the step has been published: the place for a checkpoint to look at the shard.
func (s *shard) endStep() {
	if s.pressed() && !s.eng.underway.Load() {
		s.eng.want()
	}
	for _, it := range s.step.slices {
		it.end(s)
	}
	s.stats.dropped.Store(s.memory.dropped)
	s.stats.unstored.Store(s.memory.unstored)
}

// scratchRowsMax is how many rows the scratch of queries may keep room for between steps.
const scratchRowsMax = 8 * positions.MaxRows

// resetStep empties the scratch. Pointers in it are overwritten by the next step at the latest; large scratch of a rare
// large step is given back.
func (s *shard) resetStep() {
	st := &s.step
	if cap(st.rows) > scratchRowsMax {
		st.rows, st.holdings = nil, nil
	}
	clear(st.joining)
	clear(st.slices)
	clear(st.page)
	clear(st.actions)
	st.events, st.repeats, st.actions = st.events[:0], st.repeats[:0], st.actions[:0]
	st.holdings, st.rows, st.joining = st.holdings[:0], st.rows[:0], st.joining[:0]
	st.slices, st.page = st.slices[:0], st.page[:0]
	st.refused = 0
}

// nextEvent is room for one more event of the step. Where none comes of it, whoever asked cuts it off again.
func (st *step) nextEvent() *positions.Event {
	n := len(st.events)
	if n < cap(st.events) {
		st.events = st.events[:n+1]
	} else {
		st.events = append(st.events, positions.Event{})
	}
	return &st.events[n]
}

// nextAction is room for one more action of the step. What lies there is zero: resetStep has cleared it.
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
		act.what = whatHoldings
		if r.Session.state != sessionCatching {
			act.index = s.snapshot(r.Account)
		}
	case KindHistory:
		act.what = whatHistory
	default:
		panic(fmt.Sprintf("request of kind %d", r.Kind))
	}
}
