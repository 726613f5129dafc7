package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/papertape/papertape/clientsim"
	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/market"
)

const (
	demoLimit    = 55 * time.Second // for the whole command, which takes a third of that
	demoDuration = 9 * time.Second  // the clients trade at least that long
	demoRestart  = 4 * time.Second  // from the last login to the restart of the server
	demoTape     = 100099           // the account whose tape is shown; one of its trades is taken back
)

func newDemo() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "A server and the ten mission clients in one go, over real sockets",
		Long: `Start a server on free ports of the loopback interface, on a temporary data directory, and run the ten clients of the
mission against it; stop it in the middle and start it again. Show the tape of the client whose trade is taken back, and what
each client saw and checked. Exit 0 only if all of it held, 99 if a check did not.`,
		Example: `  papertape demo
  papertape demo -o json`,
		Args: exactArgs(0, "no arguments"),
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(output); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), demoLimit)
		defer cancel()
		var mu sync.Mutex // several goroutines print
		report, err := demo(ctx, cmd.ErrOrStderr(), func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			_, _ = fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...)
		})
		if err != nil {
			return err
		}
		if cmd.Context().Err() != nil {
			return fmt.Errorf("the demonstration was interrupted: %w", cmd.Context().Err())
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

// demo runs a server and the mission against it. When all clients have traded for a while, it stops
// the server and starts it again with the same data and the same port.
func demo(ctx context.Context, stderr io.Writer, say func(string, ...any)) (*clientsim.Report, error) {
	dir, err := os.MkdirTemp("", "papertape-demo-")
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	cfg := config.Default()
	cfg.Listen, cfg.Admin, cfg.Data, cfg.Log.Level = "127.0.0.1:0", "127.0.0.1:0", dir, "warn"
	log, _, err := newLog(cfg, stderr)
	if err != nil {
		return nil, err
	}
	at, stop, err := startDemo(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	say("server on %s, console on http://%s/, %d accounts, %g simulated fill(s) a second, durability %s",
		at.listen, at.admin, cfg.Accounts, cfg.Simulator.Rate, cfg.Durability)
	say("ten clients log in, pull their lists, trade, are pushed fills, and check every event; this is what account "+
		"%d is shown:", demoTape)
	mission := startMission(ctx, at.listen, say)
	cfg.Listen, cfg.Admin = at.listen, at.admin
	if mission.waitLoggedIn(ctx, demoRestart) {
		say("the server is stopped, and started again on the same data and the same port ...")
		if err = stop(); err == nil {
			_, stop, err = startDemo(ctx, cfg, log)
		}
		if err != nil {
			return nil, errors.Join(err, mission.abort())
		}
		say("... it is there again")
	}
	report, err := mission.wait()
	return report, errors.Join(err, stop())
}

// startDemo starts a server that plays the mission's script, and returns its addresses and a
// function to stop it.
func startDemo(
	ctx context.Context, cfg *config.Config, log zerolog.Logger,
) (at addresses, stop func() error, err error) {
	script, err := simulator.ParseScript(clientsim.MissionScript(), market.Default())
	if err != nil {
		return at, nil, fmt.Errorf("demo: %w", err)
	}
	s, err := newServer(cfg, script, log)
	if err != nil {
		return at, nil, err
	}
	serving, cancel := context.WithCancel(ctx)
	ready, ended := make(chan addresses, 1), make(chan error, 1)
	go func() { ended <- s.run(serving, func(a addresses) { ready <- a }) }() // stop waits for it
	select {
	case err := <-ended:
		cancel()
		return at, nil, err
	case at = <-ready:
		return at, func() error {
			cancel()
			return <-ended
		}, nil
	}
}

// missionRun is a mission in progress.
type missionRun struct {
	allLoggedIn chan struct{} // closed when all clients are logged in
	ended       chan struct{} // closed when the mission has ended
	cancel      context.CancelFunc
	report      *clientsim.Report // report and err are set before ended is closed
	err         error
}

// startMission starts the mission. Call wait or abort afterwards.
func startMission(ctx context.Context, addr string, say func(string, ...any)) *missionRun {
	ctx, cancel := context.WithCancel(ctx)
	f := &missionRun{allLoggedIn: make(chan struct{}), ended: make(chan struct{}), cancel: cancel}
	go func() {
		defer close(f.ended)
		f.report, f.err = clientsim.Mission(ctx, clientsim.MissionConfig{
			Addr: addr, Duration: demoDuration, Restarts: 1, LoggedIn: func() { close(f.allLoggedIn) },
			Progress: func(account uint64, text string) {
				if account == demoTape {
					say("  %s", text)
				}
			},
		})
	}()
	return f
}

// waitLoggedIn waits until all clients have been logged in for d. It returns false if the mission
// or ctx ends first.
func (f *missionRun) waitLoggedIn(ctx context.Context, d time.Duration) bool {
	select {
	case <-f.allLoggedIn:
	case <-f.ended:
		return false
	}
	select {
	case <-time.After(d):
		return true
	case <-f.ended:
	case <-ctx.Done():
	}
	return false
}

func (f *missionRun) wait() (*clientsim.Report, error) {
	<-f.ended
	f.cancel()
	return f.report, f.err
}

// abort stops the mission: without a server it cannot complete.
func (f *missionRun) abort() error {
	f.cancel()
	_, err := f.wait()
	return err
}
