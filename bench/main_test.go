package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
	}{
		{nil, 0},
		{[]string{"--help"}, 0},
		{[]string{"measure-nothing"}, exitUsage},
		{[]string{"--no-such-flag"}, exitUsage},
	} {
		var out, errs bytes.Buffer
		if code := Main(t.Context(), c.args, &out, &errs); code != c.code {
			t.Errorf("%q: exit %d, want %d; it said %q", c.args, code, c.code, errs.String())
		}
		if said := errs.Len() > 0; said != (c.code != 0) {
			t.Errorf("%q: exit %d with %q on stderr", c.args, c.code, errs.String())
		}
	}
}

// everyCommand returns a command and all commands below it, hidden ones included.
func everyCommand(cmd *cobra.Command) []*cobra.Command {
	list := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		list = append(list, everyCommand(c)...)
	}
	return list
}

// TestOneReaderOfNumbers: no flag uses pflag's own number parsers, which read 0100 as 64.
func TestOneReaderOfNumbers(t *testing.T) {
	numbers := 0
	for _, cmd := range everyCommand(newRoot()) {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			what := cmd.CommandPath() + " --" + f.Name
			switch kind := fmt.Sprintf("%T", f.Value); {
			case kind == "*pflag.stringValue", kind == "*pflag.boolValue":
				return
			case strings.HasPrefix(kind, "*pflag."):
				t.Errorf("%s is of %s", what, kind)
			}
			numbers++
			for _, bad := range []string{"0x10", "0o10", "1_0", "+5", "+5s", "0x1p4", "NaN", ""} {
				if f.Value.Set(bad) == nil {
					t.Errorf("%s takes %q for %s", what, bad, f.Value)
				}
			}
			if f.Value.Set("010") == nil && f.Value.String() != "10" {
				t.Errorf("%s takes 010 for %s", what, f.Value)
			}
		})
	}
	if numbers < 15 {
		t.Errorf("looked at %d flags that are numbers", numbers)
	}
	var out, errs bytes.Buffer
	if code := Main(t.Context(), []string{"serve", "baseline", "--workers", "0x10"}, &out, &errs); code != exitUsage ||
		errs.String() != "papertape-bench: --workers: \"0x10\" is not a whole number; write 1 to 10000\n" {
		t.Errorf("exit %d, %q", code, errs.String())
	}
}
