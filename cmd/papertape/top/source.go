package top

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/papertape/papertape/console"
)

// Source is a server that can be asked.
type Source interface {
	Ready(ctx context.Context) error
	Counters(ctx context.Context) ([]console.Counter, error)
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

// Ask returns the server behind a console.
func Ask(c *console.Client) Source { return asked{c} }

type asked struct{ *console.Client }

func (a asked) Counters(ctx context.Context) ([]console.Counter, error) {
	n, err := a.Client.Counters(ctx)
	return n.Counters, err
}

func (a asked) Kick(ctx context.Context, uid uint64) (console.Session, error) {
	return a.Client.Kick(ctx, uid, "")
}

func (a asked) Table(ctx context.Context, q Query) (Table, error) {
	switch q.View {
	case Accounts:
		all, err := a.Accounts(ctx, 0, accountsMax)
		return pick(all.Accounts, q, accountKeys, matchAccount, func(t *Table, rows []console.Account) { t.Accounts = rows }), err
	case Instruments:
		all, err := a.Instruments(ctx)
		return pick(all.Instruments, q, instrumentKeys, matchInstrument,
			func(t *Table, rows []console.Instrument) { t.Instruments = rows }), err
	default:
		all, err := a.Sessions(ctx)
		return pick(all.Sessions, q, sessionKeys, matchSession,
			func(t *Table, rows []console.Session) { t.Sessions = rows }), err
	}
}

// accountsMax is the longest page of accounts that a console gives.
const accountsMax = 1000

// State is what a session does, in a word.
func State(s *console.Session) string {
	switch {
	case s.Account == 0:
		return "not_logged_in"
	case s.CatchingUp:
		return "catching_up"
	default:
		return "live"
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
