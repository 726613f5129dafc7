// Command papertape-bench measures Papertape against the design it replaces, and both
// against bare echo servers.
//
// It is a program and a module of its own, so that Papertape does not depend on the peers it
// is compared with. Each other file here is one subcommand. The one in serve.go runs one of
// the measured servers in its own process; the others drive such processes.
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

// The exit codes are the same as papertape's.
const (
	exitFailed = 1  // failed at run time
	exitUsage  = 2  // wrong usage
	exitCheck  = 99 // a threshold was not met, or a check of an answer failed
)

// errCheck means that a measured value or an answer did not pass its check. The details have
// already been printed.
var errCheck = errors.New("a check did not hold")

// usageError is a command line that could not be parsed.
type usageError struct{ error }

func main() {
	os.Exit(Main(signalled(), os.Args[1:], os.Stdout, os.Stderr))
}

// repeatWindow is how long after the first signal others are ignored as repeats of it:
// timeout(1) signals both a process and its group.
const repeatWindow = time.Second

// signalled returns the context of a command, which SIGINT or SIGTERM ends. Signals within
// repeatWindow after that are ignored, even while the process exits. A later one ends the
// process at once.
func signalled() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// After repeatWindow, a signal has its default effect again.
	context.AfterFunc(ctx, func() { time.AfterFunc(repeatWindow, stop) })
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
