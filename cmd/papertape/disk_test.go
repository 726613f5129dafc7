package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/papertape/papertape/client"
)

// smallDisk mounts a file system of 512 MiB and 200 files, or skips the test.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("papertape-test", dir, "tmpfs", 0, "size=512m,nr_inodes=200"); err != nil {
		t.Skipf("a small disk is wanted, and a tmpfs cannot be mounted here (that takes root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fill leaves mib MiB of a disk free, or fewer. It can be called again for what has become free since.
func fill(t *testing.T, dir string, mib uint64) string {
	t.Helper()
	name := filepath.Join(dir, "ballast")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // nothing is written to it
	for {
		err := growTo(f, mib)
		if err == nil {
			return name
		}
		if !errors.Is(err, syscall.ENOSPC) { // what is free changes between question and answer: a server writes
			t.Fatal(err)
		}
	}
}

// growTo has a file take what is free on its disk, except for so many MiB.
func growTo(f *os.File, mib uint64) error {
	var st syscall.Statfs_t
	if err := syscall.Fstatfs(int(f.Fd()), &st); err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekEnd)
	free := int64(st.Bavail*uint64(st.Bsize)) - int64(mib)<<20
	if err != nil || free <= 0 {
		return err
	}
	return syscall.Fallocate(int(f.Fd()), 0, size, free)
}

// TestDiskNearlyFull checks that a real server refuses orders when its disk is below the low-water
// mark, and accepts them again when there is room.
func TestDiskNearlyFull(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	disk := smallDisk(t)
	p := startServe(t, "--data", filepath.Join(disk, "data"), "--disk-free-bytes-min", "64MiB", "--simulator.rate",
		"0", "--accounts", "3")
	at := p.until("listening").Listen
	buyAs(t, at, "before")
	ballast := fill(t, disk, 32)
	p.until("the disk is nearly full")
	c := dial(t, at)
	defer c.Close() //nolint:errcheck // the test is over
	var refused *client.Reject
	if _, err := c.Buy(t.Context(), "SZ", "000001", 100); !errors.As(err, &refused) || refused.Code != client.ReadOnly {
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

// TestDiskFull checks that a server continues on a completely full disk, postpones its checkpoints,
// and accepts orders again when there is room. A server that starts on a full disk says so, and
// changes nothing.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t)
	args := []string{"--data", filepath.Join(disk, "data"), "--disk-free-bytes-min", "192MiB", "--checkpoint-interval",
		"100ms", "--accounts", "2000"}
	p := startServe(t, append(args, "--simulator.rate", "5000")...)
	at := p.until("listening").Listen
	buyAs(t, at, "before")
	giveBack := p.fillUp(disk)
	c := dial(t, at)
	defer c.Close() //nolint:errcheck // the test is over
	var refused *client.Reject
	if _, err := c.Buy(t.Context(), "SZ", "000001", 100); !errors.As(err, &refused) || refused.Code != client.ReadOnly {
		t.Errorf("an order on a full disk: %v, want READ_ONLY", err)
	}
	if _, err := c.Holdings(t.Context()); err != nil {
		t.Errorf("holdings on a full disk: %v", err)
	}
	giveBack()
	p.until("a checkpoint has been made again")
	err := error(refused)
	for errors.As(err, &refused) && refused.Code == client.ReadOnly { // the server looks twice a second
		_, err = c.Order(t.Context(), client.Order{
			Side: client.Buy, Market: "SZ", Code: "000001", Quantity: 100, ClientOrderID: "after",
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	giveBack = p.fillUp(disk)
	p.stop()
	fill(t, disk, 0) // also what the server has given back at its very end

	before := namesIn(t, filepath.Join(disk, "data"))
	p = startServe(t, args...)
	p.until("papertape: the journal in " + filepath.Join(disk, "data") +
		" cannot be started, as its disk has no room: 0 bytes are free")
	p.mustFail()
	if after := namesIn(t, filepath.Join(disk, "data")); !slices.Equal(before, after) {
		t.Errorf("a start without room: before %q, after %q", before, after)
	}
	giveBack()
	p = startServe(t, append(args, "--simulator.rate", "0")...)
	at = p.until("listening").Listen
	for _, id := range []string{"before", "after"} {
		if ev := buyAs(t, at, id); !ev.Replay {
			t.Errorf("the order %q was executed again", id)
		}
	}
	p.stop()
}

// fillUp fills the disk of a server to the last byte, once the server takes no orders any more and has put a checkpoint
// off: a commit that finds no room ends a server, as it should. It goes on filling what the server gives back, which
// deletes logs that are done with, 35 MiB each, at a time of its own. giveBack deletes what it filled the disk with.
func (p *runningServe) fillUp(disk string) (giveBack func()) {
	p.t.Helper()
	fill(p.t, disk, 32)
	p.until("the disk is nearly full")
	p.until("no checkpoint: what was committed is safe")
	ballast := fill(p.t, disk, 0)
	return hog(p.t, func() error {
		f, err := os.OpenFile(ballast, os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer f.Close() //nolint:errcheck // nothing is written to it
		if err = growTo(f, 0); errors.Is(err, syscall.ENOSPC) {
			return nil
		}
		return err
	}, func() error { return os.Remove(ballast) })
}

// hog calls take again and again, until giveBack is called, which then calls release.
func hog(t *testing.T, take, release func() error) (giveBack func()) {
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for err := take(); ; err = take() {
			select {
			case <-stop:
				stopped <- err
				return
			case <-time.After(time.Millisecond):
			}
			if err != nil {
				stopped <- err
				return
			}
		}
	}()
	return func() {
		t.Helper()
		close(stop)
		if err := errors.Join(<-stopped, release()); err != nil {
			t.Fatal(err)
		}
	}
}

func namesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// mustFail waits for the server to end with a failure.
func (p *runningServe) mustFail() {
	p.t.Helper()
	for range p.lines { // until its output ends
	}
	if err := p.cmd.Wait(); p.cmd.ProcessState.ExitCode() != exitFailed {
		p.t.Errorf("it ended with %v, want exit code %d", err, exitFailed)
	}
}

// TestNoRoomForFiles checks a disk that has free bytes but no room for another file. Whatever needs
// a file waits, orders included. A server that is stopped meanwhile ends with exit code 1 and says
// why. No acknowledged order is missing when there is room again.
func TestNoRoomForFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	disk := smallDisk(t)
	args := []string{"--data", filepath.Join(disk, "data"), "--simulator.rate", "0", "--accounts", "3",
		"--disk-free-bytes-min", "1MiB",
		"--shutdown-timeout", "1s"}
	p := startServe(t, args...)
	at := p.until("listening").Listen
	n := &orderer{t: t, at: at}
	const full, done = "the disk is full: no orders are taken until there is room again",
		"what waited for room on the disk is done with"
	for range 2 {
		giveBack := takeFiles(t, disk)
		stop := n.order()
		p.until(full)
		giveBack()
		p.until(done)
		stop()
		buyAs(t, at, fmt.Sprintf("after %d", n.acknowledged))
	}
	giveBack := takeFiles(t, disk)
	stop := n.order()
	p.until(full)
	n.stopping.Store(true)
	p.signal(syscall.SIGTERM)
	if line := p.until("the server cannot go on"); !strings.Contains(line.Error, "no space left on device") {
		t.Errorf("it ended with: %s", line.Error)
	}
	p.mustFail()
	stop()
	giveBack()
	p = startServe(t, args...)
	c := dial(t, p.until("listening").Listen)
	for _, i := range []int{max(0, n.acknowledged-4000), n.acknowledged - 1} {
		if ev, err := c.Order(t.Context(), nthOrder(i)); err != nil || !ev.Replay {
			t.Errorf("order %d of %d acknowledged ones, sent again: %v, want its execution with REPLAY", i,
				n.acknowledged, err)
		}
	}
	_ = c.Close()
	p.stop()
}

// takeFiles creates files until no more can be created, and goes on when the server gives some back: it deletes what it
// needs no more at a time of its own, and makes new files out of that for a while. giveBack deletes them.
func takeFiles(t *testing.T, disk string) (giveBack func()) {
	t.Helper()
	var files []string
	take := func() error {
		for {
			name := filepath.Join(disk, fmt.Sprintf("ballast-%d", len(files)))
			if err := os.WriteFile(name, nil, 0o600); errors.Is(err, syscall.ENOSPC) {
				return nil
			} else if err != nil {
				return err
			}
			files = append(files, name)
		}
	}
	if err := take(); err != nil {
		t.Fatal(err)
	}
	return hog(t, take, func() (err error) {
		for _, name := range files {
			err = errors.Join(err, os.Remove(name))
		}
		return err
	})
}

// orderer orders one share after another.
type orderer struct {
	t            *testing.T
	at           string
	acknowledged int
	stopping     atomic.Bool // the server was told to stop, so that it may answer DRAINING
}

// order sends orders until stop is called or no answer comes. It repeats an order that is refused. What waits for room
// may be an order, which then gets no answer, or the journal's own work: then a stopping server refuses orders as
// DRAINING.
func (o *orderer) order() (stop func()) {
	ctx, cancel := context.WithCancel(o.t.Context())
	c := dial(o.t, o.at)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			_, err := c.Order(ctx, nthOrder(o.acknowledged))
			var refused *client.Reject
			switch {
			case err == nil:
				o.acknowledged++
			case !errors.As(err, &refused):
				o.t.Logf("no more orders after %d: %v", o.acknowledged, err)
				return
			case refused.Code == client.Draining && o.stopping.Load():
				return
			case refused.Code != client.ReadOnly && refused.Code != client.Busy:
				o.t.Errorf("order %d: %v", o.acknowledged, err)
				return
			}
		}
	}()
	return func() {
		cancel()
		<-ended
		_ = c.Close()
	}
}

// nthOrder returns the n-th order, for one share, with a long ID.
func nthOrder(n int) client.Order {
	return client.Order{Side: client.Buy, Market: "SZ", Code: "000001", Quantity: 1,
		ClientOrderID: fmt.Sprintf("%060d", n)}
}
