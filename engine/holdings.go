package engine

import (
	"context"

	"github.com/papertape/papertape/positions"
)

// Holdings returns the account as it is when the shard comes to it.
func (e *Engine) Holdings(ctx context.Context, account uint64) (positions.Holdings, error) {
	return ask(ctx, e, account, func(q question[positions.Holdings]) item { return &holdingsItem{q, account} })
}

// holdingsItem is a query of the process itself.
type holdingsItem struct {
	question[positions.Holdings]
	account uint64
}

func (h *holdingsItem) decide(s *shard, act *action) { act.index = s.snapshot(h.account) }

func (h *holdingsItem) publish(s *shard, act *action) {
	if act.index < 0 {
		h.answer(positions.Holdings{}, ErrUnknownAccount)
		return
	}
	holdings := s.step.holdings[act.index]
	holdings.Positions = append([]positions.Position(nil), holdings.Positions...)
	h.answer(holdings, nil)
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

// publishHoldings answers the query of a session.
func (s *shard) publishHoldings(act *action) {
	r := act.req
	switch {
	case r.Session.state == sessionCatching:
		r.Session.catchup.holdings = append(r.Session.catchup.holdings, r.ID)
		return
	case act.index >= 0:
		s.publisher.Holdings(&s.step.holdings[act.index], r.Session, r.ID)
	default: // it was catching up when the query was decided, and has ended since
		s.publisher.Failed(r.Session, r.ID, &r.Order, FailureUnknownAccount)
	}
	r.Session.End()
}
