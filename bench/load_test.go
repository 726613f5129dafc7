package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/papertape/papertape/bench/load"
)

// TestLoad puts each kind of load on a server of the old design.
func TestLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	path := program(t)
	server := startProcess(t, path, "baseline", "--accounts", "20", "--rate", "200")
	defer server.stop()
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(path, append([]string{"load", "--server", server.Listen, "--connections", "20",
			"--warm", "50ms", "--duration", "400ms"}, args...)...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		// 99: the machine may be too busy for the load.
		if code := cmd.ProcessState.ExitCode(); code != 0 && code != exitCheck {
			t.Fatalf("%v: %v, %s", args, err, &errs)
		}
		return string(out)
	}
	var result load.Result
	if out := run("--mode", "open", "--rate", "500", "-o", "json"); json.Unmarshal([]byte(out), &result) != nil ||
		result.Answers == 0 || result.Lag.Count == 0 {
		t.Errorf("an open loop: %s", out)
	}
	for _, c := range []struct {
		says string
		args []string
	}{
		{"0 wrong answers", []string{"--mode", "closed", "--outstanding", "4"}},
		{"query", []string{"--mode", "think", "--think-low", "5ms", "--think-high", "20ms", "--queries", "1"}},
		{"push lag", []string{"--mode", "receive"}},
	} {
		if out := run(c.args...); !strings.Contains(out, c.says) || !strings.Contains(out, "p99") {
			t.Errorf("%v does not say %q:\n%s", c.args, c.says, out)
		}
	}
}

func TestLoadUsage(t *testing.T) {
	for says, args := range map[string][]string{
		"the mode is \"round\"":            {"--mode", "round"},
		"requests a second":                {"--mode", "open", "--rate", "0"},
		"text or json":                     {"-o", "yaml"},
		"--duration: 0s is out of range":   {"--duration", "0s"},
		"from the shorter to the longer":   {"--mode", "think", "--think-low", "2s", "--think-high", "1s"},
		"--connections: 0 is out of range": {"--connections", "0", "--accounts", "1"},
	} {
		var out, errs bytes.Buffer
		if code := Main(t.Context(), append([]string{"load"}, args...), &out, &errs); code != exitUsage ||
			!strings.Contains(errs.String(), says) {
			t.Errorf("%v: exit %d, %q; want %q", args, code, errs.String(), says)
		}
	}
}

// TestLoadTable: the text columns of a table are left-aligned, its numbers right-aligned.
func TestLoadTable(t *testing.T) {
	result := load.Result{Seconds: 1, Lag: load.Distribution{Count: 7}, Latency: map[string]load.Distribution{
		"buy": {Count: 5, Mean: 0.5, Max: 12}, "all": {Count: 12345, Mean: 10.25},
	}}
	var b bytes.Buffer
	if err := new(loadFlags).print(&b, &result); err != nil {
		t.Fatal(err)
	}
	const want = `ms              count    mean    p50    p90    p99  p99.9     max
buy                 5   0.500  0.000  0.000  0.000  0.000  12.000
all             12345  10.250  0.000  0.000  0.000  0.000   0.000
load's own lag      7   0.000  0.000  0.000  0.000  0.000   0.000
0 connections`
	if !strings.HasPrefix(b.String(), want) {
		t.Errorf("it says\n%s, want\n%s", &b, want)
	}
}
