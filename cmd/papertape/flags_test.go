package main

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/papertape/papertape/cmd/papertape/config"
)

// everyCommand returns a command and all its descendants, including hidden ones.
func everyCommand(cmd *cobra.Command) []*cobra.Command {
	list := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		list = append(list, everyCommand(c)...)
	}
	return list
}

// misread are spellings of numbers that some programs accept and papertape refuses.
var misread = []string{"0x10", "0X10", "0o10", "0b10", "1_0", "+5", "1e1x", " 5", "5 ", "５", "", "NaN", "Inf", "0x1p4"}

// TestOneReaderOfNumbers checks that no flag of any command uses pflag's own parsing of numbers,
// which reads 0100 as 64.
func TestOneReaderOfNumbers(t *testing.T) {
	numbers := 0
	for _, cmd := range everyCommand(newRoot()) {
		cmd.InitDefaultHelpFlag()
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			what := cmd.CommandPath() + " --" + f.Name
			kind := fmt.Sprintf("%T", f.Value)
			if strings.HasPrefix(kind, "*pflag.") && kind != "*pflag.stringValue" && f.Name != "help" {
				t.Errorf("%s is of %s", what, kind)
			}
			if kind == "*config.flagText" {
				return // checked when the configuration is loaded
			}
			switch f.Value.Type() {
			case config.KindBool:
				if f.Name != "help" && f.Value.Set("1") == nil {
					t.Errorf("%s takes 1 for true", what)
				}
			case config.KindNumber:
				numbers++
				if f.Value.Set("010") == nil && f.Value.String() != "10" {
					t.Errorf("%s takes 010 for %s", what, f.Value)
				}
				fallthrough
			case config.KindDuration:
				for _, bad := range append(misread, "+5s", "1_0s", "0x5s") {
					if f.Value.Set(bad) == nil {
						t.Errorf("%s takes %q for %s", what, bad, f.Value)
					}
				}
			}
		})
	}
	if numbers < 20 {
		t.Errorf("looked at %d flags that are numbers", numbers)
	}
}

// TestFlagErrors checks that an invalid value of a flag is reported like that of a setting.
func TestFlagErrors(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"client --account 0x186A3", `--account: "0x186A3" is not a whole number; write 1 to 18446744073709551615`},
		{"client --account 0", "--account: 0 is out of range; write 1 to 18446744073709551615"},
		{"history 100001 --limit 0", "--limit: 0 is out of range; write 1 to 100"},
		{"correct 100001-2 --quantity 1_000", `--quantity: "1_000" is not a whole number; write 0 to 1000000000`},
		{"correct 100001-2 --revision -1", fmt.Sprintf("--revision: -1 is out of range; write 0 to %d",
			uint32(math.MaxUint32))},
		{"account open x --cash 1 --reason r", `"x" is not an account number; one looks like 100001`},
		{"account open --reason r", "open needs the cash that the account begins with: write --cash 1000000"},
		{"account open --cash 0x1 --reason r",
			`--cash: "0x1" is not an amount; write digits with a decimal point, as in 9.98`},
		{"account open --cash 1", `papertape account open needs a reason: write --reason "a new term"`},
		{"account open 1 2 --cash 1 --reason r",
			"open takes one account number, or none, not 2 arguments; see papertape account open --help"},
		{"account deposit 100001 --reason r", "deposit takes an account number and an amount, as 100001 500.00, " +
			"not 1 arguments; see papertape account deposit --help"},
		{"account deposit 100001 all --reason r",
			`the amount: "all" is not an amount; write digits with a decimal point, as in 9.98`},
		{"account withdraw 100001 1", `papertape account withdraw needs a reason: write --reason "a new term"`},
		{"account reset 100001", `papertape account reset needs a reason: write --reason "a new term"`},
		{"account reset --reason r", "reset takes an account number, not 0 arguments; " +
			"see papertape account reset --help"},
		{"swarm --duration 5", `--duration: "5" is not a duration; write 5s or 1m30s`},
		{"swarm --partition +2/4", `partition "+2/4": write 2/4 for the second of four, from 1/1 to 10000/10000`},
		{"swarm --interval +1s-2s", `interval "+1s-2s": "+1s" is not a duration; write 1s-2s, 200ms-1s, or 1s`},
		{"swarm --mix buy=0x10",
			`mix "buy=0x10": "buy=0x10" is not a share from 0 to 1000000; write buy=40,sell=40,query=20`},
		{"swarm --verbose=1", `--verbose: "1" is neither true nor false`},
		{"simulate --rate 0x1p4", `--rate: "0x1p4" is not a number; write 2000 or 0.5`},
		{"simulate --rate -1", "--rate: -1 is out of range; write 0 to 10000000"},
		{"soak --clients 0x10", `--clients: "0x10" is not a whole number; write 1 to 2147483647`},
		{"torture kills --kills +5", `--kills: "+5" is not a whole number; write 1 to 2147483647`},
		{"torture client --accounts 100001,0x10",
			`--accounts: "0x10" is not a whole number; write 1 to 18446744073709551615`},
		{"holdings 0x186A3", `"0x186A3" is not an account number; one looks like 100001`},
		{"holdings +100001", `"+100001" is not an account number; one looks like 100001`},
		{"kick +17", `"+17" is not the uid of a session; papertape sessions lists them`},
		{"client --account 1 --server 127.0.0.1:+7300",
			`--server: "+7300" is not a port; write 1 to 65535, as in 127.0.0.1:7300`},
		{"client --account 1 --server 127.0.0.1:http",
			`--server: "http" is not a port; write 1 to 65535, as in 127.0.0.1:7300`},
		{"stats --admin 127.0.0.1", `--admin: "127.0.0.1" is not an address; write host:port, as in 127.0.0.1:7300`},
		{"swarm --server 127.0.0.1:0", `--server: "0" is not a port; write 1 to 65535, as in 127.0.0.1:7300`},
	} {
		root := newRoot()
		root.SetArgs(strings.Fields(c.args))
		err := root.ExecuteContext(t.Context())
		if _, usage := err.(usageError); !usage || err.Error() != c.want {
			t.Errorf("%s:\n got %v\nwant %s", c.args, err, c.want)
		}
	}
}
