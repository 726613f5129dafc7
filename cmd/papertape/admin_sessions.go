package main

import (
	"fmt"
	"io"
	"math"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/decimal"
	"github.com/papertape/papertape/usertext"
)

const (
	accountsPage    = 100
	accountsPageMax = 1000
)

func newAccounts() *cobra.Command {
	var server consoleFlags
	var after uint64
	var limit int
	cmd := &cobra.Command{
		Use:   "accounts",
		Short: "The accounts of a running server, by number",
		Example: `  papertape accounts
  papertape accounts --after 100100 --limit 1000
  papertape accounts -o json`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := server.client()
			if err != nil {
				return err
			}
			a, err := c.Accounts(cmd.Context(), after, limit)
			if err != nil {
				return err
			}
			return printAs(cmd.OutOrStdout(), server.output, a,
				func(w io.Writer) error { return renderAccounts(w, a.Accounts, limit) })
		},
	}
	server.register(cmd.Flags())
	cmd.Flags().Var(decimal.Whole(&after, 0, 0, math.MaxUint64), "after", "only accounts with a higher number")
	cmd.Flags().Var(decimal.Whole(&limit, accountsPage, 1, accountsPageMax), "limit",
		fmt.Sprintf("how many accounts, at most %d; --after asks for later ones", accountsPageMax))
	return cmd
}

func renderAccounts(w io.Writer, accounts []console.Account, limit int) error {
	t := newTable(table.Row{"account", "seq", "rows", "market value", "cash", "realised", "sessions"}, 1)
	for i := range accounts {
		a := &accounts[i]
		t.AppendRow(table.Row{a.Account, a.Seq, a.Rows, a.TotalMarketValue, a.Cash.Balance, a.Cash.Realised,
			a.Sessions})
	}
	rest := ""
	if len(accounts) == limit {
		rest = fmt.Sprintf("; for what follows: --after %d", accounts[limit-1].Account)
	}
	_, err := fmt.Fprintf(w, "%s\n%s%s\n", t.Render(), plural(len(accounts), "account"), rest)
	return err
}

// plural returns a count with its noun: "1 account", "2 accounts".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func newSessions() *cobra.Command {
	var server consoleFlags
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "The connections of clients to a running server",
		Example: `  papertape sessions
  papertape sessions -o json`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := server.client()
			if err != nil {
				return err
			}
			s, err := c.Sessions(cmd.Context())
			if err != nil {
				return err
			}
			return printAs(cmd.OutOrStdout(), server.output, s,
				func(w io.Writer) error { return renderSessions(w, s.Sessions) })
		},
	}
	server.register(cmd.Flags())
	return cmd
}

func renderSessions(w io.Writer, sessions []console.Session) error {
	t := newTable(table.Row{"state", "remote", "since", "key", "uid", "account", "waiting bytes", "in flight"}, 5)
	for i := range sessions {
		s := &sessions[i]
		t.AppendRow(table.Row{sessionState(s), s.Remote, s.Since.Format(time.RFC3339), s.Key, s.UID, s.Account,
			s.WaitingBytes, s.InFlight})
	}
	_, err := fmt.Fprintf(w, "%s\n%s\n", t.Render(), plural(len(sessions), "session"))
	return err
}

func sessionState(s *console.Session) string {
	switch {
	case s.Account == 0:
		return "not logged in"
	case s.CatchingUp:
		return "catching up"
	default:
		return "live"
	}
}

func newKick() *cobra.Command {
	var server consoleFlags
	var reason string
	cmd := &cobra.Command{
		Use:   "kick UID",
		Short: "End a session of a running server; its client is told so, and why",
		Long: `End a session of a running server; its client is told so, and why.

papertape sessions lists the sessions with their uids.`,
		Example: `  papertape kick 17
  papertape kick 17 --reason "the desk is closed"`,
		Args: exactArgs(1, "the uid of a session"),
		RunE: func(cmd *cobra.Command, args []string) error {
			uid, err := decimal.ParseWhole[uint64](args[0], 1, math.MaxUint64)
			if err != nil {
				return usageError{fmt.Errorf("%q is not the uid of a session; papertape sessions lists them", args[0])}
			}
			c, err := server.client()
			if err != nil {
				return err
			}
			s, err := c.Kick(cmd.Context(), uid, reason)
			if err != nil {
				return err
			}
			return printAs(cmd.OutOrStdout(), server.output, s, func(w io.Writer) error { return renderKicked(w, &s) })
		},
	}
	server.register(cmd.Flags())
	cmd.Flags().StringVar(&reason, "reason", "", "what the client is told (default: that an operator ended the "+
		"session)")
	return cmd
}

func renderKicked(w io.Writer, s *console.Session) error {
	of := "not logged in"
	if s.Account != 0 {
		of = fmt.Sprintf("of account %d", s.Account)
	}
	_, err := fmt.Fprintf(w, "session %d, %s, from %s, was ended\n", s.UID, of, usertext.Shown(s.Remote))
	return err
}
