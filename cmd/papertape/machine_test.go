package main

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/engine/simulator"
	"github.com/papertape/papertape/market"
)

// TestLoadScript checks that errors name the file, and the line or the step.
func TestLoadScript(t *testing.T) {
	t.Chdir(t.TempDir())
	for text, want := range map[string]string{
		"steps:\n- {account: 7, at: 1s, side: hold, instrument: SH.600519, quantity: 1}\n": "script.yaml: scenario " +
			"script: step 1: side: \"hold\"; it is buy or sell",
		"# one\r\n# \xb2\xe2\r\n":                       "scenario script: script.yaml:2: this is not text in UTF-8",
		strings.Repeat("#", simulator.ScriptBytesMax+1): "scenario script: script.yaml is larger than 4194304 bytes",
		"steps: []\n": "",
	} {
		write(t, "script.yaml", text)
		if _, err := loadScript("script.yaml", market.Default()); want == "" && err != nil || want != "" &&
			(err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
	if _, err := loadScript("missing", market.Default()); err == nil ||
		err.Error() != "scenario script: missing cannot be read: no such file or directory" {
		t.Errorf("of no file: %v", err)
	}
}

func TestConnections(t *testing.T) {
	for _, c := range []struct {
		configured int
		hard       uint64
		want       int
		err        string
	}{
		{0, 20_000, 18_500, ""},
		{0, 1 << 20, 100_000, ""},
		{0, math.MaxUint64, 100_000, ""},
		{0, 1501, 1, ""},
		{18_500, 20_000, 18_500, ""},
		{2_000_000, math.MaxUint64, 2_000_000, ""},
		{18_501, 20_000, 0, "18501 connections are more than this machine gives: the hard limit of open files is " +
			"20000, less 1500 for " +
			"the server itself leaves 18500; write at most that, or auto, or raise the limit (ulimit -Hn)"},
		{1, 1500, 0, "the hard limit of open files is 1500, and the server keeps 1500 for itself; raise it (ulimit " +
			"-Hn)"},
		{0, 1024, 0, "the hard limit of open files is 1024, and the server keeps 1500 for itself; raise it (ulimit " +
			"-Hn)"},
	} {
		got, err := connectionsWithin(c.configured, c.hard)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
			t.Errorf("%d of %d files: %d, %v, want %d, %s", c.configured, c.hard, got, err, c.want, c.err)
		}
	}
	settings, flags := config.NewSettings(), pflag.NewFlagSet("serve", pflag.ContinueOnError)
	settings.Register(flags)
	if err := flags.Parse([]string{"--connections-max", strconv.Itoa(math.MaxInt32)}); err != nil {
		t.Fatal(err)
	}
	cfg, err := settings.Load(flags, nil)
	if err != nil {
		t.Fatal(err)
	}
	n, err := connectionsMax(cfg)
	if err == nil && n == math.MaxInt32 {
		t.Skip("this machine gives as many")
	}
	var wrong config.Error
	if !errors.As(err, &wrong) || !strings.HasPrefix(err.Error(), "--connections-max: ") {
		t.Errorf("more connections than the machine gives: %v, want a config.Error about --connections-max", err)
	}
}
