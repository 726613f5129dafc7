package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/papertape/papertape/positions"
)

const (
	readEvents = 256 // events that a reader fetches at a time: about one piece of a replay
	pageMax    = 100 // largest page for a query of the process itself
)

// ErrUnknownAccount is returned for an account that does not exist.
var ErrUnknownAccount = errors.New("there is no such account")

// ErrStopped is returned when the engine is stopping or has stopped.
var ErrStopped = errors.New("the engine is stopping")

// ErrHistoryFull says that Config.WholeHistory can no longer be kept.
var ErrHistoryFull = errors.New("the whole history no longer fits the memory that a shard may use for it")

// historyPage is a query for a page of an account's history.
type historyPage struct {
	asker   pageAsker
	account uint64
	before  uint64 // the page has the newest events below this sequence; 0: the newest of all
	limit   int

	oldest uint64
	// Set if a reader had to fetch some of the events.
	events []positions.Event // from the tail, newest first
	slot   *readSlot         // the events before those, oldest first
	err    error
}

// pageAsker receives the answer to a query for a page: one call, by the drainer, after a commit.
type pageAsker interface {
	// page gets the events, newest first, and the oldest sequence kept. The events are valid only
	// during the call.
	page(s *shard, events []*positions.Event, oldest uint64)

	// failed gets the reason why there is no page: ErrUnknownAccount, an error that wraps ErrBusy,
	// or an error of reading the history.
	failed(s *shard, err error)
}

// history answers a query from the tail, or has a reader fetch the events that the tail no longer
// holds.
func (s *shard) history(p *historyPage) {
	a := s.find(p.account)
	if a == nil {
		p.asker.failed(s, ErrUnknownAccount)
		return
	}
	p.oldest = s.oldest(a)
	if p.before == 0 || p.before > a.tail.head {
		p.before = a.tail.head + 1
	}
	var page []*positions.Event
	seq := p.before - 1 // the newest that is still missing
	if a.tail.has(seq) && p.limit > 0 {
		from := a.tail.oldest
		if p.before-from > uint64(p.limit) {
			from = p.before - uint64(p.limit)
		}
		page = s.recall(a, from, seq)
		seq = from - 1
	}
	if len(page) == p.limit || seq == 0 || !s.keeps {
		p.asker.page(s, page, p.oldest)
		return
	}
	for _, ev := range page {
		p.events = append(p.events, *ev)
	}
	s.read(p)
}

// read has a reader fetch the rest of the page. If too many reads are under way, the query fails as
// busy.
func (s *shard) read(p *historyPage) {
	before, missing := p.before-uint64(len(p.events)), p.limit-len(p.events)
	from := uint64(1)
	if before > uint64(missing) {
		from = before - uint64(missing)
	}
	if !s.eng.reads.tryStart(&read{fetch: func(slot *readSlot) {
		p.slot, p.err = slot, s.eng.read(slot, p.account, from, int(before-from))
		s.post(pageItem{p})
	}}) {
		s.stats.historyBusy.Add(1)
		p.asker.failed(s, errReadsBusy)
	}
}

// ErrBusy says that some limit is reached at the moment. The error that wraps it says which.
var ErrBusy = errors.New("try again")

var errReadsBusy = fmt.Errorf("too many reads of history are under way: %w", ErrBusy)

// pageItem returns a page to the drainer when a reader has fetched the rest of it.
type pageItem struct{ page *historyPage }

func (pageItem) decide(*shard, *action) {}

func (i pageItem) publish(s *shard, _ *action) {
	s.publishPage(i.page)
	s.eng.reads.release(i.page.slot)
}

// publishPage answers a query whose page has been read, or could not be.
func (s *shard) publishPage(p *historyPage) {
	if p.err != nil {
		p.asker.failed(s, p.err)
		return
	}
	page := s.step.page[:0]
	for i := range p.events {
		page = append(page, &p.events[i])
	}
	for i := len(p.slot.events) - 1; i >= 0; i-- {
		page = append(page, &p.slot.events[i])
	}
	s.step.page = page
	p.asker.page(s, page, p.oldest)
}

// sessionPage is the query of a session for a page.
type sessionPage struct {
	historyPage
	session *Session
	id      uint64
}

// publishHistory starts to answer the query of a session.
func (s *shard) publishHistory(r *Request) {
	p := &sessionPage{session: r.Session, id: r.ID}
	p.historyPage = historyPage{asker: p, account: r.Account, before: r.Before, limit: int(r.Limit)}
	s.history(&p.historyPage)
}

func (p *sessionPage) page(s *shard, events []*positions.Event, oldest uint64) {
	s.answer(Answer{Kind: AnswerHistory, Session: p.session, ID: p.id, History: events, Oldest: oldest})
}

func (p *sessionPage) failed(s *shard, err error) { s.readFailed(p.account, p.session, p.id, err) }

// readFailed answers a request of a session that needed history which could not be read.
func (s *shard) readFailed(account uint64, session *Session, id uint64, err error) {
	failure := FailureInternal
	switch {
	case errors.Is(err, ErrBusy):
		failure = FailureHistoryBusy
	case errors.Is(err, ErrUnknownAccount):
		failure = FailureUnknownAccount
	default:
		s.eng.cfg.Log.Error().Err(err).Uint64("account", account).Msg("history could not be read")
	}
	s.answer(Answer{Kind: AnswerFailed, Session: session, ID: id, Failure: failure})
}

// History returns up to limit events of the account (at most pageMax) with sequences below before
// (0: up to the newest), newest first, and the oldest sequence kept (0: none).
func (e *Engine) History(ctx context.Context, account, before uint64, limit int) ([]positions.Event, uint64, error) {
	limit = max(0, min(limit, pageMax))
	r, err := ask(ctx, e, account, func(q question[keptEvents]) item {
		h := &historyItem{question: q}
		h.historyPage = historyPage{asker: h, account: account, before: before, limit: limit}
		return h
	})
	return r.events, r.oldest, err
}

// historyItem is a query of the process itself for a page.
type historyItem struct {
	question[keptEvents]
	historyPage
}

// keptEvents are events of an account, and the oldest sequence kept.
type keptEvents struct {
	events []positions.Event
	oldest uint64
}

func (*historyItem) decide(*shard, *action) {}

func (h *historyItem) publish(s *shard, _ *action) { s.history(&h.historyPage) }

func (h *historyItem) page(_ *shard, page []*positions.Event, oldest uint64) {
	events := make([]positions.Event, len(page))
	for i, ev := range page {
		events[i] = *ev
	}
	h.answer(keptEvents{events, oldest}, nil)
}

func (h *historyItem) failed(_ *shard, err error) { h.answer(keptEvents{}, err) }
