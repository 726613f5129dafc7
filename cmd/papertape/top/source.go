package top

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/papertape/papertape/console"
)

// Source is a server that can be asked.
type Source interface {
	Ready(ctx context.Context) error
	Counters(ctx context.Context) ([]console.Counter, error)
	// Limits returns what there is of things that are limited. A server of before this could says nothing.
	Limits(ctx context.Context) ([]console.Limit, error)
	// Metrics returns what is measured, in the text form of Prometheus. A server of before this could says nothing.
	Metrics(ctx context.Context) (string, error)
	// Table returns the rows of a view that a query asks for.
	Table(ctx context.Context, q Query) (Table, error)
	Kick(ctx context.Context, uid uint64) (console.Session, error)
}

// View is what the table shows.
type View string

// The views.
const (
	Sessions    View = "sessions"
	Accounts    View = "accounts"
	Instruments View = "instruments"
)

// Query says what the table is to show.
type Query struct {
	View   View
	Sort   string // a name in SortKeys; with - in front of it, the largest first
	Rows   int    // at most
	Filter string // the beginning of an address, a number, a name; empty: everything
}

// Table is the answer to a query. One of the lists is there.
type Table struct {
	Total       int                  `json:"total"` // before Rows cut it
	Sessions    []console.Session    `json:"sessions,omitempty"`
	Accounts    []console.Account    `json:"accounts,omitempty"`
	Instruments []console.Instrument `json:"instruments,omitempty"`
}

// Ask returns the server behind a console. It has the server sort and search; a server of before this could is asked
// for everything, and what is wanted is picked here.
func Ask(c *console.Client) Source { return &asked{Client: c} }

// asked is asked one question at a time.
type asked struct {
	*console.Client
	old bool // the server cannot search
}

func (a *asked) Counters(ctx context.Context) ([]console.Counter, error) {
	n, err := a.Client.Counters(ctx)
	return n.Counters, err
}

func (a *asked) Limits(ctx context.Context) ([]console.Limit, error) {
	s, err := a.Server(ctx)
	return s.Limits, ifThere(err)
}

func (a *asked) Metrics(ctx context.Context) (string, error) {
	text, err := a.Client.Metrics(ctx)
	return text, ifThere(err)
}

// ifThere is nil for the error of a path that the server does not know.
func ifThere(err error) error {
	var refused *console.Error
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		return nil
	}
	return err
}

func (a *asked) Kick(ctx context.Context, uid uint64) (console.Session, error) {
	return a.Client.Kick(ctx, uid, "")
}

func (a *asked) Table(ctx context.Context, q Query) (t Table, err error) {
	if q.View == Instruments {
		all, err := a.Instruments(ctx)
		return pick(all.Instruments, q, instrumentKeys, matchInstrument,
			func(t *Table, rows []console.Instrument) { t.Instruments = rows }), err
	}
	if !a.old {
		t, err = a.search(ctx, q)
		var refused *console.Error
		a.old = errors.As(err, &refused) && refused.Status == http.StatusBadRequest
	}
	if a.old {
		return a.everything(ctx, q)
	}
	return t, err
}

// search has the server pick.
func (a *asked) search(ctx context.Context, q Query) (Table, error) {
	if q.View == Accounts {
		found, err := a.SearchAccounts(ctx, console.AccountSearch{Prefix: q.Filter, Sort: q.Sort, Limit: q.Rows})
		return Table{Total: found.Total, Accounts: found.Accounts}, err
	}
	wanted := console.SessionSearch{Sort: q.Sort, Limit: q.Rows}
	account, err := strconv.ParseUint(q.Filter, 10, 64)
	switch {
	case err == nil:
		wanted.Account = account
	case slices.Contains(sessionStates, q.Filter):
		wanted.State = q.Filter
	default:
		wanted.Remote = q.Filter
	}
	found, err := a.SearchSessions(ctx, wanted)
	return Table{Total: found.Total, Sessions: found.Sessions}, err
}

// everything asks for all there is, and picks.
func (a *asked) everything(ctx context.Context, q Query) (Table, error) {
	if q.View == Accounts {
		all, err := a.Accounts(ctx, 0, accountsMax)
		return pick(all.Accounts, q, accountKeys, matchAccount,
			func(t *Table, rows []console.Account) { t.Accounts = rows }), err
	}
	all, err := a.Sessions(ctx)
	return pick(all.Sessions, q, sessionKeys, matchSession,
		func(t *Table, rows []console.Session) { t.Sessions = rows }), err
}

// accountsMax is the longest page of accounts that a console gives.
const accountsMax = 1000

// sessionStates are what a session does, in a word.
var sessionStates = []string{"not_logged_in", "catching_up", "live"}

// State is the word of a session.
func State(s *console.Session) string {
	switch {
	case s.Account == 0:
		return sessionStates[0]
	case s.CatchingUp:
		return sessionStates[1]
	default:
		return sessionStates[2]
	}
}

func matchSession(s *console.Session, filter string) bool {
	return State(s) == filter || strconv.FormatUint(s.Account, 10) == filter || strings.HasPrefix(s.Remote, filter)
}

func matchAccount(a *console.Account, filter string) bool {
	return strings.HasPrefix(strconv.FormatUint(a.Account, 10), filter)
}

func matchInstrument(i *console.Instrument, filter string) bool {
	return strings.EqualFold(i.Market, filter) || strings.HasPrefix(i.Code, filter) || strings.Contains(i.Name, filter)
}

// CheckFilter returns what is wrong with a filter for a view.
func CheckFilter(view View, filter string) error {
	if _, err := strconv.ParseUint(filter, 10, 64); view == Accounts && filter != "" && err != nil {
		return fmt.Errorf("filter %q: accounts are found by the beginning of their number, as in 1000", filter)
	}
	return nil
}
