package main

import (
	"errors"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestReadOnlyData checks that a ledger on a read-only file system can be verified, exported and
// copied, and that a server on it reports that it cannot use it.
func TestReadOnlyData(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	dir, mounted := t.TempDir(), t.TempDir()
	data := filepath.Join(dir, "data")
	p := startServe(t, "--data", data, "--simulator.rate", "0", "--accounts", "3")
	p.until("listening")
	p.stop()
	if err := syscall.Mount(dir, mounted, "", syscall.MS_BIND, ""); errors.Is(err, fs.ErrPermission) {
		return // the journal's own tests refuse all writes
	} else if err != nil {
		t.Fatal(err)
	}
	defer syscall.Unmount(mounted, syscall.MNT_DETACH) //nolint:errcheck // the test is over
	if err := syscall.Mount("", mounted, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	data = filepath.Join(mounted, "data")
	for _, args := range [][]string{
		{"verify", "--data", data}, {"export", "--data", data, "--out", filepath.Join(t.TempDir(), "histories")},
		{"backup", "--data", data, "--out", filepath.Join(t.TempDir(), "copy")},
	} {
		if said, err := exec.Command("papertape", args...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", args[0], err, said)
		}
	}
	said, err := exec.Command("papertape", "serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data",
		data).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != exitUsage ||
		!strings.Contains(string(said), "read-only file system") {
		t.Errorf("serve: %v: %s", err, said)
	}
}
