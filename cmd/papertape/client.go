package main

import (
	"errors"
	"fmt"
	"math"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/cmd/papertape/terminal"
	"github.com/papertape/papertape/decimal"
)

type clientFlags struct {
	account                       uint64
	server, lang, colours, output string
	echo                          bool
	tls                           tlsFlags
	key                           keyFlag
}

func newClient() *cobra.Command {
	var f clientFlags
	cmd := &cobra.Command{
		Use:   "client --account N [command...]",
		Short: "The terminal: one account's positions, its tape, and a prompt to trade at",
		Long: `Log in to one account of a server, show what it holds, and take commands: buy, sell, holding, history, quote,
presence, help, quit. A # begins a comment, anywhere on a line. On a terminal there is a prompt, with completion of
commands and codes by the tab key; what happens to the account appears above a half-typed line. A paste of several
lines becomes one, with ⏎ between them, and Enter does it. From a pipe or a file (and on a terminal with TERM=dumb,
with -o json, or where the output goes elsewhere) it is a command a line in UTF-8, without a prompt, and the first
error ends it with exit 1. With a command after the flags it does that one thing; write -- before a command that has
words beginning with a dash.

When the connection goes it says so, connects again, and says what was missed. Colours are for terminals: red is up
and green is down unless --colors says otherwise; NO_COLOR is honoured. The lines typed at the prompt are kept in
papertape/history, in $XDG_STATE_HOME or, without that, in ~/.local/state.`,
		Example: `  papertape client --account 100017
  papertape client --account 100017 buy SH.600519 100 @ 1480
  printf 'buy SH 600519 100\nholding\n' | papertape client --account 100017 -o json`,
	}
	f.register(cmd.Flags())
	completeClient(cmd)
	cmd.RunE = f.run
	return cmd
}

func (f *clientFlags) register(flags *pflag.FlagSet) {
	flags.Var(decimal.Whole(&f.account, 0, 1, math.MaxUint64), "account",
		"whose account it is, a customer number such as 100017")
	peerAddress(flags, &f.server, "server", config.Default().Listen, "the server, host:port")
	f.tls.register(flags)
	f.key.register(flags)
	flags.StringVar(&f.lang, "lang", "", "zh or en; without it as LC_ALL, LC_MESSAGES or LANG say")
	flags.StringVar(&f.colours, "colors", string(terminal.SchemeCN), "cn (red is up) or western (green is up)")
	flags.StringVarP(&f.output, "output", "o", "text",
		"text, or json: an object a line, for each answer, each event and each connection")
	flags.Var(boolFlag{&f.echo}, "echo", "from a pipe, print each line before its answer; not with -o json")
}

// run runs the command. words are the arguments after its flags.
func (f *clientFlags) run(cmd *cobra.Command, words []string) error {
	if err := checkOutput(f.output); err != nil {
		return err
	}
	if f.account == 0 {
		return usageError{fmt.Errorf("whose account? Name it with --account, as in --account 100017")}
	}
	language, err := languageOf(f.lang)
	if err != nil {
		return err
	}
	scheme := terminal.Scheme(f.colours)
	if scheme != terminal.SchemeCN && scheme != terminal.SchemeWestern {
		return usageError{fmt.Errorf("colors %q: it is cn or western", f.colours)}
	}
	sealed, err := f.tls.config()
	if err != nil {
		return err
	}
	err = terminal.Run(cmd.Context(), terminal.Config{
		Account: f.account, Server: f.server, TLS: sealed, Key: f.key.key,
		AllowPlaintext: f.tls.allowPlaintext, Name: "papertape " + version, Lang: language,
		Scheme: scheme, JSON: f.output == "json", Echo: f.echo, Words: words, In: cmd.InOrStdin(),
		Out: cmd.OutOrStdout(), Notes: cmd.ErrOrStderr(), Getenv: os.Getenv,
	})
	var line *terminal.LineError
	if errors.As(err, &line) && line.Usage && line.Number == 0 {
		return usageError{err}
	}
	return err
}

// completeClient sets up shell completion of the command line.
func completeClient(cmd *cobra.Command) {
	cmd.ValidArgsFunction = func(_ *cobra.Command, words []string, _ string) ([]cobra.Completion,
		cobra.ShellCompDirective) {
		if len(words) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return terminal.CommandNames(), cobra.ShellCompDirectiveNoFileComp
	}
	for flag, values := range map[string][]string{"lang": {"zh", "en"}, "colors": {"cn", "western"},
		"output": {"text", "json"}} {
		// This cannot fail, since the flags exist.
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

func languageOf(flag string) (terminal.Language, error) {
	switch l := terminal.Language(flag); l {
	case terminal.Chinese, terminal.English:
		return l, nil
	case "":
		return terminal.LanguageOf(os.Getenv), nil
	}
	return "", usageError{fmt.Errorf("lang %q: it is zh or en", flag)}
}
