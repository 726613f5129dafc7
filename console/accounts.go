package console

import (
	"context"
	"fmt"
	"net/http"
)

// The number of accounts on a page.
const (
	accountsDefault = 100
	accountsMax     = 1000
)

func (s *Server) accounts(w http.ResponseWriter, r *http.Request) {
	after, limit := queryNumber(r, "after"), queryNumber(r, "limit")
	if limit == 0 {
		limit = accountsDefault
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()
	list, err := s.cfg.Books.Accounts(ctx, after, int(min(limit, accountsMax)))
	if err != nil {
		s.failBooks(w, 0, err)
		return
	}
	answer(w, newAccounts(list))
}

// The number of events on a page, as in the wire protocol.
const (
	historyDefault = 20
	historyMax     = 100
)

func (s *Server) holdings(w http.ResponseWriter, r *http.Request) {
	account, ok := accountOf(w, r)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()
	h, err := s.cfg.Books.Holdings(ctx, account)
	if err != nil {
		s.failBooks(w, account, err)
		return
	}
	answer(w, newHoldings(s.cfg.Universe, &h))
}

func (s *Server) history(w http.ResponseWriter, r *http.Request) {
	account, ok := accountOf(w, r)
	if !ok {
		return
	}
	before, limit := queryNumber(r, "before"), queryNumber(r, "limit")
	if limit == 0 {
		limit = historyDefault
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()
	events, oldest, err := s.cfg.Books.History(ctx, account, before, int(min(limit, historyMax)))
	if err != nil {
		s.failBooks(w, account, err)
		return
	}
	answer(w, newHistory(s.cfg.Universe, account, oldest, events))
}

// accountOf reads the account in the path. If it is not one, accountOf answers 400 and ok is
// false.
func accountOf(w http.ResponseWriter, r *http.Request) (account uint64, ok bool) {
	text := r.PathValue("account")
	account, err := parseNumber(text)
	if err != nil {
		badRequest(w, fmt.Sprintf("%q is not an account; write its number, as in 100001", clip(text)))
		return 0, false
	}
	return account, true
}
