package engine

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/papertape/papertape/market"
	"github.com/papertape/papertape/positions"
)

// step is the scratch of one step; it is used again by the next.
type step struct {
	events   []positions.Event // decided in this step, in order
	repeats  []positions.Event // first executions of repeated orders
	actions  []action          // what to publish, in order
	holdings []positions.Holdings
	rows     []positions.Position // the holdings' rows
	joining  []*Session           // sessions to bring forward at the end of the step
	page     []*positions.Event

	prices   *market.Prices
	now      int64 // for the times of events
	elapsed  int64 // for intervals; only where the orders of an account are limited
	readOnly bool
	refused  uint64
}

// action is one thing to publish. Which fields are set depends on what.
type action struct {
	what    what
	failure Failure
	index   int32    // of the event, the repeat or the holdings
	req     *Request // nil for items of the control lane
	ctl     *control // nil for requests
	refusal positions.Refusal
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
	whatControl
)

// runStep decides, commits and publishes.
func (s *shard) runStep(requests []Request, lane []control) {
	st := &s.step
	st.prices, st.now = s.eng.cfg.Prices(), s.eng.cfg.Clock()
	if s.eng.cfg.OrdersPerSecond > 0 {
		st.elapsed = s.eng.cfg.Elapsed()
	}
	st.readOnly = s.eng.cfg.ReadOnly != nil && s.eng.cfg.ReadOnly()
	for i := range lane {
		s.decideControl(&lane[i])
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
	s.endStep(lane)
	s.resetStep()
}

// endStep is what happens when all of the step has been published: the place for a checkpoint to look at the shard.
func (s *shard) endStep(lane []control) {
	if s.pressed() && !s.eng.underway.Load() {
		s.eng.want()
	}
	for i := range lane {
		if lane[i].slice != nil {
			s.serveCheckpoint(&lane[i])
		}
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
	clear(st.page)
	clear(st.actions)
	st.events, st.repeats, st.actions = st.events[:0], st.repeats[:0], st.actions[:0]
	st.holdings, st.rows, st.joining, st.page = st.holdings[:0], st.rows[:0], st.joining[:0], st.page[:0]
	st.refused = 0
}

// --- decide

func (s *shard) decideControl(c *control) {
	act := action{what: whatControl, ctl: c, index: -1}
	switch c.kind {
	case controlLogin:
		if c.login.Mode == ModeSnapshot || c.login.Mode == ModeResume { // a resume that is not possible becomes a snapshot
			act.index = s.snapshot(c.login.Account)
		}
	case controlQuery:
		if !c.query.history {
			act.index = s.snapshot(c.query.account)
		}
	case controlAccounts:
		s.list(c.query)
	case controlOpen:
		c.query.err = s.openAll(c.opening, c.seed)
	case controlFolded:
		s.decideBust(c.bust, &act.index)
	case controlCheckpoint, controlRelease: // at the end of the step
		return
	}
	s.step.actions = append(s.step.actions, act)
}

func (s *shard) decideRequest(r *Request) {
	act := action{req: r, index: -1}
	switch r.Kind {
	case KindOrder:
		s.decideOrder(r, &act)
	case KindDecide:
		s.decideWith(r, &act)
	case KindHoldings:
		act.what = whatHoldings
		if r.Session.state != sessionCatching {
			act.index = s.snapshot(r.Order.Account)
		}
	case KindHistory:
		act.what = whatHistory
	default:
		panic(fmt.Sprintf("request of kind %d", r.Kind))
	}
	s.step.actions = append(s.step.actions, act)
}

func (s *shard) decideOrder(r *Request, act *action) {
	if s.tooFast(r.Order.Account) {
		act.what, act.failure = whatFailed, FailureRateLimited
		s.stats.rateLimited.Add(1)
		return
	}
	if r.Order.ID.IsZero() {
		s.decide(&r.Order, act)
		return
	}
	id := hashBytes(fnvOffset, r.Order.ID.Bytes())
	content, ok := s.tryContentHash(&r.Order)
	if !ok {
		act.what, act.failure = whatFailed, FailureInternal
		return
	}
	var clash *positions.OrderID
	if a := s.find(r.Order.Account); a != nil && a.ids != nil {
		first, known := a.ids.find(&r.Order.ID, id)
		if known && !s.repeat(a, first, &r.Order, content, act) {
			return
		}
		if known {
			clash = &r.Order.ID
		}
	}
	if !s.decide(&r.Order, act) {
		return
	}
	record := OrderIDRecord{ID: id, Content: content, Seq: s.step.events[act.index].Seq}
	s.find(r.Order.Account).remember(record, clash, s.idsMax)
}

// tryContentHash contains a panic over an order that no universe has.
func (s *shard) tryContentHash(o *positions.Order) (h uint64, ok bool) {
	defer func() {
		if p := recover(); p != nil {
			s.contained("content", o.Account, p)
		}
	}()
	return contentHash(o.Instrument, o.Side, o.Quantity, o.Limit, s.eng.cfg.Universe), true
}

// tooFast counts an order of the account and says whether it is one too many. An account that was quiet may send a
// second's worth at once.
func (s *shard) tooFast(account uint64) bool {
	if s.eng.cfg.OrdersPerSecond == 0 {
		return false
	}
	a := s.find(account)
	return a != nil && !a.pace.Allow(time.Duration(s.step.elapsed), s.eng.cfg.OrdersPerSecond)
}

// repeat answers an order whose id was used before with its first execution. It returns true, and answers nothing, where the
// event shows that the first one's id is another with the same hash: then the order is a new one.
//
// Where the event is not in memory, what was remembered must do until it has been read from the journal: see answerRepeat.
func (s *shard) repeat(a *account, first OrderIDRecord, o *positions.Order, content uint64, act *action) (other bool) {
	st := &s.step
	ev := s.recent(a, first.Seq)
	switch {
	case ev != nil && ev.Trade.OrderID != o.ID:
		return true
	case ev != nil && !sameContent(&ev.Trade, o), ev == nil && first.Content != content:
		act.what, act.failure = whatFailed, FailureDuplicateOrderID
		return false
	}
	act.what, act.index = whatRepeated, int32(len(st.repeats))
	if ev == nil { // it is fetched outside the drainer when the action is published
		ev = &positions.Event{Account: a.number, Seq: first.Seq}
	}
	st.repeats = append(st.repeats, *ev)
	return false
}

// recent returns an event of the account that is in memory, decided earlier in this step or in the tail; else nil.
func (s *shard) recent(a *account, seq uint64) *positions.Event {
	if a.tail.has(seq) {
		return a.tail.at(seq)
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

// decide decides the order and applies the event. It returns whether there is one.
func (s *shard) decide(o *positions.Order, act *action) (executed bool) {
	st := &s.step
	if st.readOnly {
		act.what, act.failure = whatFailed, FailureReadOnly
		s.stats.readOnly.Add(1)
		return false
	}
	if s.full() {
		act.what, act.failure = whatFailed, FailureBusy
		s.stats.busy.Add(1)
		return false
	}
	n := len(st.events)
	ev := st.nextEvent()
	refusal, ok := s.tryDecide(o, ev)
	switch {
	case !ok:
		act.what, act.failure = whatFailed, FailureInternal
	case refusal.Reason != positions.NoRefusal:
		act.what, act.refusal = whatRefused, refusal
		st.refused++
	default:
		act.what, act.index = whatExecuted, int32(n)
		s.book.Apply(ev)
		return true
	}
	st.events = st.events[:n]
	return false
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

// tryDecide contains a panic of the decision: the book was not touched yet.
func (s *shard) tryDecide(o *positions.Order, ev *positions.Event) (r positions.Refusal, ok bool) {
	defer func() {
		if p := recover(); p != nil {
			s.contained("decide", o.Account, p)
		}
	}()
	return s.book.Decide(o, s.step.prices, s.step.now, ev), true
}

func (s *shard) decideWith(r *Request, act *action) {
	act.what = whatDeclined
	order, ok := s.tryDecider(r)
	if !ok {
		return
	}
	order.Account = r.Order.Account
	r.Order = order
	if r.Session == nil {
		r.Order.ID = positions.OrderID{} // nobody asked, so nobody asks again
		s.decide(&r.Order, act)
		return
	}
	s.decideOrder(r, act) // as if the session had sent it: its id counts, and its rate
}

func (s *shard) tryDecider(r *Request) (o positions.Order, ok bool) {
	defer func() {
		if p := recover(); p != nil {
			ok = false
			s.contained("decider", r.Order.Account, p)
		}
	}()
	v, known := s.book.View(r.Order.Account)
	if !known {
		return o, false
	}
	return r.Decider.Decide(v, s.step.prices, s.step.now, r.Arg)
}

func (s *shard) contained(where string, account uint64, p any) {
	s.eng.panics.Add(1)
	s.eng.cfg.Log.Error().Str("in", where).Uint64("account", account).Any("panic", p).Bytes("stack", debug.Stack()).
		Msg("panic contained; the book is untouched")
}

// snapshot copies the account as it is at this place of the step. It returns -1 if there is no such account.
func (s *shard) snapshot(number uint64) int32 {
	st := &s.step
	h, rows, ok := s.book.Holdings(number, st.prices, st.rows)
	if !ok {
		return -1
	}
	st.rows = rows
	st.holdings = append(st.holdings, h)
	return int32(len(st.holdings) - 1)
}
