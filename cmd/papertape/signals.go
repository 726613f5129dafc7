package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// signalContext returns the context of a command. SIGINT and SIGTERM cancel it; a second one, more
// than a second later, ends the process. SIGHUP makes serve reload its configuration. It is caught
// before anything else happens, so that it cannot end a server that is starting; other commands it
// ends as usual. All of these signals are caught until the process is gone, so one that arrives
// during the shutdown changes nothing.
func signalContext(stderr io.Writer) context.Context {
	hangups := make(chan os.Signal, 1) // one waiting hangup stands for all that arrive meanwhile
	signal.Notify(hangups, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(withHangups(context.Background(), hangups))
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go awaitStopSignals(signals, cancel, func() { // ends with the process
		_, _ = fmt.Fprintln(stderr, "papertape: forced to quit")
		os.Exit(exitForced)
	})
	return ctx
}

// repeatWindow is how long after the first signal another one counts as its repetition. timeout(1)
// and service managers signal a process and its group, so the process gets the signal twice.
const repeatWindow = time.Second

// awaitStopSignals calls cancel on the first signal, and force on each one after repeatWindow. It
// returns when signals is closed.
func awaitStopSignals(signals <-chan os.Signal, cancel, force func()) {
	if _, ok := <-signals; !ok {
		return
	}
	first := time.Now()
	cancel()
	for range signals {
		if time.Since(first) > repeatWindow {
			force()
		}
	}
}

// longRunning are the commands that do more than print a result. They continue when nobody reads
// their output any more.
var longRunning = []string{"serve", "demo", "swarm", "soak", "torture", "verify", "export", "backup"}

// prepareOutput decides what happens when the reader of the output goes away (as head does): a
// short command ends, and a long-running one continues and counts the lines that were lost.
func prepareOutput(cmd *cobra.Command) {
	if cmd.Name() != "serve" {
		signal.Reset(syscall.SIGHUP)
	}
	if slices.Contains(longRunning, cmd.Name()) {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // makes the write fail, instead of ending the process
		cmd.SetErr(&lossyWriter{w: cmd.ErrOrStderr()})
	}
}
