package main

import (
	"bytes"
	"strings"
	"testing"
)

// TestManual checks that every command has a complete manual page, and a --help with two or three
// examples.
func TestManual(t *testing.T) {
	commands := allCommands(newRoot())
	if len(commands) < 15 {
		t.Fatalf("only %d commands found", len(commands))
	}
	for _, cmd := range commands {
		page := manual(cmd)
		for _, section := range []string{"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "EXIT STATUS",
			"SEE ALSO"} {
			_, body, ok := strings.Cut(page, "\n.SH "+section+"\n")
			body, _, _ = strings.Cut(body, "\n.SH ")
			if !ok || strings.TrimSpace(body) == "" {
				t.Errorf("%s: the page has no %s", cmd.CommandPath(), section)
			}
		}
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s: its short description is %q", cmd.CommandPath(), cmd.Short)
		}
		root, help := newRoot(), new(bytes.Buffer)
		root.SetOut(help)
		root.SetArgs(append(strings.Fields(cmd.CommandPath())[1:], "--help"))
		if err := root.Execute(); err != nil {
			t.Errorf("%s --help: %v", cmd.CommandPath(), err)
		}
		_, examples, _ := strings.Cut(help.String(), "\nExamples:\n")
		examples, _, _ = strings.Cut(examples, "\n\n")
		n := 0
		for line := range strings.Lines(examples) {
			if strings.Contains(line, "papertape") {
				n++
			}
		}
		if n < 2 || n > 3 {
			t.Errorf("%s --help has %d examples, want two or three:\n%s", cmd.CommandPath(), n, examples)
		}
	}
}

func TestRoff(t *testing.T) {
	const text = ".PP is no request\n'nor this\na \\ and --flag"
	const want = "\\&.PP is no request\n\\&'nor this\na \\e and \\-\\-flag"
	if got := roff(text); got != want {
		t.Errorf("roff: %q, want %q", got, want)
	}
}
