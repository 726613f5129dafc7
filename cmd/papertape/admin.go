package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/cmd/papertape/userfile"
	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/decimal"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/usertext"
)

// consoleFlags are the flags of every command that asks a running server.
type consoleFlags struct {
	admin     string // host:port, or https://host:port
	tokenFile string
	ca        string
	output    string
}

func (a *consoleFlags) register(flags *pflag.FlagSet) {
	a.admin = config.Default().Admin
	flags.Var(adminFlag{&a.admin}, "admin", "the server's console, host:port; https://host:port with TLS")
	flags.Var(pathFlag{&a.tokenFile}, "admin-token-file",
		"`file` with a token of the console; on its own machine none is needed")
	flags.Var(pathFlag{&a.ca}, "admin-ca", "`file` with the certificates (PEM) that the console's is to be checked by")
	flags.StringVarP(&a.output, "output", "o", "text", "text or json")
}

// client returns a client for the console that the flags name.
func (a *consoleFlags) client() (*console.Client, error) {
	if err := checkOutput(a.output); err != nil {
		return nil, err
	}
	token := ""
	if a.tokenFile != "" {
		var err error
		if token, err = config.ReadToken(a.tokenFile); err != nil {
			return nil, config.Errorf("--admin-token-file: %w", err)
		}
	}
	cfg := console.ClientConfig{Address: a.admin, Token: token}
	if a.ca != "" {
		var err error
		if cfg.TLS, err = tlsTrusting(a.ca); err != nil {
			return nil, config.Errorf("--admin-ca: %w", err)
		}
	}
	return console.Dial(cfg), nil
}

// caBytesMax bounds a file of certificates.
const caBytesMax = 1 << 20

// tlsTrusting returns a configuration that trusts the certificates of a file alone.
func tlsTrusting(path string) (*tls.Config, error) {
	text, err := userfile.Read(path, caBytesMax)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("there is no certificate in %s; it is to have them in PEM", path)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}, nil
}

func checkOutput(output string) error {
	if output != "text" && output != "json" {
		return usageError{fmt.Errorf("output %q: it is text or json", output)}
	}
	return nil
}

// printAs prints v as JSON, or in the form that text renders.
func printAs(w io.Writer, output string, v any, text func(io.Writer) error) error {
	if output == "text" {
		return text(w)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(usertext.ShownJSON(b.Bytes()))
	return err
}

// printReport prints the report of a long-running command, and how many lines of its progress
// output were lost.
func printReport(cmd *cobra.Command, output string, report any, text func(io.Writer) error) error {
	w, lost := cmd.OutOrStdout(), linesLost(cmd)
	if lost == 0 {
		return printAs(w, output, report, text)
	}
	if output == "text" {
		if err := text(w); err != nil {
			return err
		}
		_, err := fmt.Fprintf(w, "%s on stderr that nobody read\n", plural(int(lost), "line"))
		return err
	}
	all, err := json.Marshal(report)
	if err != nil {
		return err
	}
	return printAs(w, output, json.RawMessage(fmt.Sprintf(`{"lines_lost": %d, %s`, lost, all[1:])), text)
}

// accountNumber parses the argument of commands that are about one account.
func accountNumber(arg string) (uint64, error) {
	n, err := decimal.ParseWhole[uint64](arg, 1, math.MaxUint64)
	if err != nil {
		return 0, usageError{fmt.Errorf("%q is not an account number; one looks like 100001", arg)}
	}
	return n, nil
}

func newHoldings() *cobra.Command {
	var server consoleFlags
	cmd := &cobra.Command{
		Use:   "holdings ACCOUNT",
		Short: "What an account of a running server holds",
		Example: `  papertape holdings 100001
  papertape holdings 100001 -o json`,
		Args: exactArgs(1, "an account number"),
		RunE: func(cmd *cobra.Command, args []string) error {
			account, err := accountNumber(args[0])
			if err != nil {
				return err
			}
			c, err := server.client()
			if err != nil {
				return err
			}
			h, err := c.Holdings(cmd.Context(), account)
			if err != nil {
				return err
			}
			return printAs(cmd.OutOrStdout(), server.output, h,
				func(w io.Writer) error { return renderHoldings(w, &h) })
		},
	}
	server.register(cmd.Flags())
	return cmd
}

func renderHoldings(w io.Writer, h *console.Holdings) error {
	t := newTable(table.Row{"market", "code", "name", "quantity", "sellable", "price", "value", "cost", "realised",
		"row version"}, 4)
	for i := range h.Positions {
		p := &h.Positions[i]
		t.AppendRow(table.Row{p.Market, p.Code, p.Name, p.Quantity, p.Sellable, p.Price, p.MarketValue, p.Cost,
			p.Realised, p.RowVersion})
	}
	t.AppendFooter(table.Row{"", "", "all", "", "", "", h.TotalMarketValue, "", h.Cash.Realised, ""})
	_, err := fmt.Fprintf(w, "account %d as of sequence %d\n%s\ncash %s, fees paid %s, state hash %v\n",
		h.Account, h.AsOfSeq, t.Render(), h.Cash.Balance, h.Cash.FeesPaid, h.StateHash)
	return err
}

// renderedCell is a cell that is already fit for the screen, with escape sequences of our own in
// it.
type renderedCell string

// onScreen makes a cell safe to show, since names and reasons come from elsewhere.
func onScreen(cell any) string {
	if d, ok := cell.(renderedCell); ok {
		return string(d)
	}
	return usertext.Shown(fmt.Sprint(cell))
}

// newTable returns a table whose columns from number numbers on, counted from 1, are right-aligned,
// except for those listed in words.
func newTable(header table.Row, numbers int, words ...int) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	t.Style().Format.Footer = text.FormatDefault
	t.AppendHeader(header)
	configs := make([]table.ColumnConfig, 0, len(header))
	for n := range len(header) {
		column := table.ColumnConfig{Number: n + 1, Transformer: onScreen}
		if n+1 >= numbers && !slices.Contains(words, n+1) {
			column.Align, column.AlignHeader, column.AlignFooter = text.AlignRight, text.AlignRight, text.AlignRight
		}
		configs = append(configs, column)
	}
	t.SetColumnConfigs(configs)
	return t
}

func newSimulate() *cobra.Command {
	var server consoleFlags
	var rate float64
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Show or change the flow of simulated fills of a running server",
		Example: `  papertape simulate --rate 2000     fills a second over all accounts
  papertape simulate --rate 0        off
  papertape simulate                 what it does now`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := server.client()
			if err != nil {
				return err
			}
			get := c.Simulator
			if cmd.Flags().Changed("rate") {
				get = func(ctx context.Context) (console.Simulator, error) { return c.SetRate(ctx, rate) }
			}
			s, err := get(cmd.Context())
			if err != nil {
				return err
			}
			return printAs(cmd.OutOrStdout(), server.output, s, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%g fills a second; since the start %d executed, %d refused, %d without "+
					"anything to do, %d skipped\n",
					s.Rate, s.Fills, s.Refused, s.None, s.Skipped)
				return err
			})
		},
	}
	server.register(cmd.Flags())
	cmd.Flags().Var(decimal.Real(&rate, 0, 0, simulator.RateMax), "rate", "fills a second over all accounts; 0 is off")
	return cmd
}

func newHealthcheck() *cobra.Command {
	var server consoleFlags
	var health string
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a running server whether it is ready; exit 0 if it is, 1 if not",
		Example: `  papertape healthcheck
  papertape healthcheck --admin 127.0.0.1:7301
  papertape healthcheck --health 127.0.0.1:7303`,
		Long: `Ask a running server whether it is ready: its health listener where it has one (health_listen, 127.0.0.1:7303 by default),
else its console. Neither needs a token. With --admin only the console is asked, and with --health only the listener.`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := server.client()
			if err != nil {
				return err
			}
			if err := askHealth(cmd, c, health); err != nil {
				return err
			}
			status := struct {
				Status string `json:"status"`
			}{"ready"}
			return printAs(cmd.OutOrStdout(), server.output, status, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, status.Status)
				return err
			})
		},
	}
	server.register(cmd.Flags())
	peerAddress(cmd.Flags(), &health, "health", healthDefault, "the server's health listener, host:port")
	return cmd
}

// askHealth returns nil if the server is ready. The health listener may be that of another server only if both are
// named.
func askHealth(cmd *cobra.Command, c *console.Client, health string) error {
	flags, ctx := cmd.Flags(), cmd.Context()
	listener := console.Dial(console.ClientConfig{Address: health, NoLocal: true})
	switch {
	case flags.Changed("health"):
		return listener.Ready(ctx)
	case flags.Changed("admin"):
		return c.Ready(ctx)
	}
	err := listener.Ready(ctx)
	var answered *console.Error
	if err == nil || errors.As(err, &answered) && answered.Code != "" {
		return err
	}
	return c.Ready(ctx) // nothing listens there, or something else does
}
