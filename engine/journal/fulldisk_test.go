package journal

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// fullDisk is full from the n-th operation on that needs room. Of a write it takes the first
// half. Removing files does not make room.
type fullDisk struct {
	vfs.FS
	logs    bool          // writes to logs find no room either; else only creating a log fails
	left    *atomic.Int64 // operations until it is full
	first   *atomic.Pointer[failedOp]
	logFull *atomic.Bool // a write to a log has failed
	stage   func() string
}

func newFullDisk(disk vfs.FS, logs bool, n int, stage func() string) fullDisk {
	d := fullDisk{recyclingFS{disk}, logs, new(atomic.Int64), new(atomic.Pointer[failedOp]), new(atomic.Bool), stage}
	d.left.Store(int64(n))
	return d
}

// refuse reports whether an operation finds no room, and whether it is the first.
func (d fullDisk) refuse(kind errorfs.OpKind, name string) (full, first bool) {
	left := d.left.Add(-1)
	if left == -1 {
		d.first.Store(&failedOp{errorfs.Op{Kind: kind, Path: name}, d.stage()})
	}
	return left < 0, left == -1
}

func (d fullDisk) makeRoom() { d.left.Store(1 << 40) }

func (d fullDisk) open(kind errorfs.OpKind, name string, open func() (vfs.File, error)) (vfs.File, error) {
	if !d.logs {
		if full, _ := d.refuse(kind, name); full {
			return nil, syscall.ENOSPC
		}
	}
	f, err := open()
	if err != nil {
		return nil, err
	}
	return fullFile{f, d, name}, nil
}

// Create is part of vfs.FS.
func (d fullDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.open(errorfs.OpCreate, name, func() (vfs.File, error) { return d.FS.Create(name, c) })
}

// ReuseForWrite is part of vfs.FS.
func (d fullDisk) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.open(errorfs.OpReuseForWrite, to, func() (vfs.File, error) { return d.FS.ReuseForWrite(from, to, c) })
}

// Unwrap is part of vfs.FS.
func (d fullDisk) Unwrap() vfs.FS { return d.FS }

type fullFile struct {
	vfs.File
	disk fullDisk
	name string
}

// Write is part of vfs.File.
func (f fullFile) Write(p []byte) (n int, err error) {
	isLog := strings.HasSuffix(f.name, ".log")
	if isLog && !f.disk.logs {
		return f.File.Write(p)
	}
	full, first := f.disk.refuse(errorfs.OpFileWrite, f.name)
	switch {
	case !full:
		return f.File.Write(p)
	case first:
		n, err = f.File.Write(p[:len(p)/2])
	}
	if isLog {
		f.disk.logFull.Store(true)
	}
	return n, errors.Join(err, syscall.ENOSPC)
}

// TestFullDisk fills up the disk within each write of a short run, and for all after it: to
// logs, tables, manifests, marks and a backup; and for each file that is created. Everything
// but a commit waits, and goes on when there is room. A commit ends the process with an error
// that says why, and so does the end of the run; nobody is told that something was committed.
// Once there is room again, everything acknowledged is there, whether or not the disk kept the
// half that was written.
func TestFullDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	y := newTally(t, "full disk")
	step := 5 // in a quick test
	if thorough() {
		step = 1
	}
	for _, base := range lifeBases(t) {
		for _, logs := range []bool{true, false} {
			for n, reached := 0, new(atomic.Bool); n == 0 || reached.Load(); n += faultsAtOnce * step {
				reached.Store(false)
				forEach(faultsAtOnce, func(i int) {
					hit, err := fillAt(t, y, base.life(t, Sync), logs, n+i*step)
					if hit {
						reached.Store(true)
					}
					if err != nil {
						y.found("%s, in logs: %t, operation %d: %v", base.name, logs, n+i*step, err)
					}
				})
			}
		}
	}
	y.mustHaveSeen("logs", "waited and went on")
	if thorough() {
		y.mustHaveSeen("tables", "manifests", "marks of clean ends", "others")
	}
}

// fillAt makes the disk of a life full at its n-th operation that needs room. hit is false if there
// were fewer than n.
func fillAt(t *testing.T, y *counted, l *shortLife, logs bool, n int) (hit bool, err error) {
	disk := newFullDisk(l.disk, logs, n, l.at)
	l.o.FS = disk
	ended := make(chan struct{})
	waited := make(chan bool, 1)
	go func() { waited <- l.makeRoomWhenItWaits(disk, ended) }()
	fatal, end := l.end()
	close(ended)
	went := <-waited
	first := disk.first.Load()
	if first == nil {
		return false, errors.Join(end, l.comesBack(t, fatal))
	}
	y.saw(kindOfFile(first.op.Path), 1)
	y.saw("at the "+first.stage, 1)
	if went && end == nil {
		y.saw("waited and went on", 1)
	}
	y.tried(1)
	switch {
	case went && end == nil: // as it should
	case end == nil && kindOfFile(first.op.Path) == kindOfFile(cleanFile): // CLEAN was not written: nothing is lost
	case first.stage == "run" && !disk.logFull.Load() && l.at() == "run" && end != nil:
		err = fmt.Errorf("it did not wait: %w", end)
	default:
		err = l.mustEnd(first, fatal, end, syscall.ENOSPC)
	}
	if err == nil {
		err = l.comesBack(t, fatal)
	}
	if err != nil {
		err = fmt.Errorf("%s was full at the %s: %w", first.op.Path, first.stage, err)
	}
	return true, err
}

// makeRoomWhenItWaits makes room once a write waits for it, and returns false if the life ends
// before.
func (l *shortLife) makeRoomWhenItWaits(disk fullDisk, ended <-chan struct{}) bool {
	tick := time.NewTicker(l.o.watchInterval)
	defer tick.Stop()
	for {
		l.mu.Lock()
		j := l.j
		l.mu.Unlock()
		if j != nil && j.waiting.Load() > 0 && j.ReadOnly() {
			disk.makeRoom()
			return true
		}
		select {
		case <-tick.C:
		case <-ended:
			return false
		}
	}
}
