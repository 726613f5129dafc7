package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/cmd/papertape/torture"
)

// smallDisk mounts a file system of 256 MiB and 200 files, or skips the test.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("papertape-test", dir, "tmpfs", 0, "size=256m,nr_inodes=200"); err != nil {
		t.Skipf("a small disk is wanted, and a tmpfs cannot be mounted here (that takes root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fill leaves so many MiB of a disk free.
func fill(t *testing.T, dir string, mib uint64) string {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "ballast")
	f, err := os.Create(name)
	if err == nil {
		err = errors.Join(syscall.Fallocate(int(f.Fd()), 0, 0, int64(st.Bavail*uint64(st.Bsize)-mib<<20)), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// TestDiskNearlyFull: below its low-water mark a real server refuses orders, and takes them again when there is room.
func TestDiskNearlyFull(t *testing.T) {
	disk := smallDisk(t)
	p := startServe(t, "--data", filepath.Join(disk, "data"), "--disk-free-bytes-min", "64MiB", "--simulator.rate", "0", "--accounts", "3")
	at := p.until("listening").Listen
	buyAs(t, at, "before")
	ballast := fill(t, disk, 32)
	p.until("the disk is nearly full")
	c := dial(t, at)
	defer c.Close() //nolint:errcheck // the end of the test
	var refused *client.Reject
	if _, err := c.Buy(t.Context(), "SZ", "000001", 100); !errors.As(err, &refused) || refused.Code != papertapev1.RejectCode_REJECT_CODE_READ_ONLY {
		t.Errorf("an order on a disk that is nearly full: %v, want READ_ONLY", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	p.until("there is room on the disk again")
	buyAs(t, at, "after")
	_ = c.Close()
	p.stop()
}

// TestDiskFull: a write that fails ends the process with exit code 1 and a line that says why; nothing that was acknowledged is
// missing when there is room again. The disk has no room for another file, while there are bytes enough for the low-water mark.
func TestDiskFull(t *testing.T) {
	disk := smallDisk(t)
	args := []string{"--data", filepath.Join(disk, "data"), "--simulator.rate", "0", "--accounts", "3", "--disk-free-bytes-min", "1MiB"}
	p := startServe(t, args...)
	at := p.until("listening").Listen
	var files []string
	for n := 0; ; n++ {
		name := filepath.Join(disk, fmt.Sprintf("ballast-%d", n))
		if err := os.WriteFile(name, nil, 0o600); errors.Is(err, syscall.ENOSPC) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		files = append(files, name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	c := dial(t, at)
	acknowledged := 0
	for {
		if _, err := c.Order(ctx, one(acknowledged)); ctx.Err() != nil {
			t.Fatalf("%d orders went to a full disk", acknowledged)
		} else if err != nil {
			break
		}
		acknowledged++
	}
	_ = c.Close()
	if line := p.until("the server cannot go on"); !strings.Contains(line.Error, "no space left on device") {
		t.Errorf("it ended with: %s", line.Error)
	}
	for range p.lines { // to the end
	}
	if err := p.cmd.Wait(); p.cmd.ProcessState.ExitCode() != exitFailed {
		t.Errorf("it ended with %v, want exit code %d", err, exitFailed)
	}
	for _, name := range files {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	p = startServe(t, args...)
	c = dial(t, p.until("listening").Listen)
	for _, n := range []int{0, acknowledged - 1} {
		if ev, err := c.Order(t.Context(), one(n)); acknowledged > 0 && n > acknowledged-4000 && (err != nil || !ev.Replay) {
			t.Errorf("order %d of %d acknowledged ones, sent again: %v, want its execution with REPLAY", n, acknowledged, err)
		}
	}
	_ = c.Close()
	p.stop()
}

// one is an order of one share, the n-th, with a long id.
func one(n int) *client.Order {
	return &client.Order{Side: client.Buy, Market: "SZ", Code: "000001", Quantity: 1, ClientOrderId: fmt.Sprintf("%060d", n)}
}

// forgetful is a server that forgets: its second start keeps a copy of the data, and its seventh goes back to that.
const forgetful = `#!/bin/sh
set -e
if [ "$1" = serve ]; then
	data=%[1]s
	echo start >> %[1]s.starts
	case $(wc -l < %[1]s.starts) in
	2) cp -r $data $data.kept ;;
	7) rm -r $data && mv $data.kept $data ;;
	esac
fi
exec papertape "$@"
`

// TestTortureFindsLoss holds a server to what it said that loses a part of it, and is otherwise in order: nobody could tell from
// its data alone.
func TestTortureFindsLoss(t *testing.T) {
	dir := t.TempDir()
	binary, data := filepath.Join(dir, "forgetful"), filepath.Join(dir, "data")
	if err := os.WriteFile(binary, fmt.Appendf(nil, forgetful, data), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var said bytes.Buffer
	report, err := torture.Run(ctx, torture.Config{
		Binary: binary, Kills: 20, Seed: 3, Accounts: 8, Rate: 1000, Data: data, Durability: durabilitySync, Progress: &said,
	})
	if err != nil {
		t.Fatal(err)
	}
	if report.OK() || report.Lost == 0 || report.Kills > 7 {
		t.Errorf("after %d kills %d acknowledged events are found lost: %q", report.Kills, report.Lost, report.Failures)
	}
	if !slices.ContainsFunc(report.Failures, func(f string) bool { return strings.Contains(f, "was told before the kill, and the newest is") }) {
		t.Errorf("the failures are %q", report.Failures)
	}
}
