package console

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/papertape/papertape/engine"
)

// watchedAccount is an account that streams watch.
type watchedAccount struct {
	number  uint64
	streams int // under the sampler's mu

	// Owned by who takes samples.
	seq      uint64 // of the newest event that was told; 0: none yet
	sessions int
	failed   string // why it could not be looked at last; "": it could

	latest []byte // what was told last; under the sampler's mu
}

// LiveAccount is an account after its newest event.
type LiveAccount struct {
	Account  uint64    `json:"account"`
	Error    string    `json:"error,omitempty"`     // unknown_account, unavailable
	AfterSeq *uint64   `json:"after_seq,omitempty"` // Events are newer than this
	Skipped  *uint64   `json:"skipped,omitempty"`   // newer events that are not shown
	Sessions *int      `json:"sessions,omitempty"`
	Holdings *Holdings `json:"holdings,omitempty"`
	Events   []Event   `json:"events,omitempty"` // the newest, newest first
}

// lookAtAccounts returns the accounts that are watched and have changed, as JSON.
func (p *sampler) lookAtAccounts() map[uint64][]byte {
	p.mu.Lock()
	watched := make([]*watchedAccount, 0, len(p.accounts))
	for _, w := range p.accounts {
		watched = append(watched, w)
	}
	p.mu.Unlock()
	if len(watched) == 0 {
		return nil
	}
	slices.SortFunc(watched, func(a, b *watchedAccount) int { return cmp.Compare(a.number, b.number) })
	ctx, cancel := context.WithTimeout(p.server.stopped, lookTimeout)
	defer cancel()
	changed := make(map[uint64][]byte)
	for _, w := range watched {
		if news := p.lookAt(ctx, w); news != nil {
			text := encoded(news)
			changed[w.number] = text
			p.mu.Lock()
			w.latest = text
			p.mu.Unlock()
		}
	}
	return changed
}

// latestOf returns what was told of an account last, for a stream that has just come.
func (p *sampler) latestOf(number uint64) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.accounts[number]; w != nil {
		return w.latest
	}
	return nil
}

// lookAt returns what is new of an account, or nil. Only where its sequence has moved is the book asked for more.
func (p *sampler) lookAt(ctx context.Context, w *watchedAccount) *LiveAccount {
	books := p.server.cfg.Books
	in, err := books.Account(ctx, w.number)
	if err != nil {
		return w.fail(err)
	}
	if in.Seq == w.seq && in.Sessions == w.sessions && w.failed == "" {
		return nil
	}
	h, err := books.Holdings(ctx, w.number)
	if err != nil {
		return w.fail(err)
	}
	after := w.seq
	if after == 0 && h.Seq > newestEvents {
		after = h.Seq - newestEvents
	}
	news := &LiveAccount{Account: w.number, AfterSeq: &after, Skipped: new(uint64), Sessions: &in.Sessions}
	if h.Seq > after {
		many := int(min(h.Seq-after, newestEvents)) //nolint:gosec // small
		events, _, err := books.History(ctx, w.number, h.Seq+1, many)
		if err != nil {
			return w.fail(err)
		}
		for i := range events {
			if events[i].Seq > after {
				news.Events = append(news.Events, newEvent(p.server.cfg.Universe, &events[i]))
			}
		}
		*news.Skipped = h.Seq - after - uint64(len(news.Events))
	}
	holdings := newHoldings(p.server.cfg.Universe, &h)
	news.Holdings = &holdings
	w.seq, w.sessions, w.failed = h.Seq, in.Sessions, ""
	return news
}

// fail says once why an account cannot be looked at.
func (w *watchedAccount) fail(err error) *LiveAccount {
	why := "unavailable"
	if errors.Is(err, engine.ErrUnknownAccount) {
		why = codeUnknownAccount
	}
	if w.failed == why {
		return nil
	}
	w.failed = why
	return &LiveAccount{Account: w.number, Error: why}
}
