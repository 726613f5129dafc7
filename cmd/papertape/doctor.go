package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/cmd/papertape/doctor"
	"github.com/papertape/papertape/decimal"
	"github.com/papertape/papertape/proof/soak"
	"github.com/papertape/papertape/usertext"
)

func newDoctor() *cobra.Command {
	settings := config.NewSettings()
	var output string
	var wanted, probe int
	var details bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say how many connections this machine holds, what bounds them, and what else is amiss",
		Long: `Read what the machine says about itself, and reckon how many connections a server holds here before the first one comes:
open files, memory (of the cgroup too), the firewall's table of connections. Then what happens if many clients stop
reading or all come back at once, and the disk, the clock and the addresses. Each line says what it allows, and what to do.

It takes the settings as serve does, from flags, environment and --config FILE, and changes nothing: to time the disk it
writes one file beside the ledger, which it removes. --probe N starts a server of its own and opens that many connections
to it, over loopback, and says what each of them took. Exit 0 also with warnings; 99 if something fails, or if the
connections that --connections asks for do not fit.`,
		Example: `  papertape doctor --config papertape.yaml
  papertape doctor --connections 250000     exit 99 if they do not fit
  papertape doctor --probe 5000 -o json`,
		Args: exactArgs(0, "no arguments"),
	}
	settings.Register(cmd.Flags())
	cmd.Flags().Var(decimal.Whole(&wanted, 0, 1, countMax), "connections",
		"connections that are to fit; without it, as many as there may be")
	cmd.Flags().Var(decimal.Whole(&probe, 0, 1, countMax), "probe",
		"open so many connections to a server that is started for it, and measure them")
	cmd.Flags().VarPF(boolFlag{&details}, "verbose", "v", "what bounds nothing, too").NoOptDefVal = "true"
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(output); err != nil {
			return err
		}
		cfg, err := settings.Load(cmd.Flags(), os.Environ())
		if err != nil {
			return err
		}
		report, err := examination(cmd.Context(), cfg, wanted)
		if err != nil {
			return err
		}
		return runDoctor(cmd, report, cfg, probe, output, details)
	}
	return cmd
}

// diagnosis is the report with what was tried, as JSON.
type diagnosis struct {
	*doctor.Report
	Probe *doctor.Probe `json:"probe,omitempty"`
}

func runDoctor(cmd *cobra.Command, report *doctor.Report, cfg *config.Config, probe int, output string,
	details bool,
) error {
	d := diagnosis{Report: report}
	var failures []string
	if probe > 0 {
		var err error
		if d.Probe, failures, err = tryConnections(cmd, report, cfg, probe); err != nil {
			return err
		}
	}
	err := printAs(cmd.OutOrStdout(), output, d, screenSafe(func(w io.Writer) error {
		if err := report.Text(w, details); err != nil || d.Probe == nil {
			return err
		}
		_, err := fmt.Fprintln(w, d.Probe.String())
		return err
	}))
	if err != nil {
		return err
	}
	for _, failure := range failures {
		printError(cmd.ErrOrStderr(), fmt.Errorf("with the connections open: %s", failure))
	}
	if !report.Good() || len(failures) > 0 {
		return errCheck
	}
	return nil
}

// examination reads the machine, tries the disk and the addresses, and does the arithmetic.
func examination(ctx context.Context, cfg *config.Config, wanted int) (*doctor.Report, error) {
	plan, readings, err := readMachine(cfg)
	if err != nil {
		return nil, err
	}
	plan.Wanted = wanted
	doctor.Measure(ctx, &readings, &plan)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return doctor.Examine(&plan, &readings), nil
}

// readMachine returns what doctor is to know of the settings, and what the machine's files say.
func readMachine(cfg *config.Config) (doctor.Plan, doctor.Readings, error) {
	data, err := filepath.Abs(cfg.Data)
	if err != nil {
		return doctor.Plan{}, doctor.Readings{}, fmt.Errorf("find the data directory: %w", err)
	}
	if real, err := filepath.EvalSymlinks(data); err == nil {
		data = real
	}
	addresses := []string{cfg.Listen, cfg.Admin}
	if cfg.HealthListen != "" {
		addresses = append(addresses, cfg.HealthListen)
	}
	plan := doctor.Plan{
		ConnectionsMax: cfg.ConnectionsMax, ConnectionsPerSecond: cfg.ConnectionsPerSecondMax,
		HandshakesPerSecond: cfg.HandshakesPerSecond(), TLS: cfg.TLSConfig != nil,
		Durable: cfg.Durability != config.DurabilityNone, AskHugePages: cfg.HugePages,
		EventLoops: cfg.EventLoopCount(), Heartbeat: cfg.Heartbeat,
		HistoryBytes: cfg.HistoryMemoryBytesMax, OutboxBytes: cfg.OutboxBytesMax,
		OutboxTotalBytes: cfg.OutboxTotalBytesMax, SendBufferBytes: cfg.SocketSendBufferBytes,
		DiskFreeBytesMin: cfg.DiskFreeBytesMin, Data: data, Addresses: addresses,
	}
	return plan, doctor.Read(os.DirFS("/"), data), nil
}

// tryConnections opens connections to a server of its own, and returns what each took.
func tryConnections(cmd *cobra.Command, report *doctor.Report, cfg *config.Config, n int) (*doctor.Probe, []string,
	error,
) {
	if int64(n) > report.Holds {
		return nil, nil, usageError{fmt.Errorf("--probe: this machine holds %s connections, bound by %s; write at "+
			"most %d", doctor.Count(report.Holds), report.Binds, report.Holds)}
	}
	binary, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("find this program, which is the server too: %w", err)
	}
	tried, err := soak.Run(cmd.Context(), soak.Config{
		Run: soak.Idle, Binary: binary, TLS: cfg.TLSConfig != nil, Clients: n, Accounts: idleAccounts,
		Progress: cmd.ErrOrStderr(),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("open %d connections: %w", n, err)
	}
	user, _ := tried.Value(soak.FigureUserEach)
	kernel, _ := tried.Value(soak.FigureKernelEach)
	live, _ := tried.Value(soak.FigureConnected)
	probe := doctor.NewProbe(report, int(live), user, kernel)
	return &probe, tried.Failures, nil
}

// adviseOnMachine writes a line where doctor would warn. It neither tries the disk nor waits for anything.
func adviseOnMachine(cfg *config.Config, log zerolog.Logger) {
	plan, readings, err := readMachine(cfg)
	if err != nil {
		return // serve says it better
	}
	doctor.Look(&readings, &plan)
	report := doctor.Examine(&plan, &readings)
	if report.Warnings+report.Failures == 0 {
		return
	}
	log.Info().Int64("connections", report.Holds).Str("bound_by", report.Binds).
		Str("concerns", usertext.Shown(strings.Join(report.Concerns(), "; "))).
		Msg("papertape doctor warns about this machine")
}
