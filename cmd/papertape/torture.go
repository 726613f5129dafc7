package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/papertape/papertape/decimal"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/proof/process"
	"github.com/papertape/papertape/proof/torture"
	"github.com/papertape/papertape/proof/torture/linear"
	"github.com/papertape/papertape/proof/torture/synced"
	"github.com/papertape/papertape/proof/torture/truth"
)

// tortureConfig configures a run of all parts, or of some.
type tortureConfig struct {
	kills   torture.Config
	truth   truth.Config
	linear  linear.Config
	synced  synced.Config
	seed    uint64
	rate    float64
	journal string // a file with the output of go test for engine/journal
	keep    bool
	tls     bool
	say     io.Writer
}

// newTorture returns a command for developers of the server, so it is hidden; `make torture` runs
// it.
func newTorture() *cobra.Command {
	var cfg tortureConfig
	var output string
	cmd := &cobra.Command{
		Use:    "torture [kills|clients|linear|sync ...]",
		Hidden: true,
		Short:  "Kill, cut, stall and trace servers under load, and hold them to everything they said",
		Long: `Start servers in processes of their own, put clients on them, and hold them to what they said:

  kills    kill a server (SIGKILL) at some moment, verify what it left, start it again, and compare: every event that a client was
           told must be there as it was, no order and no bust may have been carried out twice, and everybody resumes
  clients  cut, stall, freeze, kill and restart clients, and the server; in the end each client's state is the server's
  linear   record what several connections of an account are answered, kills in between; there must be an order that explains it
  sync     trace the system calls of a server; nothing may be told before it was synced (this needs strace)

Without a name all of them run. The exit code is 99 if anything did not hold; files are then left where they are.`,
		Example: `  papertape torture
  papertape torture kills --kills 200
  papertape torture clients linear --clients-for 1m --histories 200 --seed 7 -o json`,
		Args: cobra.ArbitraryArgs,
	}
	cfg.register(cmd.Flags())
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	cmd.AddCommand(newTortureClient())
	cmd.RunE = func(cmd *cobra.Command, parts []string) error {
		if err := errors.Join(checkOutput(output), cfg.check(parts)); err != nil {
			return err
		}
		cfg.say = cmd.ErrOrStderr()
		report, err := cfg.run(cmd.Context(), parts)
		if err != nil {
			return err
		}
		if err := printReport(cmd, output, report, report.Render); err != nil {
			return err
		}
		if !report.OK() {
			return errCheck
		}
		return nil
	}
	return cmd
}

func (c *tortureConfig) register(flags *pflag.FlagSet) {
	flags.Var(decimal.Whole(&c.kills.Kills, 20, 1, countMax), "kills", "kills: how often the server is killed")
	flags.Var(decimal.Whole(&c.kills.Accounts, 60, 1, accountsMax), "accounts",
		"kills: accounts, with two clients each")
	flags.StringVar(&c.kills.Durability, "durability", "sync",
		"kills: of the server; with another than sync this is bound to fail")
	flags.Var(pathFlag{&c.kills.Data}, "data",
		"kills: the data `directory`, which must not exist; without it, a temporary one")
	flags.Var(decimal.Duration(&c.truth.Duration, 20*time.Second, 1, durationMax), "clients-for",
		"clients: how long they are tormented")
	flags.Var(decimal.Whole(&c.linear.Histories, 24, 1, countMax), "histories",
		"linear: how many histories, of an account each, are judged")
	flags.Var(decimal.Duration(&c.synced.Duration, 10*time.Second, 1, durationMax), "sync-for",
		"sync: how long a server is traced under load")
	flags.Var(decimal.Whole(&c.seed, 1, 0, math.MaxUint64), "seed",
		"of what clients do, of what is done to them, and of the servers")
	flags.Var(decimal.Real(&c.rate, 1000, 0, simulator.RateMax), "rate", "simulated fills a second while there is load")
	flags.Var(pathFlag{&c.journal}, "journal",
		"a `file` with what go test -v printed of the torture of engine/journal, for the table")
	flags.Var(boolFlag{&c.tls}, "tls", "the clients come over TLS; sync reads what is told from its trace, and stays "+
		"plain")
	flags.Var(boolFlag{&c.keep}, "keep", "leave the files where they are, whatever was found")
}

var tortureParts = []string{"kills", "clients", "linear", "sync"}

func (c *tortureConfig) check(parts []string) error {
	for _, part := range parts {
		if !slices.Contains(tortureParts, part) {
			return usageError{fmt.Errorf("%q is no part of it: %s are", part, strings.Join(tortureParts, ", "))}
		}
	}
	if c.kills.Data != "" {
		return mustBeNew("torture", "--data", c.kills.Data)
	}
	return nil
}

// run runs the parts one after the other, and reads the output of the journal's tests.
func (c *tortureConfig) run(ctx context.Context, parts []string) (*tortureReport, error) {
	if len(parts) == 0 {
		parts = tortureParts
	}
	binary, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program, which is the server too: %w", err)
	}
	r := newTortureReport(c.seed)
	if c.journal != "" {
		if err := r.readJournal(c.journal); err != nil {
			return nil, err
		}
	}
	files, err := os.MkdirTemp("", "papertape-torture-")
	if err != nil {
		return nil, err
	}
	c.shareSettings(binary, files)
	if c.tls {
		keys, err := process.NewSealed(files)
		if err != nil {
			return nil, err
		}
		c.kills.Sealed, c.truth.Sealed, c.linear.Sealed = keys, keys, keys
	}
	_, _ = fmt.Fprintf(c.say, "seed %d\n", c.seed)
	for _, part := range parts {
		_, _ = fmt.Fprintf(c.say, "%s\n", part)
		dir, began := filepath.Join(files, part), time.Now()
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, err
		}
		if err := c.runPart(ctx, part, r); err != nil {
			return nil, fmt.Errorf("torture %s: %w; its files are left in %s", part, err, dir)
		}
		r.took(part, time.Since(began))
	}
	if !r.OK() || c.keep {
		r.Files = files
		return r, nil
	}
	return r, os.RemoveAll(files)
}

// shareSettings copies the common settings to each part.
func (c *tortureConfig) shareSettings(binary, files string) {
	c.kills.Binary, c.kills.Seed, c.kills.Rate, c.kills.Progress = binary, c.seed, c.rate, c.say
	c.truth.Binary, c.truth.Seed, c.truth.Rate, c.truth.Progress = binary, c.seed, c.rate, c.say
	c.linear.Binary, c.linear.Seed, c.linear.Progress = binary, c.seed, c.say
	c.synced.Binary, c.synced.Seed, c.synced.Rate, c.synced.Keep = binary, c.seed, c.rate/2, c.keep
	c.truth.Data, c.linear.Data, c.synced.Data = filepath.Join(files, "clients"), filepath.Join(files, "linear"),
		filepath.Join(files, "sync")
}

func (c *tortureConfig) runPart(ctx context.Context, part string, r *tortureReport) (err error) {
	switch part {
	case "kills":
		r.Kills, err = torture.Run(ctx, c.kills)
	case "clients":
		r.Clients, err = truth.Run(ctx, c.truth)
	case "linear":
		r.Linear, err = linear.Run(ctx, c.linear)
	case "sync":
		r.Sync, err = synced.Run(ctx, c.synced)
	}
	return err
}

// newTortureClient returns the command of a client process, as `torture clients` starts it.
func newTortureClient() *cobra.Command {
	var cfg truth.ClientConfig
	cmd := &cobra.Command{
		Use:   "client",
		Short: "Follow accounts and order for them, and tell in the end what they are",
		Args:  exactArgs(0, "no arguments"),
	}
	flags := cmd.Flags()
	peerAddress(flags, &cfg.Server, "server", "127.0.0.1:7300", "where the server is, `host:port`")
	cfg.Dir = "."
	flags.Var(pathFlag{&cfg.Dir}, "dir", "the `directory` of the cursor files")
	var sealed tlsFlags
	sealed.register(flags)
	flags.Var(wholeNumbersFlag{&cfg.Accounts}, "accounts", "the accounts")
	flags.Var(decimal.Whole(&cfg.Seed, 1, 0, math.MaxUint64), "seed", "of the orders")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if cfg.TLS, err = sealed.config(); err != nil {
			return err
		}
		return truth.Client(cmd.Context(), cfg, cmd.InOrStdin(), cmd.OutOrStdout())
	}
	return cmd
}
