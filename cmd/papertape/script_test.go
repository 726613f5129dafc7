package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the scripts run the command in its own process.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"papertape": main})
}

// TestScripts runs the scripts in testdata/script against the real command.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("NO_COLOR", "1")
			env.Setenv("GORACE", os.Getenv("GORACE")) // as in the Makefile
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"freeport":  freePort,
			"waitready": waitReady,
			"exits":     exits,
			"damage":    damage,
		},
	})
}

// freePort NAME... sets each variable to the host:port of a free port.
func freePort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: freeport NAME...")
	}
	for _, name := range args {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		ts.Setenv(name, ln.Addr().String())
		ts.Check(ln.Close())
	}
}

// waitReady HOST:PORT waits until the console there reports that the server is ready.
func waitReady(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitready HOST:PORT")
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		resp, err := http.Get("http://" + args[0] + "/readyz")
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
	}
	ts.Fatalf("no server is ready on %s", args[0])
}

// exits CODE COMMAND... runs papertape, which must end with this exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE papertape ARGS...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if err != nil {
		code = -1
		if e, ok := err.(interface{ ExitCode() int }); ok {
			code = e.ExitCode()
		}
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, want %s\n%s%s", code, args[0], ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

// damage DIR flips a bit in the middle of every table in a data directory.
func damage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: damage DIR")
	}
	tables, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*.sst"))
	ts.Check(err)
	if len(tables) == 0 {
		ts.Fatalf("there is no table in %s", args[0])
	}
	for _, table := range tables {
		b, err := os.ReadFile(table)
		ts.Check(err)
		b[len(b)/2] ^= 1
		ts.Check(os.WriteFile(table, b, 0o600))
	}
}
