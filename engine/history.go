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
)

// ErrUnknownAccount says that there is no such account.
var ErrUnknownAccount = errors.New("there is no such account")

// ErrStopped says that the engine is draining or has stopped.
var ErrStopped = errors.New("the engine is stopping")

// historyPage is a page of an account's history on its way to whoever asked.
type historyPage struct {
	asker   pageAsker
	account uint64
	before  uint64 // newest first from below this sequence; 0: from the head
	limit   int

	oldest uint64
	// Where a reader had to fetch some.
	events []positions.Event // from the tail, newest first
	slot   *readSlot         // those before them, oldest first
	err    error
}

// pageAsker asked for a page. It is told once, by the drainer, after a commit.
type pageAsker interface {
	// page is given the events, newest first, and the oldest sequence kept. They are good during the call only.
	page(s *shard, events []*positions.Event, oldest uint64)

	// failed is told why there is no page: ErrUnknownAccount, what wraps ErrBusy, or that the history could not be
	// read.
	failed(s *shard, err error)
}

// history answers a page from the tail, or has a reader fetch what the tail no longer holds.
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
	st := &s.step
	st.page = st.page[:0]
	seq := p.before - 1
	for ; len(st.page) < p.limit && a.tail.has(seq); seq-- {
		st.page = append(st.page, a.tail.at(seq))
	}
	if len(st.page) == p.limit || seq == 0 || !s.keeps {
		p.asker.page(s, st.page, p.oldest)
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
		s.post(pageItem{p})
	}}) {
		s.stats.historyBusy.Add(1)
		p.asker.failed(s, errReadsBusy)
	}
}

// ErrBusy says that there is too much of something at the moment; what wraps it says of what.
var ErrBusy = errors.New("try again")

var errReadsBusy = fmt.Errorf("too many reads of history are under way: %w", ErrBusy)

// pageItem brings a page of which a reader fetched some.
type pageItem struct{ page *historyPage }

func (pageItem) decide(*shard, *action) {}

func (i pageItem) publish(s *shard, _ *action) {
	s.publishPage(i.page)
	s.eng.reads.used(i.page.slot)
}

// publishPage answers a page that has been read, or could not be.
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

// sessionPage is a page for a session.
type sessionPage struct {
	historyPage
	session *Session
	id      uint64
}

// publishHistory begins to answer the query of a session.
func (s *shard) publishHistory(r *Request) {
	p := &sessionPage{session: r.Session, id: r.ID}
	p.historyPage = historyPage{asker: p, account: r.Account, before: r.Before, limit: int(r.Limit)}
	s.history(&p.historyPage)
}

func (p *sessionPage) page(s *shard, events []*positions.Event, oldest uint64) {
	s.answer(Answer{Kind: AnswerHistory, Session: p.session, ID: p.id, History: events, Oldest: oldest})
}

func (p *sessionPage) failed(s *shard, err error) { s.readFailed(p.account, p.session, p.id, err) }

// readFailed answers a request of a session for which history should have been read.
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

// History returns up to limit events of the account (at most pageMax) with sequences below before (0: from the head), newest
// first, and the oldest sequence kept (0: none).
func (e *Engine) History(ctx context.Context, account, before uint64, limit int) ([]positions.Event, uint64, error) {
	limit = max(0, min(limit, pageMax))
	r, err := ask(ctx, e, account, func(q question[keptEvents]) item {
		h := &historyItem{question: q}
		h.historyPage = historyPage{asker: h, account: account, before: before, limit: limit}
		return h
	})
	return r.events, r.oldest, err
}

// historyItem asks for a page in the process itself.
type historyItem struct {
	question[keptEvents]
	historyPage
}

// keptEvents are events of an account, and the oldest sequence kept of it.
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
