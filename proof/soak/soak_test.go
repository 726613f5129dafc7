//go:build linux

package soak_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/papertape/papertape/proof/soak"
)

// TestRuns runs each load on the real binary for a second or two, with few clients. `make soak`
// runs them at length.
func TestRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	if err := touchSources("../.."); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "papertape")
	if out, err := exec.Command("go", "build", "-o", binary, "../../cmd/papertape").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for _, c := range []struct {
		flags  []string
		counts []string // figures that are more than 0
		zero   []string
	}{
		{
			[]string{"--run", "crowd", "--clients", "60", "--accounts", "20", "--rate", "400", "--duration", "1s"},
			[]string{"events delivered", "shadows compared with the server's holdings", "server goroutines under load"},
			[]string{"gaps", "repeats"},
		},
		{
			[]string{"--run", "idle", "--clients", "300"},
			[]string{"connections logged in", "server goroutines with the connections"},
			nil,
		},
		{
			[]string{"--run", "flood", "--clients", "30", "--attackers", "200", "--addresses", "16", "--duration",
				"1s"},
			[]string{"orders executed", "attackers ended by the server", "ratio, median"},
			[]string{"gaps", "repeats", "attackers that could not connect"},
		},
		{
			[]string{"--run", "flood", "--keys", "--clients", "30", "--attackers", "200", "--duration", "1s"},
			[]string{"orders executed", "wrong keys tried", "ratio, median"},
			[]string{"gaps", "repeats", "attackers that could not connect"},
		},
		{
			[]string{"--run", "consoles", "--clients", "30", "--consoles", "4", "--rate", "300", "--duration", "1s"},
			[]string{"ticks that they saw", "scrapes", "ratio, median"},
			[]string{"gaps", "repeats"},
		},
		{
			[]string{"--run", "soak", "--clients", "300", "--rate", "300", "--duration", "1s"},
			[]string{"orders executed", "resumed", "events replayed", "clients: sent garbage", "clients: stalled"},
			[]string{"gaps", "repeats"},
		},
	} {
		t.Run(c.flags[1], func(t *testing.T) {
			t.Parallel()
			r := run(t, binary, append(c.flags, "-o", "json"))
			for _, name := range c.counts {
				if v, ok := r.Value(name); !ok || v <= 0 {
					t.Errorf("%s: %v, want more than 0", name, v)
				}
			}
			for _, name := range c.zero {
				if v, ok := r.Value(name); !ok || v != 0 {
					t.Errorf("%s: %v (there: %v), want 0", name, v, ok)
				}
			}
		})
	}
}

// run returns the report. It ignores failures that depend on the machine's speed.
func run(t *testing.T, binary string, flags []string) *soak.Report {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"soak"}, flags...)...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 99) {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	r := new(soak.Report)
	if err := json.Unmarshal(stdout.Bytes(), r); err != nil {
		t.Fatalf("%v: %s\n%s", err, stdout.String(), stderr.String())
	}
	for _, failure := range r.Failures {
		if !bytes.HasPrefix([]byte(failure), []byte("the median ratio")) {
			t.Error(failure)
		}
	}
	if r.OK() != (err == nil) {
		t.Errorf("exit: %v, with failures %q", err, r.Failures)
	}
	return r
}

// TestRefusals asks for runs that do not exist.
func TestRefusals(t *testing.T) {
	if _, err := soak.Run(t.Context(), soak.Config{Run: "stroll"}); err == nil {
		t.Error("a run that there is not was run")
	}
	cfg := soak.Config{Run: soak.Crowd, Binary: filepath.Join(t.TempDir(), "missing"), Clients: 1, Accounts: 1}
	if _, err := soak.Run(t.Context(), cfg); err == nil {
		t.Error("a server that there is not was run")
	}
}

// touchSources makes go test notice changes of the server's sources, which this package does not
// import. go test caches results, and watches only the files that the test itself opens.
func touchSources(root string) error {
	return filepath.WalkDir(root, func(name string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".go") {
			_, err = os.Stat(name)
		}
		return err
	})
}
