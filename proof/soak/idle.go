//go:build linux

package soak

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// warmClients log in and leave before anything is measured, so that what remains of them in the server's loops is
	// not counted as a connection's.
	warmClients = 100
	// perSource is how many clients one address of this machine has: by default it has 28,232 ports.
	perSource = 20_000
	// settled is how long the server and the kernel are left alone before they are measured.
	settled = time.Second
)

// The figures of the run Idle.
const (
	FigureConnected  = "connections logged in"
	FigureUserEach   = "server RSS of each connection"
	FigureKernelEach = "kernel memory of each connection, both ends"
)

// idle logs all clients in, leaves them silent, and measures what each of them costs.
func (r *run) idle(ctx context.Context) error {
	if err := r.loginFirst(ctx, min(warmClients, r.Clients)); err != nil {
		return err
	}
	for _, p := range r.peers {
		p.onEnd = func(error) {}
		p.leave(false)
	}
	r.peers = nil
	before, err := r.atRest(ctx)
	if err != nil {
		return err
	}
	if err := r.login(ctx); err != nil {
		return err
	}
	r.failOnEnd()
	after, err := r.atRest(ctx)
	if err != nil {
		return err
	}
	each := func(mib float64) float64 { return mib * (1 << 20) / float64(r.Clients) }
	r.showUsage("before", before.usage)
	r.showUsage("with the connections", after.usage)
	r.report.count(FigureConnected, r.tally.live)
	r.report.add(FigureUserEach, each(after.rss-before.rss), "B")
	r.report.add(FigureKernelEach, each(after.kernel-before.kernel), "B")
	r.report.within("the server's number of goroutines with the connections", float64(after.goroutines),
		float64(before.goroutines+goroutinesMore), "")
	return nil
}

// rest is what the server and the kernel use while nothing happens.
type rest struct {
	usage
	kernel float64 // MiB
}

// atRest waits a moment and measures.
func (r *run) atRest(ctx context.Context) (at rest, err error) {
	if err := r.loop.sleep(ctx, settled); err != nil {
		return at, err
	}
	if at.usage, err = r.usage(ctx); err != nil {
		return at, err
	}
	at.kernel, err = kernelMemory()
	return at, err
}

// socketCaches are the kernel's kinds of objects of which a connection has some. Others grow with the files that other
// programs look at.
var socketCaches = []string{
	"TCP", "sock_inode_cache", "dentry", "filp", "eventpoll_epi", "ep_head", "nf_conntrack", "lsm_inode_cache",
	"lsm_file_cache",
}

// kernelMemory returns what the whole kernel has taken for sockets and for the bytes in them, in MiB. A connection over
// loopback has both of its ends in there. Who may not read how much each kind of object takes gets all of them.
func kernelMemory() (float64, error) {
	bytes, err := slabs(os.DirFS("/"))
	if err != nil {
		return 0, fmt.Errorf("read how much memory the kernel has: %w", err)
	}
	stat, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		return 0, fmt.Errorf("read how much memory the sockets have: %w", err)
	}
	for line := range strings.Lines(string(stat)) {
		f := strings.Fields(line) // TCP: inuse 5 orphan 0 tw 2 alloc 8 mem 3
		if len(f) >= 11 && f[0] == "TCP:" {
			pages, err := strconv.ParseInt(f[10], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read how much memory the sockets have: %w", err)
			}
			bytes += pages * int64(os.Getpagesize())
		}
	}
	return float64(bytes) / (1 << 20), nil
}

// slabs returns the bytes of the kernel's objects: of socketCaches, or else of all.
func slabs(root fs.FS) (bytes int64, err error) {
	if text, err := fs.ReadFile(root, "proc/slabinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line) // name, active, all, size of one
			if len(f) > 3 && slices.Contains(socketCaches, f[0]) {
				all, _ := strconv.ParseInt(f[2], 10, 64) // the kernel writes numbers
				size, _ := strconv.ParseInt(f[3], 10, 64)
				bytes += all * size
			}
		}
	}
	if bytes > 0 {
		return bytes, nil
	}
	text, err := fs.ReadFile(root, "proc/meminfo")
	return number(string(text), "\nSlab:") << 10, err
}

// source returns the address that a client connects from, by its number; nil is the kernel's choice.
func source(number int) *[4]byte {
	if number < perSource {
		return nil
	}
	return &[4]byte{127, 0, 2, byte(number / perSource)}
}
