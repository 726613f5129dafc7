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

// signalled is the context of a command. SIGINT and SIGTERM end it; another one, more than a second later, ends the
// process. SIGHUP makes serve read its configuration again, and is caught before anything else, so that none ends a
// server that is starting; it ends other commands as ever. All of them are caught until the process is gone: one
// that comes while it ends changes nothing.
func signalled(stderr io.Writer) context.Context {
	hangups := make(chan os.Signal, 1) // one that is waiting stands for all that come meanwhile
	signal.Notify(hangups, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(withHangups(context.Background(), hangups))
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go awaitDecisions(signals, cancel, func() { // ends with the process
		_, _ = fmt.Fprintln(stderr, "papertape: forced to quit")
		os.Exit(exitForced)
	})
	return ctx
}

// oneDecision is how long after a signal another one is the same decision: timeout(1) and service managers tell a
// process and its group, and the process is told twice.
const oneDecision = time.Second

// awaitDecisions calls cancel at the first signal, and force at the first that is another decision. It returns when
// signals is closed.
func awaitDecisions(signals <-chan os.Signal, cancel, force func()) {
	if _, ok := <-signals; !ok {
		return
	}
	first := time.Now()
	cancel()
	for range signals {
		if time.Since(first) > oneDecision {
			force()
		}
	}
}

// lasting are the commands that do something beside telling about it, and go on when nobody reads that any more.
var lasting = []string{"serve", "demo", "swarm", "soak", "torture", "verify", "export", "backup"}

// settle has a command end as its kind does: whoever reads what a short one prints ends it by going away (head),
// and a lasting one goes on and counts what was lost.
func settle(cmd *cobra.Command) {
	if cmd.Name() != "serve" {
		signal.Reset(syscall.SIGHUP)
	}
	if slices.Contains(lasting, cmd.Name()) {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // a write then fails, which would have ended the process
		cmd.SetErr(&lossy{w: cmd.ErrOrStderr()})
	}
}
