package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/papertape/papertape/cmd/papertape/top"
	"github.com/papertape/papertape/decimal"
	"github.com/papertape/papertape/usertext"
)

// topRowsMax is as many rows as a page of the console has.
const topRowsMax = 1000

func newTop() *cobra.Command {
	var server consoleFlags
	cfg := top.Config{Getenv: os.Getenv}
	var view string
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch a running server: its rates, and the sessions, accounts or instruments that stand out",
		Long: `Ask a running server once a second, and show its rates and a table: the sessions for which most bytes wait (clients that
do not keep up), the accounts, or the instruments.

  s a i   sessions, accounts, instruments      p   pause
  o O     the next column to sort by, turned   b   bytes in full
  n       number of rows                       k   end a session; it asks first
  f       filter                               ?   these keys, q  quit

With --once, with -o json, or where there is no terminal it prints once, after the time of --delay, and ends.`,
		Example: `  papertape top
  papertape top --view accounts --sort -realised --rows 50
  papertape top --once -o json --filter catching_up`,
		Args: exactArgs(0, "no arguments"),
	}
	flags := cmd.Flags()
	server.register(flags)
	flags.VarPF(decimal.Duration(&cfg.Every, time.Second, 100*time.Millisecond, time.Hour), "delay", "d",
		"time between two questions")
	flags.VarPF(decimal.Whole(&cfg.Query.Rows, 20, 1, topRowsMax), "rows", "n", "rows of the table")
	flags.StringVar(&view, "view", string(top.Sessions), "sessions, accounts or instruments")
	flags.StringVar(&cfg.Query.Sort, "sort", "", "`column` to sort by, with - in front of it the largest first "+
		"(default: sessions -waiting, accounts -value, instruments -change)")
	flags.StringVar(&cfg.Query.Filter, "filter", "", "of sessions: the beginning of an address, an account, live, "+
		"catching_up or not_logged_in; of accounts: the beginning of a number; of instruments: market, code or name")
	flags.Var(boolFlag{&cfg.Exact}, "bytes", "bytes in full")
	flags.Var(boolFlag{&cfg.Once}, "once", "print once and end")
	flags.Lookup("bytes").NoOptDefVal, flags.Lookup("once").NoOptDefVal = "true", "true"
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := completeQuery(&cfg.Query, view); err != nil {
			return usageError{err}
		}
		c, err := server.client()
		if err != nil {
			return err
		}
		cfg.Source, cfg.Server = top.Ask(c), server.admin
		if server.output == "json" {
			s, err := top.Look(cmd.Context(), &cfg)
			if err != nil {
				return err
			}
			return printAs(cmd.OutOrStdout(), server.output, s, nil)
		}
		cfg.Print = screenLines{cmd.OutOrStdout()}
		cfg.In, _ = cmd.InOrStdin().(*os.File)
		cfg.Out, _ = cmd.OutOrStdout().(*os.File)
		return top.Run(cmd.Context(), cfg)
	}
	return cmd
}

// completeQuery checks what the table is to show, and fills in its order.
func completeQuery(q *top.Query, view string) error {
	q.View = top.View(view)
	if !slices.Contains([]top.View{top.Sessions, top.Accounts, top.Instruments}, q.View) {
		return fmt.Errorf("view %q: it is sessions, accounts or instruments", view)
	}
	if q.Sort == "" {
		q.Sort = "-" + top.SortKeys(q.View)[0]
	}
	if err := top.CheckSort(q.View, q.Sort); err != nil {
		return err
	}
	return top.CheckFilter(q.View, strings.TrimSpace(q.Filter))
}

// screenLines makes what is printed safe for a screen: it has text from the server.
type screenLines struct{ w io.Writer }

func (s screenLines) Write(p []byte) (int, error) {
	_, err := io.WriteString(s.w, usertext.ShownLines(string(p)))
	return len(p), err
}
