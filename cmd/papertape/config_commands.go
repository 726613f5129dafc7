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
  papertape config print --config papertape.yaml what is in force, and where it came from`,
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
	cmd.Flags().StringVar(&out, "out", "", "write to this `file`, which must not exist; without it, to stdout")
	return cmd
}

// createFile writes a new file, whole or not at all.
func createFile(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return usageError{fmt.Errorf("%s exists and is left as it is; name a file that does not exist with --out", path)}
	}
	if err != nil {
		return err
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
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Say whether serve would take a file on this machine; exit 0 if so, 2 if not",
		Long: `Read a configuration file as serve does, with the files that it names and the limits of this machine, without serving.
Flags and PAPERTAPE_ variables do not count: the file is judged alone.`,
		Example: `  papertape config check papertape.yaml
  papertape config check papertape.json && kill -HUP $(pidof papertape)`,
		Args: exactly(1, "a file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			settings := newSettings()
			flags := pflag.NewFlagSet("check", pflag.ContinueOnError)
			settings.register(flags)
			if err := flags.Set(configFlag, args[0]); err != nil {
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
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is a good configuration: %d settings, %s\n", args[0], len(settings.inForce(cfg)), how)
			return err
		},
	}
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
		Use:   "print",
		Short: "Show every setting, the value in force, and where it came from",
		Long: `Show what serve would run with, given the same flags, environment and file: each key, its value, and whether that is the
default or came from a line of the file, a variable or a flag. Secrets are masked.`,
		Example: `  papertape config print
  papertape config print --config papertape.yaml --heartbeat 5s
  papertape config print -o json`,
		Args: exactly(0, "no arguments"),
	}
	settings.register(cmd.Flags())
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkOutput(output); err != nil {
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
