package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/papertape/papertape/positions"
)

const (
	readEvents = 256 // events that a reader fetches at a time: about a piece of a replay
	pageMax    = 100 // events of a page that the process itself asks for
	queriesMax = 64  // queries of the process itself under way
)

// ErrUnknownAccount says that there is no such account.
var ErrUnknownAccount = errors.New("there is no such account")

// ErrStopped says that the engine is draining or has stopped.
var ErrStopped = errors.New("the engine is stopping")

// historyPage is a page of an account's history on its way to whoever asked: a session, or a query.
type historyPage struct {
	session *Session
	id      uint64
	query   *query
	account uint64
	before  uint64
	limit   int
	repeat  *positions.Order // not a page: the one event is to be the first execution of this order

	oldest uint64
	// Where a reader had to fetch some.
	events []positions.Event // from the tail, newest first
	slot   *readSlot         // those before them, oldest first
	err    error
}

// history answers a page from the tail, or has a reader fetch what the tail no longer holds.
func (s *shard) history(p *historyPage) {
	a := s.find(p.account)
	if a == nil {
		p.err = ErrUnknownAccount
		s.publishPage(p)
		return
	}
	p.oldest = s.oldest(a)
	if p.before == 0 || p.before > a.tail.head {
		p.before = a.tail.head + 1
	}
	st := &s.step
	st.page = st.page[:0]
	seq := p.before - 1
	for ; len(st.page) < p.limit && a.tail.has(seq); seq-- {
		st.page = append(st.page, a.tail.at(seq))
	}
	if len(st.page) == p.limit || seq == 0 || !s.keeps {
		s.answerPage(p, st.page)
		return
	}
	for _, ev := range st.page {
		p.events = append(p.events, *ev)
	}
	s.read(p)
}

// read has a reader fetch the rest of the page. Too many reads: BUSY.
func (s *shard) read(p *historyPage) {
	before, want := p.before-uint64(len(p.events)), p.limit-len(p.events)
	from := uint64(1)
	if before > uint64(want) {
		from = before - uint64(want)
	}
	if !s.eng.reads.try(&read{run: func(slot *readSlot) {
		p.slot, p.err = slot, s.eng.read(slot, p.account, from, int(before-from))
		s.post(control{kind: controlHistory, page: p})
	}}) {
		p.err = errReadsBusy
		s.stats.historyBusy.Add(1)
		s.publishPage(p)
	}
}

// ErrBusy says that there is too much of something at the moment; what wraps it says of what.
var ErrBusy = errors.New("try again")

var errReadsBusy = fmt.Errorf("too many reads of history are under way: %w", ErrBusy)

// publishPage answers a page that is complete, or that failed.
func (s *shard) publishPage(p *historyPage) {
	if p.err == nil && p.repeat != nil && len(p.slot.events) == 1 {
		s.answerRepeat(p, &p.slot.events[0])
		return
	}
	if p.err == nil && p.repeat == nil {
		page := s.step.page[:0]
		for i := range p.events {
			page = append(page, &p.events[i])
		}
		for i := len(p.slot.events) - 1; i >= 0; i-- {
			page = append(page, &p.slot.events[i])
		}
		s.step.page = page
		s.answerPage(p, page)
		return
	}
	if p.query != nil {
		p.query.answer(queryResult{err: p.err})
		return
	}
	failure := FailureInternal
	switch {
	case errors.Is(p.err, ErrBusy):
		failure = FailureBusy
	case errors.Is(p.err, ErrUnknownAccount):
		failure = FailureUnknownAccount
	default:
		s.eng.cfg.Log.Error().Err(p.err).Uint64("account", p.account).Msg("history could not be read")
	}
	s.publisher.Failed(p.session, p.id, nil, failure)
	p.session.End()
}

// answerRepeat answers a repeated order with its first execution, now that the event shows whether it is that: until then there
// were only hashes.
func (s *shard) answerRepeat(p *historyPage, first *positions.Event) {
	switch t := &first.Trade; {
	case t.OrderID != p.repeat.ID:
		s.publisher.Failed(p.session, p.id, p.repeat, FailureOrderIDClash)
	case !sameContent(t, p.repeat):
		s.publisher.Failed(p.session, p.id, p.repeat, FailureDuplicateOrderID)
	default:
		s.publisher.Repeat(first, p.session, p.id)
	}
	p.session.End()
}

func (s *shard) answerPage(p *historyPage, page []*positions.Event) {
	if p.query != nil {
		events := make([]positions.Event, len(page))
		for i, ev := range page {
			events[i] = *ev
		}
		p.query.answer(queryResult{events: events, oldest: p.oldest})
		return
	}
	s.publisher.History(page, p.oldest, p.session, p.id)
	p.session.End()
}

// query is a question asked in the process itself, by the console for one.
type query struct {
	account uint64
	history bool
	before  uint64
	limit   int

	after    uint64        // controlAccounts
	accounts []AccountInfo // controlAccounts: what the drainer found, until it is answered
	err      error         // controlOpen: likewise

	done  chan queryResult // holds one, so the drainer never waits
	slots chan struct{}    // where the query holds a slot until it is answered, also if nobody waits any more
}

func (q *query) answer(r queryResult) {
	q.done <- r
	<-q.slots
}

type queryResult struct {
	holdings positions.Holdings
	events   []positions.Event
	oldest   uint64
	accounts []AccountInfo
	err      error
}

func (q *query) answerHoldings(index int32, all []positions.Holdings) {
	if index < 0 {
		q.answer(queryResult{err: ErrUnknownAccount})
		return
	}
	h := all[index]
	h.Positions = append([]positions.Position(nil), h.Positions...)
	q.answer(queryResult{holdings: h})
}

// Holdings returns the account as it is when the shard comes to it.
func (e *Engine) Holdings(ctx context.Context, account uint64) (positions.Holdings, error) {
	r, err := e.ask(ctx, account, control{kind: controlQuery, query: &query{account: account}})
	return r.holdings, err
}

// History returns up to limit events of the account (at most pageMax) with sequences below before (0: from the head), newest
// first, and the oldest sequence kept (0: none).
func (e *Engine) History(ctx context.Context, account, before uint64, limit int) ([]positions.Event, uint64, error) {
	limit = max(0, min(limit, pageMax))
	q := &query{account: account, history: true, before: before, limit: limit}
	r, err := e.ask(ctx, account, control{kind: controlQuery, query: q})
	return r.events, r.oldest, err
}

// ask puts a query into the control lane and waits for the answer. At most queriesMax are under way; the next one waits.
func (e *Engine) ask(ctx context.Context, account uint64, c control) (queryResult, error) {
	select {
	case e.queries <- struct{}{}:
	case <-ctx.Done():
		return queryResult{}, ctx.Err()
	case <-e.stopping:
		return queryResult{}, ErrStopped
	}
	c.query.done, c.query.slots = make(chan queryResult, 1), e.queries
	e.shardOf(account).post(c)
	select {
	case r := <-c.query.done:
		return r, r.err
	case <-ctx.Done():
		return queryResult{}, ctx.Err()
	case <-e.stopping:
		return queryResult{}, ErrStopped
	}
}
