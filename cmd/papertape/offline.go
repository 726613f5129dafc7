package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/engine/journal"
)

// quietLog is the log of commands that read a stopped server's ledger. It prints the journal's
// warnings only.
func quietLog(w io.Writer) zerolog.Logger {
	noColor := os.Getenv("NO_COLOR") != "" || !isTerminal(w)
	return zerolog.New(zerolog.ConsoleWriter{Out: w, TimeFormat: time.RFC3339, NoColor: noColor}).
		Level(zerolog.WarnLevel).With().Timestamp().Logger()
}

// mustHaveData returns an error unless dir is an existing directory.
func mustHaveData(command, dir string) error {
	if dir == "" {
		return usageError{fmt.Errorf("%s needs the data directory of a stopped server; name it with --data", command)}
	}
	switch in, err := os.Stat(dir); {
	case err != nil:
		return config.Errorf("--data: %w", err)
	case !in.IsDir():
		return config.Errorf("--data: %s is not a directory", dir)
	}
	return nil
}

// ledgerSummary describes a ledger that was read.
type ledgerSummary struct {
	Data     string  `json:"data"`
	Out      string  `json:"out,omitempty"`
	Accounts uint64  `json:"accounts"`
	Events   uint64  `json:"events"`
	Commits  uint64  `json:"commits"`
	Format   uint64  `json:"format"`
	Epoch    string  `json:"epoch"`
	Clean    bool    `json:"stopped_cleanly"`
	Seconds  float64 `json:"seconds"`
}

func newLedgerSummary(data string, s *journal.Summary, took time.Duration) ledgerSummary {
	return ledgerSummary{
		Data: data, Accounts: s.Accounts, Events: s.Events, Commits: s.Commits, Format: s.Format,
		Epoch: fmt.Sprintf("%016x", s.Epoch), Clean: s.Clean,
		Seconds: float64(took.Milliseconds()) / 1e3,
	}
}

func (c *ledgerSummary) String() string {
	end := "stopped cleanly"
	if !c.Clean {
		end = "not stopped cleanly, which does no harm"
	}
	if c.Format == 1 {
		end += ", of format 1"
	}
	return fmt.Sprintf("%d accounts, %d events, %d commits, epoch %s, %s", c.Accounts, c.Events, c.Commits, c.Epoch,
		end)
}

func newVerify() *cobra.Command {
	var data, output string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check every invariant of a stopped server's ledger",
		Long: `Read the whole data directory of a stopped server, change nothing, and check everything that must hold: every checksum, the
chain of commits, sequences without a hole, each row and all cash against what the account's history adds up to, order ids.
Exit 0 if all of it holds; 1 with the first thing that does not, in a sentence; 2 if there is no ledger to look at, or a
server has it open.`,
		Example: `  papertape verify --data ./papertape-data
  papertape verify --data /var/backups/papertape-1 -o json`,
		Args: exactArgs(0, "no arguments"),
	}
	cmd.Flags().Var(pathFlag{&data}, "data", "the data `directory` of a stopped server, or a backup")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := errors.Join(checkOutput(output), mustHaveData("verify", data)); err != nil {
			return err
		}
		began := time.Now()
		found, err := journal.Verify(cmd.Context(), data, journalOptions(quietLog(cmd.ErrOrStderr())))
		if err != nil {
			return asLedgerError(err)
		}
		if _, _, err := readOpening(data); err != nil {
			return err
		}
		c := newLedgerSummary(data, &found, time.Since(began))
		return printAs(cmd.OutOrStdout(), output, c, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "%s holds: %s\n", data, &c)
			return err
		})
	}
	return cmd
}

func newExport() *cobra.Command {
	var data, out, output string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write each account's history as a text file",
		Long: `Write the history of every account of a stopped server into a new directory: a text file for each account, an event a line,
from the first to the last.`,
		Example: `  papertape export --data ./papertape-data --out histories
  papertape export --data /var/backups/papertape-1 --out /tmp/histories -o json`,
		Args: exactArgs(0, "no arguments"),
	}
	cmd.Flags().Var(pathFlag{&data}, "data", "the data `directory` of a stopped server, or a backup")
	cmd.Flags().Var(pathFlag{&out}, "out", "the `directory` to write to, which must not exist")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		err := errors.Join(checkOutput(output), mustHaveData("export", data), mustBeNew("export", "--out", out))
		if err != nil {
			return err
		}
		if err := mustBeOutside(data, out); err != nil {
			return usageError{fmt.Errorf("--out: %w", err)}
		}
		began := time.Now()
		found, err := journal.Export(cmd.Context(), data, out, journalOptions(quietLog(cmd.ErrOrStderr())))
		if err != nil {
			return outError(out, err)
		}
		c := newLedgerSummary(data, &found, time.Since(began))
		c.Out = out
		return printAs(cmd.OutOrStdout(), output, c, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "%s has the histories: %s\n", out, &c)
			return err
		})
	}
	return cmd
}

// mustBeNew returns an error unless out was given and does not exist, so that nothing is overwritten.
func mustBeNew(command, flag, out string) error {
	if out == "" {
		return usageError{fmt.Errorf("%s needs a directory to write to; name one that does not exist with %s",
			command, flag)}
	}
	switch _, err := os.Lstat(out); {
	case err == nil:
		return usageError{fmt.Errorf("%s exists and is left as it is; name a directory that does not exist with %s",
			out, flag)}
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return pathError(flag, err)
	}
}

// outError attributes an error to the output directory if it is about a path in it, and otherwise
// to the ledger's directory.
func outError(out string, err error) error {
	var of *fs.PathError
	if errors.As(err, &of) && (of.Path == out || strings.HasPrefix(out, of.Path+string(filepath.Separator))) {
		return pathError("--out", err)
	}
	return asLedgerError(err)
}
