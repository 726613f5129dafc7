// Command papertape contains the server, its demonstration, and the operators' commands.
//
// The root command only dispatches. serve.go and demo.go run servers: server.go builds and runs
// one, ledger.go opens and closes its ledger, machine.go obtains what it needs from the machine,
// and reload.go reloads its configuration (package config). admin*.go ask a running server,
// offline.go reads the ledger of a stopped one, and backup.go copies either. config.go has the
// commands about configurations, doctor.go the one about the machine; top.go shows a running server; manual.go
// generates manual pages and shell completion.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/usertext"
)

// version is set by the linker.
var version = "dev"

// The exit codes of every command.
const (
	exitFailed = 1  // failed at run time
	exitUsage  = 2  // wrong usage or configuration
	exitForced = 3  // forced to quit
	exitCheck  = 99 // a check did not hold
)

// errCheck means that a check did not hold. The details have been printed already.
var errCheck = errors.New("a check did not hold")

func main() {
	os.Exit(Main(os.Args[1:], os.Stdout, os.Stderr))
}

// Main runs one command and returns its exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	ctx := signalContext(stderr)
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var usage usageError
	var config config.Error
	switch {
	case errors.Is(err, errCheck):
		return exitCheck
	case errors.As(err, &usage), errors.As(err, &config):
		printError(stderr, err)
		return exitUsage
	default:
		printError(stderr, err)
		return exitFailed
	}
}

// printError prints an error. It may contain text from elsewhere, such as a server's message or a
// file name.
func printError(w io.Writer, err error) {
	_, _ = fmt.Fprintln(w, "papertape:", usertext.ShownLines(err.Error()))
}

// usageError is an error in the command line.
type usageError struct{ error }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "papertape",
		Short: "A paper-trading server that pushes every fill, without a gap and without a repeat",
		Example: strings.TrimLeft(`
  papertape demo                    a server and ten clients, checked, in one go
  papertape serve                   the server, on 127.0.0.1:7300
  papertape holdings 100001         what an account of a running server holds`, "\n"),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q; papertape --help lists them", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.PersistentPreRun = func(cmd *cobra.Command, _ []string) { prepareOutput(cmd) }
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newServe(), newDemo(), newSwarm(), newAccounts(), newHoldings(), newHistory(), newSessions(),
		newKick(), newStats(), newSimulate(), newHealthcheck(), newConsole(),
		newConfig(), newCompletion(), newMan(), newSoak(), newClient(), newFeed(), newKeys(), newVersion())
	root.AddCommand(newBust(), newCorrect(), newTrade(), newAccount())
	root.AddCommand(newTLS(), newVerify(), newExport(), newBackup(), newAudit(), newTorture(), newDoctor(), newTop(),
		newInstruments(), newTape())
	describeHelp(root)
	return root
}

// exactArgs is like cobra.ExactArgs, but returns a full sentence and the exit code for wrong usage.
func exactArgs(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("%s takes %s, not %d arguments; see %s --help", cmd.Name(), what, len(args),
				cmd.CommandPath())}
		}
		return nil
	}
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "What this is, and what it was built with",
		Example: `  papertape version
  ssh server.example papertape version     elsewhere`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			built := "unknown"
			if info, ok := debug.ReadBuildInfo(); ok {
				built = info.GoVersion
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "papertape %s (protocol 1, %s)\n", version, built)
			return err
		},
	}
}
