package journal

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/rs/zerolog"
)

// TestLowWater: with too little room on the disk the journal is read-only until there is room.
// It logs each change once, and commits all the same.
func TestLowWater(t *testing.T) {
	var free atomic.Uint64
	log := new(testLog)
	o := testOptions(t, vfs.NewMem(), Sync)
	const lowWater = 2 << 20
	o.Log, o.LowWaterBytes = zerolog.New(log), lowWater
	o.FreeBytes = func() (uint64, error) { return free.Load(), nil }
	free.Store(lowWater - 1)
	j, _ := mustRecover(t, "data", o)
	if !j.ReadOnly() {
		t.Error("a start on a full disk takes orders")
	}
	w := newWorld(1, 2, 1)
	w.run(t, j, 5, 3)
	free.Store(lowWater)
	waitUntil(t, "room", func() bool { return !j.ReadOnly() })
	free.Store(10)
	waitUntil(t, "no room", j.ReadOnly)
	said := func(what string) int { return strings.Count(log.String(), what) }
	waitUntil(t, "both words about it", func() bool {
		return said("no orders are taken until there is room again") == 2 && said("orders are taken\"") == 1
	})
}

// TestUnknownRoom: a file system that does not say how much is free is treated as having room.
func TestUnknownRoom(t *testing.T) {
	j, _ := mustRecover(t, "data", testOptions(t, vfs.NewMem(), Sync)) // a file system in memory does not say
	if j.ReadOnly() {
		t.Error("it is read-only")
	}
	o := testOptions(t, nil, Sync)
	o.LowWaterBytes = 1
	if j, _ := mustRecover(t, t.TempDir(), o); j.ReadOnly() {
		t.Error("a disk with a byte of room is read-only")
	}
	o.LowWaterBytes = 1 << 62
	if j, _ := mustRecover(t, t.TempDir(), o); !j.ReadOnly() {
		t.Error("a disk with less than the low-water mark is written to")
	}
}
