package console

import (
	"context"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/papertape/papertape/engine"
)

// The number of accounts on a page.
const (
	accountsDefault = 100
	accountsMax     = engine.SearchMax
)

// accountOrders are the words by which accounts are sorted.
var accountOrders = map[string]engine.AccountOrder{
	"account": engine.ByNumber, "value": engine.ByValue, "cash": engine.ByCash, "equity": engine.ByEquity,
	"realised": engine.ByRealised, "seq": engine.BySeq, "rows": engine.ByRows, "sessions": engine.BySessions,
}

// accountsQuery is the check of a query for accounts.
var accountsQuery = acceptParameters(number("after"), number("limit"), number("offset"), number("min_rows"),
	firstDigits("q"), sorted("sort", accountOrders))

// firstDigits is a parameter that takes the beginning of a number.
func firstDigits(name string) parameter {
	return parameter{name, func(value string) error {
		if n, err := parseNumber(value); err != nil || n == 0 {
			return fmt.Errorf("%q is not the beginning of a number; write its first digits, as in 1000", clip(value))
		}
		return nil
	}}
}

// sorted is a parameter that takes what to sort by, with a minus sign for the other direction.
func sorted[V any](name string, by map[string]V) parameter {
	words := slices.Sorted(maps.Keys(by))
	return parameter{name, func(value string) error {
		if _, ok := by[strings.TrimPrefix(value, "-")]; !ok {
			return fmt.Errorf("%q is nothing to sort by; it is one of %s, with - in front for the greatest first",
				clip(value), inWords(words))
		}
		return nil
	}}
}

// sortOf returns what a query that has been checked sorts by; the zero value, ascending, if it says nothing.
func sortOf[V any](r *http.Request, by map[string]V) (v V, descending bool) {
	word, descending := strings.CutPrefix(r.URL.Query().Get("sort"), "-")
	return by[word], descending
}

func (s *Server) accounts(w http.ResponseWriter, r *http.Request) {
	limit := queryNumber(r, "limit")
	if limit == 0 {
		limit = accountsDefault
	}
	limit = min(limit, accountsMax)
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()
	after, offset := queryNumber(r, "after"), queryNumber(r, "offset")
	by, descending := sortOf(r, accountOrders)
	q := engine.AccountSearch{
		Prefix: queryNumber(r, "q"), MinRows: int(min(queryNumber(r, "min_rows"), math.MaxInt32)), By: by,
		Descending: descending, Limit: int(limit),
	}
	plain := q == engine.AccountSearch{Limit: q.Limit} && offset == 0
	switch {
	case !plain && after > 0:
		badRequest(w, "after goes with all accounts by number alone; for the next page of others write offset")
		return
	case offset+limit > accountsMax || offset > accountsMax:
		badRequest(w,
			fmt.Sprintf("the first %d of accounts that are sorted can be had, and offset %d with limit %d is "+
				"beyond; ask for fewer with q or min_rows, or by number with after", accountsMax, offset, limit))
		return
	}
	q.Offset = int(offset) //nolint:gosec // at most accountsMax
	page, err := s.findAccounts(ctx, plain, after, q)
	if err != nil {
		s.failBooks(w, 0, err)
		return
	}
	answer(w, page)
}

// findAccounts asks the shards for a page of accounts. All by number takes a look at the numbers; anything else,
// at the accounts.
func (s *Server) findAccounts(ctx context.Context, plain bool, after uint64, q engine.AccountSearch) (Accounts, error) {
	if plain {
		list, total, err := s.cfg.Books.Accounts(ctx, after, q.Limit)
		return newAccounts(list, total), err
	}
	return survey(ctx, s.surveys, q, func() (Accounts, error) {
		list, total, err := s.cfg.Books.FindAccounts(ctx, q)
		return newAccounts(list, total), err
	})
}

func (s *Server) account(w http.ResponseWriter, r *http.Request) {
	account, ok := accountOf(w, r)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()
	in, err := s.cfg.Books.Account(ctx, account)
	if err != nil {
		s.failBooks(w, account, err)
		return
	}
	answer(w, newAccount(&in))
}

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
