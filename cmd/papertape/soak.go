package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/decimal"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/proof/soak"
)

// newSoak returns a command for developers of the server, so it is hidden; `make soak` runs it.
func newSoak() *cobra.Command {
	cfg := soak.Config{SetRate: func(ctx context.Context, admin string, rate float64) error {
		_, err := console.NewClient(admin, "").SetRate(ctx, rate)
		return err
	}}
	var output string
	cmd := &cobra.Command{
		Use:    "soak",
		Hidden: true,
		Short:  "Put a server in a process of its own under load, and check what its clients see",
		Long: `Start a server in a process of its own, run a load against it over loopback, check what every client sees, stop it.

The runs are crowd (everybody logged in at once beside a simulated flow), idle (everybody logged in and silent: what a
connection costs), flood (honest clients beside attackers), consoles (the lag of events beside open consoles) and soak
(clients that come and go, order, stall, send garbage, vanish and resume). What is not set has a default for each run. The exit code is 99 if a check did not hold.`,
		Example: `  papertape soak --duration 10m
  papertape soak --run crowd --clients 10000 --rate 2000 --duration 60s
  papertape soak --run flood --attackers 1000 --repeat 5 -o json`,
		Args: exactArgs(0, "no arguments"),
	}
	registerSoak(cmd.Flags(), &cfg)
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(output); err != nil {
			return err
		}
		if err := completeSoak(&cfg); err != nil {
			return usageError{err}
		}
		var err error
		if cfg.Binary, err = os.Executable(); err != nil {
			return fmt.Errorf("find this program, which is the server too: %w", err)
		}
		cfg.Progress = cmd.ErrOrStderr()
		report, err := soak.Run(cmd.Context(), cfg)
		if err != nil {
			return err
		}
		if err := printReport(cmd, output, report,
			func(w io.Writer) error { return renderSoak(w, report) }); err != nil {
			return err
		}
		if !report.OK() {
			return errCheck
		}
		return nil
	}
	return cmd
}

func registerSoak(flags *pflag.FlagSet, cfg *soak.Config) {
	flags.StringVar(&cfg.Run, "run", soak.Soak, "consoles, crowd, idle, flood or soak")
	flags.Var(boolFlag{&cfg.TLS}, "tls", "the clients come over TLS; every fourth attacker of flood begins a handshake")
	flags.Var(boolFlag{&cfg.Keys}, "keys", "the clients have a key; attackers of flood try it without its secret, "+
		"from one address unless --addresses says otherwise")
	flags.Var(decimal.Whole(&cfg.Seed, 1, 0, math.MaxUint64), "seed", "of what clients choose, and of the server")
	flags.Var(decimal.Whole(&cfg.Clients, 0, 1, countMax), "clients",
		"clients that log in (crowd 10000, idle 5000, consoles and flood 1000, soak 2000)")
	flags.Var(decimal.Whole(&cfg.Accounts, 0, 1, accountsMax), "accounts",
		"accounts that they log in to, in turn (as many as clients; idle 100)")
	flags.Var(decimal.Real(&cfg.Rate, 0, 0, simulator.RateMax), "rate",
		"simulated fills a second (consoles and crowd 2000, soak 500)")
	flags.Var(decimal.Duration(&cfg.Duration, 0, time.Second, durationMax), "duration",
		"of the load (consoles 20s, crowd and flood 60s, soak 10m)")
	flags.Var(decimal.Whole(&cfg.Attackers, 1000, 1, countMax), "attackers", "flood: attackers a second")
	flags.Var(decimal.Whole(&cfg.Addresses, 0, 1, 250), "addresses",
		"flood: addresses that they come from, 127.0.1.1 and on (32, with --keys 1)")
	flags.Var(decimal.Whole(&cfg.Repeat, 1, 1, countMax), "repeat",
		"flood: how often calm and attack follow each other; consoles: without and with them")
	flags.Var(decimal.Whole(&cfg.Consoles, 32, 1, 32), "consoles", "consoles: how many are open")
}

// idleAccounts are few, so that connections are measured: opening many leaves free heap that connections would then
// use.
const idleAccounts = 100

// completeSoak fills in the defaults.
func completeSoak(cfg *soak.Config) error {
	d, ok := map[string]soak.Config{
		soak.Consoles: {Clients: 1000, Rate: 2000, Duration: 20 * time.Second},
		soak.Crowd:    {Clients: 10_000, Rate: 2000, Duration: time.Minute},
		soak.Idle:     {Clients: 5000, Accounts: idleAccounts},
		soak.Flood:    {Clients: 1000, Duration: time.Minute},
		soak.Soak:     {Clients: 2000, Rate: 500, Duration: 10 * time.Minute},
	}[cfg.Run]
	if !ok {
		return fmt.Errorf("run %q: it is consoles, crowd, idle, flood or soak", cfg.Run)
	}
	if cfg.Clients == 0 {
		cfg.Clients = d.Clients
	}
	if cfg.Accounts == 0 {
		cfg.Accounts = cmp.Or(d.Accounts, cfg.Clients)
	}
	if cfg.Rate == 0 {
		cfg.Rate = d.Rate
	}
	if cfg.Duration == 0 {
		cfg.Duration = d.Duration
	}
	if cfg.Addresses == 0 {
		cfg.Addresses = 32
		if cfg.Keys {
			cfg.Addresses = 1
		}
	}
	if cfg.Accounts > accountsMax {
		return fmt.Errorf("accounts %d: a server has at most %d", cfg.Accounts, accountsMax)
	}
	return nil
}

func renderSoak(w io.Writer, r *soak.Report) error {
	t := newTable(table.Row{"measured", "value", "unit"}, 2, 3)
	for _, f := range r.Figures {
		value := fmt.Sprintf("%.2f", f.Value)
		t.AppendRow(table.Row{f.Name, strings.TrimSuffix(value, ".00"), f.Unit})
	}
	verdict := "all checks held"
	if !r.OK() {
		verdict = "DID NOT HOLD:\n  " + strings.Join(r.Failures, "\n  ")
	}
	_, err := fmt.Fprintf(w, "%s, seed %d\n%s\n%s\n", r.Run, r.Seed, t.Render(), verdict)
	return err
}
