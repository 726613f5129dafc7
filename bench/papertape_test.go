package main

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/papertape/papertape/bench/judge"
)

// TestJudge runs the checks that the compared servers must pass on Papertape itself. So they
// demand nothing that Papertape does not do.
func TestJudge(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	path := filepath.Join(t.TempDir(), "papertape")
	build := exec.Command("go", "build", "-o", path, "./cmd/papertape")
	build.Dir = ".." // Papertape is another module
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.Command(path, "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--durability", "none",
		"--accounts", "100", "--seed", "1",
		"--prices", "fixed", "--simulator.rate", "0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer watchdog.Stop()
	var line struct{ Message, Listen string }
	for log := bufio.NewScanner(stderr); line.Message != "listening"; {
		if !log.Scan() {
			t.Fatalf("papertape does not listen: %v", cmd.Wait())
		}
		_ = json.Unmarshal(log.Bytes(), &line) // other lines have other fields
	}
	judge.Server(t, line.Listen)
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
