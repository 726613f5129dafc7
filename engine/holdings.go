package engine

import (
	"context"

	"github.com/papertape/papertape/positions"
)

// Holdings returns the account's holdings at the time when its shard serves the query.
func (e *Engine) Holdings(ctx context.Context, account uint64) (positions.Holdings, error) {
	return ask(ctx, e, account, func(q question[positions.Holdings]) item { return &holdingsItem{q, account} })
}

// holdingsItem is a query of the process itself for holdings.
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

// snapshot copies the account's holdings at this point of the step and returns their index in
// step.holdings, or -1 if there is no such account.
func (s *shard) snapshot(number uint64) int32 {
	s.drainer.Check()
	st := &s.step
	h, rows, ok := s.book.Holdings(number, st.prices, st.rows)
	if !ok {
		return -1
	}
	st.rows = rows
	st.holdings = append(st.holdings, h)
	return int32(len(st.holdings) - 1)
}

// publishHoldings answers the query of a session. If the session is catching up, it is answered
// once it is live.
func (s *shard) publishHoldings(act *action) {
	r := act.req
	if r.Session.state == sessionCatching {
		r.Session.catchup.holdings = append(r.Session.catchup.holdings, r.ID)
		return
	}
	a := Answer{Kind: AnswerHoldings, Session: r.Session, ID: r.ID}
	if act.index >= 0 {
		a.Holdings = &s.step.holdings[act.index]
	} else { // the session was catching up when the query was decided, and has ended since
		a.Kind, a.Failure = AnswerFailed, FailureUnknownAccount
	}
	s.answer(a)
}
