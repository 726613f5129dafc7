package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

const (
	syncs      = 200 // of the disk
	syncsLimit = 5 * time.Second
	blockBytes = 4 << 10
)

// Look fills in what no file tells, and costs nothing to find out: the processors, the room on the disk, the clock.
func Look(r *Readings, p *Plan) {
	r.Processors = runtime.NumCPU()
	r.DiskFree = freeBytes(existing(p.Data))
	r.Synchronised = clockSynchronised()
}

// Measure is Look, and tries the disk with a file of its own, the addresses, and whether the data directory is in use.
func Measure(ctx context.Context, r *Readings, p *Plan) {
	Look(r, p)
	for _, at := range p.Addresses {
		ln, err := net.Listen("tcp", at)
		if err != nil {
			r.Taken = append(r.Taken, at)
			continue
		}
		_ = ln.Close() // nobody came
	}
	if !p.Durable {
		return
	}
	r.InUse = isLocked(filepath.Join(p.Data, "LOCK"))
	times, err := syncTimes(ctx, existing(p.Data))
	if err != nil {
		r.DiskTrouble = err.Error()
		return
	}
	slices.Sort(times)
	r.DiskP50, r.DiskP99 = times[len(times)/2], times[len(times)*99/100]
}

// existing returns the directory itself, or the nearest one above it that there is.
func existing(dir string) string {
	for {
		info, err := os.Stat(dir)
		if above := filepath.Dir(dir); (err != nil || !info.IsDir()) && above != dir {
			dir = above
			continue
		}
		return dir
	}
}

// syncTimes appends to a file and syncs it, again and again. The file is gone afterwards.
func syncTimes(ctx context.Context, dir string) (times []time.Duration, err error) {
	f, err := os.CreateTemp(dir, ".papertape-doctor-")
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		return nil, fmt.Errorf("no file can be written in %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	block, began := make([]byte, blockBytes), time.Now()
	for range syncs {
		at := time.Now()
		if _, err := f.Write(block); err != nil {
			return nil, err
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		times = append(times, time.Since(at))
		if time.Since(began) > syncsLimit || ctx.Err() != nil {
			break
		}
	}
	return times, ctx.Err()
}
