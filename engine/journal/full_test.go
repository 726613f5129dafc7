package journal

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// fullDisk is full from the n-th write on, of which it takes the first half. Nothing is removed from it that would make room.
type fullDisk struct {
	vfs.FS
	left  *atomic.Int64 // writes until then
	first *atomic.Pointer[failedOp]
	stage func() string
}

func (d fullDisk) file(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return fullFile{f, d, name}, nil
}

// Create is part of vfs.FS.
func (d fullDisk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.Create(name, c)
	return d.file(name, f, err)
}

// OpenReadWrite is part of vfs.FS.
func (d fullDisk) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := d.FS.OpenReadWrite(name, c, o...)
	return d.file(name, f, err)
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
	switch left := f.disk.left.Add(-1); {
	case left >= 0:
		return f.File.Write(p)
	case left == -1:
		f.disk.first.Store(&failedOp{errorfs.Op{Kind: errorfs.OpFileWrite, Path: f.name}, f.disk.stage()})
		n, err = f.File.Write(p[:len(p)/2])
	}
	return n, errors.Join(err, syscall.ENOSPC)
}

// TestFullDisk has the disk full within each write of a short run, and all after it: of logs, tables, manifests, marks, of a
// backup. Nobody is told that something was committed, the process ends with a sentence, and once there is room again everything is
// there that had been acknowledged, whether or not the disk has the half that was written.
func TestFullDisk(t *testing.T) {
	y := newTally(t, "full disk")
	step := 5 // of a quick test
	if thorough() {
		step = 1
	}
	for _, base := range lifeBases(t) {
		for n, reached := 0, new(atomic.Bool); n == 0 || reached.Load(); n += faultsAtOnce * step {
			reached.Store(false)
			forEach(faultsAtOnce, func(i int) {
				hit, err := fillAt(t, y, base.life(t, Sync), n+i*step)
				if hit {
					reached.Store(true)
				}
				if err != nil {
					y.found("%s, write %d: %v", base.name, n+i*step, err)
				}
			})
		}
	}
	y.must("logs")
	if thorough() {
		y.must("tables", "manifests", "marks of clean ends", "others")
	}
}

// fillAt has the disk of a life full at its n-th write; hit says whether there were so many.
func fillAt(t *testing.T, y *tally, l *shortLife, n int) (hit bool, err error) {
	disk := fullDisk{recycling{l.disk}, new(atomic.Int64), new(atomic.Pointer[failedOp]), l.at}
	disk.left.Store(int64(n))
	l.o.FS = disk
	fatal, ended := l.end()
	first := disk.first.Load()
	if first == nil {
		return false, errors.Join(ended, l.comesBack(t, fatal))
	}
	y.saw(kindOfFile(first.op.Path), 1)
	y.saw("at the "+first.stage, 1)
	y.tried(1)
	if err = l.mustEnd(first, fatal, ended, syscall.ENOSPC); err == nil {
		err = l.comesBack(t, fatal)
	}
	if err != nil {
		err = fmt.Errorf("%s was full at the %s: %w", first.op.Path, first.stage, err)
	}
	return true, err
}
