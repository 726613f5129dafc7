package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
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
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			text := newSettings().commented()
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

// createFile writes a new file, whole or not at all.
func createFile(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return usageError{fmt.Errorf("%s exists and is left as it is; name a file that does not exist with --out", path)}
	}
	if err != nil {
		return wrongPath("--out", err)
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(path)
	}
	return err
}

// commented is a file that explains every key and sets none.
func (s *settings) commented() string {
	defaults := defaultConfig()
	var b strings.Builder
	var later []string
	b.WriteString(`# The configuration of papertape serve. Every line below is a default: take the # away from one to change it.
# Flags (--outbox-bytes-max) win over the environment (PAPERTAPE_OUTBOX_BYTES_MAX), which wins over this file.
# "papertape config check FILE" says whether it would be taken, "papertape config print --config FILE" what is in force.
# A running server reads it again on SIGHUP; what is not marked (live) takes a restart.
`)
	for i := range s.list {
		st := &s.list[i]
		if _, ok := st.value.(laterValue); ok {
			later = append(later, st.key)
			continue
		}
		text, live := st.text(defaults), ""
		if text == "" {
			text = strconv.Quote(text)
		}
		if st.live {
			live = " (live)"
		}
		fmt.Fprintf(&b, "\n# %s%s\n#%s: %s\n", strings.ReplaceAll(st.usage, "`", ""), live, st.key, text)
	}
	fmt.Fprintf(&b, "\n# These come later, and are refused until then: %s.\n", strings.Join(later, ", "))
	return b.String()
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
		Args: cobra.ArbitraryArgs, // fileOf judges them
	}
	cmd.Flags().Var(pathFlag{&file}, configFlag, "the `file`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		settings := newSettings()
		flags := pflag.NewFlagSet("check", pflag.ContinueOnError)
		settings.register(flags)
		if err := fileOf(cmd, args); err != nil {
			return err
		}
		if file == "" {
			return usageError{errors.New("check takes a file: papertape config check FILE")}
		}
		if err := flags.Set(configFlag, file); err != nil {
			return err
		}
		cfg, err := settings.load(flags, nil)
		if err != nil {
			return err
		}
		if _, err := fitting(cfg); err != nil {
			return err
		}
		how := "all of them by default"
		if n := len(cfg.sources); n > 0 {
			how = fmt.Sprintf("%d of them from this file", n)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is a good configuration: %d settings, %s\n",
			file, len(settings.inForce(cfg)), how)
		return err
	}
	return cmd
}

// fileOf sets --config to the file that is named without it, if one is.
func fileOf(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case len(args) > 1 || cmd.Flags().Changed(configFlag):
		return usageError{fmt.Errorf("%s takes one file: papertape config %[1]s FILE, or --config FILE", cmd.Name())}
	}
	if err := cmd.Flags().Set(configFlag, args[0]); err != nil {
		return flagError(cmd, err)
	}
	return nil
}

// settingInForce is a line of config print.
type settingInForce struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Source string `json:"source"` // default, papertape.json:3, PAPERTAPE_HEARTBEAT, --heartbeat
	Secret string `json:"secret,omitempty"`
}

// mask stands for a secret, whatever its length.
const mask = "********"

// inForce lists the settings that can be set, in the order of the registry.
func (s *settings) inForce(cfg *Config) []settingInForce {
	lines := make([]settingInForce, 0, len(s.list))
	for i := range s.list {
		st := &s.list[i]
		if _, ok := st.value.(laterValue); ok {
			continue
		}
		line := settingInForce{Key: st.key, Value: st.text(cfg), Source: cfg.Source(st.key)}
		if st.key == "admin_token_file" && cfg.AdminToken != "" {
			line.Secret = mask
		}
		lines = append(lines, line)
	}
	return lines
}

func newConfigPrint() *cobra.Command {
	settings := newSettings()
	var output string
	cmd := &cobra.Command{
		Use:   "print [FILE]",
		Short: "Show every setting, the value in force, and where it came from",
		Long: `Show what serve would run with, given the same flags, environment and file: each key, its value, and whether that is the
default or came from a line of the file, a variable or a flag. Secrets are masked. FILE is the same as --config FILE.`,
		Example: `  papertape config print
  papertape config print papertape.yaml --heartbeat 5s
  papertape config print -o json`,
		Args: cobra.ArbitraryArgs, // fileOf judges them
	}
	settings.register(cmd.Flags())
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := errors.Join(checkOutput(output), fileOf(cmd, args)); err != nil {
			return err
		}
		cfg, err := settings.load(cmd.Flags(), os.Environ())
		if err != nil {
			return err
		}
		lines := settings.inForce(cfg)
		return printAs(cmd.OutOrStdout(), output, lines, func(w io.Writer) error { return renderSettings(w, lines) })
	}
	return cmd
}

func renderSettings(w io.Writer, lines []settingInForce) error {
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
