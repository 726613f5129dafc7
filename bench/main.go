// Command papertape-bench measures Papertape against the design it replaces, and both
// against bare echo servers.
//
// It is a program and a module of its own, so that the peers it measures are no
// dependencies of Papertape. Each file here is one subcommand. serve.go runs a server to be
// measured, in a process of its own; the other commands drive such processes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The exit codes are those of papertape.
const (
	exitFailed = 1  // failed at run time
	exitUsage  = 2  // wrong usage
	exitCheck  = 99 // a threshold was not met, or a check of an answer failed
)

// errCheck means that a measured value or an answer did not pass. The details have been
// printed.
var errCheck = errors.New("a check did not hold")

// usageError is a command line that could not be parsed.
type usageError struct{ error }

func main() {
	os.Exit(Main(signalled(), os.Args[1:], os.Stdout, os.Stderr))
}

// oneDecision is the time within which two signals count as one: timeout(1) signals both a
// process and its group.
const oneDecision = time.Second

// signalled returns the context of a command. SIGINT and SIGTERM end it. A second signal,
// more than a second later, ends the process. Until the process is gone signals are caught,
// so one that arrives while it ends changes nothing.
func signalled() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// After oneDecision, a signal has its default effect again.
	context.AfterFunc(ctx, func() { time.AfterFunc(oneDecision, stop) })
	return ctx
}

// Main runs one command and returns its exit code.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if errors.Is(err, errCheck) {
		return exitCheck
	}
	_, _ = fmt.Fprintln(stderr, "papertape-bench:", err)
	if usage := (usageError{}); errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "papertape-bench",
		Short:         "Measure Papertape against the design it replaces",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q; papertape-bench --help lists them", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if value := (*pflag.InvalidValueError)(nil); errors.As(err, &value) {
			return usageError{fmt.Errorf("--%s: %w", value.GetFlag().Name, value.Unwrap())}
		}
		return usageError{fmt.Errorf("%w; %s --help lists the flags", err, cmd.CommandPath())}
	})
	root.AddCommand(newServe(), newLoad(), newGenerate(), newRun(), newReport())
	return root
}
