package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// group makes a command that only holds subcommands.
func group(cmd *cobra.Command, members ...*cobra.Command) *cobra.Command {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usageError{fmt.Errorf("unknown command %q; %s --help lists them", args[0], cmd.CommandPath())}
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(members...)
	return cmd
}

// newCompletion replaces cobra's own command, which has no examples.
func newCompletion() *cobra.Command {
	shell := func(name, example string, generate func(root *cobra.Command, out *cobra.Command) error) *cobra.Command {
		return &cobra.Command{
			Use:     name,
			Short:   "Print what makes " + name + " complete papertape's commands and flags",
			Example: example,
			Args:    exactArgs(0, "no arguments"),
			RunE:    func(cmd *cobra.Command, _ []string) error { return generate(cmd.Root(), cmd) },
		}
	}
	return group(&cobra.Command{
		Use:   "completion",
		Short: "Completion of commands and flags in bash, zsh or fish",
		Example: `  source <(papertape completion bash)
  papertape completion zsh > "${fpath[1]}/_papertape"
  papertape completion fish | source`,
	},
		shell("bash", `  source <(papertape completion bash)     in this shell; it needs the package bash-completion
  papertape completion bash > ~/.local/share/bash-completion/completions/papertape     in every new one`,
			func(root, out *cobra.Command) error { return root.GenBashCompletionV2(out.OutOrStdout(), true) }),
		shell("zsh", `  source <(papertape completion zsh)     in this shell, after autoload -U compinit; compinit
  papertape completion zsh > "${fpath[1]}/_papertape"     in every new one`,
			func(root, out *cobra.Command) error { return root.GenZshCompletion(out.OutOrStdout()) }),
		shell("fish", `  papertape completion fish | source     in this shell
  papertape completion fish > ~/.config/fish/completions/papertape.fish     in every new one`,
			func(root, out *cobra.Command) error { return root.GenFishCompletion(out.OutOrStdout(), true) }),
	)
}

// describeHelp adds examples to cobra's help command.
func describeHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "help" {
			cmd.Example = `  papertape help serve
  papertape help config init`
		}
	}
}

func newMan() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "man",
		Short: "Write a manual page of each command",
		Long: `Write papertape.1, papertape-serve.1 and so on into a directory, which is made if it does not exist. Pages that are
there already are replaced.`,
		Example: `  papertape man --out ~/.local/share/man/man1
  papertape man --out man && man ./man/papertape-serve.1`,
		Args: exactArgs(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return usageError{fmt.Errorf("man needs a directory to write to; name one with --out")}
			}
			if err := os.MkdirAll(out, 0o755); err != nil {
				return pathError("--out", err)
			}
			for _, c := range allCommands(cmd.Root()) {
				if err := os.WriteFile(filepath.Join(out, manualName(c)+".1"), []byte(manual(c)), 0o644); err != nil {
					return pathError("--out", err)
				}
			}
			return nil
		},
	}
	cmd.Flags().Var(pathFlag{&out}, "out", "the `directory`")
	return cmd
}

// allCommands returns a command and all its descendants, without hidden ones.
func allCommands(cmd *cobra.Command) []*cobra.Command {
	list := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			list = append(list, allCommands(c)...)
		}
	}
	return list
}

// manualName returns papertape-config-init for papertape config init.
func manualName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manual returns the page of one command in the macros of man(7).
func manual(cmd *cobra.Command) string {
	cmd.InitDefaultHelpFlag()
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"papertape %s\" \"Papertape\"\n", roff(strings.ToUpper(manualName(cmd))),
		roff(version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(manualName(cmd)), roff(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(cmd.UseLine()))
	long := cmd.Long
	if long == "" {
		long = cmd.Short + "."
	}
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n", strings.ReplaceAll(roff(long), "\n\n", "\n.PP\n"))
	b.WriteString(".SH OPTIONS\n")
	cmd.Flags().VisitAll(func(f *pflag.Flag) { manualFlag(&b, f) })
	fmt.Fprintf(&b, ".SH EXAMPLES\n.EX\n%s\n.EE\n", roff(cmd.Example))
	b.WriteString(".SH EXIT STATUS\n0 done, 1 failed at run time, 2 wrong usage or configuration, 3 forced to quit, " +
		"99 a check did not hold.\n")
	manualOthers(&b, cmd)
	return b.String()
}

func manualFlag(b *strings.Builder, f *pflag.Flag) {
	kind, usage := pflag.UnquoteUsage(f)
	b.WriteString(".TP\n.B ")
	if f.Shorthand != "" {
		b.WriteString(roff("-" + f.Shorthand + ", "))
	}
	b.WriteString(roff("--" + f.Name))
	if kind != "" {
		b.WriteString(" \\fI" + roff(kind) + "\\fR")
	}
	b.WriteString("\n" + roff(usage))
	if f.DefValue != "" && f.DefValue != "false" {
		b.WriteString(roff(" (default " + f.DefValue + ")"))
	}
	b.WriteByte('\n')
}

// manualOthers lists the pages of the parent and the subcommands.
func manualOthers(b *strings.Builder, cmd *cobra.Command) {
	var names []string
	if cmd.HasParent() {
		names = append(names, manualName(cmd.Parent()))
	}
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			names = append(names, manualName(c))
		}
	}
	for i, name := range names {
		names[i] = ".BR " + roff(name) + " (1)"
	}
	if len(names) > 0 {
		b.WriteString(".SH SEE ALSO\n" + strings.Join(names, ",\n") + "\n")
	}
}

// roff escapes text, so that nothing in it is taken for a request or an escape, and the hyphens of
// options do not become dashes.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
