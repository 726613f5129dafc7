package main

import (
	"fmt"
	"io"
	"os"
	"runtime/pprof"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/engine/simulator"
)

func newServe() *cobra.Command {
	settings := config.NewSettings()
	var export string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server until SIGINT or SIGTERM, then drain: finish what was taken, say goodbye, exit 0.

Zero configuration works. A key is a flag (--outbox-bytes-max), an environment variable (PAPERTAPE_OUTBOX_BYTES_MAX) or a
line of the file named by --config (outbox_bytes_max), in this order of precedence. SIGHUP reads them again: a bad file changes
nothing; log.level, simulator.rate, the limits of connections and the keys of clients change at once, and what needs a
restart is named in the log.`,
		Example: `  papertape serve
  papertape serve --listen 127.0.0.1:0 --simulator.rate 2000 --accounts 10000
  papertape serve --config papertape.json`,
		Args: exactArgs(0, "no arguments"),
	}
	settings.Register(cmd.Flags())
	cmd.Flags().Var(pathFlag{&export}, "export",
		"at a clean stop write each account's history as text into this new `directory`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return serve(cmd, settings, export)
	}
	return cmd
}

// serve runs the server that flags, environment and file describe, until the command's context
// ends.
func serve(cmd *cobra.Command, settings *config.Settings, export string) error {
	cfg, err := settings.Load(cmd.Flags(), os.Environ())
	if err != nil {
		return err
	}
	cfg.Export = export
	if err := checkExport(cfg); err != nil {
		return err
	}
	out := newLogQueue(cmd.ErrOrStderr().(*lossyWriter)) // prepareOutput has set it
	defer out.stop()
	log, level, err := newLog(cfg, out)
	if err != nil {
		return err
	}
	reserveHeap(cfg, log)
	stopProfile, err := profile(cfg.CPUProfile)
	if err != nil {
		return err
	}
	defer stopProfile()
	s, err := newServer(cfg, nil, log)
	if err != nil {
		return err
	}
	s.level = level
	if s.out = out; isTerminal(out) {
		s.terminal = out
	}
	r := &reloader{settings: settings, flags: cmd.Flags(), server: s, level: level, started: cfg, last: cfg}
	s.inForce = r.inForce
	defer r.start(hangupsOf(cmd.Context()))()
	defer tellManagerStopping(cmd.Context(), &log)()
	err = s.run(cmd.Context(), func(at addresses) {
		announce(cfg, at, log, out, s.loginURL)
		tellManager(&log, managerReady)
		adviseOnMachine(cfg, log)
	})
	if err != nil {
		return err
	}
	log.Info().Uint64("orders", s.engine.Stats().Requests).Uint64("events", s.engine.Stats().Events).Msg("stopped")
	return nil
}

// announce logs the server's addresses, and prints them for a person at a terminal. loginURL returns the address
// that logs a browser in once.
func announce(cfg *config.Config, at addresses, log zerolog.Logger, w io.Writer, loginURL func(admin string) string) {
	line := log.Info().Str("listen", at.listen).Str("admin", at.admin).Str("health", at.health).
		Int("accounts", at.accounts).Str("durability", cfg.Durability).
		Str("which_means", durabilityText[cfg.Durability])
	if cfg.Durability != config.DurabilityNone {
		line.Str("data", cfg.Data)
	}
	line.Str("version", version).Msg("listening")
	if !isTerminal(w) {
		return
	}
	data := cfg.Data
	if cfg.Durability == config.DurabilityNone {
		data = "nowhere"
	}
	protection := "loopback only, no encryption, no authentication"
	switch {
	case cfg.TLS.ClientCA != "":
		protection = "TLS, with certificates of clients"
	case cfg.TLSConfig != nil:
		protection = "TLS, no authentication"
	case cfg.AllowPlaintext:
		protection = "none: plaintext is allowed (allow_plaintext), no authentication"
	}
	if cfg.AuthKeysFile != "" {
		protection = "clients need a key (auth.keys_file), no encryption"
	}
	_, _ = fmt.Fprintf(w, `
  papertape %s
  clients      %s   (wire protocol 1: docs/protocol.md)
  console      %s
  accounts     %d: %d to %d
  durability   %s: %s
  data         %s
  protection   %s
  try          papertape holdings %d --admin %s

`, version, at.listen, loginURL(at.admin), at.accounts, simulator.FirstAccount, simulator.FirstAccount+at.accounts-1,
		cfg.Durability, durabilityText[cfg.Durability], data, protection, simulator.FirstAccount, at.admin)
}

// loginURL returns the address of the console at admin, which logs a browser in once.
func (s *server) loginURL(admin string) string {
	if s.consoleTLS.Load() != nil {
		admin = "https://" + admin
	}
	return consoleURL(admin) + s.console.Load().LoginCode().Path
}

// profile writes a CPU profile until the returned function is called.
func profile(path string) (stop func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, config.Errorf("cpuprofile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, fmt.Errorf("cpuprofile: %w", err)
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	}, nil
}
