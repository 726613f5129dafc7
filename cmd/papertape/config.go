package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/papertape/papertape/cmd/papertape/config"
)

func newConfig() *cobra.Command {
	return group(&cobra.Command{
		Use:   "config",
		Short: "Write, check and show the configuration of a server",
		Example: `  papertape config init --out papertape.yaml     a file to begin with
  papertape config check papertape.yaml          would serve take it?
  papertape config print papertape.yaml          what is in force, and where it came from`,
	}, newConfigInit(), newConfigCheck(), newConfigPrint())
}

func newConfigInit() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a file with every key, what it does and its default",
		Long: `Write a configuration in YAML in which every key is explained and commented out, so that it says the same as no file.
A file that exists is never written over.`,
		Example: `  papertape config init
  papertape config init --out papertape.yaml`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			text := config.NewSettings().Commented()
			if out == "" {
				_, err := io.WriteString(cmd.OutOrStdout(), text)
				return err
			}
			if err := createFile(out, text); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.ErrOrStderr(), "wrote %s; run it with papertape serve --config %s\n", out, out)
			return err
		},
	}
	cmd.Flags().Var(pathFlag{&out}, "out", "write to this `file`, which must not exist; without it, to stdout")
	return cmd
}

// createFile writes a new file completely or not at all.
func createFile(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return usageError{fmt.Errorf("%s exists and is left as it is; name a file that does not exist with --out",
			path)}
	}
	if err != nil {
		return pathError("--out", err)
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(path)
	}
	return err
}

func newConfigCheck() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Say whether serve would take a file on this machine; exit 0 if so, 2 if not",
		Long: `Read a configuration file as serve does, with the files that it names and the limits of this machine, without serving.
Flags and PAPERTAPE_ variables do not count: the file is judged alone. --config FILE is the same as FILE.`,
		Example: `  papertape config check papertape.yaml
  papertape config check papertape.json && kill -HUP $(pidof papertape)`,
		Args: cobra.ArbitraryArgs, // checked by fileOf
	}
	cmd.Flags().Var(pathFlag{&file}, config.FileFlag, "the `file`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		settings := config.NewSettings()
		flags := pflag.NewFlagSet("check", pflag.ContinueOnError)
		settings.Register(flags)
		if err := fileOf(cmd, args); err != nil {
			return err
		}
		if file == "" {
			return usageError{errors.New("check takes a file: papertape config check FILE")}
		}
		if err := flags.Set(config.FileFlag, file); err != nil {
			return err
		}
		cfg, err := settings.Load(flags, nil)
		if err != nil {
			return err
		}
		if _, err := checkMachine(cfg); err != nil {
			return err
		}
		lines, given := settings.InForce(cfg), 0
		for _, line := range lines {
			if line.Source != config.SourceDefault {
				given++
			}
		}
		how := "all of them by default"
		if given > 0 {
			how = fmt.Sprintf("%d of them from this file", given)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is a good configuration: %d settings, %s\n", file, len(lines), how)
		return err
	}
	return cmd
}

// fileOf sets --config to the file argument, if there is one.
func fileOf(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case len(args) > 1 || cmd.Flags().Changed(config.FileFlag):
		return usageError{fmt.Errorf("%s takes one file: papertape config %[1]s FILE, or --config FILE", cmd.Name())}
	}
	if err := cmd.Flags().Set(config.FileFlag, args[0]); err != nil {
		return flagError(cmd, err)
	}
	return nil
}

func newConfigPrint() *cobra.Command {
	settings := config.NewSettings()
	var output string
	cmd := &cobra.Command{
		Use:   "print [FILE]",
		Short: "Show every setting, the value in force, and where it came from",
		Long: `Show what serve would run with, given the same flags, environment and file: each key, its value, and whether that is the
default or came from a line of the file, a variable or a flag. Secrets are masked. FILE is the same as --config FILE.`,
		Example: `  papertape config print
  papertape config print papertape.yaml --heartbeat 5s
  papertape config print -o json`,
		Args: cobra.ArbitraryArgs, // checked by fileOf
	}
	settings.Register(cmd.Flags())
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := errors.Join(checkOutput(output), fileOf(cmd, args)); err != nil {
			return err
		}
		cfg, err := settings.Load(cmd.Flags(), os.Environ())
		if err != nil {
			return err
		}
		lines := settings.InForce(cfg)
		return printAs(cmd.OutOrStdout(), output, lines, func(w io.Writer) error { return renderSettings(w, lines) })
	}
	return cmd
}

func renderSettings(w io.Writer, lines []config.InForce) error {
	t := newTable(table.Row{"key", "value", "from"}, 4)
	for _, line := range lines {
		value := line.Value
		if value == "" {
			value = `""`
		}
		if line.Secret != "" {
			value += " (" + line.Secret + ")"
		}
		t.AppendRow(table.Row{line.Key, value, line.Source})
	}
	_, err := fmt.Fprintln(w, t.Render())
	return err
}
