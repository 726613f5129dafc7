package main

import (
	"fmt"
	"math"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/papertape/papertape/clientsim"
	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/cmd/papertape/process"
	"github.com/papertape/papertape/decimal"
	"github.com/papertape/papertape/engine/simulator"
)

const (
	scenarioSwarm   = "swarm"
	scenarioMission = "mission"

	partitionVariable = "PAPERTAPE_SWARM_PARTITION"

	swarmClientsMax  = 100_000
	swarmSpareFiles  = 64 // files that the process needs beside its connections
	swarmRestartsMax = 1000
)

type swarmFlags struct {
	server, scenario, profile, interval, mix, partition, output string
	clients, restarts                                           int
	duration, wait                                              time.Duration
	firstAccount, seed                                          uint64
	key                                                         keyFlag
	printScript, verbose                                        bool
	tls                                                         tlsFlags
}

func newSwarm() *cobra.Command {
	var f swarmFlags
	cmd := &cobra.Command{
		Use:   "swarm",
		Short: "Many clients against a running server, each of which checks all that it receives",
		Long: `Log in many clients, each to an account of its own. They think, buy, sell and ask; each compares every event, every list with its
state hash, and pages of the history with a shadow of its account that it computes by itself. A client whose connection breaks
comes back and resumes; that is counted, and no failure. A gap, a repeat, a difference, or a refusal that was not right is.

The scenario mission is ten clients that play the rows of the mission; one is cut off in the middle, another is shown a trade that
the server takes back. Its server has to play the mission's script: papertape swarm --print-script > mission.yaml, and papertape serve --simulator.script mission.yaml.

Swarms that run at the same time need accounts that no other has: --partition 2/4 (or ` + partitionVariable + `) takes the second of
four shares, each of --clients accounts. The exit code is 99 if a check did not hold, 1 if the clients could not log in.`,
		Example: `  papertape swarm --clients 100 --interval 1s-2s --duration 60s
  papertape swarm --clients 500 --partition 2/4 --server 10.0.0.2:7300 --wait 60s -o json
  papertape swarm --scenario mission --duration 60s`,
		Args: exactArgs(0, "no arguments"),
	}
	f.register(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if f.printScript {
			_, err := cmd.OutOrStdout().Write(clientsim.MissionScript())
			return err
		}
		if err := f.check(cmd.Flags()); err != nil {
			return err
		}
		if f.scenario == scenarioMission {
			return f.runMission(cmd)
		}
		cfg, err := f.config(cmd.Flags())
		if err != nil {
			return err
		}
		return runSwarm(cmd, cfg, f.output)
	}
	return cmd
}

func (f *swarmFlags) register(flags *pflag.FlagSet) {
	peerAddress(flags, &f.server, "server", config.Default().Listen, "the server, host:port")
	f.tls.register(flags)
	f.key.register(flags)
	flags.StringVar(&f.scenario, "scenario", scenarioSwarm, "swarm or mission")
	flags.Var(decimal.Whole(&f.clients, 100, 1, swarmClientsMax), "clients", "clients, each with an account of its own")
	flags.StringVar(&f.profile, "profile", clientsim.Profiles()[0].Name,
		"what a client does: trader, watcher or quick; --interval and --mix change it")
	flags.StringVar(&f.interval, "interval", "", "how long a client thinks between two requests, drawn from a range "+
		"(trader 1s-2s)")
	flags.StringVar(&f.mix, "mix", "", "how often it does what (trader buy=40,sell=40,query=20)")
	flags.Var(decimal.Duration(&f.duration, 0, time.Millisecond, durationMax), "duration",
		"of the trading, from when all are logged in (swarm 60s; mission: until all is done, in about 5s)")
	flags.Var(decimal.Whole(&f.firstAccount, 0, 1, math.MaxUint64), "first-account",
		fmt.Sprintf("account of the first client, the others follow (swarm %d, mission 100091)",
			simulator.FirstAccount))
	flags.StringVar(&f.partition, "partition", "",
		"which of several swarms this is, for example 2/4, so that each has accounts of its own")
	flags.Var(decimal.Whole(&f.seed, 1, 0, math.MaxUint64), "seed", "of what the clients choose")
	flags.Var(decimal.Duration(&f.wait, 10*time.Second, 0, durationMax), "wait", "for a server that is not there yet")
	flags.Var(decimal.Whole(&f.restarts, 0, 0, swarmRestartsMax), "restarts",
		"mission: how often the server is restarted meanwhile, with all that it knew; each client has to come back "+
			"and resume")
	flags.Var(boolFlag{&f.printScript}, "print-script", "print what the server has to do in the mission, and exit")
	flags.VarP(boolFlag{&f.verbose}, "verbose", "v", "mission: say all that each client sees")
	flags.StringVarP(&f.output, "output", "o", "text", "text or json")
}

// check validates the flags that the scenarios share, and rejects those of the other scenario.
func (f *swarmFlags) check(flags *pflag.FlagSet) error {
	if err := checkOutput(f.output); err != nil {
		return err
	}
	foreign := map[string][]string{
		scenarioSwarm: {"verbose", "restarts"}, scenarioMission: {"clients", "profile", "interval", "mix",
			"partition", "seed"},
	}
	if _, ok := foreign[f.scenario]; !ok {
		return usageError{fmt.Errorf("scenario %q: it is swarm or mission", f.scenario)}
	}
	for _, name := range foreign[f.scenario] {
		if flags.Changed(name) {
			return usageError{fmt.Errorf("--%s has no meaning in the scenario %s", name, f.scenario)}
		}
	}
	return nil
}

// config returns the swarm's configuration as the flags describe it.
func (f *swarmFlags) config(flags *pflag.FlagSet) (cfg clientsim.SwarmConfig, err error) {
	cfg = clientsim.SwarmConfig{
		Addr: f.server, Clients: f.clients, FirstAccount: f.firstAccount, Duration: f.duration, Seed: f.seed,
		Wait: f.wait, Key: f.key.key, AllowPlaintext: f.tls.allowPlaintext,
	}
	if cfg.TLS, err = f.tls.config(); err != nil {
		return cfg, err
	}
	if cfg.FirstAccount == 0 {
		cfg.FirstAccount = simulator.FirstAccount
	}
	if cfg.Duration == 0 {
		cfg.Duration = time.Minute
	}
	if cfg.Profile, err = clientsim.ProfileNamed(f.profile); err != nil {
		return cfg, usageError{err}
	}
	if flags.Changed("interval") {
		if cfg.Profile.Think, err = clientsim.ParseInterval(f.interval); err != nil {
			return cfg, usageError{err}
		}
	}
	if flags.Changed("mix") {
		if cfg.Profile.Mix, err = clientsim.ParseMix(f.mix); err != nil {
			return cfg, usageError{err}
		}
	}
	partition := f.partition
	if !flags.Changed("partition") {
		partition = os.Getenv(partitionVariable)
	}
	if partition != "" {
		p, err := clientsim.ParsePartition(partition)
		if err != nil {
			return cfg, usageError{err}
		}
		cfg.FirstAccount = p.FirstAccount(cfg.FirstAccount, cfg.Clients)
	}
	files, err := process.RaiseFileLimit()
	if err == nil && uint64(f.clients+swarmSpareFiles) > files { //nolint:gosec // not negative
		err = fmt.Errorf("clients %d: each has an open file, and this process may open %d; raise the limit (ulimit "+
			"-n) or start more swarms, "+
			"with --partition", f.clients, files)
	}
	if err != nil {
		return cfg, config.Error{Err: err}
	}
	return cfg, nil
}

func runSwarm(cmd *cobra.Command, cfg clientsim.SwarmConfig, output string) error {
	show := newSwarmScreen(cmd.ErrOrStderr(), isTerminal(cmd.ErrOrStderr()), cfg.Duration)
	cfg.Notice, cfg.Progress = show.line, show.progress
	lastAccount := cfg.FirstAccount + uint64(cfg.Clients) - 1 //nolint:gosec // not negative
	show.line(fmt.Sprintf("%d clients, accounts %d to %d, at %s: think %s, %s, for %s", cfg.Clients,
		cfg.FirstAccount, lastAccount, cfg.Addr, cfg.Profile.Think, cfg.Profile.Mix, cfg.Duration))
	report, err := clientsim.Swarm(cmd.Context(), cfg)
	show.end()
	if err != nil {
		return err
	}
	if err := printReport(cmd, output, report, screenSafe(report.Render)); err != nil {
		return err
	}
	if !report.OK() {
		return errCheck
	}
	return nil
}

func (f *swarmFlags) runMission(cmd *cobra.Command) error {
	sealed, err := f.tls.config()
	if err != nil {
		return err
	}
	ctx, show := cmd.Context(), newSwarmScreen(cmd.ErrOrStderr(), false, f.duration)
	cfg := clientsim.MissionConfig{Addr: f.server, Key: f.key.key, FirstAccount: f.firstAccount, Wait: f.wait,
		Duration: f.duration, Restarts: f.restarts, Notice: show.line, TLS: sealed,
		AllowPlaintext: f.tls.allowPlaintext}
	if f.verbose {
		cfg.Progress = func(account uint64, text string) { show.line(fmt.Sprintf("account %d: %s", account, text)) }
	}
	report, err := clientsim.Mission(ctx, cfg)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("the mission was interrupted: %w", ctx.Err())
	}
	if err := printReport(cmd, f.output, report, screenSafe(report.Render)); err != nil {
		return err
	}
	if !report.OK() {
		return errCheck
	}
	return nil
}
